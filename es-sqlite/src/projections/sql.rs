//! SQL projections: methods of the user, run by the writer within its transactions.

use std::sync::Arc;

use async_trait::async_trait;
use es_runtime::StoreError;
use es_runtime::projection::sql::{Blocking, InlineSteps, SqlSchema, SqlStore, SqlTransaction, Steps, WriteError};
use es_runtime::store::{Advance, Append, Appended, CommitError, InlineError, InlineRows, Lease};
use rusqlite::{Connection, Params, Row};

use super::job::Doubt;
use crate::SqliteStore;
use crate::request::Inline;
use crate::statements::Statements;

/// The transaction in which an event is applied: what the `#[apply]` methods of an SQL projection take first.
///
/// It belongs to the store's writer, so nothing else is written meanwhile: keep your work in it short. Do not end it: a
/// `COMMIT` or `ROLLBACK` in it stops the projection.
pub struct SqliteTransaction<'t> {
    statements: Statements<'t>,
}

impl<'t> SqliteTransaction<'t> {
    pub(crate) fn new(connection: &'t Connection) -> Self {
        Self {
            statements: Statements::new(connection),
        }
    }

    /// Runs a statement that returns no rows, and returns the number of rows changed. It is prepared once, and kept.
    pub fn execute(&mut self, sql: &str, parameters: impl Params) -> rusqlite::Result<usize> {
        self.statements.get(sql)?.execute(parameters)
    }

    /// Returns the first row of a query, read by `read`; [`QueryReturnedNoRows`](rusqlite::Error::QueryReturnedNoRows)
    /// if it has none, which [`OptionalExtension`](rusqlite::OptionalExtension) turns into `None`. It is prepared once,
    /// and kept.
    pub fn query_row<T>(
        &mut self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.statements.get(sql)?.query_row(parameters, read)
    }

    /// Returns the connection, for everything else.
    pub fn connection(&self) -> &'t Connection {
        self.statements.connection()
    }
}

impl SqlTransaction for SqliteTransaction<'static> {
    type At<'t> = SqliteTransaction<'t>;
}

impl Blocking for SqliteTransaction<'static> {}

impl Doubt for WriteError {
    fn doubt(error: StoreError) -> Self {
        CommitError::doubt(error).into()
    }
}

#[async_trait]
impl SqlStore<SqliteTransaction<'static>> for SqliteStore {
    async fn create_schema(&self, schema: &SqlSchema) -> Result<(), StoreError> {
        let schema = schema.clone();
        self.write(0, 1, move |writer| writer.create_schema(&schema)).await
    }

    async fn run_steps(
        &self,
        _: &SqlSchema,
        steps: Arc<Steps<SqliteTransaction<'static>>>,
        advance: Option<Advance>,
    ) -> Result<(), WriteError> {
        self.write(0, steps.len(), move |writer| writer.run_steps(&steps, advance.as_ref()))
            .await
    }

    async fn append_with(
        &self,
        append: Append,
        steps: Vec<InlineSteps<SqliteTransaction<'static>>>,
        rows: Vec<InlineRows>,
    ) -> Result<Appended, InlineError> {
        self.request_append(append, Inline { steps, rows }).await
    }

    async fn forget_schema(&self, schema: &SqlSchema, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        let (schema, reader, lease) = (schema.clone(), reader.to_owned(), lease.clone());
        self.write(0, 1, move |writer| writer.forget_schema(&schema, &reader, &lease))
            .await
    }
}
