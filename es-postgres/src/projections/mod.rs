//! What the store keeps for projections. Each write is one statement that commits itself, on a connection of the pool and never
//! under the lock of appends.

mod call;
mod sql;
mod table;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use es_runtime::projection::store::{
    Checkpoint, CheckpointError, Commit, CommitError, Lease, Parked, ProjectionStore, Row, RowQuery, RowTable,
    check_name,
};
use es_runtime::{EventId, Position, StoreError, StoreErrorKind};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

pub use sql::PgTransaction;

use call::{Answer, COMMIT, Call};

use crate::PostgresStore;
use crate::error::Problem;
use crate::outcome::{Outcome, Phase, outcome};
use crate::rows::{Json, Time, column, number};

/// Statements that do not depend on a table.
const TAKE: &str = "SELECT \"es\".take_lease($1, $2, $3)";
const RENEW: &str = "SELECT \"es\".renew_lease($1, $2, $3, $4)";
const RELEASE: &str = "SELECT \"es\".release_lease($1, $2, $3)";
const CHECKPOINT: &str = "SELECT c.position, c.event_id, c.updated_at, e.event_id, c.epoch <> l.epoch \
     FROM \"es\".checkpoints AS c CROSS JOIN \"es\".log AS l \
     LEFT JOIN \"es\".recorded_events AS e ON e.position = c.position WHERE c.reader = $1";
const FORGET: &str = "SELECT \"es\".forget_reader($1, $2, $3, $4, $5), NULL::bigint";
const CREATE: &str = "SELECT \"es\".create_rows($1, $2, $3)";
const PARKED: &str = "SELECT position, event_id, error, attempts FROM \"es\".parked \
     WHERE reader = $1 AND position > $2 ORDER BY position LIMIT $3";

type Arguments<'a> = &'a [&'a (dyn ToSql + Sync)];

impl PostgresStore {
    /// The rows of a statement for a schema called `es`, which may be sent again if the connection is lost.
    async fn ask(&self, sql: &str, arguments: Arguments<'_>) -> Result<Vec<tokio_postgres::Row>, Problem> {
        self.reader.rows(&self.schema.render(sql), arguments).await
    }

    /// Sends a statement that writes, once.
    async fn send(&self, sql: &str, arguments: Arguments<'_>) -> Result<tokio_postgres::Row, CommitError> {
        let failed = |problem: Problem, phase: Phase| {
            let outcome = outcome(&problem, phase);
            let error = problem.while_doing("write what a projection did");
            match outcome {
                Outcome::Indeterminate => CommitError::Indeterminate(error),
                Outcome::Repeat | Outcome::BadValue | Outcome::NotCommitted => CommitError::Store(error),
            }
        };
        let client = self
            .reader
            .client()
            .await
            .map_err(|problem| failed(problem, Phase::Connect))?;
        let sql = self.schema.render(sql);
        let preparing = tokio::time::timeout(self.patience, client.prepare_cached(&sql)).await;
        let statement = match preparing {
            Ok(prepared) => prepared.map_err(|error| failed(error.into(), Phase::Connect))?,
            Err(_) => return Err(failed(self.reader.silent(client), Phase::Connect)),
        };
        let sending = tokio::time::timeout(self.patience, client.query_one(&statement, arguments)).await;
        match sending {
            Ok(answer) => answer.map_err(|error| failed(error.into(), Phase::Sent)),
            Err(_) => Err(failed(self.reader.silent(client), Phase::Sent)),
        }
    }
}

fn lost(lease: &Lease) -> CommitError {
    CommitError::LeaseLost {
        lease: lease.name.clone(),
    }
}

fn no_table(table: &RowTable) -> StoreError {
    rejected(format!("there is no table `{}`: create it first", table.name()))
}

fn rejected(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Rejected, message)
}

/// The error of a read of rows.
fn unread(table: &RowTable, problem: Problem) -> StoreError {
    if problem.code() == Some(&SqlState::UNDEFINED_TABLE) {
        return no_table(table);
    }
    problem.while_doing("read the rows of a projection")
}

fn row(row: &tokio_postgres::Row) -> Result<Row, Problem> {
    Ok(Row {
        key: row.try_get(0)?,
        data: Bytes::copy_from_slice(row.try_get::<_, Json<'_>>(1)?.0),
        position: Position(number(row.try_get(2)?)),
    })
}

fn micros(ttl: Duration) -> i64 {
    i64::try_from(ttl.min(Lease::LONGEST).as_micros()).unwrap_or(i64::MAX)
}

#[async_trait]
impl ProjectionStore for PostgresStore {
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        check_name("lease", lease)?;
        check_name("owner", owner)?;
        let taken = async {
            let rows = self.ask(TAKE, &[&lease, &owner, &micros(ttl)]).await?;
            Ok::<Option<i64>, Problem>(rows[0].try_get(0)?)
        };
        let epoch = taken.await.map_err(|problem| problem.while_doing("take a lease"))?;
        Ok(epoch.map(|epoch| Lease {
            name: lease.to_owned(),
            owner: owner.to_owned(),
            epoch: number(epoch),
        }))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let renewed = async {
            let arguments: Arguments<'_> = &[&lease.name, &lease.owner, &column(lease.epoch), &micros(ttl)];
            Ok::<bool, Problem>(self.ask(RENEW, arguments).await?[0].try_get(0)?)
        };
        renewed.await.map_err(|problem| problem.while_doing("renew a lease"))
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let released = self
            .ask(RELEASE, &[&lease.name, &lease.owner, &column(lease.epoch)])
            .await;
        released
            .map(drop)
            .map_err(|problem| problem.while_doing("release a lease"))
    }

    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        check_name("reader", reader)?;
        let reading = async {
            let rows = self.ask(CHECKPOINT, &[&reader]).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let checkpoint = Checkpoint {
                position: Position(number(row.try_get(0)?)),
                updated_at: row.try_get::<_, Time>(2)?.0,
            };
            let stored: Option<Uuid> = row.try_get(1)?;
            let found: Option<Uuid> = row.try_get(3)?;
            let is_other_log: bool = row.try_get(4)?;
            Ok::<_, Problem>(Some((checkpoint, stored, found, is_other_log)))
        };
        let read = reading
            .await
            .map_err(|problem| problem.while_doing("read a checkpoint"))?;
        match read {
            None => Ok(None),
            Some((checkpoint, Some(expected), found, is_other_log)) if found != Some(expected) || is_other_log => {
                Err(CheckpointError::Diverged {
                    reader: reader.to_owned(),
                    position: checkpoint.position,
                    expected: EventId(expected),
                    found: found.map(EventId),
                })
            }
            Some((checkpoint, ..)) => Ok(Some(checkpoint)),
        }
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        commit.check()?;
        let row = self.send(COMMIT, &Call::new(&commit).arguments()).await?;
        Answer::read(&row)?.of(commit)
    }

    async fn forget(&self, reader: &str, table: Option<&RowTable>, lease: &Lease) -> Result<(), CommitError> {
        check_name("reader", reader)?;
        let name = table.map(RowTable::name);
        let row = self
            .send(
                FORGET,
                &[&reader, &lease.name, &lease.owner, &column(lease.epoch), &name],
            )
            .await?;
        match (Answer::read(&row)?.outcome, table) {
            ("lost", _) => Err(lost(lease)),
            ("no_table", Some(table)) => Err(no_table(table).into()),
            _ => Ok(()),
        }
    }

    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        table.check()?;
        let fields: Vec<&str> = table.indexes.iter().map(AsRef::as_ref).collect();
        let created = self
            .ask(CREATE, &[&table.name(), &table::index_names(table), &fields])
            .await;
        created
            .map(drop)
            .map_err(|problem| problem.while_doing("create the table of a projection"))
    }

    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        table.check()?;
        let reading = async {
            let found = self.reader.rows(&table::rows(&self.schema, table), &[&keys]).await?;
            let read = found.iter().map(|found| row(found).map(|row| (row.key.clone(), row)));
            read.collect::<Result<HashMap<_, _>, Problem>>()
        };
        let found = reading.await.map_err(|problem| unread(table, problem))?;
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        table.check()?;
        query.check()?;
        let (sql, parameters) = table::list(&self.schema, table, query)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|parameter| &**parameter as _).collect();
        let found = self.reader.rows(&sql, &parameters).await;
        let rows = found.and_then(|found| found.iter().map(row).collect());
        rows.map_err(|problem| unread(table, problem))
    }

    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        check_name("reader", reader)?;
        let reading = async {
            let rows = self
                .ask(PARKED, &[&reader, &column(after.0), &i64::from(limit)])
                .await?;
            let parked = rows.iter().map(|row| {
                let attempts: i64 = row.try_get(3)?;
                Ok(Parked {
                    position: Position(number(row.try_get(0)?)),
                    event: EventId(row.try_get(1)?),
                    error: row.try_get(2)?,
                    attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                })
            });
            parked.collect::<Result<_, Problem>>()
        };
        reading
            .await
            .map_err(|problem| problem.while_doing("read parked events"))
    }
}
