//! What a store keeps for projections and subscriptions: leases, checkpoints, rows, parked events.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use foldhash::{HashSet, HashSetExt};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::rows::rejected;
pub use super::rows::{
    Compare, FieldValue, Row, RowChange, RowCount, RowCursor, RowFilter, RowGroup, RowQuery, RowTable, Zone, path,
};
use crate::store::depth_above;
use crate::{EventId, EventStore, Limits, Position, StoreError, Timestamp};

/// A store that keeps read models beside the events. What a projection did with a batch of events is one transaction: its
/// rows, its checkpoint and the proof that it is still the one to write them.
///
/// `es-conformance` checks what these methods promise, on every store alike.
#[diagnostic::on_unimplemented(
    message = "store `{Self}` keeps no projections",
    label = "keeps no rows",
    note = "it does not implement `ProjectionStore`: `#[projection(memory)]` keeps the rows in each process, over the events of any store"
)]
#[async_trait]
pub trait ProjectionStore: EventStore {
    /// Takes the lease for `owner` until `ttl` from now, by the store's own clock: those of the processes do not matter. `None`
    /// if another owner holds it. The owner that has not lost it gets it again, with the same epoch.
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError>;

    /// Keeps the lease until `ttl` from now. `false` if another owner has taken it since: then nothing may be written under it.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives the lease back, so that another owner need not wait for its end. Nothing happens if it was lost.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Keeps what the owner says of itself, for [`lease`](Self::lease), in the place of what was said before. `false` if another
    /// owner has taken the lease since, or it was given back: then nothing is kept.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if [`Report::check`] finds something.
    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError>;

    /// Who has the lease, by the store's own clock, and what was reported under it last; `None` if it was never taken.
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError>;

    /// How far the reader of this name has come; `None` if it has never begun.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Diverged`] if the event that stood at the checkpoint does not stand there now: the store was restored
    /// to an earlier point.
    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError>;

    /// Writes what a reader did with the events after `from` up to `to`: all of it or nothing. A lease that has run out is good
    /// until another owner takes it.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if [`Commit::check`] finds something, if there is no event at `to`, or if
    /// the table was not [created](Self::create_table).
    ///
    /// [`CommitError::Indeterminate`] if the outcome could not be learnt: read the [`checkpoint`](Self::checkpoint), which has
    /// moved if it was written. After every other error nothing is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the commit done as a whole or not at all.
    async fn commit(&self, commit: Commit) -> Result<(), CommitError>;

    /// Removes the checkpoint and the parked events of a reader and the rows of the table, so that it begins anew.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    async fn forget(&self, reader: &str, table: Option<&RowTable>, lease: &Lease) -> Result<(), CommitError>;

    /// Puts what was built beside in the place of what is shown: rows, checkpoint and parked events, in one transaction. Whoever
    /// reads rows reads all of them before it or all of them after it. What was built beside is gone then.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit); [`CommitError::Moved`] also if the one beside does not stand at `to`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it done as a whole or not at all.
    async fn replace(&self, replace: Replace) -> Result<(), CommitError>;

    /// Drops the table, if it is there, and forgets these readers.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit).
    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError>;

    /// The versions of a projection that have a table, in ascending order.
    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError>;

    /// The rows whose data differ, as of one moment: how many, and the first `limit` of them in the order of their keys' bytes.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if one of the tables was not created.
    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError>;

    /// Creates the table and its indexes, if they are not there. Several processes may do it at once.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if [`RowTable::check`] finds something, or if the database does not let us.
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError>;

    /// The rows with these keys as of one moment, in the order in which they are asked for.
    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError>;

    /// The rows that a query asks for, in its order.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if [`RowQuery::check`] finds something.
    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError>;

    /// Counts rows: all of them together, or those with an equal value of a field, in the order of the values and those whose field
    /// [does not compare](FieldValue) last. No group is empty, but that of all rows may be.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if [`RowCount::check`] finds something.
    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError>;

    /// The events that a reader has parked, in the order of their positions: those above `after`.
    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError>;
}

#[async_trait]
impl<S: ProjectionStore + ?Sized> ProjectionStore for Arc<S> {
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

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        (**self).commit(commit).await
    }

    async fn forget(&self, reader: &str, table: Option<&RowTable>, lease: &Lease) -> Result<(), CommitError> {
        (**self).forget(reader, table, lease).await
    }

    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        (**self).replace(replace).await
    }

    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        (**self).drop_table(table, readers, lease).await
    }

    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        (**self).versions(projection).await
    }

    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError> {
        (**self).differences(old, new, limit).await
    }

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

    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        (**self).parked(reader, after, limit).await
    }
}

/// The right to write under a name, until another owner takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: String,
    /// Who holds it.
    pub owner: String,
    /// Rises each time that it is taken anew, after another owner or after it was given back: what is written under an older
    /// one is refused.
    pub epoch: u64,
}

impl Lease {
    /// For how long a lease is given at most, whatever is asked for.
    pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
}

/// A lease as everybody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseState {
    /// Who has it. `None` if it was given back, or has run out: whoever asks gets it.
    pub owner: Option<String>,
    /// The epoch in which it was taken last.
    pub epoch: u64,
    /// What was reported last. It stays when the lease is given back or taken by another owner.
    pub report: Option<Report>,
}

/// What an owner said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it said.
    pub text: String,
    /// In which epoch of the lease.
    pub epoch: u64,
    /// When, by the store's clock.
    pub at: Timestamp,
}

impl Report {
    /// How many bytes a report may have.
    pub const LONGEST: usize = 64 << 10;

    /// Checks what every store checks before any I/O. For stores.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if the text is longer than [`LONGEST`](Self::LONGEST), or holds a NUL.
    pub fn check(text: &str) -> Result<(), StoreError> {
        if text.len() > Self::LONGEST || text.contains('\0') {
            return Err(rejected(format!(
                "a report has up to {} bytes without NUL, this one has {} bytes",
                Self::LONGEST,
                text.len()
            )));
        }
        Ok(())
    }
}

/// How far a reader of the log has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Every event up to here is done.
    pub position: Position,
    /// When it was moved last, by the store's clock.
    pub updated_at: Timestamp,
}

/// What a reader did with a stretch of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The reader's name.
    pub reader: String,
    /// The lease under which it works.
    pub lease: Lease,
    /// Where its checkpoint stands: [`Position::ZERO`] if it has none.
    pub from: Position,
    /// Where its checkpoint goes: an event of the log, or [`Position::ZERO`] for a reader that begins at the beginning. Not below
    /// `from`. The store keeps the event's id with it.
    pub to: Position,
    /// The table of `rows`.
    pub table: Option<RowTable>,
    /// The rows that change, each key once.
    pub rows: Vec<RowChange>,
    /// Events that are put aside, wherever they stand; of one that is parked already error and attempts are replaced.
    pub park: Vec<Parked>,
    /// Positions of parked events that are done now. All of them are parked, or else nothing is written: what two have in hand
    /// is done by one.
    pub unpark: Vec<Position>,
}

/// What was built beside takes the place of what is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// The lease under which both were written.
    pub lease: Lease,
    /// The reader whose rows are shown.
    pub reader: String,
    /// Its table.
    pub table: RowTable,
    /// Where its checkpoint stands.
    pub from: Position,
    /// The reader that has built rows beside.
    pub beside: String,
    /// Its table.
    pub table_beside: RowTable,
    /// Where its checkpoint stands: not below `from`.
    pub to: Position,
}

impl Replace {
    /// Checks what every store checks before any I/O. For stores.
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

/// How the rows of two tables differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// How many rows differ.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Difference>,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its key.
    pub key: String,
    /// What it holds in the old table, in JSON; `None` if it is not there.
    pub old: Option<String>,
    /// What it holds in the new one.
    pub new: Option<String>,
}

impl Commit {
    /// How many bytes a key of a row may have.
    pub const LONGEST_KEY: usize = 1024;

    /// Checks what every store checks before any I/O: that each part can be stored in every database as it is. For stores.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected), for the first thing found.
    pub fn check(&self) -> Result<(), StoreError> {
        check_name("reader", &self.reader)?;
        check_name("lease", &self.lease.name)?;
        if self.to < self.from {
            return Err(rejected(format!(
                "the checkpoint of `{}` cannot go back from {} to {}: forget the reader to begin anew",
                self.reader, self.from, self.to
            )));
        }
        match &self.table {
            Some(table) => table.check()?,
            None if self.rows.is_empty() => {}
            None => return Err(rejected(format!("the rows of `{}` need a table", self.reader))),
        }
        let mut keys = HashSet::with_capacity(self.rows.len());
        for row in &self.rows {
            let key = &*row.key;
            if key.is_empty() || key.len() > Self::LONGEST_KEY || key.contains('\0') {
                return Err(rejected(format!(
                    "{key:?} cannot be the key of a row: use 1 to {} bytes without NUL",
                    Self::LONGEST_KEY
                )));
            }
            if !keys.insert(key) {
                return Err(rejected(format!("key {key:?} stands twice in one commit")));
            }
            if let Some(data) = &row.data {
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
        }
        let parked = self.park.iter().find(|parked| parked.error.contains('\0'));
        parked.map_or(Ok(()), |parked| {
            Err(rejected(format!(
                "the error of position {} holds a NUL",
                parked.position
            )))
        })
    }
}

/// Whether a reader, a lease or an owner can be named so in every database. For stores.
///
/// # Errors
///
/// [`Rejected`](crate::StoreErrorKind::Rejected) unless it has 1 to 512 bytes without NUL.
pub fn check_name(what: &str, name: &str) -> Result<(), StoreError> {
    if name.is_empty() || name.len() > 512 || name.contains('\0') {
        return Err(rejected(format!(
            "{name:?} cannot name a {what}: use 1 to 512 bytes without NUL"
        )));
    }
    Ok(())
}

/// An event that a reader could not handle and put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The event's number in the store.
    pub position: Position,
    /// The event.
    pub event: EventId,
    /// What went wrong at the last attempt.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// Why a checkpoint was not given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The event that stood at the checkpoint does not stand there now: the store was restored to an earlier point.
    #[error(
        "`{reader}` stands at position {position} with event {expected}, but {}: the store was restored to an earlier point. Rebuild it",
        match found {
            Some(found) if found == expected => "the log was marked as another one since".to_owned(),
            Some(found) => format!("event {found} stands there now"),
            None => "no event stands there now".to_owned(),
        }
    )]
    Diverged {
        /// The reader.
        reader: String,
        /// Where its checkpoint stands.
        position: Position,
        /// The event that stood there.
        expected: EventId,
        /// The event that stands there now. The same if the log was given a new epoch since.
        found: Option<EventId>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a commit was not done, or is not known to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Another owner has the lease: stop.
    #[error("`{lease}` is held by another owner")]
    LeaseLost {
        /// The lease's name.
        lease: String,
    },
    /// The checkpoint does not stand where the stretch begins.
    #[error("the checkpoint of `{reader}` stands at {actual}, not at {expected}")]
    Moved {
        /// The reader.
        reader: String,
        /// Where it was said to stand.
        expected: Position,
        /// Where it stands.
        actual: Position,
    },
    /// An event that was to be parked no more is not parked: it was done meanwhile.
    #[error("position {position} is not parked for `{reader}`")]
    NotParked {
        /// The reader.
        reader: String,
        /// Where the event stands.
        position: Position,
    },
    /// It is not known whether the commit was done: read the checkpoint.
    #[error("it is not known whether the batch was written")]
    Indeterminate(#[source] StoreError),
    /// The store failed; nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
