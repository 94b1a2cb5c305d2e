use std::error::Error;

use serde_json::Value;

use super::lock::ENTITIES;
use super::shapes::{Found, Shapes};
use crate::state::Entity;
use crate::{EncodeError, EventEnum, EventInfo, EventSourced};

/// One aggregate or entity, or a tuple of several: `Account`, `(Account, Transfer, Deployment)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an aggregate nor an entity",
    label = "has no stored shapes",
    note = "list structs with `#[derive(Aggregate)]` or `#[entity]` here, or a tuple of them"
)]
pub trait Aggregates {
    #[doc(hidden)]
    fn each(visit: &mut dyn FnMut(Category));
}

/// Everything that is known about the events of an aggregate, or about an entity.
#[doc(hidden)]
pub struct Category {
    pub(super) name: &'static str,
    pub(super) events: &'static [EventInfo],
    pub(super) found: Vec<Found>,
    pub(super) read: Read,
}

/// Reads what is stored under a name, and gives what it is read as.
pub(super) type Read = fn(name: &str, version: u32, data: &Value) -> Result<Vec<Reading>, Unread>;

/// Why a payload is not read as events that could be stored today.
pub(super) enum Unread {
    /// It is refused.
    Refused(String),
    /// An event that it is read as would not come back from a store.
    Unstorable(String),
}

/// An event or an entity as it would be stored today.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) data: Value,
}

impl<A: EventSourced> Aggregates for A {
    fn each(visit: &mut dyn FnMut(Category)) {
        let mut shapes = Shapes::default();
        A::Event::shapes(&mut shapes);
        visit(Category {
            name: A::NAME,
            events: A::Event::EVENTS,
            found: shapes.found,
            read: read::<A>,
        });
    }
}

fn read<A: EventSourced>(name: &str, version: u32, data: &Value) -> Result<Vec<Reading>, Unread> {
    let payload = data.to_string();
    let events = A::Event::decode(name, version, payload.as_bytes());
    let events = events.map_err(|error| Unread::Refused(with_source(&error)))?;
    let events = events.into_iter();
    events
        .map(|event| reading(event.info(), |out| event.encode(out)))
        .collect()
}

/// Visits an entity.
#[doc(hidden)]
pub fn each_entity<E: Entity>(visit: &mut dyn FnMut(Category)) {
    let mut shapes = Shapes::default();
    E::shapes(&mut shapes);
    visit(Category {
        name: ENTITIES,
        events: const { &[EventInfo::of::<E>()] },
        found: shapes.found,
        read: read_entity::<E>,
    });
}

fn read_entity<E: Entity>(_: &str, version: u32, data: &Value) -> Result<Vec<Reading>, Unread> {
    let entity = E::decode(version, data.to_string().as_bytes());
    let entity = entity.map_err(|error| Unread::Refused(with_source(&error)))?;
    Ok(vec![reading(EventInfo::of::<E>(), |out| entity.encode(out))?])
}

/// Returns the payload that would be stored.
fn reading(info: EventInfo, encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>) -> Result<Reading, Unread> {
    let mut stored = Vec::new();
    encode(&mut stored).map_err(|error| Unread::Unstorable(with_source(&error)))?;
    Ok(Reading {
        name: info.name.to_owned(),
        version: info.shape_version,
        data: serde_json::from_slice(&stored).map_err(|error| Unread::Unstorable(error.to_string()))?,
    })
}

/// The message of an error with those of what caused it.
fn with_source(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

macro_rules! tuples {
    ($(($($part:ident)+))+) => {
        $(impl<$($part: Aggregates),+> Aggregates for ($($part,)+) {
            fn each(visit: &mut dyn FnMut(Category)) {
                $($part::each(visit);)+
            }
        })+
    };
}

// Several tuples may be nested, so that there is no limit.
tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) }
