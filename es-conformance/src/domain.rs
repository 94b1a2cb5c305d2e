//! A domain for the cases that go through the runtime. Written by hand: a keeper of events of any one type, which no macro
//! writes.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use es_runtime::{
    Aggregate, Command, CommandOf, Context, DecodeError, Decoded, Either, EncodeError, Event, EventEnum, EventInfo,
    EventSourced, IntoEvents, KeyOf, Misapplied, Stored,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Keeps every event that was appended to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Keeper<T> {
    pub(crate) kept: Vec<T>,
}

/// A type of values that a keeper can keep.
pub(crate) trait Value:
    Serialize + DeserializeOwned + Debug + Clone + PartialEq + Send + Sync + 'static
{
}

impl<T: Serialize + DeserializeOwned + Debug + Clone + PartialEq + Send + Sync + 'static> Value for T {}

/// An event of a keeper. The first of its stream creates it, so there are two forms.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry<T> {
    /// The first.
    First(T),
    /// A later one.
    Next(T),
}

/// The stored form of both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Kept<T>(T);

impl<T: Value> Stored for Kept<T> {
    const NAME: &'static str = "kept";
}

impl<T: Value> Event for Kept<T> {}

impl<T: Value> Aggregate for Keeper<T> {
    const NAME: &'static str = "keeper";
    type Id = String;
}

impl<T: Value> EventSourced for Keeper<T> {
    type Event = Entry<T>;
}

impl<T: Value> EventEnum<Keeper<T>> for Entry<T> {
    const EVENTS: &'static [EventInfo] = &[
        EventInfo {
            name: "first",
            ..EventInfo::of::<Kept<T>>()
        },
        EventInfo {
            name: "next",
            ..EventInfo::of::<Kept<T>>()
        },
    ];

    fn info(&self) -> EventInfo {
        match self {
            Self::First(_) => Self::EVENTS[0],
            Self::Next(_) => Self::EVENTS[1],
        }
    }

    fn creates(&self) -> bool {
        matches!(self, Self::First(_))
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (Self::First(value) | Self::Next(value)) = self;
        Kept(value.clone()).encode(out)
    }

    fn encode_as(&self, shape_version: u32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (Self::First(value) | Self::Next(value)) = self;
        Kept(value.clone()).encode_as(shape_version, out)
    }

    fn decode(name: &str, shape_version: u32, payload: &[u8]) -> Result<Decoded<Self>, DecodeError> {
        let decode = || Kept::<T>::decode(shape_version, payload).map(|stored| stored.0);
        match name {
            "first" => decode().map(Self::First).map(Decoded::One),
            "next" => decode().map(Self::Next).map(Decoded::One),
            _ => Err(DecodeError::UnknownName),
        }
    }

    fn apply(self, state: &mut Option<Keeper<T>>) -> Result<(), Misapplied> {
        match (self, state) {
            (Self::First(value), state @ None) => *state = Some(Keeper { kept: vec![value] }),
            (Self::Next(value), Some(keeper)) => keeper.kept.push(value),
            (Self::First(_), Some(_)) => return Err(Misapplied::AlreadyCreated("first")),
            (Self::Next(_), None) => return Err(Misapplied::NotCreated("next")),
        }
        Ok(())
    }
}

impl<T: Value> IntoEvents<Keeper<T>> for Entry<T> {
    fn into_events(self, out: &mut Vec<<Keeper<T> as EventSourced>::Event>) {
        out.push(self);
    }
}

/// The keeper `id`.
pub(crate) fn keeper<T: Value>(id: &str) -> KeyOf<Keeper<T>> {
    KeyOf::new(id)
}

/// Asks a keeper to keep how many events it has, and how it was asked.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Count {
    /// Text that is kept with the number.
    note: String,
    /// The number that each call of the handler saw.
    #[serde(skip)]
    seen: Arc<Mutex<Vec<u64>>>,
}

/// The number of events that a keeper had, and the note of the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) events: u64,
    pub(crate) note: String,
}

impl Count {
    pub(crate) fn noting(note: impl Into<String>) -> Self {
        Self {
            note: note.into(),
            seen: Arc::default(),
        }
    }

    /// The number that each call of the handler saw: one for each call.
    pub(crate) fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PartialEq for Count {
    fn eq(&self, other: &Self) -> bool {
        self.note == other.note
    }
}

impl Command for Count {
    const NAME: &'static str = "count";
}

impl CommandOf<Keeper<Counted>> for Count {
    type On = Either;
    type Refusal = std::convert::Infallible;

    fn handle(self, state: Option<&Keeper<Counted>>, _: &Context) -> Result<Vec<Entry<Counted>>, Self::Refusal> {
        let events = state.map_or(0, |keeper| keeper.kept.len() as u64);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(events);
        let counted = Counted {
            events,
            note: self.note,
        };
        Ok(vec![match state {
            None => Entry::First(counted),
            Some(_) => Entry::Next(counted),
        }])
    }
}
