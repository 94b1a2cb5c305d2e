//! States: each save is one statement that commits itself, on a connection of the pool.

mod load;

use async_trait::async_trait;
use bytes::Bytes;
use es_runtime::store::{Change, Demand, EventStore, Purge, SaveError, StateChange, StateKey, StateStore};
use es_runtime::{Clock, StoreError};
use futures_core::stream::BoxStream;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use self::load::{LOAD, Load, Names};
use crate::PostgresStore;
use crate::error::Problem;
use crate::outcome::{Outcome, outcome};
use crate::pages;
use crate::rows::{Cells, Json, Time, column};

/// Statements for a schema called `es`.
const SAVE: &str = "SELECT \"es\".save_states($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const GET: &str = "SELECT kind, id, sequence, change, shape, payload FROM \"es\".states \
     WHERE namespace = $1 AND kind = $2 AND id = $3";
/// From one namespace to the next, by the index.
const NAMESPACES: &str = "WITH RECURSIVE found (namespace) AS ( \
     (SELECT s.namespace FROM \"es\".states AS s ORDER BY s.namespace, s.kind, s.id LIMIT 1) \
     UNION ALL SELECT (SELECT s.namespace FROM \"es\".states AS s WHERE s.namespace > f.namespace \
     ORDER BY s.namespace, s.kind, s.id LIMIT 1) FROM found AS f WHERE f.namespace IS NOT NULL) \
     SELECT f.namespace FROM found AS f WHERE f.namespace IS NOT NULL ORDER BY f.namespace";
const PURGE: &str = "SELECT \"es\".purge_states($1, $2, $3)";
const PURGE_DELETED: &str = "SELECT \"es\".purge_deleted_states($1, $2, $3)";

/// The error of the function that saves, if a change does not fit.
const MISFIT: &str = "ES001";

/// The number of times that a save is sent again after another one made it roll back.
const REPEATS: usize = 5;

/// The most deleted entities that one statement purges: savers wait for it.
const PURGED_AT_ONCE: u64 = 10_000;

/// Changes as the arguments of [`SAVE`].
#[derive(Default)]
struct Columns<'a> {
    namespaces: Vec<&'a str>,
    kinds: Vec<&'a str>,
    ids: Vec<&'a str>,
    sequences: Vec<i64>,
    changes: Vec<i16>,
    shapes: Vec<i64>,
    payloads: Vec<Option<Json<'a>>>,
}

impl<'a> Columns<'a> {
    fn of(changes: &'a [StateChange]) -> Self {
        let mut columns = Self::default();
        for change in changes {
            columns.namespaces.push(&change.key.namespace);
            columns.kinds.push(&change.key.kind);
            columns.ids.push(&change.key.id);
            columns.sequences.push(column(change.sequence));
            columns.changes.push(match change.change {
                Change::Create => 0,
                Change::Update => 1,
                Change::Delete => 2,
            });
            columns.shapes.push(change.shape.cast_signed());
            columns.payloads.push(change.payload.as_deref().map(Json));
        }
        columns
    }
}

impl PostgresStore {
    async fn save_once(&self, changes: &[StateChange], demand: Demand) -> Result<(), Unsaved> {
        let columns = Columns::of(changes);
        let (next, by_clock) = (demand == Demand::Next, self.clock.as_deref().map(Clock::now).map(Time));
        let arguments: [&(dyn ToSql + Sync); 9] = [
            &columns.namespaces,
            &columns.kinds,
            &columns.ids,
            &columns.sequences,
            &columns.changes,
            &columns.shapes,
            &columns.payloads,
            &next,
            &by_clock,
        ];
        let Err((problem, phase)) = self.sent(self.patience, SAVE, &arguments).await else {
            return Ok(());
        };
        if let Some(conflict) = conflict(&problem, changes) {
            return Err(Unsaved::Refused(conflict));
        }
        let outcome = outcome(&problem, phase);
        let error = problem.while_doing("save states");
        Err(match outcome {
            Outcome::Repeat => Unsaved::Repeat(error),
            Outcome::Indeterminate => Unsaved::Refused(SaveError::Indeterminate(error)),
            Outcome::BadValue | Outcome::NotCommitted => Unsaved::Refused(SaveError::Store(error)),
        })
    }
}

/// Why a save was not done.
enum Unsaved {
    /// Another one was in the way: it may be sent again as it is.
    Repeat(StoreError),
    Refused(SaveError),
}

/// The conflict that the function tells of.
fn conflict(problem: &Problem, changes: &[StateChange]) -> Option<SaveError> {
    let Problem::Postgres(error) = problem else { return None };
    let error = error.as_db_error().filter(|error| error.code().code() == MISFIT)?;
    let (number, kept) = error.detail()?.split_once(' ')?;
    let change = changes.get(number.parse::<usize>().ok()?.checked_sub(1)?)?;
    Some(SaveError::Conflict {
        key: change.key.clone(),
        kept: kept.parse().ok()?,
        given: change.sequence,
    })
}

/// Reads a single state.
fn change(row: &Row, namespace: &str) -> Result<StateChange, Problem> {
    let mut payloads = Vec::new();
    let (change, payload) = load::change(row, &mut Names::new(namespace), &mut payloads)?;
    let payload = payload.map(|_| Bytes::from(payloads));
    Ok(StateChange { payload, ..change })
}

#[async_trait]
impl StateStore for PostgresStore {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        for _ in 0..REPEATS {
            match self.save_once(&changes, demand).await {
                Ok(()) => return Ok(()),
                Err(Unsaved::Refused(error)) => return Err(error),
                Err(Unsaved::Repeat(_)) => {}
            }
        }
        self.save_once(&changes, demand).await.map_err(|unsaved| match unsaved {
            Unsaved::Refused(error) => error,
            Unsaved::Repeat(error) => SaveError::Store(error),
        })
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        let reading = async {
            let (sql, arguments) = (
                self.schema.render(GET),
                [&&*key.namespace as &(dyn ToSql + Sync), &&*key.kind, &key.id],
            );
            let rows = self.reader.rows(&sql, &arguments).await?;
            rows.first().map(|row| change(row, &key.namespace)).transpose()
        };
        reading
            .await
            .map_err(|problem: Problem| problem.while_doing("read a state"))
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        let load = Load::new(self.schema.render(LOAD), namespace);
        pages::read(&self.reader, load, "load states")
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.reader.rows(&self.schema.render(NAMESPACES), &[]).await;
        let namespaces = rows.and_then(|rows| rows.iter().map(|row| row.read(0)).collect());
        namespaces.map_err(|problem| problem.while_doing("read the namespaces of states"))
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        let failed = |(problem, _): (Problem, _)| problem.while_doing("purge states");
        let read = |row: Row| row.number(0).map_err(|problem| problem.while_doing("purge states"));
        match purge {
            Purge::Entities(keys) => {
                let namespaces: Vec<&str> = keys.iter().map(|key| &*key.namespace).collect();
                let kinds: Vec<&str> = keys.iter().map(|key| &*key.kind).collect();
                let ids: Vec<&str> = keys.iter().map(|key| &*key.id).collect();
                let sent = self.sent(self.patience, PURGE, &[&namespaces, &kinds, &ids]).await;
                read(sent.map_err(failed)?)
            }
            Purge::Tombstones { namespace, before } => {
                let (before, limit) = (Time(before), column(PURGED_AT_ONCE));
                let mut purged = 0;
                loop {
                    let sent = self
                        .sent(self.patience, PURGE_DELETED, &[&namespace, &before, &limit])
                        .await;
                    let now = read(sent.map_err(failed)?)?;
                    purged += now;
                    if now < PURGED_AT_ONCE {
                        return Ok(purged);
                    }
                }
            }
        }
    }

    /// Closes the store of events too: they share the connections.
    async fn close(&self) -> Result<(), StoreError> {
        EventStore::close(self).await
    }
}
