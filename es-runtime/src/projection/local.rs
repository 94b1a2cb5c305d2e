use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::TryStreamExt as _;

use super::store::{
    Checkpoint, CheckpointError, Commit, CommitError, Differences, Lease, LeaseState, Parked, ProjectionStore, Replace,
    Row, RowCount, RowGroup, RowQuery, RowTable,
};
use crate::store::{
    Append, AppendError, AppendRef, Appended, EventKind, KeyRecord, ListStreams, ReadLog, ReadStream, StreamInfo,
    WriteCap,
};
use crate::{
    EventId, EventStore, Limits, MemoryStore, Position, RecordedEvent, StoreError, StoreErrorKind, StoredEvent,
    StreamId, Version, Wakes,
};

/// The events of a store, and beside them what this process alone keeps of one projection: rows, checkpoints and lease in memory.
///
/// A read of what is kept asks the store nothing. That the log is still the one that was folded is therefore looked at where
/// it is followed: by [`head`](EventStore::head) and [`commit`](ProjectionStore::commit).
pub(crate) struct Local {
    log: Arc<dyn EventStore>,
    kept: MemoryStore,
}

impl Local {
    /// Keeps nothing yet.
    pub(crate) fn beside(log: Arc<dyn EventStore>) -> Self {
        let kept = MemoryStore::new();
        Self { log, kept }
    }

    /// The event that stands at `position` now.
    async fn at(&self, position: Position) -> Result<Option<EventId>, StoreError> {
        let query = ReadLog::new().from(position).to(position);
        Ok(self.log.read_log(query).try_next().await?.map(|event| event.id))
    }

    /// Notes that another event stands at the highest checkpoint now, or none. Whoever follows the log meets it when he reads his
    /// checkpoint, which he does after every failure.
    fn diverge(&self, top: (Position, EventId), found: Option<EventId>) -> StoreError {
        self.kept.note_instead(top, found);
        StoreError::new(
            StoreErrorKind::Unavailable,
            "the log is not the one that was folded: the store was restored to an earlier point",
        )
    }
}

#[async_trait]
impl ProjectionStore for Local {
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        self.kept.acquire(lease, owner, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        self.kept.renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.kept.release(lease).await
    }

    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError> {
        self.kept.report(lease, text).await
    }

    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        self.kept.lease(name).await
    }

    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        self.kept.checkpoint(reader).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        if let Some(top) = self.kept.top() {
            let found = self.at(top.0).await?;
            if found != Some(top.1) {
                return Err(self.diverge(top, found).into());
            }
        }
        let to = commit.to;
        if to > Position::ZERO {
            self.kept.note(to, self.at(to).await?);
        }
        self.kept.commit(commit).await
    }

    async fn forget(&self, reader: &str, table: Option<&RowTable>, lease: &Lease) -> Result<(), CommitError> {
        self.kept.forget(reader, table, lease).await
    }

    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        self.kept.replace(replace).await
    }

    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        self.kept.drop_table(table, readers, lease).await
    }

    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        self.kept.versions(projection).await
    }

    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError> {
        self.kept.differences(old, new, limit).await
    }

    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        self.kept.create_table(table).await
    }

    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        self.kept.rows(table, keys).await
    }

    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        self.kept.list_rows(table, query).await
    }

    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError> {
        self.kept.count_rows(table, count).await
    }

    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        self.kept.parked(reader, after, limit).await
    }
}

#[async_trait]
impl EventStore for Local {
    async fn head(&self) -> Result<Position, StoreError> {
        // Asked before the head is read, as the log is followed meanwhile.
        let top = self.kept.top();
        let head = self.log.head().await?;
        match top {
            Some(top) if head < top.0 => Err(self.diverge(top, None)),
            _ => Ok(head),
        }
    }

    fn limits(&self) -> &Limits {
        self.log.limits()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.log.append(append).await
    }

    async fn append_chain(&self, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        self.log.append_chain(appends).await
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        self.log.resolve(append).await
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        self.log.find_key(key).await
    }

    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        self.log.version(stream).await
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.log.read_stream(query)
    }

    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        self.log.load_stream(query)
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.log.read_log(query)
    }

    fn wakes(&self) -> Wakes {
        self.log.wakes()
    }

    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        self.log.streams(query)
    }

    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        self.log.stored_events().await
    }

    async fn count_events(&self, kind: &EventKind) -> Result<u64, StoreError> {
        self.log.count_events(kind).await
    }

    async fn write_caps(&self) -> Result<Vec<WriteCap>, StoreError> {
        self.log.write_caps().await
    }

    async fn set_write_cap(&self, cap: WriteCap) -> Result<(), StoreError> {
        self.log.set_write_cap(cap).await
    }

    async fn lift_write_cap(&self, category: &str, name: &str) -> Result<(), StoreError> {
        self.log.lift_write_cap(category, name).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.log.close().await
    }
}
