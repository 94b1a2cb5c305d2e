use std::error::Error as StdError;
use std::fmt;

use crate::projection::ReadError;
use crate::store::{AppendError, AppendRef};
use crate::{
    EncodeError, ExpectedVersion, Invalid, LimitExceeded, LoadError, Misapplied, Receipt, StoreError, StreamId,
    UnknownEvent, UnreadableEvent, Version,
};

// The classes of errors, in the words in which `description` tells them.
pub(crate) const RETRYABLE: &str = "the same call may succeed later";
pub(crate) const CALLERS_FAULT: &str = "the call itself is wrong";
pub(crate) const OTHER: &str = "the call failed";

/// Why a command was not executed, or is not known to have been. `E` is the domain's own refusal.
///
/// [`is_retryable`](Self::is_retryable) and [`is_callers_fault`](Self::is_callers_fault) say what to answer without a match:
/// the guide [Web service](crate::docs::web_service) shows how.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExecuteError<E> {
    /// The aggregate refused the command.
    Refused(E),
    /// The command has a value that it must not have.
    Invalid(Invalid),
    /// An event has a value that it must not have; nothing was stored. If a handler returned it, the handler should refuse the
    /// command instead.
    InvalidEvent {
        /// The event's name.
        event: &'static str,
        /// Which field, and why.
        source: Invalid,
    },
    /// The command needs an existing aggregate.
    NotFound {
        /// The stream that has no event.
        stream: StreamId,
    },
    /// The command creates the aggregate, which exists.
    AlreadyExists {
        /// The stream that has events.
        stream: StreamId,
    },
    /// The stream is not at the version that the request demands, or other writers were first at each attempt.
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that the last attempt expected.
        expected: ExpectedVersion,
        /// The version of the stream's last event.
        actual: Version,
        /// The number of times it was tried.
        attempts: u32,
        /// Tells that the request itself [demands](crate::runtime::Execute::expect_version) the version, and so is out of date. Without
        /// that, the same command is decided on what is stored then, and may succeed later.
        demanded: bool,
    },
    /// More commands wait for the aggregate instance than [may](crate::runtime::Builder::queue): this one was not decided, and nothing
    /// was stored.
    Busy {
        /// The stream.
        stream: StreamId,
        /// The number of commands that wait.
        waiting: usize,
    },
    /// The idempotency key was used before, for another request.
    IdempotencyMismatch {
        /// Which key.
        what: String,
    },
    /// The command was sent with the [`Runtime`](crate::Runtime), from within the closure of
    /// [`atomically`](crate::Runtime::atomically), to an aggregate that takes part in its transaction. Stored at once, it would have
    /// the transaction meet a conflict at each attempt; nothing was stored.
    InTransaction {
        /// The stream.
        stream: StreamId,
    },
    /// The events do not fold: one that creates the aggregate stands where it exists, or the other way round.
    Misapplied {
        /// The stream.
        stream: StreamId,
        /// Which event, and why.
        source: Misapplied,
    },
    /// An event or the command has no stored form; nothing was stored. One that is too deep is an
    /// [`Append(LimitExceeded)`](AppendError::LimitExceeded).
    Encode(EncodeError),
    /// It is not known whether the events were stored: ask [`resolve`](crate::Runtime::resolve), or send the command again
    /// with the same idempotency key.
    Indeterminate {
        /// The append to resolve.
        append: Box<AppendRef>,
        /// Tells that the request has an idempotency key, under which it is done once however often it is sent.
        keyed: bool,
        /// The failure.
        source: StoreError,
    },
    /// The command is done, but a projection that was [waited for](crate::runtime::Execute::wait_for) does not show it yet.
    NotProjected {
        /// The result of the command.
        receipt: Box<Receipt>,
        /// Says how far the projection has come.
        source: Box<ReadError>,
    },
    /// The append was not done: a limit, an inline projection, the store. A conflict, a key that was used before and an unknown
    /// outcome are variants of their own.
    Append(AppendError),
    /// The state of the aggregate could not be loaded; the command was not decided.
    Load(LoadError),
}

impl<E> ExecuteError<E> {
    /// Turns the refusal into another one, and leaves every other error as it is.
    pub fn map_refused<F>(self, refused: impl FnOnce(E) -> F) -> ExecuteError<F> {
        use ExecuteError as To;
        match self {
            Self::Refused(refusal) => To::Refused(refused(refusal)),
            Self::Invalid(invalid) => To::Invalid(invalid),
            Self::InvalidEvent { event, source } => To::InvalidEvent { event, source },
            Self::NotFound { stream } => To::NotFound { stream },
            Self::AlreadyExists { stream } => To::AlreadyExists { stream },
            Self::Conflict {
                stream,
                expected,
                actual,
                attempts,
                demanded,
            } => To::Conflict {
                stream,
                expected,
                actual,
                attempts,
                demanded,
            },
            Self::Busy { stream, waiting } => To::Busy { stream, waiting },
            Self::IdempotencyMismatch { what } => To::IdempotencyMismatch { what },
            Self::InTransaction { stream } => To::InTransaction { stream },
            Self::Misapplied { stream, source } => To::Misapplied { stream, source },
            Self::Encode(error) => To::Encode(error),
            Self::Indeterminate { append, keyed, source } => To::Indeterminate { append, keyed, source },
            Self::NotProjected { receipt, source } => To::NotProjected { receipt, source },
            Self::Append(error) => To::Append(error),
            Self::Load(error) => To::Load(error),
        }
    }
}

impl<E: fmt::Display> fmt::Display for ExecuteError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::InvalidEvent { event, .. } => write!(f, "event `{event}` has a value that it must not have"),
            Self::NotFound { stream } => write!(f, "`{stream}` does not exist"),
            Self::AlreadyExists { stream } => write!(f, "`{stream}` exists already"),
            Self::Conflict {
                stream,
                expected,
                actual,
                attempts,
                ..
            } => write!(
                f,
                "stream `{stream}` is at version {actual}, expected {expected} (attempt {attempts})"
            ),
            Self::Busy { stream, waiting } => {
                write!(
                    f,
                    "`{stream}` is busy: {waiting} commands wait for it already, try again later"
                )
            }
            Self::IdempotencyMismatch { what } => {
                write!(
                    f,
                    "{what} was used before for another content: use a new key for a new request"
                )
            }
            Self::InTransaction { stream } => write!(
                f,
                "`{stream}` takes part in the transaction in whose closure this was sent: send it as a part of that, with \
                 `tx.execute`, or after it"
            ),
            Self::Misapplied { stream, .. } => write!(f, "the events for `{stream}` do not fold"),
            Self::Encode(error) => error.fmt(f),
            Self::Indeterminate { append, .. } => write!(f, "it is not known whether {append} was stored"),
            Self::NotProjected { receipt, .. } => {
                write!(
                    f,
                    "the command is done (position {}), but not projected yet",
                    receipt.position
                )
            }
            Self::Append(error) => error.fmt(f),
            Self::Load(error) => error.fmt(f),
        }
    }
}

// By hand for the sake of `description`, which no derive writes.
impl<E: StdError + 'static> StdError for ExecuteError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Refused(refusal) => refusal.source(),
            Self::InvalidEvent { source, .. } => Some(source),
            Self::Misapplied { source, .. } => Some(source),
            Self::Encode(error) => error.source(),
            Self::Indeterminate { source, .. } => Some(source),
            Self::NotProjected { source, .. } => Some(&**source),
            Self::Append(error) => error.source(),
            Self::Load(error) => error.source(),
            Self::Invalid(_)
            | Self::NotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::Conflict { .. }
            | Self::Busy { .. }
            | Self::IdempotencyMismatch { .. }
            | Self::InTransaction { .. } => None,
        }
    }

    /// Tells the class, for [`Error`](crate::Error), which does not know `E` and so cannot downcast.
    fn description(&self) -> &str {
        self.class_in_words()
    }
}

impl<E> From<Invalid> for ExecuteError<E> {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl<E> From<EncodeError> for ExecuteError<E> {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::TooDeep(error) => error.into(),
            error => Self::Encode(error),
        }
    }
}

impl<E> From<LimitExceeded> for ExecuteError<E> {
    fn from(error: LimitExceeded) -> Self {
        Self::Append(error.into())
    }
}

/// A store that fails beside a load fails the append: nothing was stored.
impl<E> From<StoreError> for ExecuteError<E> {
    fn from(error: StoreError) -> Self {
        Self::Append(error.into())
    }
}

impl<E> From<LoadError> for ExecuteError<E> {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

impl<E> From<UnknownEvent> for ExecuteError<E> {
    fn from(error: UnknownEvent) -> Self {
        Self::Load(error.into())
    }
}

impl<E> From<UnreadableEvent> for ExecuteError<E> {
    fn from(error: UnreadableEvent) -> Self {
        Self::Load(error.into())
    }
}
