use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Metadata, Position, StreamId, Timestamp, Version};

macro_rules! uuid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.0.as_hyphenated(), f)
            }
        }
    };
}

uuid_newtype! {
    /// Identifies an event for ever. A `UUIDv7` where the runtime makes it; a store takes any UUID.
    EventId
}

uuid_newtype! {
    /// Identifies an append, and is stored with it: repeating an append with its id returns the first result.
    AppendId
}

impl AppendId {
    /// The bits of a UUID in which the ids of an append's events differ.
    const RANDOM: u128 = (1 << 62) - 1;

    /// A new id.
    #[expect(
        clippy::new_without_default,
        reason = "each call gives another id, which `default` does not suggest"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of the append's event number `index`, from 0: the append's own, counted on in its random part. Drawing one
    /// random number an append is what makes the ids of its events cheap.
    pub(crate) fn event_id(self, index: u64) -> EventId {
        let id = self.0.as_u128();
        EventId(Uuid::from_u128(
            (id & !Self::RANDOM) | (id.wrapping_add(u128::from(index)) & Self::RANDOM),
        ))
    }

    /// The index of the append's event with this id, if it is of this append.
    pub(crate) fn index_of(self, event: EventId) -> Option<u64> {
        let (id, event) = (self.0.as_u128(), event.0.as_u128());
        let index = event.wrapping_sub(id) & Self::RANDOM;
        (id & !Self::RANDOM == event & !Self::RANDOM).then(|| u64::try_from(index).unwrap_or(u64::MAX))
    }
}

/// An event to be appended, in its stored form.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Identifies the event.
    pub id: EventId,
    /// The event's name.
    pub name: Cow<'static, str>,
    /// The version of its shape.
    pub shape_version: u32,
    /// The event itself; comes back exactly as given.
    pub payload: Bytes,
    /// The metadata recorded with it.
    pub metadata: Metadata,
}

impl NewEvent {
    /// The event as it is recorded at this place. For stores.
    pub fn recorded(
        self,
        stream: StreamId,
        version: Version,
        position: Position,
        recorded_at: Timestamp,
    ) -> RecordedEvent {
        RecordedEvent {
            id: self.id,
            stream,
            version,
            position,
            recorded_at,
            name: self.name,
            shape_version: self.shape_version,
            payload: self.payload,
            metadata: self.metadata,
        }
    }
}

/// The part of an event that folding needs: its stored form, and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Identifies the event.
    pub id: EventId,
    /// Its number in the stream.
    pub version: Version,
    /// Its number in the store.
    pub position: Position,
    /// When the store recorded it.
    pub recorded_at: Timestamp,
    /// The event's name.
    pub name: Cow<'static, str>,
    /// The version of its shape.
    pub shape_version: u32,
    /// The event itself, exactly as it was given.
    pub payload: Bytes,
}

impl From<RecordedEvent> for StoredEvent {
    fn from(event: RecordedEvent) -> Self {
        Self {
            id: event.id,
            version: event.version,
            position: event.position,
            recorded_at: event.recorded_at,
            name: event.name,
            shape_version: event.shape_version,
            payload: event.payload,
        }
    }
}

/// An event as a store returns it: its stored form and its envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// Identifies the event.
    pub id: EventId,
    /// The stream that it belongs to.
    pub stream: StreamId,
    /// Its number in the stream.
    pub version: Version,
    /// Its number in the store.
    pub position: Position,
    /// The time at which the store recorded it; never decreases along positions.
    pub recorded_at: Timestamp,
    /// The event's name.
    pub name: Cow<'static, str>,
    /// The version of its shape.
    pub shape_version: u32,
    /// The event itself, exactly as it was given.
    pub payload: Bytes,
    /// The metadata recorded with it.
    pub metadata: Metadata,
}

impl RecordedEvent {
    /// Returns the time at which the event happened: the time that its sender gave, otherwise the time of recording.
    pub fn occurred_at(&self) -> Timestamp {
        self.metadata.occurred_at().unwrap_or(self.recorded_at)
    }

    /// Returns the approximate size of its payload and metadata in bytes, to bound how many events are in memory.
    pub fn size(&self) -> usize {
        self.payload.len() + self.metadata.size()
    }
}
