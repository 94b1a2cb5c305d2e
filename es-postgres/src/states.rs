//! States: each save is one statement that commits itself, on a connection of the pool.

use async_trait::async_trait;
use bytes::Bytes;
use es_runtime::store::{Change, Demand, EventStore, Purge, SaveError, StateChange, StateKey, StateStore};
use es_runtime::{Clock, StoreError};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, pin_mut, stream};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::PostgresStore;
use crate::error::Problem;
use crate::outcome::{Outcome, outcome};
use crate::pages::{BYTES, PAGE};
use crate::rows::{Cells, Json, Time, column};

/// Statements for a schema called `es`.
const SAVE: &str = "SELECT \"es\".save_states($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const GET: &str = "SELECT kind, id, sequence, change, shape, payload FROM \"es\".states \
     WHERE namespace = $1 AND kind = $2 AND id = $3";
const LOAD: &str = "SELECT kind, id, sequence, change, shape, payload FROM \"es\".states \
     WHERE namespace = $1 AND (kind, id) > ($2, $3) ORDER BY kind, id LIMIT $4";
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

/// With how many states a load begins: nothing is known yet of their size.
const FIRST: u64 = 64;

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

    /// The next states of a load, and what is left then. A page ends where it comes to [`BYTES`].
    async fn states_page(&self, load: &Load) -> Result<(Vec<StateChange>, Option<Load>), Problem> {
        let namespace = &load.namespace;
        // No name is empty.
        let (kind, id) = load.after.as_ref().map_or(("", ""), |after| (&after.kind, &after.id));
        let client = self.reader.client().await?;
        let (sql, limit) = (self.schema.render(LOAD), column(load.page));
        let (mut page, mut size) = (Vec::new(), 0);
        let taking = async {
            let statement = client.prepare_cached(&sql).await?;
            let arguments: [&(dyn ToSql + Sync); 4] = [namespace, &kind, &id, &limit];
            let rows = Client::query_raw(&client, &statement, arguments).await?;
            pin_mut!(rows);
            while size < BYTES
                && let Some(row) = rows.try_next().await?
            {
                size += row.raw_size_bytes();
                page.push(change(&row, namespace)?);
            }
            Ok::<_, Problem>(())
        };
        self.reader.in_time(self.patience, taking).await??;
        let is_whole = page.len() as u64 == load.page;
        if is_whole || size < BYTES {
            client.give_back();
        }
        // Else the server would send the rest of the page before it hears the next question.
        let rest = page.last().filter(|_| is_whole || size >= BYTES).map(|last| Load {
            namespace: namespace.clone(),
            after: Some(last.key.clone()),
            page: (BYTES as u64 / (size / page.len()).max(1) as u64).clamp(1, PAGE),
        });
        Ok((page, rest))
    }
}

/// The rest of a load of a namespace.
struct Load {
    namespace: String,
    after: Option<StateKey>,
    /// The most states on the next page, if they are like those before.
    page: u64,
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

fn change(row: &Row, namespace: &str) -> Result<StateChange, Problem> {
    let key = StateKey::new(namespace, row.read::<String>(0)?, row.read::<String>(1)?);
    Ok(StateChange {
        sequence: row.ordinal(2)?,
        change: match row.read::<i16>(3)? {
            0 => Change::Create,
            1 => Change::Update,
            2 => Change::Delete,
            other => {
                return Err(Problem::Damaged(format!(
                    "the state of `{key}`: it knows no change {other}"
                )));
            }
        },
        shape: row.read::<i64>(4)?.cast_unsigned(),
        payload: row
            .read::<Option<Json<'_>>>(5)?
            .map(|payload| Bytes::copy_from_slice(payload.0)),
        key,
    })
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
                [&key.namespace as &(dyn ToSql + Sync), &key.kind, &key.id],
            );
            let rows = self.reader.rows(&sql, &arguments).await?;
            rows.first().map(|row| change(row, &key.namespace)).transpose()
        };
        reading
            .await
            .map_err(|problem: Problem| problem.while_doing("read a state"))
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        let load = Load {
            namespace: namespace.to_owned(),
            after: None,
            page: FIRST,
        };
        let pages = stream::try_unfold(Some(load), async move |load| {
            let Some(load) = load else { return Ok(None) };
            let page = match self.states_page(&load).await {
                // A connection that had been lost in the pool is replaced once.
                Err(problem) if problem.is_disconnect() => self.states_page(&load).await,
                page => page,
            };
            let (page, rest) = page?;
            Ok::<_, Problem>(Some((stream::iter(page.into_iter().map(Ok)), rest)))
        });
        pages
            .try_flatten()
            .map_err(|problem: Problem| problem.while_doing("load states"))
            .boxed()
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
