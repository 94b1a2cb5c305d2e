//! The writer's work for projections, within one of its transactions.

use std::time::Duration;

use es_runtime::store::{Advance, Commit, CommitError, Lease, Replace, RowChange, RowTable};
use es_runtime::{EventId, Position, StoreError, StoreErrorKind};
use rusqlite::{Connection, OptionalExtension};

use super::sql::SqliteTransaction;
use super::table::TableSql;
use crate::error::Problem;
use crate::rows;
use crate::statements::Statements;
use crate::states::States;

/// The time by the clock of SQLite, in microseconds.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
    };
}
pub(super) use now;

/// SQL for "the lease has not ended". A lease that would last longer than its length was given before the clock was set
/// back.
macro_rules! is_held {
    () => {
        concat!(now!(), " BETWEEN expires_at - length AND expires_at - 1")
    };
}
pub(super) use is_held;

/// Writes what is kept for projections. Every method checks all that can be refused before it writes anything.
pub(crate) struct ProjectionWriter<'c> {
    pub(crate) states: States<'c>,
    pub(crate) statements: Statements<'c>,
    /// The transaction passed to the user's methods, with their statements.
    pub(super) sql: SqliteTransaction<'c>,
}

/// The result of a write, or the reason why it was refused without a trace.
pub(super) type Outcome<T, E> = Result<Result<T, E>, Problem>;

impl<'c> ProjectionWriter<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self {
            states: States::new(connection),
            statements: Statements::new(connection),
            sql: SqliteTransaction::new(connection),
        }
    }

    /// The epoch of the lease, if it could be taken.
    pub(crate) fn acquire(&mut self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<u64>, Problem> {
        let sql = concat!(
            "INSERT INTO leases (name, owner, epoch, expires_at, length) VALUES (?1, ?2, 1, ",
            now!(),
            " + ?3, ?3)
             ON CONFLICT (name) DO UPDATE
             SET owner = excluded.owner, epoch = epoch + (owner IS NOT excluded.owner),
                 expires_at = excluded.expires_at, length = excluded.length
             WHERE owner IS NULL OR owner = excluded.owner
                OR NOT (",
            is_held!(),
            ") RETURNING epoch"
        );
        let taken = self
            .statements
            .get(sql)?
            .query_row((lease, owner, micros(ttl)), |row| row.get(0))
            .optional()?;
        Ok(taken.map(rows::number))
    }

    pub(crate) fn renew(&mut self, lease: &Lease, ttl: Duration) -> Result<bool, Problem> {
        let sql = concat!(
            "UPDATE leases SET expires_at = ",
            now!(),
            " + ?4, length = ?4 WHERE name = ?1 AND owner = ?2 AND epoch = ?3"
        );
        let arguments = (&lease.name, &lease.owner, rows::column(lease.epoch), micros(ttl));
        Ok(self.statements.get(sql)?.execute(arguments)? > 0)
    }

    pub(crate) fn release(&mut self, lease: &Lease) -> Result<(), Problem> {
        let sql = "UPDATE leases SET owner = NULL WHERE name = ?1 AND owner = ?2 AND epoch = ?3";
        let arguments = (&lease.name, &lease.owner, rows::column(lease.epoch));
        self.statements.get(sql)?.execute(arguments)?;
        Ok(())
    }

    pub(crate) fn report(&mut self, lease: &Lease, text: &str) -> Result<bool, Problem> {
        if !self.holds(lease)? {
            return Ok(false);
        }
        let sql = concat!(
            "INSERT INTO reports (lease, epoch, text, reported_at) VALUES (?1, ?2, ?3, ",
            now!(),
            ") ON CONFLICT (lease) DO UPDATE
             SET epoch = excluded.epoch, text = excluded.text, reported_at = excluded.reported_at"
        );
        self.statements
            .get(sql)?
            .execute((&lease.name, rows::column(lease.epoch), text))?;
        Ok(true)
    }

    pub(crate) fn create_table(&mut self, table: &RowTable) -> Outcome<(), StoreError> {
        let sql = TableSql::new(table);
        let mut steps = vec![sql.create()];
        for field in table.indexes.iter() {
            match sql.create_index(table, field) {
                Ok(step) => steps.push(step),
                Err(error) => return Ok(Err(error)),
            }
        }
        for step in steps {
            self.statements.connection().execute(&step, [])?;
        }
        Ok(Ok(()))
    }

    pub(crate) fn commit(&mut self, commit: &Commit) -> Outcome<(), CommitError> {
        if let Err(refused) = self.check(&commit.advance)? {
            return Ok(Err(refused));
        }
        if let Err(absent) = self.check_table(&commit.table)? {
            return Ok(Err(absent.into()));
        }
        self.write_rows(&commit.table, &commit.rows)?;
        self.record(&commit.advance)?;
        Ok(Ok(()))
    }

    pub(super) fn write_rows(&mut self, table: &RowTable, rows: &[RowChange]) -> Result<(), Problem> {
        let sql = TableSql::new(table);
        let (upsert, delete) = (sql.upsert(), sql.delete());
        for row in rows {
            match &row.data {
                Some(data) => {
                    let row = (&row.key, rows::payload(data), rows::column(row.position.0));
                    self.statements.get(&upsert)?.execute(row)?
                }
                None => self.statements.get(&delete)?.execute([&row.key])?,
            };
        }
        Ok(())
    }

    pub(crate) fn advance(&mut self, advance: &Advance) -> Outcome<(), CommitError> {
        if let Err(refused) = self.check(advance)? {
            return Ok(Err(refused));
        }
        self.record(advance)?;
        Ok(Ok(()))
    }

    /// Writes what nothing speaks against any more.
    pub(super) fn record(&mut self, advance: &Advance) -> Result<(), Problem> {
        for parked in &advance.park {
            self.statements
                .get(
                    "INSERT INTO parked (reader, position, event_id, reason, error, attempts)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET event_id = excluded.event_id, reason = excluded.reason,
                                               error = excluded.error, attempts = excluded.attempts",
                )?
                .execute((
                    &advance.reader,
                    rows::column(parked.position.0),
                    parked.event.0.as_bytes(),
                    parked.reason.name(),
                    &parked.error,
                    parked.attempts,
                ))?;
        }
        for position in &advance.unpark {
            self.statements
                .get("DELETE FROM parked WHERE reader = ?1 AND position = ?2")?
                .execute((&advance.reader, rows::column(position.0)))?;
        }
        self.stand(&advance.reader, advance.to, advance.event)
    }

    /// Writes where the reader stands.
    pub(super) fn stand(&mut self, reader: &str, position: Position, event: Option<EventId>) -> Result<(), Problem> {
        let sql = concat!(
            "INSERT INTO checkpoints (reader, position, event_id, updated_at)
             VALUES (?1, ?2, ?3, ",
            now!(),
            ") ON CONFLICT (reader) DO UPDATE
             SET position = excluded.position, event_id = excluded.event_id, updated_at = excluded.updated_at"
        );
        let event = event.as_ref().map(|event| event.0.as_bytes());
        self.statements
            .get(sql)?
            .execute((reader, rows::column(position.0), event))?;
        Ok(())
    }

    pub(crate) fn forget(&mut self, reader: &str, table: Option<&RowTable>, lease: &Lease) -> Outcome<(), CommitError> {
        if !self.holds(lease)? {
            return Ok(Err(lost(lease)));
        }
        if let Some(table) = table {
            if let Err(absent) = self.check_table(table)? {
                return Ok(Err(absent.into()));
            }
            self.statements.get(&TableSql::new(table).clear())?.execute([])?;
        }
        self.forget_reader(reader)?;
        Ok(Ok(()))
    }

    pub(crate) fn replace(&mut self, replace: &Replace) -> Outcome<(), CommitError> {
        if !self.holds(&replace.lease)? {
            return Ok(Err(lost(&replace.lease)));
        }
        for (reader, expected) in [(&replace.beside, replace.to), (&replace.reader, replace.from)] {
            let actual = self.position(reader)?;
            if actual != expected {
                return Ok(Err(CommitError::Moved {
                    reader: reader.clone(),
                    expected,
                    actual,
                }));
            }
        }
        for table in [&replace.table, &replace.table_beside] {
            if let Err(absent) = self.check_table(table)? {
                return Ok(Err(absent.into()));
            }
        }
        let beside = TableSql::new(&replace.table_beside);
        for step in TableSql::new(&replace.table).replace(&beside) {
            self.statements.get(&step)?.execute([])?;
        }
        let sql = concat!(
            "UPDATE OR REPLACE checkpoints SET reader = ?1, updated_at = ",
            now!(),
            " WHERE reader = ?2"
        );
        self.statements.get(sql)?.execute((&replace.reader, &replace.beside))?;
        self.statements
            .get("DELETE FROM parked WHERE reader = ?1")?
            .execute([&replace.reader])?;
        self.statements
            .get("UPDATE parked SET reader = ?1 WHERE reader = ?2")?
            .execute((&replace.reader, &replace.beside))?;
        self.statements.connection().execute(&beside.drop(), [])?;
        Ok(Ok(()))
    }

    pub(crate) fn drop_table(
        &mut self,
        table: &RowTable,
        readers: &[String],
        lease: &Lease,
    ) -> Outcome<(), CommitError> {
        if !self.holds(lease)? {
            return Ok(Err(lost(lease)));
        }
        self.drop_schema(&table.name())?;
        self.statements.connection().execute(&TableSql::new(table).drop(), [])?;
        for reader in readers {
            self.forget_reader(reader)?;
        }
        Ok(Ok(()))
    }

    fn forget_reader(&mut self, reader: &str) -> Result<(), Problem> {
        for sql in [
            "DELETE FROM checkpoints WHERE reader = ?1",
            "DELETE FROM parked WHERE reader = ?1",
        ] {
            self.statements.get(sql)?.execute([reader])?;
        }
        Ok(())
    }

    /// Everything that can speak against it.
    pub(super) fn check(&mut self, advance: &Advance) -> Outcome<(), CommitError> {
        if !self.holds(&advance.lease)? {
            return Ok(Err(lost(&advance.lease)));
        }
        let actual = self.position(&advance.reader)?;
        if actual != advance.from {
            return Ok(Err(CommitError::Moved {
                reader: advance.reader.clone(),
                expected: advance.from,
                actual,
            }));
        }
        for position in &advance.unpark {
            if !self.is_parked(&advance.reader, *position)? {
                return Ok(Err(CommitError::NotParked {
                    reader: advance.reader.clone(),
                    position: *position,
                }));
            }
        }
        Ok(Ok(()))
    }

    pub(super) fn holds(&mut self, lease: &Lease) -> Result<bool, Problem> {
        let sql = "SELECT 1 FROM leases WHERE name = ?1 AND owner = ?2 AND epoch = ?3";
        let arguments = (&lease.name, &lease.owner, rows::column(lease.epoch));
        Ok(self.statements.get(sql)?.exists(arguments)?)
    }

    fn position(&mut self, reader: &str) -> Result<Position, Problem> {
        let sql = "SELECT position FROM checkpoints WHERE reader = ?1";
        let position = self
            .statements
            .get(sql)?
            .query_row([reader], |row| row.get(0))
            .optional()?;
        Ok(Position(rows::number(position.unwrap_or(0))))
    }

    pub(super) fn event_at(&mut self, position: Position) -> Result<Option<EventId>, Problem> {
        let sql = "SELECT event_id FROM recorded_events WHERE position = ?1";
        let mut found = self.statements.get(sql)?.query([rows::column(position.0)])?;
        Ok(match found.next()? {
            Some(row) => Some(EventId(rows::uuid(row, 0)?)),
            None => None,
        })
    }

    fn is_parked(&mut self, reader: &str, position: Position) -> Result<bool, Problem> {
        let sql = "SELECT 1 FROM parked WHERE reader = ?1 AND position = ?2";
        Ok(self.statements.get(sql)?.exists((reader, rows::column(position.0)))?)
    }

    pub(super) fn check_table(&mut self, table: &RowTable) -> Outcome<(), StoreError> {
        check_table(&mut self.statements, table)
    }
}

/// Checks that the table was created.
pub(super) fn check_table(statements: &mut Statements<'_>, table: &RowTable) -> Outcome<(), StoreError> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let name = table.name();
    let is_there = statements.get(sql)?.exists([&name])?;
    Ok(is_there
        .then_some(())
        .ok_or_else(|| rejected(format!("there is no table `{name}`: create it first"))))
}

pub(super) fn lost(lease: &Lease) -> CommitError {
    CommitError::LeaseLost {
        lease: lease.name.clone(),
    }
}

pub(super) fn rejected(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Rejected, message)
}

fn micros(ttl: Duration) -> i64 {
    i64::try_from(ttl.min(Lease::LONGEST).as_micros()).unwrap_or(i64::MAX)
}
