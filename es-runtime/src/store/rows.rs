//! The part of a store that projections use: tables of rows, each written together with the checkpoint of its reader.

use async_trait::async_trait;
use foldhash::{HashSet, HashSetExt};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::cursors::check_name;
use super::row_query::rejected;
use super::{Advance, CommitError, Lease, Limits, Row, RowChange, RowCount, RowGroup, RowQuery, RowTable, depth_above};
use crate::{Position, StoreError};

/// Keeps tables of rows. A projection's work on a batch of events is one transaction: its rows, its checkpoint and the
/// proof of its lease. The checkpoint is that of the [`CursorStore`](super::CursorStore) which is this same store.
///
/// `es-conformance` checks the promises of these methods, on every store alike.
#[async_trait]
pub trait RowStore: Send + Sync + 'static {
    /// Creates the table and its indexes, if they are not there. Several processes may do it at once.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if the database does not let us.
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError>;

    /// Returns the rows with these keys at one moment, in the order of the keys given.
    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError>;

    /// Returns the rows of a query, in its order.
    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError>;

    /// Counts rows: all of them together, or those with an equal value of a field, in the order of the values and those whose field
    /// [does not compare](super::FieldValue) last. No group is empty, but that of all rows may be.
    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError>;

    /// Writes the work of a reader on the events after `from` up to `to`, its rows and its checkpoint: all of it or
    /// nothing. An expired lease is valid until another owner takes it.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if the table was not [created](Self::create_table).
    ///
    /// [`CommitError::Indeterminate`] if the outcome is unknown: read the checkpoint, which has moved if it was
    /// written. After every other error nothing is written.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the commit done as a whole or not at all.
    async fn commit(&self, commit: Commit) -> Result<(), CommitError>;

    /// Removes the rows of the table, and the checkpoint and the parked events of the reader, so that it begins again.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    async fn clear(&self, table: &RowTable, reader: &str, lease: &Lease) -> Result<(), CommitError>;

    /// Replaces the current rows with the rebuilt ones: rows, checkpoint and parked events, in one transaction. A
    /// reader sees either all old rows or all new ones. The second table is then gone.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit); [`CommitError::Moved`] also if the rebuilding reader is not at `to`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it done as a whole or not at all.
    async fn replace(&self, replace: Replace) -> Result<(), CommitError>;

    /// Returns the rows whose data differ, at one moment: their number, and the first `limit` of them in the order of
    /// their keys' bytes.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if one of the tables was not created.
    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError>;

    /// Returns the versions of a projection that have a table, in ascending order.
    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError>;

    /// Drops the table, if it is there, and forgets these readers.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError>;
}

/// A reader's work on a part of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The move of its checkpoint.
    pub advance: Advance,
    /// The table of `rows`.
    pub table: RowTable,
    /// The rows that change, each key once.
    pub rows: Vec<RowChange>,
}

impl Commit {
    /// The most bytes in a key of a row.
    pub const LONGEST_KEY: usize = 1024;

    /// Checks that each part can be stored in every database as it is.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected), for the first thing found.
    pub fn check(&self) -> Result<(), StoreError> {
        self.advance.check()?;
        self.table.check()?;
        let mut keys = HashSet::with_capacity(self.rows.len());
        for row in &self.rows {
            row.check()?;
            let key = &*row.key;
            if !keys.insert(key) {
                return Err(rejected(format!("key {key:?} stands twice in one commit")));
            }
        }
        Ok(())
    }
}

impl RowChange {
    /// Checks that it can be stored in every database as it is.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) with what is wrong.
    pub fn check(&self) -> Result<(), StoreError> {
        let key = &*self.key;
        if key.is_empty() || key.len() > Commit::LONGEST_KEY || key.contains('\0') {
            return Err(rejected(format!(
                "{key:?} cannot be the key of a row: use 1 to {} bytes without NUL",
                Commit::LONGEST_KEY
            )));
        }
        if let Some(data) = &self.data {
            let most = Limits::default().payload_depth;
            let no_json = |error: Box<dyn std::error::Error + Send + Sync>| {
                rejected(format!("the row of key {key:?} is not JSON")).caused_by(error)
            };
            // Parsing alone does not look into strings.
            let text = std::str::from_utf8(data).map_err(|error| no_json(Box::new(error)))?;
            let _: IgnoredAny = serde_json::from_str(text).map_err(|error| no_json(Box::new(error)))?;
            if depth_above(data, most) > most {
                return Err(rejected(format!("the row of key {key:?} is deeper than {most} levels")));
            }
        }
        Ok(())
    }
}

/// A replacement of the current rows by the rebuilt ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// The lease under which both were written.
    pub lease: Lease,
    /// The reader whose rows are shown.
    pub reader: String,
    /// Its table.
    pub table: RowTable,
    /// The position of its checkpoint.
    pub from: Position,
    /// The reader that has rebuilt the rows.
    pub beside: String,
    /// Its table.
    pub table_beside: RowTable,
    /// The position of its checkpoint: not below `from`.
    pub to: Position,
}

impl Replace {
    /// Checks that both can be named so in every database, and that nothing goes back.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) with what is wrong.
    pub fn check(&self) -> Result<(), StoreError> {
        check_name("reader", &self.reader)?;
        check_name("reader", &self.beside)?;
        check_name("lease", &self.lease.name)?;
        self.table.check()?;
        self.table_beside.check()?;
        if self.to < self.from || self.table == self.table_beside || self.reader == self.beside {
            return Err(rejected(format!(
                "`{}` at {} cannot be replaced by `{}` at {}: it would go back",
                self.reader, self.from, self.beside, self.to
            )));
        }
        Ok(())
    }
}

/// The differences between the rows of two tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// The number of rows that differ.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Difference>,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its key.
    pub key: String,
    /// Its content in the old table, in JSON; `None` if it is not there.
    pub old: Option<String>,
    /// Its content in the new table.
    pub new: Option<String>,
}
