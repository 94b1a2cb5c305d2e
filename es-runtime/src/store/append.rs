//! Appends: what is asked for, what came of it, and why it was not done.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{LimitExceeded, StoreError};
use crate::projection::{ApplyError, ReadError};
use crate::{AppendId, EventId, ExpectedVersion, NewEvent, Position, StreamId, Timestamp, Version};

/// One atomic append, over one stream or several.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// Identifies the append.
    pub id: AppendId,
    /// The sender's key of the request, if it must take effect only once.
    pub key: Option<IdempotencyKey>,
    /// The appends to each stream. Each stream occurs once.
    pub streams: Vec<StreamAppend>,
}

impl Append {
    /// Creates an append of `events` to one stream.
    pub fn new(stream: StreamId, expected: ExpectedVersion, events: Vec<NewEvent>) -> Self {
        Self {
            id: AppendId::new(),
            key: None,
            streams: vec![StreamAppend {
                stream,
                expected,
                last: None,
                events,
            }],
        }
    }

    /// Returns whether `other` repeats this append. The expected versions do not matter. For stores.
    pub fn is_again(&self, other: &Self) -> bool {
        let is_same =
            |(one, other): (&StreamAppend, &StreamAppend)| one.stream == other.stream && one.events == other.events;
        (self.id, &self.key, self.streams.len()) == (other.id, &other.key, other.streams.len())
            && self.streams.iter().zip(&other.streams).all(is_same)
    }

    /// Returns the events of all streams, in the order in which they get their positions.
    pub fn events(&self) -> impl Iterator<Item = &NewEvent> {
        self.streams.iter().flat_map(|part| &part.events)
    }
}

/// The part of an [`Append`] that concerns one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamId,
    /// The version that the stream is expected to be at.
    pub expected: ExpectedVersion,
    /// The event that the stream is expected to end with, besides; `None` for any. A version alone is no proof of it: a log that was
    /// restored from a backup, and written to since, may have another event there than was read.
    pub last: Option<EventId>,
    /// The events. Empty for a stream that was only read, and must not have moved since.
    pub events: Vec<NewEvent>,
}

impl StreamAppend {
    /// Returns whether it may follow the event `last`. For stores.
    pub fn may_follow(&self, last: Option<EventId>) -> bool {
        self.last.is_none() || self.last == last
    }

    /// Checks that a stream at version `actual`, which ends with the event `last`, meets the expectations. For stores.
    ///
    /// # Errors
    ///
    /// [`AppendError::Conflict`] if it does not.
    pub fn check(&self, actual: Version, last: Option<EventId>) -> Result<(), AppendError> {
        if self.expected.allows(actual) && self.may_follow(last) {
            return Ok(());
        }
        Err(AppendError::Conflict {
            stream: self.stream.clone(),
            expected: self.expected,
            actual,
        })
    }
}

/// Names a request, so that it takes effect once, however often it is sent. Its scope is the whole store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The sender's name for the request.
    pub key: String,
    /// Identifies the content of the request: the same key with other content is
    /// [refused](AppendError::IdempotencyMismatch).
    pub fingerprint: Uuid,
}

/// The idempotency key of an append as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// The key; `None` once it was [forgotten](super::EventStore::purge_keys).
    pub key: Option<String>,
    /// The content of the request.
    pub fingerprint: Uuid,
}

impl StoredKey {
    /// Returns whether an append that is repeated under its id with the key `given` was stored with that key, as far as `stored` tells.
    pub fn is_same(stored: Option<&Self>, given: Option<&IdempotencyKey>) -> bool {
        match (stored, given) {
            (Some(stored), Some(given)) => {
                let is_key = stored.key.as_ref().is_none_or(|key| *key == given.key);
                is_key && stored.fingerprint == given.fingerprint
            }
            (stored, given) => stored.is_none() && given.is_none(),
        }
    }

    /// Returns the key, unless it was forgotten.
    pub fn known(self) -> Option<IdempotencyKey> {
        let fingerprint = self.fingerprint;
        self.key.map(|key| IdempotencyKey { key, fingerprint })
    }
}

impl From<IdempotencyKey> for StoredKey {
    fn from(key: IdempotencyKey) -> Self {
        Self {
            key: Some(key.key),
            fingerprint: key.fingerprint,
        }
    }
}

/// The record of an idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyRecord {
    /// The content of the request that was done.
    pub fingerprint: Uuid,
    /// Its result, with [`Appended::repeated`] set.
    pub appended: Appended,
}

/// The result of an append.
#[derive(Debug, Clone, PartialEq)]
pub struct Appended {
    /// The append's id. Of the first one, if this is a repetition.
    pub id: AppendId,
    /// True if it had been appended before, and nothing was appended now.
    pub repeated: bool,
    /// The time at which it was recorded.
    pub recorded_at: Timestamp,
    /// The result for each stream, in the order of [`Append::streams`].
    pub streams: Vec<StreamAppended>,
}

impl Appended {
    /// Returns the result of an append that is stored now. For stores.
    pub fn new(id: AppendId, recorded_at: Timestamp, streams: Vec<StreamAppended>) -> Self {
        Self {
            id,
            repeated: false,
            recorded_at,
            streams,
        }
    }

    /// Returns the result for a repetition of the append. For stores.
    #[must_use]
    pub fn again(self) -> Self {
        Self { repeated: true, ..self }
    }

    /// Returns the highest position in the result: of its last event, or of the store's head if it has none.
    pub fn head(&self) -> Option<Position> {
        self.streams.iter().map(|part| part.position).max()
    }
}

/// The result of an append for one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamAppended {
    /// The stream.
    pub stream: StreamId,
    /// The number of events appended to it.
    pub events: usize,
    /// Its version after the append.
    pub version: Version,
    /// The position of the last event appended to it, or of the store's head if none was.
    pub position: Position,
}

/// A reference with which to [`resolve`](crate::EventStore::resolve) an append whose outcome is unknown. Serialisable,
/// so that it survives the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendRef {
    /// The append's id.
    pub append: AppendId,
    /// The first stream that it appends to.
    pub stream: StreamId,
    /// The version of its first event in that stream, if the append expected an exact version.
    pub first_version: Option<Version>,
    /// The id of its first event; none if it only records an idempotency key.
    pub first_event: Option<EventId>,
}

impl AppendRef {
    /// Refers to `append`.
    pub fn of(append: &Append) -> Self {
        let part = append
            .streams
            .iter()
            .find(|part| !part.events.is_empty())
            .or(append.streams.first());
        let first_version = match part.map(|part| part.expected) {
            Some(ExpectedVersion::NoStream) => Some(Version(1)),
            Some(ExpectedVersion::Exact(version)) => Some(version.next()),
            _ => None,
        };
        Self {
            append: append.id,
            stream: part.map_or_else(|| StreamId::new("", ""), |part| part.stream.clone()),
            first_version,
            first_event: part.and_then(|part| part.events.first()).map(|event| event.id),
        }
    }
}

impl fmt::Display for AppendRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "append {} to `{}`", self.append, self.stream)
    }
}

/// Why an append was not done, or is not known to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Another writer was first: load again, decide again. Where `actual` is what was expected, the stream does not end with the event
    /// that was [expected](StreamAppend::last): the log was restored, and has other events than it had.
    #[error("stream `{stream}` is at version {actual}, expected {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that the append expected.
        expected: ExpectedVersion,
        /// The version of the stream's last event.
        actual: Version,
    },
    /// The append id or the idempotency key was used before, for something else: use a new one for a new request.
    #[error("{what} was used before for another content")]
    IdempotencyMismatch {
        /// The id or key.
        what: String,
    },
    /// Two events of the append have the same id.
    #[error("event id {0} stands twice in one append")]
    DuplicateEventId(EventId),
    /// The append is not well formed.
    #[error("the append is not valid: {reason}")]
    Invalid {
        /// The problem.
        reason: String,
    },
    /// An [inline](mod@crate::projection#inline) projection cannot apply an event: neither events nor rows are stored.
    #[error("inline projection `{projection}` cannot apply {}, so that nothing is stored", EventAt::named(event.as_deref()))]
    ProjectionFailed {
        /// The projection's name.
        projection: &'static str,
        /// The event. `None` if the database refused only at the commit, without naming one.
        event: Option<Box<EventAt>>,
        /// The error of its method.
        #[source]
        source: Box<ApplyError>,
    },
    /// Events were appended without an [inline](mod@crate::projection#inline) projection, and it has not taken them in yet: neither events
    /// nor rows are stored.
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
    /// A part of the append is too large.
    #[error(transparent)]
    LimitExceeded(#[from] LimitExceeded),
    /// It is not known whether the append was stored: ask [`resolve`](crate::EventStore::resolve), or repeat it with
    /// its id.
    #[error("it is not known whether {append} was stored")]
    Indeterminate {
        /// The append to ask about.
        append: Box<AppendRef>,
        /// The failure that hid the outcome.
        #[source]
        source: StoreError,
    },
    /// The append is stored, but fewer replicas than demanded have confirmed it.
    #[error("{append} is stored, but fewer replicas than demanded have confirmed it")]
    UnderReplicated {
        /// The append to ask about.
        append: Box<AppendRef>,
    },
    /// The store failed; nothing of the append is stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AppendError {
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }
}

/// An event that was to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventAt {
    /// The stream.
    pub stream: StreamId,
    /// The number that it would have had in the stream.
    pub version: Version,
    /// The event's name.
    pub name: Cow<'static, str>,
}

impl EventAt {
    pub(crate) fn named(event: Option<&Self>) -> String {
        match event {
            Some(Self { stream, version, name }) => format!("event `{name}` (version {version} of `{stream}`)"),
            None => "one of the events".to_owned(),
        }
    }
}
