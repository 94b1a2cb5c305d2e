use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::ops::RangeInclusive;

use crate::{Position, StoreError, StreamId, Version};

pub(crate) mod execute;

pub use execute::ExecuteError;

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

/// Any error, for programs that report errors rather than match them: `?` turns every error into it.
///
/// `Debug`, which is what `fn main() -> es_runtime::Result<()>` prints, shows the message and then each cause in a line of its own.
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
        fmt::Display::fmt(&self.0, f)?;
        unsaid_causes(&*self.0).try_for_each(|cause| write!(f, "\n  caused by: {cause}"))
    }
}

/// The text of the error with those of its causes, except what it says already.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    unsaid_causes(error).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The causes of the error, from the outermost, without those that the error or a cause before them quotes.
fn unsaid_causes(error: &(dyn StdError + 'static)) -> impl Iterator<Item = String> {
    let mut said = vec![error.to_string()];
    let causes = std::iter::successors(error.source(), |error| (*error).source()).map(ToString::to_string);
    causes.filter(move |cause| {
        let is_new = !said.iter().any(|said| said.contains(cause.as_str()));
        said.push(cause.clone());
        is_new
    })
}
