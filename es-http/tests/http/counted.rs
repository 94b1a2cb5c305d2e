//! A store that counts what is read of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use es_runtime::store::{
    Append, AppendError, AppendRef, AppendSignal, Appended, EventKind, KeyRecord, ListStreams, ReadLog, ReadStream,
    StreamInfo,
};
use es_runtime::{EventStore, MemoryStore, Position, RecordedEvent, StoreError, StoredEvent, StreamId, Version};
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;

/// A memory store, with the number of events read from the log, and of reads of streams.
#[derive(Clone, Default)]
pub(crate) struct Counted {
    store: MemoryStore,
    logged: Arc<AtomicU64>,
    streams: Arc<AtomicU64>,
}

impl Counted {
    pub(crate) fn logged(&self) -> u64 {
        self.logged.load(Ordering::SeqCst)
    }

    pub(crate) fn streams(&self) -> u64 {
        self.streams.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl EventStore for Counted {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        self.store.resolve(append).await
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        self.store.find_key(key).await
    }

    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        self.store.version(stream).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.store.head().await
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.streams.fetch_add(1, Ordering::SeqCst);
        self.store.read_stream(query)
    }

    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        self.store.load_stream(query)
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        let count = |_: &_| {
            self.logged.fetch_add(1, Ordering::SeqCst);
        };
        self.store.read_log(query).inspect(count).boxed()
    }

    fn wakes(&self) -> AppendSignal {
        self.store.wakes()
    }

    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        self.store.streams(query)
    }

    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        self.store.stored_events().await
    }
}
