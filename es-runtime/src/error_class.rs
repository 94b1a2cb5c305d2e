//! Which errors may pass, and which are the caller's: every variant of every public error stands here.
//!
//! A `match` here has no wildcard, so that a new variant does not compile before it is placed, and the table in the guide on web
//! services is compared with it.

#[cfg(test)]
mod tests;

use std::error::Error as StdError;

use crate::archive::ArchiveError;
use crate::error::execute::{CALLERS_FAULT, OTHER, RETRYABLE};
use crate::process::ProcessError;
use crate::projection::sql::WriteError;
use crate::projection::{ApplyError, ControlError, LiveError, ReadError};
use crate::publication::{SinkError, SinkErrorKind};
use crate::state::{PersistError, RestoreError};
use crate::store::{AppendError, CheckpointError, CommitError, InlineError, RestoreAppendError, SaveError};
use crate::subscription::SubscriptionError;
use crate::{
    AnyRefusal, CapError, DecodeError, EncodeError, Error, ExecuteError, ImportError, Invalid, LimitExceeded,
    LoadError, ParseIdError, ParseTimestampError, SnapshotError, StartError, StoreError, StoreErrorKind,
};

/// The remedy that the receiver of an error has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Make the same call again, later. Whatever it did is not done twice.
    Retry,
    /// Make another call: this one is wrong.
    Correct,
    /// Nothing: the program, the build or the operator has to.
    Other,
}

/// An error that stands in the table.
trait Classified {
    fn class(&self) -> Class;
}

/// Writes the two questions as inherent methods.
macro_rules! questions {
    ($(#[$more:meta])*) => {
        /// Returns whether the same call may succeed later as it is, without doing anything twice: `503` of a web service. [The
        /// rule](crate::docs::web_service#which-error-is-what).
        $(#[$more])*
        pub fn is_retryable(&self) -> bool {
            self.class() == Class::Retry
        }

        /// Returns whether the call itself is wrong, so that its sender must change it: `4xx` of a web service, not `5xx`. [The
        /// rule](crate::docs::web_service#which-error-is-what).
        $(#[$more])*
        pub fn is_callers_fault(&self) -> bool {
            self.class() == Class::Correct
        }
    };
}

macro_rules! classified {
    ($($error:ty),* $(,)?) => {
        $(impl $error {
            questions!();
        })*

        /// The class of an error whose type is not known.
        fn class_of(error: &(dyn StdError + 'static)) -> Class {
            $(if let Some(error) = error.downcast_ref::<$error>() {
                return error.class();
            })*
            // `ExecuteError` has a parameter that is not known here.
            #[expect(deprecated, reason = "the only method of a `dyn Error` by which a generic one can tell its class")]
            match error.description() {
                RETRYABLE => Class::Retry,
                CALLERS_FAULT => Class::Correct,
                _ => Class::Other,
            }
        }
    };
}

classified!(
    AnyRefusal,
    AppendError,
    ArchiveError,
    CapError,
    CheckpointError,
    ControlError,
    CommitError,
    DecodeError,
    EncodeError,
    ImportError,
    InlineError,
    Invalid,
    LimitExceeded,
    LiveError,
    LoadError,
    ParseIdError,
    ParseTimestampError,
    PersistError,
    ProcessError,
    ReadError,
    RestoreAppendError,
    RestoreError,
    SaveError,
    SinkError,
    SnapshotError,
    StartError,
    StoreError,
    SubscriptionError,
    ApplyError,
    WriteError,
);

impl<E> ExecuteError<E> {
    questions!();

    /// The class in words, for a `dyn Error`.
    pub(crate) fn class_in_words(&self) -> &'static str {
        match self.class() {
            Class::Retry => RETRYABLE,
            Class::Correct => CALLERS_FAULT,
            Class::Other => OTHER,
        }
    }
}

impl Error {
    questions! {
        ///
        /// Asks the error that this one was made from. One that is not of this crate answers `false`.
    }

    fn class(&self) -> Class {
        class_of(self.as_std())
    }
}

impl<E> Classified for ExecuteError<E> {
    fn class(&self) -> Class {
        match self {
            Self::Conflict { demanded: false, .. } | Self::Busy { .. } | Self::Indeterminate { keyed: true, .. } => {
                Class::Retry
            }
            Self::Refused(_)
            | Self::Invalid(_)
            | Self::NotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::Conflict { demanded: true, .. }
            | Self::IdempotencyMismatch { .. } => Class::Correct,
            Self::InvalidEvent { .. }
            | Self::InTransaction { .. }
            | Self::Misapplied { .. }
            // Without a key, the same command again might do it a second time.
            | Self::Indeterminate { keyed: false, .. }
            // The command is done.
            | Self::NotProjected { .. } => Class::Other,
            Self::Encode(error) => error.class(),
            Self::Append(error) => error.class(),
            Self::Load(error) => error.class(),
        }
    }
}

impl Classified for AppendError {
    fn class(&self) -> Class {
        match self {
            // The same append has the same id, by which a store knows it again.
            Self::Indeterminate { .. } => Class::Retry,
            Self::Conflict { .. }
            | Self::IdempotencyMismatch { .. }
            | Self::DuplicateEventId(_)
            | Self::Invalid { .. }
            | Self::LimitExceeded(_) => Class::Correct,
            // The append is done, if it is under-replicated.
            Self::ProjectionFailed { .. } | Self::UnderReplicated { .. } => Class::Other,
            Self::ProjectionBehind { source, .. } => source.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for StoreError {
    fn class(&self) -> Class {
        self.kind().class()
    }
}

impl Classified for StoreErrorKind {
    fn class(&self) -> Class {
        match self {
            Self::Unavailable | Self::Full => Class::Retry,
            Self::Closed | Self::Rejected | Self::Corrupt => Class::Other,
        }
    }
}

impl Classified for LoadError {
    fn class(&self) -> Class {
        match self {
            Self::UnknownEvent(_) | Self::UnreadableEvent(_) => Class::Other,
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for EncodeError {
    fn class(&self) -> Class {
        match self {
            Self::TooDeep(_) => Class::Correct,
            Self::Value { .. } | Self::NoWayBack { .. } | Self::NotReadBack { .. } => Class::Other,
        }
    }
}

impl Classified for DecodeError {
    fn class(&self) -> Class {
        match self {
            Self::UnknownName | Self::UnknownVersion { .. } | Self::Malformed(_) | Self::Upcast { .. } => Class::Other,
        }
    }
}

impl Classified for ProcessError {
    fn class(&self) -> Class {
        match self {
            Self::NotFound { .. } | Self::NotParked { .. } => Class::Correct,
            Self::Unreadable { .. } => Class::Other,
            Self::Order(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for StartError {
    fn class(&self) -> Class {
        match self {
            Self::UnreadableEvents(_)
            | Self::UnwritableEvents(_)
            | Self::ArbitraryPrecision
            | Self::Inline { .. }
            | Self::Segments { .. }
            | Self::SegmentsUnsupported { .. } => Class::Other,
            Self::ProcessManager { source, .. } | Self::Publication { source, .. } => source.class(),
            Self::Sink { source, .. } => source.class(),
            Self::InlineBehind { .. } => Class::Retry,
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for SinkError {
    fn class(&self) -> Class {
        self.kind.class()
    }
}

impl Classified for SinkErrorKind {
    fn class(&self) -> Class {
        match self {
            Self::Retry => Class::Retry,
            Self::Rejected => Class::Other,
        }
    }
}

impl Classified for CapError {
    fn class(&self) -> Class {
        match self {
            Self::Unwritable(_) | Self::Unsupported => Class::Other,
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for SnapshotError {
    fn class(&self) -> Class {
        match self {
            Self::NotFound { .. } => Class::Correct,
            Self::Unsupported | Self::State { .. } => Class::Other,
            Self::Load(error) => error.class(),
            Self::Save(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for ImportError {
    fn class(&self) -> Class {
        match self {
            Self::Refused { .. } | Self::Foreign { .. } | Self::Changed { .. } => Class::Correct,
            Self::Source { .. } => Class::Other,
            Self::Failed { source, .. } => source.class(),
        }
    }
}

impl Classified for ReadError {
    fn class(&self) -> Class {
        match self {
            Self::Timeout { .. } | Self::NotReady { .. } => Class::Retry,
            Self::UnknownField { .. } | Self::FieldType { .. } | Self::NotIndexed { .. } => Class::Correct,
            Self::Held { .. } | Self::Row { .. } => Class::Other,
            Self::Checkpoint(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for LiveError {
    fn class(&self) -> Class {
        match self {
            Self::NotApplied { .. } => Class::Other,
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for ApplyError {
    fn class(&self) -> Class {
        match self {
            Self::Unknown(_)
            | Self::Unreadable(_)
            | Self::StreamId(_)
            | Self::Mismatch { .. }
            | Self::Key(_)
            | Self::Row { .. }
            | Self::Unstorable { .. }
            | Self::Rejected(_)
            | Self::Method(_)
            | Self::Panicked(_)
            | Self::NotHandled(_)
            | Self::Ended { .. }
            | Self::TooManyParked { .. } => Class::Other,
        }
    }
}

impl Classified for ControlError {
    fn class(&self) -> Class {
        match self {
            // Where several processes answer, the next call may reach the one that runs it.
            Self::Elsewhere { .. } => Class::Retry,
            Self::InUse { .. }
            | Self::NotParked { .. }
            | Self::Behind { .. }
            | Self::NotRebuilding { .. }
            | Self::Segmented { .. } => Class::Correct,
            Self::Failed(_) | Self::ShutDown => Class::Other,
            Self::Checkpoint(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for SubscriptionError {
    fn class(&self) -> Class {
        match self {
            // Started again as it is, it stands by or goes on.
            Self::LeaseLost(_) | Self::Elsewhere(_) | Self::Ended(_) => Class::Retry,
            Self::NoBeginning(_) => Class::Correct,
            Self::Unsupported | Self::UnknownEvent(_) | Self::UnreadableEvent(_) | Self::Unpublishable { .. } => {
                Class::Other
            }
            Self::Checkpoint(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for CheckpointError {
    fn class(&self) -> Class {
        match self {
            Self::Diverged { .. } => Class::Other,
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for CommitError {
    fn class(&self) -> Class {
        match self {
            // The same commit again begins where the checkpoint does not stand any more, if it was done.
            Self::Indeterminate(_) => Class::Retry,
            Self::Moved { .. } | Self::NotParked { .. } => Class::Correct,
            Self::LeaseLost { .. } => Class::Other,
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for SaveError {
    fn class(&self) -> Class {
        match self {
            // The same change again is done, not refused.
            Self::Indeterminate(_) => Class::Retry,
            Self::Conflict { .. } | Self::LimitExceeded(_) | Self::Rejected(_) => Class::Correct,
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for RestoreAppendError {
    fn class(&self) -> Class {
        match self {
            // The appends that are stored are compared before any is restored again.
            Self::Indeterminate(_) => Class::Retry,
            Self::Misplaced { .. } | Self::BackInTime { .. } | Self::Refused { .. } => Class::Correct,
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for ArchiveError {
    fn class(&self) -> Class {
        match self {
            Self::Damaged { .. }
            | Self::Cut { .. }
            | Self::Differs { .. }
            | Self::Refused { .. }
            | Self::StateRefused { .. } => Class::Correct,
            Self::Format { .. } | Self::TooLong { .. } | Self::Unsupported { .. } | Self::Io { .. } => Class::Other,
            Self::Read(error) | Self::Failed { source: error, .. } => error.class(),
        }
    }
}

impl Classified for PersistError {
    fn class(&self) -> Class {
        match self {
            Self::Exists { .. }
            | Self::Missing { .. }
            | Self::Conflict { .. }
            | Self::LimitExceeded(_)
            | Self::Rejected(_) => Class::Correct,
            // The namespace has to be restored first, after the first two.
            Self::Indeterminate(_)
            | Self::NotRestored { .. }
            | Self::NoRepository { .. }
            | Self::LeftUnknown { .. } => Class::Other,
            Self::Encode { source, .. } => source.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for RestoreError {
    fn class(&self) -> Class {
        match self {
            Self::UnknownEntity { .. } | Self::Unreadable { .. } | Self::Twice { .. } => Class::Other,
            Self::Store(error) => error.class(),
        }
    }
}

impl Classified for InlineError {
    fn class(&self) -> Class {
        match self {
            Self::Behind { .. } => Class::Retry,
            Self::Poison { .. } => Class::Other,
            Self::Append(error) => error.class(),
        }
    }
}

impl Classified for WriteError {
    fn class(&self) -> Class {
        match self {
            Self::Poison { .. } => Class::Other,
            Self::Commit(error) => error.class(),
        }
    }
}

/// Errors that only the caller can cause.
macro_rules! callers_fault {
    ($($error:ty),*) => {
        $(impl Classified for $error {
            fn class(&self) -> Class {
                Class::Correct
            }
        })*
    };
}

callers_fault!(AnyRefusal, Invalid, LimitExceeded, ParseIdError, ParseTimestampError);
