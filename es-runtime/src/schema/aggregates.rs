use std::error::Error;

use serde_json::Value;

use super::shapes::{Found, Shapes};
use crate::{EventEnum, EventInfo, EventSourced};

/// One aggregate or a tuple of several: `Account`, `(Account, Transfer)`.
pub trait Aggregates {
    #[doc(hidden)]
    fn each(visit: &mut dyn FnMut(Category));
}

/// Everything that is known about the events of an aggregate.
#[doc(hidden)]
pub struct Category {
    pub(super) name: &'static str,
    pub(super) events: &'static [EventInfo],
    pub(super) found: Vec<Found>,
    pub(super) read: Read,
}

/// Reads a stored event of the aggregate, and gives what it is read as.
pub(super) type Read = fn(name: &str, version: u32, data: &Value) -> Result<Vec<Reading>, Unread>;

/// Why a payload is not read as events that could be stored today.
pub(super) enum Unread {
    /// It is refused.
    Refused(String),
    /// An event that it is read as would not come back from a store.
    Unstorable(String),
}

/// An event as it would be stored today.
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
    let reading = |event: A::Event| {
        let mut stored = Vec::new();
        event
            .encode(&mut stored)
            .map_err(|error| Unread::Unstorable(with_source(&error)))?;
        let info = event.info();
        Ok(Reading {
            name: info.name.to_owned(),
            version: info.shape_version,
            data: serde_json::from_slice(&stored).map_err(|error| Unread::Unstorable(error.to_string()))?,
        })
    };
    events.into_iter().map(reading).collect()
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
