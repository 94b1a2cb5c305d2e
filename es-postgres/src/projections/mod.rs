//! Storage of projections. Each write is one statement that commits itself, on a connection of the pool and never
//! under the lock of appends.

mod call;
mod inline;
pub(crate) mod inline_rows;
mod sql;
mod table;
mod transaction;
mod versions;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deadpool_postgres::Object;
use es_runtime::store::{
    Advance, Append, Appended, Checkpoint, CheckpointError, Commit, CommitError, CursorStore, Difference, Differences,
    InlineError, InlineRows, Lease, LeaseState, ParkReason, Parked, ProjectionStore, Replace, Report, Row, RowCount,
    RowGroup, RowQuery, RowStore, RowTable,
};
use es_runtime::{EventId, Position, StoreError, StoreErrorKind};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

pub use transaction::PgTransaction;

use call::{Answer, COMMIT, Call};

use crate::PostgresStore;
use crate::batch::Encoded;
use crate::error::Problem;
use crate::outcome::{Outcome, Phase, outcome};
use crate::rows::{Cells, Json, Time, column, number};

/// Statements that do not depend on a table.
const TAKE: &str = "SELECT \"es\".take_lease($1, $2, $3)";
const RENEW: &str = "SELECT \"es\".renew_lease($1, $2, $3, $4)";
const RELEASE: &str = "SELECT \"es\".release_lease($1, $2, $3)";
const REPORT: &str = "SELECT \"es\".report_lease($1, $2, $3, $4)";
const LEASE: &str = "SELECT CASE WHEN l.expires_at > clock_timestamp() THEN l.owner END, l.epoch, \
     r.content, r.epoch, r.reported_at FROM \"es\".leases AS l LEFT JOIN \"es\".reports AS r ON r.lease = l.name \
     WHERE l.name = $1 AND l.epoch > 0";
const CHECKPOINT: &str = "SELECT c.position, c.event_id, c.updated_at, c.epoch <> l.epoch \
     FROM \"es\".checkpoints AS c CROSS JOIN \"es\".log AS l WHERE c.reader = $1";
const FORGET: &str = "SELECT \"es\".forget_reader($1, $2, $3, $4, $5), NULL::bigint";
const REPLACE: &str = "SELECT outcome, actual FROM \"es\".replace_rows($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const CREATE: &str = "SELECT \"es\".create_rows($1, $2, $3)";
const PARKED: &str = "SELECT position, event_id, reason, error, attempts FROM \"es\".parked \
     WHERE reader = $1 AND position > $2 ORDER BY position LIMIT $3";

/// The longest time for a statement that visits all rows of a table.
const OF_A_TABLE: Duration = Duration::from_secs(60 * 60);

type Arguments<'a> = &'a [&'a (dyn ToSql + Sync)];

impl PostgresStore {
    /// The rows of a statement for a schema called `es`, which may be sent again if the connection is lost.
    async fn ask(&self, sql: &str, arguments: Arguments<'_>) -> Result<Vec<tokio_postgres::Row>, Problem> {
        self.reader.rows(&self.schema.render(sql), arguments).await
    }

    /// The rows of a statement that goes over whole tables, sent once.
    async fn long(&self, sql: &str, arguments: Arguments<'_>) -> Result<Vec<tokio_postgres::Row>, Problem> {
        let client = self.reader.client().await?;
        let sql = self.schema.render(sql);
        let rows = self.reader.in_time(OF_A_TABLE, client.query(&sql, arguments)).await?;
        client.give_back();
        Ok(rows?)
    }

    /// Sends a statement that writes, once.
    async fn send(&self, sql: &str, arguments: Arguments<'_>) -> Result<tokio_postgres::Row, CommitError> {
        self.send_within(self.patience, sql, arguments).await
    }

    /// The same, with an answer that may take so long.
    async fn send_within(
        &self,
        patience: Duration,
        sql: &str,
        arguments: Arguments<'_>,
    ) -> Result<tokio_postgres::Row, CommitError> {
        self.sent(patience, sql, arguments).await.map_err(|(problem, phase)| {
            let outcome = outcome(&problem, phase);
            let error = problem.while_doing("write what a projection did");
            match outcome {
                Outcome::Indeterminate => CommitError::Indeterminate(error),
                Outcome::Repeat | Outcome::BadValue | Outcome::NotCommitted => CommitError::Store(error),
            }
        })
    }

    /// Sends a statement that writes and gives one row, once. Tells how far it had got when it fails.
    pub(crate) async fn sent(
        &self,
        patience: Duration,
        sql: &str,
        arguments: Arguments<'_>,
    ) -> Result<tokio_postgres::Row, (Problem, Phase)> {
        let client = self
            .reader
            .client()
            .await
            .map_err(|problem| (problem, Phase::Connect))?;
        let sql = self.schema.render(sql);
        let preparing = self.reader.in_time(self.patience, client.prepare_cached(&sql)).await;
        let statement = match preparing {
            Ok(Ok(statement)) => statement,
            Ok(Err(error)) => {
                client.give_back();
                return Err((error.into(), Phase::Connect));
            }
            Err(silent) => return Err((silent, Phase::Connect)),
        };
        let sending = self.reader.in_time(patience, client.query_one(&statement, arguments));
        let answer = sending.await.map_err(|silent| (silent, Phase::Sent))?;
        client.give_back();
        answer.map_err(|error| (error.into(), Phase::Sent))
    }

    /// Removes what a reader has, and the rows of its table.
    async fn begin_anew(&self, reader: &str, table: Option<&RowTable>, lease: &Lease) -> Result<(), CommitError> {
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
        key: row.read(0)?,
        data: Bytes::copy_from_slice(row.read::<Json<'_>>(1)?.0),
        position: Position(row.number(2)?),
    })
}

fn micros(ttl: Duration) -> i64 {
    i64::try_from(ttl.min(Lease::LONGEST).as_micros()).unwrap_or(i64::MAX)
}

#[async_trait]
impl CursorStore for PostgresStore {
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        let taken = async {
            let rows = self.ask(TAKE, &[&lease, &owner, &micros(ttl)]).await?;
            rows[0].read::<Option<i64>>(0)
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
            self.ask(RENEW, arguments).await?[0].read::<bool>(0)
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

    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError> {
        let reported = async {
            let arguments: Arguments<'_> = &[&lease.name, &lease.owner, &column(lease.epoch), &text];
            self.ask(REPORT, arguments).await?[0].read::<bool>(0)
        };
        reported.await.map_err(|problem| problem.while_doing("report"))
    }

    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        let reading = async {
            let rows = self.ask(LEASE, &[&name]).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let text: Option<String> = row.read(2)?;
            let report = text.map(|text| {
                Ok::<_, Problem>(Report {
                    text,
                    epoch: row.number(3)?,
                    at: row.read::<Time>(4)?.0,
                })
            });
            Ok::<_, Problem>(Some(LeaseState {
                owner: row.read(0)?,
                epoch: row.number(1)?,
                report: report.transpose()?,
            }))
        };
        reading.await.map_err(|problem| problem.while_doing("read a lease"))
    }

    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        let reading = async {
            let rows = self.ask(CHECKPOINT, &[&reader]).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let event: Option<Uuid> = row.read(1)?;
            let checkpoint = Checkpoint {
                position: Position(row.number(0)?),
                event: event.map(EventId),
                updated_at: row.read::<Time>(2)?.0,
            };
            let is_other_log: bool = row.read(3)?;
            Ok::<_, Problem>(Some((checkpoint, is_other_log)))
        };
        let read = reading
            .await
            .map_err(|problem| problem.while_doing("read a checkpoint"))?;
        match read {
            Some((
                Checkpoint {
                    position,
                    event: Some(event),
                    ..
                },
                true,
            )) => Err(CheckpointError::Diverged {
                reader: reader.to_owned(),
                position,
                expected: event,
                found: Some(event),
            }),
            read => Ok(read.map(|(checkpoint, _)| checkpoint)),
        }
    }

    async fn advance(&self, advance: Advance) -> Result<(), CommitError> {
        let row = self.send(COMMIT, &Call::new(&advance, None, &[]).arguments()).await?;
        Answer::read(&row)?.of(advance, None)
    }

    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.begin_anew(reader, None, lease).await
    }

    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        let reading = async {
            let rows = self
                .ask(PARKED, &[&reader, &column(after.0), &i64::from(limit)])
                .await?;
            let parked = rows.iter().map(|row| {
                let (reason, attempts): (&str, i64) = (row.read(2)?, row.read(4)?);
                let reason = ParkReason::named(reason)
                    .ok_or_else(|| Problem::Damaged(format!("this build parks no event for the reason {reason:?}")))?;
                Ok(Parked {
                    position: Position(row.number(0)?),
                    event: EventId(row.read(1)?),
                    reason,
                    error: row.read(3)?,
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

#[async_trait]
impl ProjectionStore for PostgresStore {
    async fn append_rows(&self, append: Append, rows: Vec<InlineRows>) -> Result<Appended, InlineError> {
        self.answer(self.lane.append(Encoded::with_rows(append, rows)?).await)
            .await
    }
}

#[async_trait]
impl RowStore for PostgresStore {
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        let paths = table::index_paths(table)?;
        let created = self
            .ask(CREATE, &[&table.name(), &table::index_names(table), &paths])
            .await;
        created
            .map(drop)
            .map_err(|problem| problem.while_doing("create the table of a projection"))
    }

    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        let reading = async {
            let found = self.reader.rows(&table::rows(&self.schema, table), &[&keys]).await?;
            let read = found.iter().map(|found| row(found).map(|row| (row.key.clone(), row)));
            read.collect::<Result<HashMap<_, _>, Problem>>()
        };
        let found = reading.await.map_err(|problem| unread(table, problem))?;
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        let (sql, parameters) = table::list(&self.schema, table, query)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|parameter| &**parameter as _).collect();
        let found = self.reader.rows(&sql, &parameters).await;
        let rows = found.and_then(|found| found.iter().map(row).collect());
        rows.map_err(|problem| unread(table, problem))
    }

    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError> {
        let (sql, parameters) = table::count(&self.schema, table, count)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|parameter| &**parameter as _).collect();
        let found = self.reader.rows(&sql, &parameters).await;
        let groups = found.and_then(|found| {
            let group = |row: &tokio_postgres::Row| {
                Ok::<_, Problem>(RowGroup {
                    value: row.try_get::<_, Option<&[u8]>>(0)?.and_then(table::value_of),
                    count: row.number(1)?,
                })
            };
            found.iter().map(group).collect::<Result<Vec<_>, _>>()
        });
        groups.map(RowGroup::sorted).map_err(|problem| unread(table, problem))
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let Commit { advance, table, rows } = commit;
        let row = self
            .send(COMMIT, &Call::new(&advance, Some(&table), &rows).arguments())
            .await?;
        Answer::read(&row)?.of(advance, Some(&table))
    }

    async fn clear(&self, table: &RowTable, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.begin_anew(reader, Some(table), lease).await
    }

    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        let lease = &replace.lease;
        let arguments: Arguments<'_> = &[
            &replace.reader,
            &replace.beside,
            &lease.name,
            &lease.owner,
            &column(lease.epoch),
            &column(replace.from.0),
            &column(replace.to.0),
            &replace.table.name(),
            &replace.table_beside.name(),
        ];
        let row = self.send_within(OF_A_TABLE, REPLACE, arguments).await?;
        let answer = Answer::read(&row)?;
        let moved = |reader: &String, expected, answer: &Answer<'_>| CommitError::Moved {
            reader: reader.clone(),
            expected,
            actual: answer.actual(),
        };
        match answer.outcome {
            "done" => Ok(()),
            "lost" => Err(lost(lease)),
            "elsewhere" => Err(moved(&replace.reader, replace.from, &answer)),
            "behind" => Err(moved(&replace.beside, replace.to, &answer)),
            "no_table" => Err(rejected(format!(
                "there is no table `{}`, or none `{}`: create them first",
                replace.table.name(),
                replace.table_beside.name()
            ))
            .into()),
            outcome => Err(rejected(format!(
                "`{}` cannot be replaced ({outcome}): read its checkpoint again",
                replace.reader
            ))
            .into()),
        }
    }

    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError> {
        let sql = table::differences(old, new);
        // One row at least, for the count.
        let found = self.long(&sql, &[&i64::from(limit.max(1))]).await;
        let read = found.and_then(|found| {
            let mut differences = Differences::default();
            for row in &found {
                differences.count = row.number(3)?;
                differences.first.push(Difference {
                    key: row.read(0)?,
                    old: row.read(1)?,
                    new: row.read(2)?,
                });
            }
            differences.first.truncate(limit.try_into().unwrap_or(usize::MAX));
            Ok(differences)
        });
        read.map_err(|problem| {
            if problem.code() == Some(&SqlState::UNDEFINED_TABLE) {
                return rejected(format!(
                    "there is no table `{}`, or none `{}`: create them first",
                    old.name(),
                    new.name()
                ));
            }
            problem.while_doing("compare the rows of a projection")
        })
    }

    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        let names = self.names_of_versions(projection).await;
        let names = names.map_err(|problem| problem.while_doing("list the tables of a projection"))?;
        let versions = names.iter().filter_map(|name| RowTable::version_of(projection, name));
        Ok(versions.collect::<BTreeSet<u32>>().into_iter().collect())
    }

    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        let dropped = self.on_connection(async |client: &mut Object| self.drop_of(client, table, readers, lease).await);
        Ok(dropped.await?)
    }
}
