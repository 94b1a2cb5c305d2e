//! The contract of a store: what the runtime asks of it, and what it answers.

mod append;
mod archive;
mod caps;
mod chain;
mod checked;
mod cursors;
mod error;
mod in_order;
mod inline;
mod kinds;
mod limits;
mod read;
mod row_query;
mod rows;
mod shared;
mod signal;
mod states;

use std::future::ready;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};

pub use append::{
    Append, AppendError, AppendRef, Appended, EventAt, IdempotencyKey, KeyRecord, StoredKey, StreamAppend,
    StreamAppended,
};
pub use archive::{ArchiveStore, RecordedAppend, RestoreAppendError};
pub use caps::{WriteCap, WriteCaps};
pub use chain::{append_one_by_one, has_ended};
pub use checked::Checked;
pub use cursors::{
    Advance, Checkpoint, CheckpointError, CommitError, CursorStore, Lease, LeaseState, ParkReason, Parked, Report,
    check_name,
};
pub use error::{StoreError, StoreErrorKind};
pub use in_order::{Placed, Positions};
pub use inline::{InlineError, InlineFold, InlineReader, InlineRows};
pub use kinds::EventKind;
pub use limits::{LimitExceeded, Limits};
pub use read::{CategoryFilter, Direction, EventFilter, ListStreams, ReadLog, ReadStream, StreamInfo};
pub use row_query::{
    Compare, FieldValue, Row, RowChange, RowCount, RowCursor, RowFilter, RowGroup, RowQuery, RowTable, Zone, field_path,
};
pub use rows::{Commit, Difference, Differences, Replace, RowStore};
pub use signal::{AppendSignal, AppendSignalSource};
pub use states::{Change, Demand, Purge, SaveError, StateChange, StateKey, StateStore};

pub(crate) use limits::{DEPTH, depth_above};
pub(crate) use row_query::{field_of, path_of, rejected};
pub(crate) use states::{Kept, OwnState, RESERVED, SNAPSHOTS, Unreserved, has_archived, is_archived};

use crate::{Position, RecordedEvent, StoredEvent, StreamId, Timestamp, Version};

/// Keeps streams of events. Object safe: the runtime holds an `Arc<dyn EventStore>`.
///
/// `es-conformance` checks the promises of these methods, on every store alike.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Returns the limits of an append: [`Limits::default`] unless the store says otherwise. The runtime refuses larger
    /// appends, and malformed ones, before it calls [`append`](Self::append).
    fn limits(&self) -> &Limits {
        static DEFAULT: LazyLock<Limits> = LazyLock::new(Limits::default);
        &DEFAULT
    }

    /// Appends to one or several streams, each at its expected version: all of it or nothing. `Ok` means durable and visible
    /// to every later read.
    ///
    /// If an append with this id is already stored, returns its result, with [`Appended::repeated`] set. The same
    /// holds for an append with the same idempotency key. Both are looked up before the expected versions are compared.
    ///
    /// # Errors
    ///
    /// [`AppendError::Indeterminate`] if the outcome is unknown: call [`resolve`](Self::resolve). After every other
    /// error nothing of the append is stored.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the append stored as a whole or not at all.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// Appends one after the other, each only if the one before it was stored by this call. Each keeps its id, its key and its
    /// limits, and may be over several streams. Other appends may come in between.
    ///
    /// Returns the answer to each append, up to the first that this call did not store, because it failed or is a repetition: nothing
    /// behind that one was tried. The default calls [`append`](Self::append) for each; a store may write many together.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append), as the last answer. If that is [`AppendError::Indeterminate`] or
    /// [`AppendError::UnderReplicated`], appends behind it may be stored as well: ask [`resolve`](Self::resolve) for each. Those that are
    /// stored are the first ones of the chain, each as a whole.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the first appends of the chain stored, each as a whole, or none.
    async fn append_chain(&self, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        append_one_by_one(self, appends).await
    }

    /// Finds out whether the append is stored: definitely. Returns its result, with [`Appended::repeated`] set; `None` means that
    /// it is not stored, and never will be by the call whose outcome was unknown.
    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError>;

    /// The record of an idempotency key.
    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError>;

    /// Forgets the idempotency keys of all appends that were recorded before this time, and returns how many. A request with such a key is a
    /// new one from then on. Everything else about these appends stays: each is found by its id, and a repetition under that id is answered
    /// as before, with the key or what is left of it. A key that is used meanwhile is either known or forgotten.
    ///
    /// # Errors
    ///
    /// [`Rejected`](StoreErrorKind::Rejected) unless overridden: such a store keeps keys for ever. After any other error, or when the future
    /// is dropped, some of the keys may be forgotten: ask again.
    async fn purge_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
        let _ = before;
        Err(StoreError::new(
            StoreErrorKind::Rejected,
            "this store keeps idempotency keys for ever: it does not implement `purge_keys`",
        ))
    }

    /// Returns the version of a stream's last event; 0 if it has none.
    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        let last = self
            .read_stream(ReadStream::new(stream.clone()).backwards().limit(1))
            .try_next()
            .await?;
        Ok(last.map_or(Version::ZERO, |event| event.version))
    }

    /// Returns the position of the last event; 0 if there is none.
    async fn head(&self) -> Result<Position, StoreError> {
        let last = self.read_log(ReadLog::new().backwards().limit(1)).try_next().await?;
        Ok(last.map_or(Position::ZERO, |event| event.position))
    }

    /// Returns the time at which an event would be recorded now: by the clock with which the store records events, and never before the
    /// last of them. A timer of a [process manager](crate::process) is due by it. Unless overridden, the clock is the system's of this
    /// process.
    async fn now(&self) -> Result<Timestamp, StoreError> {
        let now = Timestamp::now();
        let last = self.read_log(ReadLog::new().backwards().limit(1)).try_next().await?;
        Ok(last.map_or(now, |last| now.max(last.recorded_at)))
    }

    /// Reads events of one stream by version.
    ///
    /// Memory is bounded, whatever the length of the stream. Events appended meanwhile may be read too, but never out
    /// of order and never with a gap. Dropping the stream at any point is safe.
    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>>;

    /// Reads the parts of a stream's events that folding needs: the same events as [`read_stream`](Self::read_stream),
    /// in the same order, and with the same promises. Every command loads its state with this.
    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        self.read_stream(query).map_ok(StoredEvent::from).boxed()
    }

    /// Returns how the store assigns positions: readers of the log verify it.
    fn positions(&self) -> Positions {
        Positions::Rising
    }

    /// Reads events of all streams by position: each once, in commit order, without skipping any, however writers
    /// interleave.
    ///
    /// Memory is bounded. Ends at the head at the time when the reader gets there; with a [filter](ReadLog::only)
    /// perhaps at the head at the time when the read began. Dropping the stream at any point is safe.
    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>>;

    /// Signals new events to readers that have caught up, so that they read again at once. A store may have no signals,
    /// and need not signal appends of other processes.
    fn wakes(&self) -> AppendSignal {
        AppendSignal::never()
    }

    /// Returns this store as one that keeps the cursors of [subscriptions](crate::subscription); `None` if it does not.
    fn cursor_store(self: Arc<Self>) -> Option<Arc<dyn CursorStore>> {
        None
    }

    /// Returns this store as one that keeps the rows of [projections](mod@crate::projection); `None` if it does not.
    fn row_store(self: Arc<Self>) -> Option<Arc<dyn RowStore>> {
        None
    }

    /// Returns this store as one that keeps the latest state of entities too; `None` if it does not. The runtime keeps its own notes there,
    /// unless it is given [another store](crate::Builder::states) for them.
    fn state_store(self: Arc<Self>) -> Option<Arc<dyn StateStore>> {
        None
    }

    /// Returns this store as one that gives out whole appends and takes them back, for [archives](crate::archive); `None` if it does not.
    fn archive_store(self: Arc<Self>) -> Option<Arc<dyn ArchiveStore>> {
        None
    }

    /// Lists the streams of a category in the order of their ids' bytes.
    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>>;

    /// Returns every kind of event that was ever appended, each once, in the order of category, name (by their bytes)
    /// and version. Told without reading the events, and complete: a kind whose append was acknowledged before the call
    /// is in it.
    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError>;

    /// Counts the stored events of this kind. May read the whole log; use sparingly, not at every start.
    async fn count_events(&self, kind: &EventKind) -> Result<u64, StoreError> {
        let of_name = EventFilter::Categories(vec![CategoryFilter {
            category: kind.category.clone().into(),
            names: Some(vec![kind.name.clone().into()]),
        }]);
        let of_kind = self.read_log(ReadLog::new().only(of_name));
        let of_kind = of_kind.try_filter(|event| ready(event.shape_version == kind.shape_version));
        of_kind.try_fold(0, async |count, _| Ok(count + 1)).await
    }

    /// Finishes pending requests, then releases the resources of the store. Every later call fails with
    /// [`Closed`](StoreErrorKind::Closed). A store without resources has nothing to do.
    ///
    /// Clones are one store: closing one of them closes all, and so does shutting down a runtime that has one. Closing
    /// it again has no effect.
    ///
    /// # Errors
    ///
    /// If the store no longer trusted itself, so that the outcome of an append may be unknown.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A store that keeps projections beside the events: all in one database, so that the rows and the checkpoint of a
/// [`commit`](RowStore::commit) are one transaction.
#[diagnostic::on_unimplemented(
    message = "store `{Self}` keeps no projections",
    label = "keeps no rows",
    note = "it does not implement `ProjectionStore`: `#[projection(memory)]` keeps the rows in each process, over the events of any store"
)]
#[async_trait]
pub trait ProjectionStore: EventStore + CursorStore + RowStore {
    /// Appends as [`append`](EventStore::append) does, and in the same transaction changes the rows of inline
    /// projections, and moves the checkpoint of each to the last event of the append.
    ///
    /// The rows that are [folded](InlineFold::run) are those that are stored when the append is: of appends that change
    /// the same row at once, each folds what the one before has left. So the store may fold again.
    ///
    /// An append that was stored before is answered, and changes no row. A conflict is reported rather than what the
    /// methods make of it.
    ///
    /// # Errors
    ///
    /// [`InlineError::Behind`] if a projection has not applied all events of its categories that were there before the
    /// append, or if its mark is not there; [`InlineError::Poison`] if an event cannot be applied to a row. Otherwise as
    /// for `append`. After every error but [`Indeterminate`](AppendError::Indeterminate) neither events nor rows are
    /// written.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves all of it done or nothing.
    async fn append_rows(&self, append: Append, inline: Vec<InlineRows>) -> Result<Appended, InlineError>;
}
