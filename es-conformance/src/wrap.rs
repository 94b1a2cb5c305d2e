//! Stores that stand in front of another one: faults, interference, counting.

mod projections;

use std::sync::Arc;

use async_trait::async_trait;
use es_runtime::store::{
    Append, AppendError, AppendRef, Appended, KeyRecord, ListStreams, ReadLog, ReadStream, StreamInfo,
};
use es_runtime::{EventStore, Limits, Position, RecordedEvent, StoreError, StreamId, Version};
use futures_util::stream::BoxStream;

pub use projections::WrapProjections;

/// What stands in front of a store: passes every call on, except those that it overrides. [`Wrapped`] makes it a store.
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

    /// See [`EventStore::resolve`].
    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        self.inner().resolve(append).await
    }

    /// See [`EventStore::find_key`].
    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        self.inner().find_key(key).await
    }

    /// See [`EventStore::version`].
    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        self.inner().version(stream).await
    }

    /// See [`EventStore::head`].
    async fn head(&self) -> Result<Position, StoreError> {
        self.inner().head().await
    }

    /// See [`EventStore::read_stream`].
    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.inner().read_stream(query)
    }

    /// See [`EventStore::read_log`].
    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.inner().read_log(query)
    }

    /// See [`EventStore::streams`].
    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        self.inner().streams(query)
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

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        self.0.resolve(append).await
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        self.0.find_key(key).await
    }

    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        self.0.version(stream).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.0.head().await
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.0.read_stream(query)
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.0.read_log(query)
    }

    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        self.0.streams(query)
    }
}
