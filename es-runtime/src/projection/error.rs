use std::ops::RangeInclusive;
use std::time::Duration;

use super::RowMismatch;
use crate::nearest::listed;
use crate::store::{CheckpointError, Commit, ParkReason};
use crate::{DecodeError, Position, RecordedEvent, StoreError, StreamId, UnknownEvent};

/// Why an event was not applied to the rows of a projection, or not taken by the handler of a subscription.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// This build does not know the event: run one that does.
    #[error(transparent)]
    Unknown(UnknownEvent),
    /// The event is known, but its payload cannot be read.
    #[error("the event cannot be read: {0}")]
    Unreadable(#[source] DecodeError),
    /// The id of the event's stream cannot be read as that of its aggregate.
    #[error("the id of stream `{0}` cannot be read")]
    StreamId(StreamId),
    /// The event does not fit the row.
    #[error("{mismatch} (key `{key}`)")]
    Mismatch {
        /// The row's key.
        key: String,
        /// The mismatch.
        #[source]
        mismatch: RowMismatch,
    },
    /// The key is empty, too long, or holds a NUL.
    #[error("{0:?} cannot be the key of a row: a key has 1 to {max} bytes without NUL", max = Commit::LONGEST_KEY)]
    Key(String),
    /// What is stored under the key is not a row of this build's shape.
    #[error("the stored row `{key}` cannot be read: raise the projection's version when its struct changes ({source})")]
    Row {
        /// The row's key.
        key: String,
        /// The problem.
        #[source]
        source: serde_json::Error,
    },
    /// The row has no stored form.
    #[error("the row `{key}` cannot be stored: {source}")]
    Unstorable {
        /// The row's key.
        key: String,
        /// The error of its `Serialize` implementation, or of the check of the value.
        #[source]
        source: serde_json::Error,
    },
    /// The store refuses what the event changes, and nothing else, and will refuse it again.
    #[error("the store refuses what the event changes: {0}")]
    Rejected(#[source] StoreError),
    /// The method that applies it to tables of its own failed.
    #[error("the method failed")]
    Method(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The method, or the expression of its key, panicked.
    #[error("the projection panicked: {0}")]
    Panicked(String),
    /// The handler of a subscription did not take the event, or it cannot be read for it: the error with its causes, or the
    /// panic's message.
    #[error("the event was not handled: {0}")]
    NotHandled(String),
    /// Processes ended while they applied it, one after the other, and so it is not tried any more. With a build that can apply it,
    /// [`retry`](crate::ProjectionHandle::retry) tries it once.
    #[error("{times} processes ended, or lost the lease, while they tried it")]
    Ended {
        /// The number.
        times: u32,
    },
    /// So many events are parked that no more are: [retry](crate::ProjectionHandle::retry) or
    /// [skip](crate::ProjectionHandle::skip) those that the others stand behind.
    #[error("{parked} events are parked, and no more are: retry or skip those that the others stand behind")]
    TooManyParked {
        /// The number.
        parked: usize,
    },
}

impl ApplyError {
    /// The reason for which its event is parked.
    pub(crate) fn park_reason(&self) -> ParkReason {
        match self {
            Self::Ended { .. } => ParkReason::EndedProcesses,
            _ => ParkReason::Failed,
        }
    }

    /// `readable` holds the versions of its shape that this build reads, if it knows the name.
    pub(crate) fn unknown(event: &RecordedEvent, readable: Option<RangeInclusive<u32>>) -> Self {
        Self::Unknown(UnknownEvent {
            stream: event.stream.clone(),
            version: event.version,
            position: event.position,
            name: event.name.clone(),
            shape_version: event.shape_version,
            readable,
        })
    }
}

/// Why rows were not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The projection has not come as far as was asked for within the time. It goes on: one that does not is [`Held`](Self::Held).
    #[error("projection `{projection}` was to be at position {after}, but is at {at} after {waited:?}")]
    Timeout {
        /// The projection's name.
        projection: &'static str,
        /// The position that it should have reached.
        after: Position,
        /// The position that it has reached.
        at: Position,
        /// The time waited.
        waited: Duration,
    },
    /// The projection holds before an event, and does not go on by itself: start a build that can apply the event, or
    /// [skip](crate::ProjectionHandle::skip) it.
    #[error(
        "projection `{projection}` holds before the event at position {position}: start a build that can apply it, or skip it ({error})"
    )]
    Held {
        /// The projection's name.
        projection: &'static str,
        /// The event's position.
        position: Position,
        /// The reason why it cannot be applied.
        error: String,
    },
    /// The rows are being built, and nothing of them is shown before they are as new as the log was then.
    #[error("projection `{projection}` version {version} is being built: it is at position {done} of {total}")]
    NotReady {
        /// The projection's name.
        projection: &'static str,
        /// Its version.
        version: u32,
        /// The position that it has reached.
        done: Position,
        /// The position to reach: that of the last event.
        total: Position,
    },
    /// The store was restored to an earlier point: the rows contain events that no longer exist.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The row has no such field.
    #[error("a row of projection `{projection}` has no field `{field}`: it has {}", listed(known.iter().map(String::as_str)))]
    UnknownField {
        /// The projection's name.
        projection: &'static str,
        /// The field that was asked for.
        field: String,
        /// The fields of the row, the nearest first.
        known: Vec<String>,
    },
    /// The row has the field, but rows cannot be found or ordered by it so.
    #[error("field `{field}` of projection `{projection}` is {is}: {problem}")]
    FieldType {
        /// The projection's name.
        projection: &'static str,
        /// The field.
        field: String,
        /// Its type, such as `a number`.
        is: String,
        /// The mismatch.
        problem: String,
    },
    /// Rows are [grouped](crate::runtime::List::group_by) by a field with an index, and this one has none.
    #[error(
        "projection `{projection}` has no index on `{field}` to group by: declare it with `index = [\"{field}\"]`; there are {}",
        listed(indexes.iter().map(String::as_str))
    )]
    NotIndexed {
        /// The projection's name.
        projection: &'static str,
        /// The field.
        field: String,
        /// The fields with an index, the nearest first.
        indexes: Vec<String>,
    },
    /// The row is not of this build's shape.
    #[error(
        "row `{key}` of projection `{projection}` cannot be read: raise the projection's version when its struct changes"
    )]
    Row {
        /// The projection's name.
        projection: &'static str,
        /// The row's key.
        key: String,
        /// The problem.
        #[source]
        source: serde_json::Error,
    },
    /// The store failed, or refused the query.
    #[error(transparent)]
    Store(#[from] StoreError),
}
