use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use super::archive::CheckedArchive;
use super::cursors::check_name;
use super::in_order::{log_in_order, stream_in_order};
use super::{
    Advance, Append, AppendError, AppendRef, AppendSignal, Appended, ArchiveStore, Checkpoint, CheckpointError, Commit,
    CommitError, CursorStore, Differences, EventKind, EventStore, InlineError, InlineRows, KeyRecord, Lease,
    LeaseState, Limits, ListStreams, Parked, Positions, ProjectionStore, ReadLog, ReadStream, Replace, Report, Row,
    RowCount, RowGroup, RowQuery, RowStore, RowTable, StateStore, StoreError, StreamInfo, has_ended,
};
use crate::{Position, RecordedEvent, StoredEvent, StreamId, Timestamp, Version};

/// A store with the checks that are the same for every store: its input is well formed and within the limits, and its
/// events are in order. The [`Runtime`](crate::Runtime) wraps whatever store it is given.
///
/// A read ends with [`Corrupt`](crate::StoreErrorKind::Corrupt) if an event is out of order, or missing between two
/// others.
pub struct Checked<S: ?Sized>(pub(super) Arc<S>);

impl<S: ?Sized> Checked<S> {
    /// Wraps `store`.
    pub fn new(store: Arc<S>) -> Self {
        Self(store)
    }
}

impl<S: ?Sized> std::fmt::Debug for Checked<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checked").finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: EventStore + ?Sized> EventStore for Checked<S> {
    fn limits(&self) -> &Limits {
        self.0.limits()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.0.limits().check(&append)?;
        self.0.append(append).await
    }

    async fn append_chain(&self, mut appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        let limits = self.0.limits();
        let mut checked = appends.iter().map(|append| limits.check(append));
        let refused = checked
            .by_ref()
            .enumerate()
            .find_map(|(place, checked)| Some((place, checked.err()?)));
        if let Some((place, _)) = &refused {
            appends.truncate(*place);
        }
        let mut answers = self.0.append_chain(appends).await;
        if !has_ended(&answers) {
            answers.extend(refused.map(|(_, error)| Err(error)));
        }
        answers
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

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.0.now().await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.0.head().await
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        stream_in_order(&query.clone(), self.0.read_stream(query))
    }

    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        stream_in_order(&query.clone(), self.0.load_stream(query))
    }

    fn positions(&self) -> Positions {
        self.0.positions()
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        log_in_order(&query.clone(), self.0.positions(), self.0.read_log(query))
    }

    fn wakes(&self) -> AppendSignal {
        self.0.wakes()
    }

    fn cursor_store(self: Arc<Self>) -> Option<Arc<dyn CursorStore>> {
        let cursors = Arc::clone(&self.0).cursor_store()?;
        Some(Arc::new(Checked(cursors)))
    }

    fn row_store(self: Arc<Self>) -> Option<Arc<dyn RowStore>> {
        let rows = Arc::clone(&self.0).row_store()?;
        Some(Arc::new(Checked(rows)))
    }

    fn state_store(self: Arc<Self>) -> Option<Arc<dyn StateStore>> {
        let states = Arc::clone(&self.0).state_store()?;
        Some(Arc::new(Checked(states)))
    }

    fn archive_store(self: Arc<Self>) -> Option<Arc<dyn ArchiveStore>> {
        let store = Arc::clone(&self.0).archive_store()?;
        Some(Arc::new(CheckedArchive {
            store,
            limits: self.0.limits().clone(),
            numbering: self.0.positions(),
        }))
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

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }
}

#[async_trait]
impl<S: CursorStore + ?Sized> CursorStore for Checked<S> {
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        check_name("lease", lease)?;
        check_name("owner", owner)?;
        self.0.acquire(lease, owner, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        self.0.renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.0.release(lease).await
    }

    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError> {
        Report::check(text)?;
        self.0.report(lease, text).await
    }

    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        check_name("lease", name)?;
        self.0.lease(name).await
    }

    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        check_name("reader", reader)?;
        self.0.checkpoint(reader).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), CommitError> {
        advance.check()?;
        self.0.advance(advance).await
    }

    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        check_name("reader", reader)?;
        self.0.forget(reader, lease).await
    }

    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        check_name("reader", reader)?;
        self.0.parked(reader, after, limit).await
    }
}

#[async_trait]
impl<S: RowStore + ?Sized> RowStore for Checked<S> {
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        table.check()?;
        self.0.create_table(table).await
    }

    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        table.check()?;
        self.0.rows(table, keys).await
    }

    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        table.check()?;
        query.check()?;
        self.0.list_rows(table, query).await
    }

    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError> {
        table.check()?;
        count.check()?;
        self.0.count_rows(table, count).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        commit.check()?;
        self.0.commit(commit).await
    }

    async fn clear(&self, table: &RowTable, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        table.check()?;
        check_name("reader", reader)?;
        self.0.clear(table, reader, lease).await
    }

    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        replace.check()?;
        self.0.replace(replace).await
    }

    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError> {
        old.check()?;
        new.check()?;
        self.0.differences(old, new, limit).await
    }

    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        self.0.versions(projection).await
    }

    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        table.check()?;
        self.0.drop_table(table, readers, lease).await
    }
}

#[async_trait]
impl<S: ProjectionStore + ?Sized> ProjectionStore for Checked<S> {
    async fn append_rows(&self, append: Append, inline: Vec<InlineRows>) -> Result<Appended, InlineError> {
        self.0.limits().check(&append)?;
        for InlineRows { projection, table, .. } in &inline {
            check_name("reader", &projection.reader).map_err(AppendError::from)?;
            table.check().map_err(AppendError::from)?;
        }
        self.0.append_rows(append, inline).await
    }
}
