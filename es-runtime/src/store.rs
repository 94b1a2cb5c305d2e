//! The contract of a store: what the runtime asks of it, and what it answers.

mod in_order;
mod states;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use in_order::{Placed, Positions, log_in_order, stream_in_order};
pub use states::{Change, CheckedStates, Demand, Purge, SaveError, StateChange, StateKey, StateStore};

use crate::limits::{LimitExceeded, Limits};
use crate::projection::{ProjectionStore, ReadError, Unprojectable};
pub use crate::stored_events::{EventKind, WriteCap};
use crate::{
    AppendId, EventId, ExpectedVersion, NewEvent, Position, RecordedEvent, StoredEvent, StreamId, Timestamp, Version,
    Wakes,
};

/// Where streams of events are kept. Object safe: the runtime holds an `Arc<dyn EventStore>`.
///
/// `es-conformance` checks what these methods promise, on every store alike.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// What an append may hold. Checked before any I/O.
    fn limits(&self) -> &Limits;

    /// Appends to one or several streams, each at its expected version: all of it or nothing. `Ok` means durable and visible
    /// to every later read.
    ///
    /// If an append with this id is stored already, its result is returned, with [`Appended::repeated`] set. The same
    /// holds for an append with the same idempotency key. Both are looked up before the expected versions are compared.
    ///
    /// # Errors
    ///
    /// [`AppendError::Indeterminate`] if the outcome could not be learnt: ask [`resolve`](Self::resolve). After every other
    /// error nothing of the append is stored.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the append stored as a whole or not at all.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// Whether the append is stored: definitely. Its result, with [`Appended::repeated`] set; `None` means that it is not
    /// stored, and never will be by the call that was in doubt.
    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError>;

    /// What is stored under an idempotency key.
    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError>;

    /// The version of a stream's last event; 0 if it has none.
    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError>;

    /// The position of the last event; 0 if there is none.
    async fn head(&self) -> Result<Position, StoreError>;

    /// Reads events of one stream by version.
    ///
    /// Memory is bounded, whatever the length of the stream. Events that are appended while reading may be read too, but
    /// never out of order and never with a gap. Dropping the stream at any point is safe.
    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>>;

    /// Reads what folding the events of a stream takes: the same events as [`read_stream`](Self::read_stream), in the same
    /// order, and with the same promises. Every command loads its state by this.
    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        self.read_stream(query).map_ok(StoredEvent::from).boxed()
    }

    /// Reads events of all streams by position: once each, in commit order, and none is skipped however writers interleave.
    ///
    /// Memory is bounded. Ends at the head as it is when the reader gets there; with a [filter](ReadLog::only) perhaps at the head
    /// as it was when the read began. Dropping the stream at any point is safe.
    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>>;

    /// Hints that something was appended, to read the log again at once instead of after a while. A store may have none, and
    /// need not hint at what other processes append.
    fn wakes(&self) -> Wakes {
        Wakes::never()
    }

    /// This store as one that keeps cursors and read models beside the events, for [subscriptions](crate::subscription); `None`
    /// if it does not.
    fn projection_store(self: Arc<Self>) -> Option<Arc<dyn ProjectionStore>> {
        None
    }

    /// Returns this store as one that keeps the latest state of entities too; `None` if it does not. The runtime keeps its own notes there,
    /// unless it is given [another store](crate::Builder::states) for them.
    fn states(self: Arc<Self>) -> Option<Arc<dyn StateStore>> {
        None
    }

    /// Lists the streams of a category in the order of their ids' bytes.
    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>>;

    /// Every kind of event that was ever appended, once each, in the order of category, name (by their bytes) and version.
    /// Told without reading the events, and complete: a kind whose append was acknowledged before the call is in it.
    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError>;

    /// How many events of this kind are stored. Reads the whole log, or as much of it as the store must: for the rare question,
    /// not for every start.
    async fn count_events(&self, kind: &EventKind) -> Result<u64, StoreError>;

    /// Every cap on what may be written, in the order of category and name.
    async fn write_caps(&self) -> Result<Vec<WriteCap>, StoreError>;

    /// Caps what may be written of an event, in place of the cap that it had. A store only keeps the caps: whoever appends
    /// reads them and holds to them, as the [`Runtime`](crate::Runtime) does.
    async fn set_write_cap(&self, cap: WriteCap) -> Result<(), StoreError>;

    /// Lifts the cap of an event. Does nothing if it has none.
    async fn lift_write_cap(&self, category: &str, name: &str) -> Result<(), StoreError>;

    /// Does what was requested, then gives back what the store holds. Every later call answers
    /// [`Closed`](StoreErrorKind::Closed). A store that holds nothing has nothing to do.
    ///
    /// Clones are one store: closing one of them closes all, and so does shutting down a runtime that has one. Closing it again does
    /// nothing.
    ///
    /// # Errors
    ///
    /// If the store had lost trust in itself, so that an append may be in doubt.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl<S: EventStore + ?Sized> EventStore for Arc<S> {
    fn limits(&self) -> &Limits {
        (**self).limits()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        (**self).append(append).await
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        (**self).resolve(append).await
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        (**self).find_key(key).await
    }

    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        (**self).version(stream).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        (**self).head().await
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        (**self).read_stream(query)
    }

    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        (**self).load_stream(query)
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        (**self).read_log(query)
    }

    fn wakes(&self) -> Wakes {
        (**self).wakes()
    }

    fn projection_store(self: Arc<Self>) -> Option<Arc<dyn ProjectionStore>> {
        Arc::clone(&*self).projection_store()
    }

    fn states(self: Arc<Self>) -> Option<Arc<dyn StateStore>> {
        Arc::clone(&*self).states()
    }

    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        (**self).streams(query)
    }

    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        (**self).stored_events().await
    }

    async fn count_events(&self, kind: &EventKind) -> Result<u64, StoreError> {
        (**self).count_events(kind).await
    }

    async fn write_caps(&self) -> Result<Vec<WriteCap>, StoreError> {
        (**self).write_caps().await
    }

    async fn set_write_cap(&self, cap: WriteCap) -> Result<(), StoreError> {
        (**self).set_write_cap(cap).await
    }

    async fn lift_write_cap(&self, category: &str, name: &str) -> Result<(), StoreError> {
        (**self).lift_write_cap(category, name).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        (**self).close().await
    }
}

/// One atomic append, over one stream or several.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// Identifies the append.
    pub id: AppendId,
    /// What the sender calls the request, if it is to be done once only.
    pub key: Option<IdempotencyKey>,
    /// What is appended to which stream. Each stream stands here once.
    pub streams: Vec<StreamAppend>,
}

impl Append {
    /// An append of `events` to one stream.
    pub fn new(stream: StreamId, expected: ExpectedVersion, events: Vec<NewEvent>) -> Self {
        Self {
            id: AppendId::new(),
            key: None,
            streams: vec![StreamAppend {
                stream,
                expected,
                events,
            }],
        }
    }

    /// The events of all streams, in the order in which they get their positions.
    pub fn events(&self) -> impl Iterator<Item = &NewEvent> {
        self.streams.iter().flat_map(|part| &part.events)
    }
}

/// The part of an [`Append`] that concerns one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamId,
    /// What the stream must be like.
    pub expected: ExpectedVersion,
    /// The events. Empty for a stream that was only read, and must not have moved since.
    pub events: Vec<NewEvent>,
}

/// Names a request, so that it is done once, however often it is sent. Its scope is the whole store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The sender's name for the request.
    pub key: String,
    /// Identifies the content of the request: a key that comes back with another content is
    /// [refused](AppendError::IdempotencyMismatch).
    pub fingerprint: Uuid,
}

/// What is stored under an idempotency key.
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
    /// Whether it had been appended before, and nothing was appended now.
    pub repeated: bool,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What became of each stream, in the order of [`Append::streams`].
    pub streams: Vec<StreamAppended>,
}

impl Appended {
    /// The highest position that the append tells of: of its last event, or of the store's head if it has none.
    pub fn head(&self) -> Option<Position> {
        self.streams.iter().map(|part| part.position).max()
    }
}

/// What became of one stream by an append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamAppended {
    /// The stream.
    pub stream: StreamId,
    /// How many events were appended to it.
    pub events: usize,
    /// Its version after the append.
    pub version: Version,
    /// The position of the last event appended to it, or of the store's head if none was.
    pub position: Position,
}

/// What is needed to [`resolve`](EventStore::resolve) an append whose outcome is unknown. Serialisable, so that it survives
/// the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendRef {
    /// The append's id.
    pub append: AppendId,
    /// The first stream that it appends to.
    pub stream: StreamId,
    /// The version of its first event in that stream, if the append demanded an exact one.
    pub first_version: Option<Version>,
    /// The id of its first event; of none, if it only records an idempotency key.
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

/// In which direction events are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the oldest to the newest.
    #[default]
    Forwards,
    /// From the newest to the oldest.
    Backwards,
}

macro_rules! range {
    ($name:ident, $number:ident, $noun:literal) => {
        impl $name {
            #[doc = concat!("From this ", $noun, " on, inclusive. A number above `to` reads nothing.")]
            #[must_use]
            pub fn from(mut self, from: impl Into<$number>) -> Self {
                self.from = from.into();
                self
            }

            #[doc = concat!("Up to this ", $noun, ", inclusive.")]
            #[must_use]
            pub fn to(mut self, to: impl Into<$number>) -> Self {
                self.to = to.into();
                self
            }

            /// From the newest to the oldest.
            #[must_use]
            pub fn backwards(mut self) -> Self {
                self.direction = Direction::Backwards;
                self
            }

            /// At most so many events.
            #[must_use]
            pub fn limit(mut self, limit: u64) -> Self {
                self.limit = Some(limit);
                self
            }

            /// Whether the bounds exclude every event.
            pub fn is_empty(&self) -> bool {
                self.from > self.to || self.limit == Some(0)
            }
        }
    };
}

/// Which events of a stream to read: all, unless bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadStream {
    /// The stream.
    pub stream: StreamId,
    /// The lowest version to read.
    pub from: Version,
    /// The highest version to read.
    pub to: Version,
    /// The direction.
    pub direction: Direction,
    /// How many events at most; the bound of the range is met first.
    pub limit: Option<u64>,
}

impl ReadStream {
    /// All events of `stream`, forwards.
    pub fn new(stream: StreamId) -> Self {
        Self {
            stream,
            from: Version::ZERO,
            to: Version::MAX,
            direction: Direction::Forwards,
            limit: None,
        }
    }
}

range!(ReadStream, Version, "version");

/// Which events of the store to read: all, unless bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadLog {
    /// The lowest position to read.
    pub from: Position,
    /// The highest position to read.
    pub to: Position,
    /// The direction.
    pub direction: Direction,
    /// How many events at most, of those that are wanted; the bound of the range is met first.
    pub limit: Option<u64>,
    /// Which events are wanted; all of them if `None`.
    pub only: Option<EventFilter>,
}

impl ReadLog {
    /// Only the events that the filter lets through. The store itself leaves the others out.
    #[must_use]
    pub fn only(mut self, filter: EventFilter) -> Self {
        self.only = Some(filter);
        self
    }

    /// All events of the store, forwards.
    #[expect(
        clippy::new_without_default,
        reason = "as for `ReadStream`, whose stream has no default"
    )]
    pub fn new() -> Self {
        Self {
            from: Position::ZERO,
            to: Position::MAX,
            direction: Direction::Forwards,
            limit: None,
            only: None,
        }
    }
}

range!(ReadLog, Position, "position");

/// Which events of the log are wanted.
///
/// ```
/// # use es_runtime::{StreamId, store::EventFilter};
/// # let alice = StreamId::new("account", "alice");
/// let of_alice = EventFilter::Stream(alice);
/// let all_transfers = EventFilter::category("transfer");
/// let money = EventFilter::events("account", ["deposited", "withdrawn"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFilter {
    /// Those of one stream.
    Stream(StreamId),
    /// Those that any of these lets through; none at all if there is none.
    Categories(Vec<CategoryFilter>),
}

/// Which events of one category are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryFilter {
    /// The category of their streams.
    pub category: Cow<'static, str>,
    /// Their names; whatever they are called if `None`.
    pub names: Option<Vec<Cow<'static, str>>>,
}

impl EventFilter {
    /// All events of the streams of a category.
    pub fn category(category: impl Into<Cow<'static, str>>) -> Self {
        Self::Categories(vec![CategoryFilter {
            category: category.into(),
            names: None,
        }])
    }

    /// The events of these names, of the streams of a category.
    pub fn events<N: Into<Cow<'static, str>>>(
        category: impl Into<Cow<'static, str>>,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        Self::Categories(vec![CategoryFilter {
            category: category.into(),
            names: Some(names.into_iter().map(Into::into).collect()),
        }])
    }

    /// Whether it lets the event through.
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        match self {
            Self::Stream(stream) => event.stream == *stream,
            Self::Categories(categories) => categories.iter().any(|category| category.matches(event)),
        }
    }
}

impl CategoryFilter {
    fn matches(&self, event: &RecordedEvent) -> bool {
        event.stream.category() == self.category && self.names.as_ref().is_none_or(|names| names.contains(&event.name))
    }
}

/// Which streams to list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListStreams {
    /// The category.
    pub category: String,
    /// Only ids above this one, in the order of their bytes.
    pub after: Option<String>,
    /// How many at most.
    pub limit: Option<u64>,
}

impl ListStreams {
    /// All streams of `category`.
    pub fn new(category: impl Into<String>) -> Self {
        Self {
            category: category.into(),
            after: None,
            limit: None,
        }
    }

    /// Only ids above `id`: where the page before ended.
    #[must_use]
    pub fn after(mut self, id: impl Into<String>) -> Self {
        self.after = Some(id.into());
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// A stream of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// The stream.
    pub stream: StreamId,
    /// The version of its last event.
    pub version: Version,
}

/// Why an append was not done, or is not known to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Another writer was first: load again, decide again.
    #[error("stream `{stream}` is at version {actual}, expected {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What the append demanded.
        expected: ExpectedVersion,
        /// The version of the stream's last event.
        actual: Version,
    },
    /// The append id or the idempotency key was used before, for something else: use a new one for a new request.
    #[error("{what} was used before for another content")]
    IdempotencyMismatch {
        /// Which id or key.
        what: String,
    },
    /// Two events of the append have the same id.
    #[error("event id {0} stands twice in one append")]
    DuplicateEventId(EventId),
    /// The append is not well formed.
    #[error("the append is not valid: {reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// An [inline](mod@crate::projection#inline) projection cannot apply an event: neither events nor rows are stored.
    #[error("inline projection `{projection}` cannot apply {}, so that nothing is stored", EventAt::named(event.as_deref()))]
    ProjectionFailed {
        /// The projection's name.
        projection: &'static str,
        /// Which event. `None` if the database told at the end only, and not which.
        event: Option<Box<EventAt>>,
        /// What its method said.
        #[source]
        source: Box<Unprojectable>,
    },
    /// Events were appended without an [inline](mod@crate::projection#inline) projection, and it has not taken them in yet: neither events
    /// nor rows are stored.
    #[error(
        "inline projection `{projection}` has not taken in what was appended without it, so that nothing is stored"
    )]
    ProjectionBehind {
        /// The projection's name.
        projection: &'static str,
        /// How far it has come, or the event before which it [holds](ReadError::Held). Its [health](crate::Runtime::health) says why.
        #[source]
        source: Box<ReadError>,
    },
    /// A part of the append is too large.
    #[error(transparent)]
    LimitExceeded(#[from] LimitExceeded),
    /// It is not known whether the append was stored: ask [`resolve`](EventStore::resolve), or repeat it with its id.
    #[error("it is not known whether {append} was stored")]
    Indeterminate {
        /// What to ask about.
        append: Box<AppendRef>,
        /// What happened.
        #[source]
        source: StoreError,
    },
    /// The append is stored, but fewer replicas than demanded have confirmed it.
    #[error("{append} is stored, but fewer replicas than demanded have confirmed it")]
    UnderReplicated {
        /// What to ask about.
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
    /// The number that it would have got in the stream.
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

/// What kind of failure a [`StoreError`] is: what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached, or is busy: the same call may succeed later.
    Unavailable,
    /// The store has no room left.
    Full,
    /// The handle was closed, or does not trust itself after a failed flush: open the store again.
    Closed,
    /// The store refuses the call, and will refuse it again: permissions, a schema of another version, a setting.
    Rejected,
    /// What is stored cannot be right: stop and look.
    Corrupt,
}

/// A failure of a store, which is not the caller's to avoid.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// A failure; `message` says what was tried, what went wrong and what to do.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the error that caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}
