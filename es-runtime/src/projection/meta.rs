use std::fmt;

use crate::{Aggregate, EventId, Metadata, Position, RecordedEvent, StreamId, Timestamp, Version};

/// What is recorded beside an event of aggregate `A`: `&Meta<A>` as the last parameter of an `#[apply]` method.
pub struct Meta<A: Aggregate> {
    id: A::Id,
    stream: StreamId,
    version: Version,
    position: Position,
    event: EventId,
    recorded_at: Timestamp,
    metadata: Metadata,
}

impl<A: Aggregate> Meta<A> {
    /// What is recorded beside `event`. `None` if it is not of a stream of `A`.
    pub fn of(event: &RecordedEvent) -> Option<Self> {
        let id = event.stream.id().parse().ok()?;
        (event.stream.category() == A::NAME).then(|| Self {
            id,
            stream: event.stream.clone(),
            version: event.version,
            position: event.position,
            event: event.id,
            recorded_at: event.recorded_at,
            metadata: event.metadata.clone(),
        })
    }

    /// The aggregate instance to which it happened.
    pub fn id(&self) -> &A::Id {
        &self.id
    }

    /// The stream.
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// The event's number in the stream.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The event's number in the store.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The event's id.
    pub fn event(&self) -> EventId {
        self.event
    }

    /// When it was recorded.
    pub fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// Who, because of what, in which trace.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl<A: Aggregate> fmt::Debug for Meta<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta")
            .field("stream", &self.stream)
            .field("version", &self.version)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
