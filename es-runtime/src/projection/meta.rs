use std::fmt;
use std::ops::Deref;

use crate::{Aggregate, EventId, Metadata, Position, RecordedEvent, StreamId, Timestamp, Version};

/// The metadata of an event of aggregate `A` before it is appended: `&InlineMeta<A>` as the last parameter of an
/// `#[apply]` method of an [inline](mod@crate::projection#inline) projection.
///
/// It has no position and no recording time: the store assigns them after the methods have run.
pub struct InlineMeta<A: Aggregate> {
    id: A::Id,
    stream: StreamId,
    version: Version,
    event: EventId,
    metadata: Metadata,
}

impl<A: Aggregate> InlineMeta<A> {
    /// What is known of `event`, whatever its position. `None` if it is not of a stream of `A`.
    pub(crate) fn of(event: &RecordedEvent) -> Option<Self> {
        let id = event.stream.id().parse().ok()?;
        (event.stream.category() == A::NAME).then(|| Self {
            id,
            stream: event.stream.clone(),
            version: event.version,
            event: event.id,
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

    /// The event's id.
    pub fn event(&self) -> EventId {
        self.event
    }

    /// Returns who caused it, because of what, in which trace.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl<A: Aggregate> fmt::Debug for InlineMeta<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineMeta")
            .field("stream", &self.stream)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The metadata of a recorded event of aggregate `A`: `&Meta<A>` as the last parameter of an `#[apply]` method.
pub struct Meta<A: Aggregate> {
    known: InlineMeta<A>,
    position: Position,
    recorded_at: Timestamp,
}

impl<A: Aggregate> Meta<A> {
    /// Returns the metadata of `event`. `None` if it is not of a stream of `A`.
    pub fn of(event: &RecordedEvent) -> Option<Self> {
        Some(Self {
            known: InlineMeta::of(event)?,
            position: event.position,
            recorded_at: event.recorded_at,
        })
    }

    /// The event's number in the store.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The time at which it was recorded.
    pub fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// Returns the time at which it happened: the time that its sender gave, otherwise the time of recording.
    pub fn occurred_at(&self) -> Timestamp {
        self.metadata().occurred_at().unwrap_or(self.recorded_at)
    }
}

/// The instance's id, the stream, the event's number in it and id, the metadata.
impl<A: Aggregate> Deref for Meta<A> {
    type Target = InlineMeta<A>;

    fn deref(&self) -> &InlineMeta<A> {
        &self.known
    }
}

impl<A: Aggregate> fmt::Debug for Meta<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta")
            .field("stream", &self.known.stream)
            .field("version", &self.known.version)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
