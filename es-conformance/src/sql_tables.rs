use std::sync::Arc;

use async_trait::async_trait;
use es_runtime::StoreError;
use es_runtime::projection::sql::{SqlSchema, WriteError};
use es_runtime::store::{Advance, Append, Appended, CommitError, InlineError, InlineReader, Lease, ProjectionStore};

/// A [`SqlStore`](es_runtime::projection::sql::SqlStore) as the cases use it: with one table of numbers for each version of a
/// projection, and without the type of its transaction. See [`Fixture::open_sql`](crate::Fixture::open_sql).
#[async_trait]
pub trait SqlTables: Send + Sync {
    /// The same handle, as far as it keeps projections.
    fn projections(&self) -> Arc<dyn ProjectionStore>;

    /// The statement that creates the table of numbers of this version.
    fn statement(&self, version: u32) -> String;

    /// Calls [`create_schema`](es_runtime::projection::sql::SqlStore::create_schema).
    async fn create_schema(&self, schema: &SqlSchema) -> Result<(), StoreError>;

    /// Makes [`Steps`](es_runtime::projection::sql::Steps) of these, each with its own index, and has the store
    /// [run](es_runtime::projection::sql::SqlStore::run_steps) them.
    async fn run_steps(
        &self,
        schema: &SqlSchema,
        steps: Vec<SqlStep>,
        advance: Option<Advance>,
    ) -> Result<(), WriteError>;

    /// Makes [`InlineSteps`](es_runtime::projection::sql::InlineSteps) of these, and has the store
    /// [append](es_runtime::projection::sql::SqlStore::append_with) with them.
    async fn append_with(&self, append: Append, inline: Vec<SqlInline>) -> Result<Appended, InlineError>;

    /// Calls [`forget_schema`](es_runtime::projection::sql::SqlStore::forget_schema).
    async fn forget_schema(&self, schema: &SqlSchema, reader: &str, lease: &Lease) -> Result<(), CommitError>;

    /// The numbers in the table, in ascending order; `None` if there is no such table.
    async fn numbers(&self, schema: &SqlSchema) -> Option<Vec<i64>>;
}

/// The actions of an inline projection for an append.
#[derive(Debug, Clone)]
pub struct SqlInline {
    /// Whose steps they are.
    pub projection: InlineReader,
    /// Its tables.
    pub schema: SqlSchema,
    /// Each with the index of its event among those of the append.
    pub steps: Vec<(usize, SqlStep)>,
}

/// The action of a step in its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlStep {
    /// Inserts a row with this number.
    Insert(i64),
    /// Inserts a row with this number, then fails.
    InsertAndFail(i64),
    /// Inserts a row with this number, then panics: without the hook, which would print it.
    InsertAndPanic(i64),
    /// Runs a statement that the database refuses.
    Refused,
}
