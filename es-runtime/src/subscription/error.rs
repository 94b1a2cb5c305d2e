use crate::consumer::ControlError;
use crate::store::{CheckpointError, CommitError};
use crate::{EncodeError, Position, StoreError, StoreErrorKind, UnknownEvent, UnreadableEvent};

/// Why a subscription was not started, does not go on, or did not take an acknowledgement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// It begins for the first time, or under a new name, and was not told where.
    #[error(
        "subscription `{0}` has never begun: say where it is to, with `.from_start()` or `.from_head()`; if it was renamed, use its former name"
    )]
    NoBeginning(String),
    /// The store keeps no cursors.
    #[error("the store keeps no cursors: it does not implement `EventStore::projection_store`")]
    Unsupported,
    /// Another subscriber has taken over, as this one was silent for too long: events that it had in hand are delivered
    /// there. Start the subscription again to stand by.
    #[error("subscription `{0}` was taken over by another subscriber")]
    LeaseLost(String),
    /// Another subscriber runs it: stop that one first.
    #[error("subscription `{0}` is run by another subscriber: stop that one first")]
    Elsewhere(String),
    /// It has ended: unacknowledged events are delivered again when it is started again.
    #[error("subscription `{0}` has ended: what was not acknowledged comes again when it is started again")]
    Ended(String),
    /// This build does not know the event: run one that does, or [skip](super::Deliveries::skip) it.
    #[error(transparent)]
    UnknownEvent(#[from] UnknownEvent),
    /// The event is known, but cannot be read: [skip](super::Deliveries::skip) it, or repair the build.
    #[error(transparent)]
    UnreadableEvent(#[from] UnreadableEvent),
    /// A message that a [publication](mod@crate::publication) makes of the event has no published form: repair the build,
    /// or skip the event.
    #[error(
        "event `{event}` at position {position} is not published, as its message has no published form: repair the `#[publish]` method \
         or the message"
    )]
    Unpublishable {
        /// The event's name.
        event: String,
        /// Its position.
        position: Position,
        /// The reason.
        source: Box<EncodeError>,
    },
    /// The store was restored to an earlier point: some delivered events no longer exist.
    /// [Forget](crate::runtime::Subscribe::forget) the cursor, and say where to begin.
    #[error(transparent)]
    Checkpoint(CheckpointError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CheckpointError> for SubscriptionError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Store(error) => Self::Store(error),
            diverged @ CheckpointError::Diverged { .. } => Self::Checkpoint(diverged),
        }
    }
}

impl From<SubscriptionError> for ControlError {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::LeaseLost(reader) => Self::Elsewhere { reader },
            SubscriptionError::Checkpoint(error) => Self::Checkpoint(error),
            SubscriptionError::Store(error) => Self::Store(error),
            other => Self::Store(StoreError::new(StoreErrorKind::Unavailable, other.to_string())),
        }
    }
}

impl SubscriptionError {
    /// What came of moving the cursor of this subscription.
    pub(crate) fn of_commit(subscription: &str, error: CommitError) -> Self {
        match error {
            CommitError::LeaseLost { .. } => Self::LeaseLost(subscription.to_owned()),
            CommitError::Store(error) | CommitError::Indeterminate(error) => Self::Store(error),
            stale @ (CommitError::Moved { .. } | CommitError::NotParked { .. }) => {
                Self::Store(StoreError::new(StoreErrorKind::Unavailable, stale.to_string()))
            }
        }
    }

    /// Whether the same may go well a little later.
    pub(crate) fn is_transient(&self) -> bool {
        use StoreErrorKind::{Closed, Corrupt};
        matches!(self, Self::Store(error) if !matches!(error.kind(), Closed | Corrupt))
    }
}
