//! Stores that stand in front of another one: faults, interference, counting.

mod lagging;
mod projections;

use std::sync::Arc;

use async_trait::async_trait;
use es_runtime::store::{
    Append, AppendError, AppendRef, AppendSignal, Appended, ArchiveStore, EventKind, KeyRecord, ListStreams, Positions,
    ReadLog, ReadStream, StateStore, StreamInfo,
};
use es_runtime::{EventStore, Limits, Position, RecordedEvent, StoreError, StoredEvent, StreamId, Timestamp, Version};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};

pub use lagging::Lagging;
pub use projections::WrapProjections;

/// A layer in front of a store: passes every call on, except those that it overrides. [`Wrapped`] makes it a store.
#[async_trait]
pub trait Wrap: Send + Sync + 'static {
    /// The store behind.
    fn inner(&self) -> &dyn EventStore;

    /// See [`EventStore::limits`].
    fn limits(&self) -> &Limits {
        self.inner().limits()
    }

    /// See [`EventStore::append`].
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner().append(append).await
    }

    /// See [`EventStore::append_chain`].
    async fn append_chain(&self, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        self.inner().append_chain(appends).await
    }

    /// See [`EventStore::resolve`].
    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        self.inner().resolve(append).await
    }

    /// See [`EventStore::find_key`].
    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        self.inner().find_key(key).await
    }

    /// See [`EventStore::purge_keys`].
    async fn purge_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.inner().purge_keys(before).await
    }

    /// See [`EventStore::version`].
    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        self.inner().version(stream).await
    }

    /// See [`EventStore::head`].
    async fn head(&self) -> Result<Position, StoreError> {
        self.inner().head().await
    }

    /// See [`EventStore::now`].
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.inner().now().await
    }

    /// See [`EventStore::read_stream`].
    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.inner().read_stream(query)
    }

    /// See [`EventStore::load_stream`]. Goes by [`read_stream`](Self::read_stream), so that one of them is enough to override.
    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        self.read_stream(query).map_ok(StoredEvent::from).boxed()
    }

    /// See [`EventStore::read_log`].
    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.inner().read_log(query)
    }

    /// See [`EventStore::positions`].
    fn positions(&self) -> Positions {
        self.inner().positions()
    }

    /// See [`EventStore::wakes`].
    fn wakes(&self) -> AppendSignal {
        self.inner().wakes()
    }

    /// See [`EventStore::state_store`]. None, unless overridden.
    fn state_store(&self) -> Option<Arc<dyn StateStore>> {
        None
    }

    /// See [`EventStore::archive_store`]. None, unless overridden.
    fn archive_store(&self) -> Option<Arc<dyn ArchiveStore>> {
        None
    }

    /// See [`EventStore::streams`].
    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        self.inner().streams(query)
    }

    /// See [`EventStore::stored_events`].
    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        self.inner().stored_events().await
    }

    /// See [`EventStore::count_events`].
    async fn count_events(&self, kind: &EventKind) -> Result<u64, StoreError> {
        self.inner().count_events(kind).await
    }
}

/// A [`Wrap`] as a store. Clones are the same store.
pub struct Wrapped<W>(pub Arc<W>);

impl<W> Clone for Wrapped<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W> std::fmt::Debug for Wrapped<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wrapped").finish_non_exhaustive()
    }
}

#[async_trait]
impl<W: Wrap> EventStore for Wrapped<W> {
    fn limits(&self) -> &Limits {
        self.0.limits()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.0.append(append).await
    }

    async fn append_chain(&self, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        self.0.append_chain(appends).await
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        self.0.resolve(append).await
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        self.0.find_key(key).await
    }

    async fn purge_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.0.purge_keys(before).await
    }

    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        self.0.version(stream).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.0.head().await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.0.now().await
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.0.read_stream(query)
    }

    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        self.0.load_stream(query)
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.0.read_log(query)
    }

    fn positions(&self) -> Positions {
        self.0.positions()
    }

    fn wakes(&self) -> AppendSignal {
        self.0.wakes()
    }

    fn state_store(self: Arc<Self>) -> Option<Arc<dyn StateStore>> {
        self.0.state_store()
    }

    fn archive_store(self: Arc<Self>) -> Option<Arc<dyn ArchiveStore>> {
        self.0.archive_store()
    }

    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        self.0.streams(query)
    }

    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        self.0.stored_events().await
    }

    async fn count_events(&self, kind: &EventKind) -> Result<u64, StoreError> {
        self.0.count_events(kind).await
    }
}
