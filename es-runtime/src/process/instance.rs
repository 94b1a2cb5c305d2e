//! An instance as users see it, and the errors of its handle.

use super::{Cause, ProcessState};
use crate::consumer::ControlError;
use crate::{Position, StoreError, StreamId, Timestamp, Version};

/// An instance of a process manager, as its last step left it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Instance<P: ProcessState> {
    /// The id.
    pub id: P::Id,
    /// Its state; `None` if it has ended.
    pub state: Option<P>,
    /// The status.
    pub status: InstanceStatus,
    /// The number of its last step.
    pub version: Version,
    /// The time at which that was recorded.
    pub since: Timestamp,
    /// The commands that are not answered, in the order in which they are executed.
    pub pending: Vec<PendingCommand>,
    /// The timers that are set.
    pub timers: Vec<SetTimer>,
}

/// The status of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceStatus {
    /// It waits for an event or a timer.
    Waiting,
    /// It has commands that are not answered.
    Sending,
    /// It cannot go on: [retry](super::ProcessManagerHandle::retry) or [end](super::ProcessManagerHandle::end) it.
    Parked {
        /// The event at which it stopped.
        position: Position,
        /// The error of the last attempt.
        error: String,
    },
    /// It has ended.
    Ended,
}

/// A command that is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCommand {
    /// The stream of the aggregate that it is sent to.
    pub to: StreamId,
    /// Its name.
    pub command: String,
    /// The step that sent it.
    pub step: Version,
}

/// A timer that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTimer {
    /// Its name.
    pub timer: String,
    /// The time at which it is due, by the store's clock.
    pub due: Timestamp,
}

/// A step of an instance.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Step<P> {
    /// Its number.
    pub version: Version,
    /// The time at which it was recorded.
    pub recorded_at: Timestamp,
    /// The input that it reacts to.
    pub cause: Cause,
    /// The state after it; `None` if the instance has ended.
    pub state: Option<P>,
}

/// Why an instance was not shown or operated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// No such instance runs: it was never begun, or has ended.
    #[error("no instance `{id}` of process manager `{process}` runs")]
    NotFound {
        /// The process manager's name.
        process: &'static str,
        /// The instance's id as text.
        id: String,
    },
    /// It is not parked, so that there is nothing to retry.
    #[error("instance `{id}` of process manager `{process}` is not parked, so that there is nothing to retry")]
    NotParked {
        /// The process manager's name.
        process: &'static str,
        /// The instance's id as text.
        id: String,
    },
    /// Its last step cannot be read by this build.
    #[error("instance `{id}` of process manager `{process}` cannot be read: {reason}")]
    Unreadable {
        /// The process manager's name.
        process: &'static str,
        /// The instance's id as text.
        id: String,
        /// The reason.
        reason: String,
    },
    /// The order was not carried out: it failed again, or another process runs the process manager.
    #[error(transparent)]
    Order(ControlError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ControlError> for ProcessError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Store(error) => Self::Store(error),
            error => Self::Order(error),
        }
    }
}
