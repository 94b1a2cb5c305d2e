use es_runtime::Position;
use es_runtime::projection::store::{Commit, CommitError, Lease, RowTable};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{lost, no_table, rejected};
use crate::error::Problem;
use crate::rows::{Json, column, number};

/// The statement that does a commit, for a schema called `es`.
pub(super) const COMMIT: &str = "SELECT outcome, actual FROM \"es\".commit_batch(\
     $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

/// A commit as the arguments of [`COMMIT`].
pub(super) struct Call<'a> {
    commit: &'a Commit,
    epoch: i64,
    from: i64,
    to: i64,
    table: Option<String>,
    keys: Vec<&'a str>,
    data: Vec<Json<'a>>,
    positions: Vec<i64>,
    deleted: Vec<&'a str>,
    parked: Vec<i64>,
    events: Vec<Uuid>,
    errors: Vec<&'a str>,
    attempts: Vec<i64>,
    unparked: Vec<i64>,
}

impl<'a> Call<'a> {
    pub(super) fn new(commit: &'a Commit) -> Self {
        let mut changes: Vec<_> = commit.rows.iter().collect();
        // Commits that meet in some rows lock them in one order. An index is written from left to right, too.
        changes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let (mut keys, mut data, mut positions, mut deleted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            match &change.data {
                None => deleted.push(&*change.key),
                Some(json) => {
                    keys.push(&*change.key);
                    data.push(Json(json));
                    positions.push(column(change.position.0));
                }
            }
        }
        Self {
            commit,
            epoch: column(commit.lease.epoch),
            from: column(commit.from.0),
            to: column(commit.to.0),
            table: commit.table.as_ref().map(RowTable::name),
            keys,
            data,
            positions,
            deleted,
            parked: commit.park.iter().map(|parked| column(parked.position.0)).collect(),
            events: commit.park.iter().map(|parked| parked.event.0).collect(),
            errors: commit.park.iter().map(|parked| &*parked.error).collect(),
            attempts: commit.park.iter().map(|parked| parked.attempts.into()).collect(),
            unparked: commit.unpark.iter().map(|position| column(position.0)).collect(),
        }
    }

    pub(super) fn arguments(&self) -> [&(dyn ToSql + Sync); 16] {
        let Lease { name, owner, .. } = &self.commit.lease;
        [
            &self.commit.reader,
            name,
            owner,
            &self.epoch,
            &self.from,
            &self.to,
            &self.table,
            &self.keys,
            &self.data,
            &self.positions,
            &self.deleted,
            &self.parked,
            &self.events,
            &self.errors,
            &self.attempts,
            &self.unparked,
        ]
    }
}

/// The answer of the functions that write.
pub(super) struct Answer<'a> {
    pub(super) outcome: &'a str,
    actual: Option<i64>,
}

impl<'a> Answer<'a> {
    pub(super) fn read(row: &'a tokio_postgres::Row) -> Result<Self, CommitError> {
        let read = || -> Result<Self, tokio_postgres::Error> {
            Ok(Self {
                outcome: row.try_get(0)?,
                actual: row.try_get(1)?,
            })
        };
        read().map_err(|error| CommitError::Indeterminate(Problem::from(error).while_doing("read an answer")))
    }

    pub(super) fn actual(&self) -> Position {
        Position(number(self.actual.unwrap_or(0)))
    }

    /// Returns whether `commit` is done.
    pub(super) fn of(&self, commit: Commit) -> Result<(), CommitError> {
        let reader = commit.reader;
        match (self.outcome, commit.table) {
            ("done", _) => Ok(()),
            ("lost", _) => Err(lost(&commit.lease)),
            ("elsewhere", _) => Err(CommitError::Moved {
                reader,
                expected: commit.from,
                actual: self.actual(),
            }),
            ("not_parked", _) => Err(CommitError::NotParked {
                reader,
                position: self.actual(),
            }),
            ("no_table", Some(table)) => Err(no_table(&table).into()),
            ("no_event", _) => Err(rejected(format!(
                "there is no event at {} for the checkpoint of `{reader}`",
                commit.to
            ))
            .into()),
            (outcome, _) => Err(rejected(format!(
                "the checkpoint of `{reader}` cannot be moved ({outcome}): read it again"
            ))
            .into()),
        }
    }
}
