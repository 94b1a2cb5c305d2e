use std::time::Duration;

use async_trait::async_trait;
use es_runtime::store::{
    Advance, Append, Appended, Checkpoint, CheckpointError, Commit, CommitError, CursorStore, Differences, InlineError,
    InlineRows, Lease, LeaseState, Parked, ProjectionStore, Replace, Row, RowCount, RowGroup, RowQuery, RowStore,
    RowTable,
};
use es_runtime::{Position, StoreError};

use super::{Wrap, Wrapped};

/// A [`Wrap`] of a store that keeps projections.
#[async_trait]
pub trait WrapProjections: Wrap {
    /// The store behind.
    fn projections(&self) -> &dyn ProjectionStore;

    /// See [`CursorStore::acquire`].
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        self.projections().acquire(lease, owner, ttl).await
    }

    /// See [`CursorStore::renew`].
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        self.projections().renew(lease, ttl).await
    }

    /// See [`CursorStore::release`].
    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.projections().release(lease).await
    }

    /// See [`CursorStore::report`].
    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError> {
        self.projections().report(lease, text).await
    }

    /// See [`CursorStore::lease`].
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        self.projections().lease(name).await
    }

    /// See [`CursorStore::checkpoint`].
    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        self.projections().checkpoint(reader).await
    }

    /// See [`CursorStore::advance`].
    async fn advance(&self, advance: Advance) -> Result<(), CommitError> {
        self.projections().advance(advance).await
    }

    /// See [`RowStore::commit`].
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.projections().commit(commit).await
    }

    /// See [`CursorStore::forget`].
    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.projections().forget(reader, lease).await
    }

    /// See [`RowStore::clear`].
    async fn clear(&self, table: &RowTable, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.projections().clear(table, reader, lease).await
    }

    /// See [`RowStore::replace`].
    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        self.projections().replace(replace).await
    }

    /// See [`RowStore::drop_table`].
    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        self.projections().drop_table(table, readers, lease).await
    }

    /// See [`RowStore::versions`].
    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        self.projections().versions(projection).await
    }

    /// See [`RowStore::differences`].
    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError> {
        self.projections().differences(old, new, limit).await
    }

    /// See [`RowStore::create_table`].
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        self.projections().create_table(table).await
    }

    /// See [`RowStore::rows`].
    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        self.projections().rows(table, keys).await
    }

    /// See [`RowStore::list_rows`].
    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        self.projections().list_rows(table, query).await
    }

    /// See [`RowStore::count_rows`].
    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError> {
        self.projections().count_rows(table, count).await
    }

    /// See [`CursorStore::parked`].
    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        self.projections().parked(reader, after, limit).await
    }

    /// See [`ProjectionStore::append_rows`].
    async fn append_rows(&self, append: Append, inline: Vec<InlineRows>) -> Result<Appended, InlineError> {
        self.projections().append_rows(append, inline).await
    }
}

#[async_trait]
impl<W: WrapProjections> CursorStore for Wrapped<W> {
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        self.0.acquire(lease, owner, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        self.0.renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.0.release(lease).await
    }

    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError> {
        self.0.report(lease, text).await
    }

    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        self.0.lease(name).await
    }

    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        self.0.checkpoint(reader).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), CommitError> {
        self.0.advance(advance).await
    }

    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.0.forget(reader, lease).await
    }

    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        self.0.parked(reader, after, limit).await
    }
}

#[async_trait]
impl<W: WrapProjections> RowStore for Wrapped<W> {
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        self.0.create_table(table).await
    }

    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        self.0.rows(table, keys).await
    }

    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        self.0.list_rows(table, query).await
    }

    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError> {
        self.0.count_rows(table, count).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.0.commit(commit).await
    }

    async fn clear(&self, table: &RowTable, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.0.clear(table, reader, lease).await
    }

    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        self.0.replace(replace).await
    }

    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError> {
        self.0.differences(old, new, limit).await
    }

    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        self.0.versions(projection).await
    }

    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        self.0.drop_table(table, readers, lease).await
    }
}

#[async_trait]
impl<W: WrapProjections> ProjectionStore for Wrapped<W> {
    async fn append_rows(&self, append: Append, inline: Vec<InlineRows>) -> Result<Appended, InlineError> {
        self.0.append_rows(append, inline).await
    }
}
