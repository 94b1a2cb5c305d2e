//! The writer's work for SQL projections, within one of its transactions. A refused step is rolled back alone.

use es_runtime::StoreError;
use es_runtime::projection::ApplyError;
use es_runtime::projection::sql::{SqlSchema, Steps, WriteError};
use es_runtime::store::{Advance, CommitError, Lease};
use futures_util::FutureExt as _;
use rusqlite::{ErrorCode, OptionalExtension as _, ffi};

use super::sql::SqliteTransaction;
use super::writer::{Outcome, ProjectionWriter, lost, rejected};
use crate::error::Problem;

impl ProjectionWriter<'_> {
    /// Runs the steps, and writes what the projection did; without `advance` all of it is undone.
    pub(crate) fn run_steps(
        &mut self,
        steps: &Steps<SqliteTransaction<'static>>,
        advance: Option<&Advance>,
    ) -> Outcome<(), WriteError> {
        if let Some(advance) = advance
            && let Err(refused) = self.check(advance)?
        {
            return Ok(Err(refused.into()));
        }
        self.savepoint()?;
        match (self.run(steps)?, advance) {
            (Ok(()), Some(advance)) => {
                self.record(advance)?;
                self.keep()?;
                Ok(Ok(()))
            }
            (ran, _) => {
                self.undo()?;
                Ok(ran)
            }
        }
    }

    pub(super) fn run(&mut self, steps: &Steps<SqliteTransaction<'static>>) -> Outcome<(), WriteError> {
        for step in 0..steps.len() {
            // A blocking transaction leaves nothing to wait for.
            let Some(ran) = steps.run(step, &mut self.sql).now_or_never() else {
                return Ok(Err(rejected(
                    "a method waits for something: on SQLite it is a plain `fn`".to_owned(),
                )
                .into()));
            };
            let passing = ran.as_ref().err().and_then(passing);
            match (passing, ran) {
                (Some(problem), _) => return Err(problem),
                _ if self.is_over() => return Err(Problem::Ended),
                (None, Ok(())) => {}
                (None, Err(error)) => {
                    let index = Some(steps.event(step));
                    return Ok(Err(WriteError::Poison { index, error }));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Creates the tables of a projection, unless they were.
    pub(crate) fn create_schema(&mut self, schema: &SqlSchema) -> Outcome<(), StoreError> {
        let sql = "SELECT fingerprint = ?2 FROM projection_schemas WHERE name = ?1";
        let fingerprint = schema.fingerprint();
        let arguments = (schema.name(), fingerprint.as_bytes());
        let known = self
            .statements
            .get(sql)?
            .query_row(arguments, |row| row.get(0))
            .optional()?;
        match known {
            Some(true) => Ok(Ok(())),
            Some(false) => Ok(Err(schema.is_another())),
            None => {
                self.savepoint()?;
                let created = self.create(schema)?;
                if created.is_ok() {
                    self.keep()?;
                } else {
                    self.undo()?;
                }
                Ok(created)
            }
        }
    }

    fn create(&mut self, schema: &SqlSchema) -> Outcome<(), StoreError> {
        let refuse = |why: &str| rejected(format!("the schema of projection `{}` {why}", schema.projection));
        let words: Vec<&str> = schema.sql.split_whitespace().collect();
        if words.join(" ").to_ascii_uppercase().contains("IF NOT EXISTS") {
            let why = "says `IF NOT EXISTS`: remove that, for each version creates tables of its own, with names of their own";
            return Ok(Err(refuse(why)));
        }
        let before = self.tables()?;
        let created = self.statements.connection().execute_batch(&schema.sql);
        if let Err(error) = created {
            return match passing_code(&error) {
                Some(problem) => Err(problem),
                None if self.is_over() => Err(Problem::Ended),
                None => Ok(Err(refuse(&format!("is refused: {error}")).caused_by(error))),
            };
        }
        if self.is_over() {
            return Err(Problem::Ended);
        }
        let tables: Vec<String> = self
            .tables()?
            .into_iter()
            .filter(|table| !before.contains(table))
            .collect();
        if tables.is_empty() {
            return Ok(Err(refuse("creates no table: add `CREATE TABLE …`")));
        }
        let tables = serde_json::to_string(&tables).unwrap_or_else(|_| unreachable!("text has a JSON form"));
        self.statements
            .get("INSERT INTO projection_schemas (name, fingerprint, tables) VALUES (?1, ?2, ?3)")?
            .execute((schema.name(), schema.fingerprint().as_bytes(), tables))?;
        Ok(Ok(()))
    }

    /// Removes all rows of the tables, with the checkpoint and the parked events.
    pub(crate) fn forget_schema(
        &mut self,
        schema: &SqlSchema,
        reader: &str,
        lease: &Lease,
    ) -> Outcome<(), CommitError> {
        if !self.holds(lease)? {
            return Ok(Err(lost(lease)));
        }
        let tables = self.tables_of(&schema.name())?;
        self.savepoint()?;
        for table in tables {
            let emptied = self
                .statements
                .connection()
                .execute(&format!("DELETE FROM \"{}\"", table.replace('"', "\"\"")), []);
            if let Err(error) = emptied {
                if let Some(problem) = passing_code(&error) {
                    return Err(problem);
                }
                self.undo()?;
                let message = format!(
                    "cannot empty table `{table}` of projection `{}`: {error}",
                    schema.projection
                );
                return Ok(Err(rejected(message).caused_by(error).into()));
            }
        }
        self.keep()?;
        self.forget(reader, None, lease)
    }

    /// Drops the tables of a version of an SQL projection, if it is one.
    pub(super) fn drop_schema(&mut self, name: &str) -> Result<(), Problem> {
        for table in self.tables_of(name)? {
            let drop = format!("DROP TABLE IF EXISTS \"{}\"", table.replace('"', "\"\""));
            self.statements.connection().execute(&drop, [])?;
        }
        let sql = "DELETE FROM projection_schemas WHERE name = ?1";
        self.statements.get(sql)?.execute([name])?;
        Ok(())
    }

    /// The tables that the schema of this name has created.
    fn tables_of(&mut self, name: &str) -> Result<Vec<String>, Problem> {
        let sql = "SELECT t.value FROM projection_schemas AS s, json_each(s.tables) AS t WHERE s.name = ?1";
        let statement = self.statements.get(sql)?;
        Ok(statement
            .query_map([name], |row| row.get(0))?
            .collect::<Result<_, _>>()?)
    }

    /// The names of all tables of the file but for those of SQLite, and those that virtual tables keep themselves in.
    fn tables(&mut self) -> Result<Vec<String>, Problem> {
        let sql = "SELECT name FROM pragma_table_list
                   WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
        let statement = self.statements.get(sql)?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    pub(super) fn savepoint(&self) -> Result<(), Problem> {
        Ok(self.statements.connection().execute_batch("SAVEPOINT es_steps")?)
    }

    pub(super) fn keep(&self) -> Result<(), Problem> {
        Ok(self.statements.connection().execute_batch("RELEASE es_steps")?)
    }

    pub(super) fn undo(&self) -> Result<(), Problem> {
        Ok(self
            .statements
            .connection()
            .execute_batch("ROLLBACK TO es_steps; RELEASE es_steps")?)
    }

    /// Returns whether somebody other than the writer has ended the transaction.
    fn is_over(&self) -> bool {
        self.statements.connection().is_autocommit()
    }
}

/// Returns the failure of a method if it comes from SQLite and passes by itself: the disk, the memory, a lock.
fn passing(error: &ApplyError) -> Option<Problem> {
    let ApplyError::Method(error) = error else {
        return None;
    };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(error) = cause {
        if let Some(problem) = error.downcast_ref().and_then(passing_code) {
            return Some(problem);
        }
        cause = error.source();
    }
    None
}

fn passing_code(error: &rusqlite::Error) -> Option<Problem> {
    use ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, OperationInterrupted, OutOfMemory, SystemIoFailure};

    let rusqlite::Error::SqliteFailure(code, message) = error else {
        return None;
    };
    let passes = matches!(
        code.code,
        DatabaseBusy | DatabaseLocked | DiskFull | OperationInterrupted | OutOfMemory | SystemIoFailure
    );
    passes.then(|| rusqlite::Error::SqliteFailure(ffi::Error::new(code.extended_code), message.clone()).into())
}
