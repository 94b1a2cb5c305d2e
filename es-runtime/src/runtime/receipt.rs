use crate::store::{Appended, StreamAppended};
use crate::{Position, StreamId, Version};

/// The receipt of a command: its events are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The stream.
    pub stream: StreamId,
    /// Its version after the command.
    pub version: Version,
    /// The position of the last event: a read model that has applied it shows the effect of the command.
    pub position: Position,
    /// The number of events appended to the stream: its last ones up to `version`. None if the handler returned none.
    pub events: usize,
    /// True if the events had been stored before, by a command with the same idempotency key, and nothing was stored
    /// now.
    pub repeated: bool,
}

impl Receipt {
    fn new(stream: StreamAppended, repeated: bool) -> Self {
        let StreamAppended {
            stream,
            events,
            version,
            position,
        } = stream;
        Self {
            stream,
            version,
            position,
            events,
            repeated,
        }
    }

    /// One for each stream.
    pub(super) fn of(appended: Appended) -> impl Iterator<Item = Self> {
        appended
            .streams
            .into_iter()
            .map(move |stream| Self::new(stream, appended.repeated))
    }
}
