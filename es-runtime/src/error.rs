use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::ops::RangeInclusive;

use crate::event::EncodeError;
use crate::projection::{ReadError, Unprojectable};
use crate::store::{AppendRef, EventAt};
use crate::{ExpectedVersion, Invalid, LimitExceeded, Position, Receipt, StoreError, StreamId, Version};

/// An event does not fit the state that it is to be folded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misapplied {
    /// It creates the state, which exists.
    #[error("event `{0}` creates the aggregate, but it exists already")]
    AlreadyCreated(&'static str),
    /// It changes the state, which does not exist.
    #[error("event `{0}` changes the aggregate, but none of the events before it created one")]
    NotCreated(&'static str),
}

/// A stream holds an event that this build does not know, either by its name or in the version of its shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "stream `{stream}` holds event `{name}` with shape version {shape_version} at version {version} (position {position}), {}",
    self.reason()
)]
pub struct UnknownEvent {
    /// The stream.
    pub stream: StreamId,
    /// The event's number in the stream.
    pub version: Version,
    /// The event's number in the store.
    pub position: Position,
    /// The event's name.
    pub name: Cow<'static, str>,
    /// The version of its shape.
    pub shape_version: u32,
    /// The versions of the shape that this build reads: `None` if it knows no event of that name.
    pub readable: Option<RangeInclusive<u32>>,
}

impl UnknownEvent {
    /// Returns the unknown part, and advice.
    fn reason(&self) -> String {
        let Self {
            name, shape_version, ..
        } = self;
        match &self.readable {
            None => format!(
                "and this build knows no event of that name: run the build that wrote it, or a later one; if the event was renamed, add `#[event(alias = \"{name}\")]` to it; if it is no longer used, keep its struct and read it in a `#[retired]` method"
            ),
            Some(known) if shape_version > known.end() => format!(
                "and this build knows its shape versions {} to {} only: run the build that wrote it, or a later one",
                known.start(),
                known.end()
            ),
            Some(known) => format!(
                "and this build knows its shape versions {} to {} only: give the event back the older shape, with `#[event(from = …)]` or the history of its fields",
                known.start(),
                known.end()
            ),
        }
    }
}

/// A stream holds an event that is known but does not fit: its payload is not of its shape, or its place is wrong.
#[derive(Debug, thiserror::Error)]
#[error(
    "stream `{stream}` holds event `{name}` at version {version} (position {position}), which cannot be folded: {}",
    chain(&**source)
)]
pub struct UnreadableEvent {
    /// The stream.
    pub stream: StreamId,
    /// The event's number in the stream.
    pub version: Version,
    /// The event's number in the store.
    pub position: Position,
    /// The event's name.
    pub name: Cow<'static, str>,
    /// The cause.
    #[source]
    pub source: Box<dyn StdError + Send + Sync>,
}

/// Why the state of an aggregate could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The stream holds an event that this build does not know.
    #[error(transparent)]
    UnknownEvent(#[from] UnknownEvent),
    /// The stream holds an event that is known but cannot be folded.
    #[error(transparent)]
    UnreadableEvent(#[from] UnreadableEvent),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a command was not executed, or is not known to have been. `E` is the domain's own refusal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError<E> {
    /// The aggregate refused the command.
    #[error(transparent)]
    Refused(E),
    /// The command has a value that it must not have.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An event has a value that it must not have; nothing was stored. If a handler returned it, the handler should refuse the
    /// command instead.
    #[error("event `{event}` has a value that it must not have")]
    InvalidEvent {
        /// The event's name.
        event: &'static str,
        /// The field, and the reason.
        #[source]
        source: Invalid,
    },
    /// The command needs an existing aggregate.
    #[error("`{stream}` does not exist")]
    NotFound {
        /// The stream that has no event.
        stream: StreamId,
    },
    /// The command creates the aggregate, which exists.
    #[error("`{stream}` exists already")]
    AlreadyExists {
        /// The stream that has events.
        stream: StreamId,
    },
    /// Other writers were first, at each attempt.
    #[error("stream `{stream}` is at version {actual}, expected {expected} (attempt {attempts})")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that the last attempt expected.
        expected: ExpectedVersion,
        /// The version of the stream's last event.
        actual: Version,
        /// The number of attempts.
        attempts: u32,
    },
    /// The command was sent with the [`Runtime`](crate::Runtime), from within the closure of
    /// [`atomically`](crate::Runtime::atomically), to an aggregate that takes part in its transaction. If it were
    /// stored at once, the transaction would conflict at each attempt; nothing was stored.
    #[error(
        "`{stream}` takes part in the transaction in whose closure this was sent: send it as a part of that, with `tx.execute`, or after it"
    )]
    InTransaction {
        /// The stream.
        stream: StreamId,
    },
    /// The idempotency key was used before, for another request.
    #[error("{what} was used before for another content: use a new key for a new request")]
    IdempotencyMismatch {
        /// The key.
        what: String,
    },
    /// The events do not fold: one that creates the aggregate stands where it exists, or the other way round.
    #[error("the events for `{stream}` do not fold")]
    Misapplied {
        /// The stream.
        stream: StreamId,
        /// The event, and the reason.
        #[source]
        source: Misapplied,
    },
    /// An event or the command has no stored form; nothing was stored.
    #[error(transparent)]
    Encode(EncodeError),
    /// The append is larger than the store allows.
    #[error(transparent)]
    LimitExceeded(#[from] LimitExceeded),
    /// An [inline](mod@crate::projection#inline) projection cannot apply an event; neither events nor rows were stored.
    #[error("inline projection `{projection}` cannot apply {}, so that nothing is stored", EventAt::named(event.as_deref()))]
    ProjectionFailed {
        /// The projection's name.
        projection: &'static str,
        /// The event. `None` if the database refused only at the commit, without naming one.
        event: Option<Box<EventAt>>,
        /// The error of its method.
        #[source]
        source: Box<Unprojectable>,
    },
    /// Events were appended without an [inline](mod@crate::projection#inline) projection, and it has not taken them in yet; neither events
    /// nor rows were stored. Send the command again later, unless it holds: then start a build that can apply the event, or skip it.
    #[error(
        "inline projection `{projection}` has not taken in what was appended without it, so that nothing is stored"
    )]
    ProjectionBehind {
        /// The projection's name.
        projection: &'static str,
        /// The position that it has reached, or the event before which it [holds](ReadError::Held). Its
        /// [health](crate::Runtime::health) says why.
        #[source]
        source: Box<ReadError>,
    },
    /// It is not known whether the events were stored: ask [`resolve`](crate::Runtime::resolve), or send the command again
    /// with the same idempotency key.
    #[error("it is not known whether {append} was stored")]
    Indeterminate {
        /// The append to ask about.
        append: Box<AppendRef>,
        /// The failure that hid the outcome.
        #[source]
        source: StoreError,
    },
    /// The events are stored, but fewer replicas than demanded have confirmed it.
    #[error("{append} is stored, but fewer replicas than demanded have confirmed it")]
    UnderReplicated {
        /// The append to ask about.
        append: Box<AppendRef>,
    },
    /// The command is done, but a projection that was [waited for](crate::Execute::wait_for) does not show it yet.
    #[error("the command is done (position {}), but not projected yet", receipt.position)]
    NotProjected {
        /// The receipt of the command.
        receipt: Box<Receipt>,
        /// The position that the projection has reached.
        #[source]
        source: Box<ReadError>,
    },
    /// The stream holds an event that this build does not know; the command was not decided.
    #[error(transparent)]
    UnknownEvent(#[from] UnknownEvent),
    /// The stream holds an event that is known but cannot be folded; the command was not decided.
    #[error(transparent)]
    UnreadableEvent(#[from] UnreadableEvent),
    /// The store failed; nothing was stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<E> ExecuteError<E> {
    /// The same error with another type of refusal.
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
            } => To::Conflict {
                stream,
                expected,
                actual,
                attempts,
            },
            Self::InTransaction { stream } => To::InTransaction { stream },
            Self::IdempotencyMismatch { what } => To::IdempotencyMismatch { what },
            Self::Misapplied { stream, source } => To::Misapplied { stream, source },
            Self::Encode(error) => To::Encode(error),
            Self::LimitExceeded(error) => To::LimitExceeded(error),
            Self::ProjectionFailed {
                projection,
                event,
                source,
            } => To::ProjectionFailed {
                projection,
                event,
                source,
            },
            Self::ProjectionBehind { projection, source } => To::ProjectionBehind { projection, source },
            Self::Indeterminate { append, source } => To::Indeterminate { append, source },
            Self::UnderReplicated { append } => To::UnderReplicated { append },
            Self::NotProjected { receipt, source } => To::NotProjected { receipt, source },
            Self::UnknownEvent(error) => To::UnknownEvent(error),
            Self::UnreadableEvent(error) => To::UnreadableEvent(error),
            Self::Store(error) => To::Store(error),
        }
    }
}

impl<E> From<EncodeError> for ExecuteError<E> {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::TooDeep(error) => Self::LimitExceeded(error),
            error => Self::Encode(error),
        }
    }
}

impl<E> From<LoadError> for ExecuteError<E> {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::UnknownEvent(error) => Self::UnknownEvent(error),
            LoadError::UnreadableEvent(error) => Self::UnreadableEvent(error),
            LoadError::Store(error) => Self::Store(error),
        }
    }
}

/// Any error, for programs that report errors rather than match them: `?` turns every error into it.
///
/// `Debug`, which is what `fn main() -> es_runtime::Result<()>` prints, shows the chain of causes.
pub struct Error(pub(crate) Box<dyn StdError + Send + Sync>);

/// A `Result` whose error is [any error](Error) unless it is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn as_std(&self) -> &(dyn StdError + 'static) {
        &*self.0
    }

    /// The error that it was made from, if that is an `E`.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

// Without an `Error` implementation of its own, as this one would overlap with `From<T> for T`.
impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        let (said, mut cause) = (self.0.to_string(), self.0.source());
        while let Some(error) = cause {
            let next = error.to_string();
            if !said.contains(&next) {
                write!(f, "\n  caused by: {next}")?;
            }
            cause = error.source();
        }
        Ok(())
    }
}

/// The text of the error with those of its causes, except what it says already.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
