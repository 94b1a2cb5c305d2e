//! Storage of projections: writes go through the writer, in its transactions; reads through the readers.

mod inline;
mod job;
mod reader;
mod sql;
mod steps;
mod table;
mod writer;

use std::time::Duration;

use async_trait::async_trait;
use es_runtime::store::{
    Advance, Append, Appended, Checkpoint, CheckpointError, Commit, CommitError, CursorStore, Differences, InlineError,
    InlineRows, Lease, LeaseState, Parked, ProjectionStore, Replace, Row, RowCount, RowGroup, RowQuery, RowStore,
    RowTable,
};
use es_runtime::{Position, StoreError};
use tokio::sync::oneshot;

pub(crate) use job::{Doubt, Job};
pub(crate) use reader::ProjectionReader;
pub use sql::SqliteTransaction;
pub(crate) use writer::ProjectionWriter;

use crate::SqliteStore;
use crate::error::Problem;
use crate::request::Inline;
use job::Awaited;

/// The assumed size of a row beyond its data.
const ROW_BYTES: usize = 32;

impl SqliteStore {
    /// Has the writer do it in a transaction.
    pub(crate) async fn write<T, E, F>(&self, size: usize, rows: usize, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: Doubt + 'static,
        F: FnMut(&mut ProjectionWriter<'_>) -> Result<Result<T, E>, Problem> + Send + 'static,
    {
        let (job, answer) = Awaited::new(size, rows, work);
        self.done(job, answer).await
    }

    async fn done<T, E: Doubt>(
        &self,
        job: impl Job + 'static,
        answer: oneshot::Receiver<Result<T, E>>,
    ) -> Result<T, E> {
        self.request_job(Box::new(job))?;
        answer
            .await
            .unwrap_or_else(|_| unreachable!("a job answers when it is dropped"))
    }
}

#[async_trait]
impl CursorStore for SqliteStore {
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        let (name, owner) = (lease.to_owned(), owner.to_owned());
        let asked = (name.clone(), owner.clone());
        let is_leased = self
            .read(move |reader| reader.projections.is_leased(&asked.0, &asked.1))
            .await?;
        if is_leased {
            return Ok(None);
        }
        let asked = (name.clone(), owner.clone());
        let epoch = self
            .write(0, 1, move |writer| {
                writer.acquire(&asked.0, &asked.1, ttl).map(Ok::<_, StoreError>)
            })
            .await?;
        Ok(epoch.map(|epoch| Lease { name, owner, epoch }))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let lease = lease.clone();
        let (job, answer) = Awaited::new(0, 1, move |writer| writer.renew(&lease, ttl).map(Ok));
        // Whoever had the lease is gone after a loss of power.
        self.done(job.that_may_be_lost(), answer).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.write(0, 1, move |writer| writer.release(&lease).map(Ok)).await
    }

    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError> {
        let (lease, text) = (lease.clone(), text.to_owned());
        self.write(text.len(), 1, move |writer| writer.report(&lease, &text).map(Ok))
            .await
    }

    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        let name = name.to_owned();
        self.read(move |reader| reader.projections.lease(&name)).await
    }

    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        let name = reader.to_owned();
        Ok(self.read(move |reader| reader.projections.checkpoint(&name)).await?)
    }

    async fn advance(&self, advance: Advance) -> Result<(), CommitError> {
        self.write(0, 1, move |writer| writer.advance(&advance)).await
    }

    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        let (reader, lease) = (reader.to_owned(), lease.clone());
        self.write(0, 1, move |writer| writer.forget(&reader, None, &lease))
            .await
    }

    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        let name = reader.to_owned();
        self.read(move |reader| reader.projections.parked(&name, after, limit))
            .await
    }
}

#[async_trait]
impl ProjectionStore for SqliteStore {
    async fn append_rows(&self, append: Append, rows: Vec<InlineRows>) -> Result<Appended, InlineError> {
        let steps = Vec::new();
        self.request_append(append, Inline { steps, rows }).await
    }
}

#[async_trait]
impl RowStore for SqliteStore {
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        let table = table.clone();
        self.write(0, 1, move |writer| writer.create_table(&table)).await
    }

    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        let (table, keys) = (table.clone(), keys.to_vec());
        self.read(move |reader| reader.projections.rows(&table, &keys)).await?
    }

    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        let (table, query) = (table.clone(), query.clone());
        self.read(move |reader| reader.projections.list(&table, &query)).await?
    }

    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError> {
        let (table, count) = (table.clone(), count.clone());
        self.read(move |reader| reader.projections.count(&table, &count))
            .await?
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let data = commit.rows.iter().filter_map(|row| row.data.as_ref());
        let size = data.map(|data| data.len() + ROW_BYTES).sum();
        self.write(size, commit.rows.len(), move |writer| writer.commit(&commit))
            .await
    }

    async fn clear(&self, table: &RowTable, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        let (reader, table, lease) = (reader.to_owned(), table.clone(), lease.clone());
        self.write(0, 1, move |writer| writer.forget(&reader, Some(&table), &lease))
            .await
    }

    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        self.write(0, 1, move |writer| writer.replace(&replace)).await
    }

    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError> {
        let (old, new) = (old.clone(), new.clone());
        self.read(move |reader| reader.projections.differences(&old, &new, limit))
            .await?
    }

    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        let projection = projection.to_owned();
        self.read(move |reader| reader.projections.versions(&projection)).await
    }

    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        let (table, readers, lease) = (table.clone(), readers.to_vec(), lease.clone());
        self.write(0, 1, move |writer| writer.drop_table(&table, &readers, &lease))
            .await
    }
}
