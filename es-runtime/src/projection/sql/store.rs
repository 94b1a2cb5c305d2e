use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;

use super::{InlineSteps, SqlProjection, SqlTables, SqlTransaction, Steps};
use crate::StoreError;
use crate::projection::ApplyError;
use crate::store::{Advance, Append, Appended, CommitError, InlineError, InlineRows, Lease, ProjectionStore};

/// A store that runs methods of the user within its own transactions: those that take a `T`.
#[diagnostic::on_unimplemented(
    message = "the store `{Self}` has no transaction `{T}`, which the `#[apply]` methods of the projection take",
    label = "the methods take a transaction of another store",
    note = "`PgTransaction` is that of `PostgresStore`, `SqliteTransaction` that of `SqliteStore`; a projection of rows, without `schema`, runs on every store"
)]
#[async_trait]
pub trait SqlStore<T: SqlTransaction>: ProjectionStore {
    /// Creates the tables of one version of a projection, once: all or nothing. Several processes may do it at once.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if the database refuses a statement, or if the tables were created by other
    /// statements than these.
    async fn create_schema(&self, schema: &SqlSchema) -> Result<(), StoreError>;

    /// Runs the steps one after the other, and moves the checkpoint, in one transaction; without an `advance` everything is undone.
    ///
    /// # Errors
    ///
    /// [`WriteError::Poison`] if a step fails for a reason that does not pass; what passes is a [`CommitError::Store`]. For
    /// `advance` as for [`RowStore::commit`](crate::store::RowStore::commit). After every error nothing is written, but
    /// if it is [`Indeterminate`](CommitError::Indeterminate).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves all of it done or nothing.
    async fn run_steps(
        &self,
        schema: &SqlSchema,
        steps: Arc<Steps<T>>,
        advance: Option<Advance>,
    ) -> Result<(), WriteError>;

    /// Appends as [`append_rows`](ProjectionStore::append_rows) does, and in the same transaction also runs the steps of
    /// inline projections with tables of their own. A database in which appends wait for a lock runs the steps before it
    /// takes that.
    ///
    /// # Errors
    ///
    /// As for `append_rows`. The index of a projection in an error is that among `steps`, then `rows`;
    /// [`InlineError::Poison`] also if a step fails for a reason that does not pass.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves all of it done or nothing.
    async fn append_with(
        &self,
        append: Append,
        steps: Vec<InlineSteps<T>>,
        rows: Vec<InlineRows>,
    ) -> Result<Appended, InlineError>;

    /// Removes the checkpoint and the parked events of a reader, and all rows of the tables, so that it begins again.
    ///
    /// # Errors
    ///
    /// As for [`RowStore::commit`](crate::store::RowStore::commit).
    async fn forget_schema(&self, schema: &SqlSchema, reader: &str, lease: &Lease) -> Result<(), CommitError>;
}

/// The tables of one version of a projection. Another version has its own tables next to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlSchema {
    /// The projection's name.
    pub projection: Cow<'static, str>,
    /// The projection's version.
    pub version: u32,
    /// The statements that create the tables.
    pub sql: Cow<'static, str>,
}

impl SqlSchema {
    /// The tables of `P`.
    pub(crate) fn of<P: SqlProjection + SqlTables>() -> Self {
        Self {
            projection: P::NAME.into(),
            version: P::VERSION,
            sql: P::SCHEMA.into(),
        }
    }

    /// The projection with its version: `totals_v1`.
    pub fn name(&self) -> String {
        format!("{}_v{}", self.projection, self.version)
    }

    /// Returns a fingerprint of the statements that ignores the blanks between their words.
    pub fn fingerprint(&self) -> uuid::Uuid {
        let words: Vec<&str> = self.sql.split_whitespace().collect();
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, words.join(" ").as_bytes())
    }

    /// Returns the error that the tables were created by other statements. For stores.
    pub fn is_another(&self) -> StoreError {
        crate::store::rejected(format!(
            "the schema of projection `{}` has changed since the tables of its version {} were created: raise its version, or take the change back",
            self.projection, self.version
        ))
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

/// Why events were not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// An event cannot be applied.
    #[error("an event cannot be applied")]
    Poison {
        /// The event: its index among all. `None` if it is one of them, but not known which.
        index: Option<usize>,
        /// Why.
        #[source]
        error: ApplyError,
    },
    /// The store did not do it.
    #[error(transparent)]
    Commit(#[from] CommitError),
}
