//! A store in an `Arc` is a store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use super::{
    Advance, Append, AppendError, AppendRef, AppendSignal, Appended, ArchiveStore, Checkpoint, CheckpointError, Commit,
    CommitError, CursorStore, Differences, EventKind, EventStore, InlineError, InlineRows, KeyRecord, Lease,
    LeaseState, Limits, ListStreams, Parked, Positions, ProjectionStore, ReadLog, ReadStream, Replace, Row, RowCount,
    RowGroup, RowQuery, RowStore, RowTable, StateStore, StoreError, StreamInfo,
};
use crate::{Position, RecordedEvent, StoredEvent, StreamId, Timestamp, Version};

#[async_trait]
impl<S: EventStore + ?Sized> EventStore for Arc<S> {
    fn limits(&self) -> &Limits {
        (**self).limits()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        (**self).append(append).await
    }

    async fn append_chain(&self, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        (**self).append_chain(appends).await
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        (**self).resolve(append).await
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        (**self).find_key(key).await
    }

    async fn purge_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
        (**self).purge_keys(before).await
    }

    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        (**self).version(stream).await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        (**self).now().await
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

    fn positions(&self) -> Positions {
        (**self).positions()
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        (**self).read_log(query)
    }

    fn wakes(&self) -> AppendSignal {
        (**self).wakes()
    }

    fn cursor_store(self: Arc<Self>) -> Option<Arc<dyn CursorStore>> {
        Arc::clone(&*self).cursor_store()
    }

    fn state_store(self: Arc<Self>) -> Option<Arc<dyn StateStore>> {
        Arc::clone(&*self).state_store()
    }

    fn archive_store(self: Arc<Self>) -> Option<Arc<dyn ArchiveStore>> {
        Arc::clone(&*self).archive_store()
    }

    fn row_store(self: Arc<Self>) -> Option<Arc<dyn RowStore>> {
        Arc::clone(&*self).row_store()
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

    async fn close(&self) -> Result<(), StoreError> {
        (**self).close().await
    }
}

#[async_trait]
impl<S: CursorStore + ?Sized> CursorStore for Arc<S> {
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        (**self).acquire(lease, owner, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        (**self).renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        (**self).release(lease).await
    }

    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError> {
        (**self).report(lease, text).await
    }

    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        (**self).lease(name).await
    }

    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        (**self).checkpoint(reader).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), CommitError> {
        (**self).advance(advance).await
    }

    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        (**self).forget(reader, lease).await
    }

    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        (**self).parked(reader, after, limit).await
    }
}

#[async_trait]
impl<S: RowStore + ?Sized> RowStore for Arc<S> {
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        (**self).create_table(table).await
    }

    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        (**self).rows(table, keys).await
    }

    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        (**self).list_rows(table, query).await
    }

    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError> {
        (**self).count_rows(table, count).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        (**self).commit(commit).await
    }

    async fn clear(&self, table: &RowTable, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        (**self).clear(table, reader, lease).await
    }

    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        (**self).replace(replace).await
    }

    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError> {
        (**self).differences(old, new, limit).await
    }

    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        (**self).versions(projection).await
    }

    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        (**self).drop_table(table, readers, lease).await
    }
}

#[async_trait]
impl<S: ProjectionStore + ?Sized> ProjectionStore for Arc<S> {
    async fn append_rows(&self, append: Append, inline: Vec<InlineRows>) -> Result<Appended, InlineError> {
        (**self).append_rows(append, inline).await
    }
}
