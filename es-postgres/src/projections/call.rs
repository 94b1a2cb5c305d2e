use es_runtime::Position;
use es_runtime::store::{Advance, CommitError, Lease, RowChange, RowTable};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{lost, no_table, rejected};
use crate::error::Problem;
use crate::rows::{Json, column, number};

/// The statement that moves a checkpoint and writes rows, for a schema called `es`.
pub(super) const COMMIT: &str = "SELECT outcome, actual FROM \"es\".commit_batch(\
     $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

/// The work of a reader, as the arguments of [`COMMIT`].
pub(super) struct Call<'a> {
    advance: &'a Advance,
    epoch: i64,
    from: i64,
    to: i64,
    event: Option<Uuid>,
    table: Option<String>,
    keys: Vec<&'a str>,
    data: Vec<Json<'a>>,
    positions: Vec<i64>,
    deleted: Vec<&'a str>,
    parked: Vec<i64>,
    events: Vec<Uuid>,
    reasons: Vec<&'a str>,
    errors: Vec<&'a str>,
    attempts: Vec<i64>,
    unparked: Vec<i64>,
}

impl<'a> Call<'a> {
    pub(super) fn new(advance: &'a Advance, table: Option<&RowTable>, rows: &'a [RowChange]) -> Self {
        let mut changes: Vec<_> = rows.iter().collect();
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
            advance,
            epoch: column(advance.lease.epoch),
            from: column(advance.from.0),
            to: column(advance.to.0),
            event: advance.event.map(|event| event.0),
            table: table.map(RowTable::name),
            keys,
            data,
            positions,
            deleted,
            parked: advance.park.iter().map(|parked| column(parked.position.0)).collect(),
            events: advance.park.iter().map(|parked| parked.event.0).collect(),
            reasons: advance.park.iter().map(|parked| parked.reason.name()).collect(),
            errors: advance.park.iter().map(|parked| &*parked.error).collect(),
            attempts: advance.park.iter().map(|parked| parked.attempts.into()).collect(),
            unparked: advance.unpark.iter().map(|position| column(position.0)).collect(),
        }
    }

    pub(super) fn arguments(&self) -> [&(dyn ToSql + Sync); 18] {
        let Lease { name, owner, .. } = &self.advance.lease;
        [
            &self.advance.reader,
            name,
            owner,
            &self.epoch,
            &self.from,
            &self.to,
            &self.event,
            &self.table,
            &self.keys,
            &self.data,
            &self.positions,
            &self.deleted,
            &self.parked,
            &self.events,
            &self.reasons,
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

    /// Checks that it is done: the move of the checkpoint, with rows of this table.
    pub(super) fn of(&self, advance: Advance, table: Option<&RowTable>) -> Result<(), CommitError> {
        let reader = advance.reader;
        match (self.outcome, table) {
            ("done", _) => Ok(()),
            ("lost", _) => Err(lost(&advance.lease)),
            ("elsewhere", _) => Err(CommitError::Moved {
                reader,
                expected: advance.from,
                actual: self.actual(),
            }),
            ("not_parked", _) => Err(CommitError::NotParked {
                reader,
                position: self.actual(),
            }),
            ("no_table", Some(table)) => Err(no_table(table).into()),
            (outcome, _) => Err(rejected(format!(
                "the checkpoint of `{reader}` cannot be moved ({outcome}): read it again"
            ))
            .into()),
        }
    }
}
