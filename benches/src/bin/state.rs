//! Entities: a restore of 1,000,000 of 200 bytes beside a bare SELECT that decodes them, and changes of 1,000 beside one bare upsert of
//! the same rows. On SQLite, and on PostgreSQL if `ES_TEST_DATABASE_URL` is set.
//!
//! `state [entities]`

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use es_benches::{Contender, in_turns, per_second, timed};
use es_runtime::prelude::*;
use es_runtime::state::{Changes, Entities, StateManager};
use es_runtime::store::{Change, Demand, StateChange, StateKey, StateStore};
use es_sqlite::SqliteStore;
use es_tests::stores;
use futures_util::TryStreamExt as _;
use tokio_postgres::NoTls;
use uuid::Uuid;

const NAMESPACE: &str = "bench";

/// 200 bytes as it is stored.
#[entity(name = "deployment", id = id)]
#[derive(Default)]
struct Deployment {
    id: Uuid,
    name: String,
    region: String,
    replicas: u32,
    notes: String,
}

fn deployment(number: usize) -> Deployment {
    Deployment {
        // Spread, as random ids are, and the same in each run.
        id: Uuid::from_u128((number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        name: format!("deployment {number:07}"),
        region: "eu-central-1".to_owned(),
        replicas: u32::try_from(number % 90 + 10).unwrap_or(0),
        notes: "some words that nobody reads, but which are kept".to_owned(),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let entities = std::env::args()
        .nth(1)
        .map_or(1_000_000, |count| count.parse().expect("a number"));
    let size = serde_json::to_vec(&deployment(7)).expect("it is JSON").len();
    println!("{entities} entities of {size} bytes");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bench.db");
    let store = SqliteStore::open(&file).await?;
    fill(&store, entities).await;
    sqlite(&store, &file, entities).await;
    if std::env::var_os("ES_TEST_DATABASE_URL").is_some() {
        let address = stores::postgres_address().await;
        let store = stores::postgres_at(&address).await;
        fill(&store, entities).await;
        postgres(&store, &address, entities).await;
    }
    Ok(())
}

async fn fill(store: &dyn StateStore, entities: usize) {
    for first in (0..entities).step_by(StateChange::MOST_CHANGES) {
        let numbers = first..entities.min(first + StateChange::MOST_CHANGES);
        let changes = numbers.map(|number| {
            let deployment = deployment(number);
            StateChange {
                key: StateKey::new(NAMESPACE, "deployment", deployment.id.to_string()),
                sequence: 1,
                change: Change::Create,
                shape: 1,
                payload: Some(serde_json::to_vec(&deployment).expect("it is JSON").into()),
            }
        });
        store
            .save(changes.collect(), Demand::Next)
            .await
            .expect("the store takes it");
    }
}

struct Restoring {
    deployments: Entities<Deployment>,
    manager: StateManager,
}

impl Restoring {
    fn new(store: impl StateStore) -> Self {
        let deployments = Entities::new();
        let manager = StateManager::builder(store).repository(deployments.clone()).build();
        Self { deployments, manager }
    }

    async fn restore(&self, entities: usize) {
        self.manager.restore(NAMESPACE).await.expect("it is restored");
        assert_eq!(self.deployments.len(), entities);
    }

    /// Changes so many, after which the manager is as it was.
    async fn persist(&self, numbers: std::ops::Range<usize>, round: u32) {
        let changes = numbers.fold(Changes::of(NAMESPACE), |changes, number| {
            changes.update(&changed(number, round))
        });
        self.manager.persist(changes).await.expect("it is persisted");
    }
}

fn changed(number: usize, round: u32) -> Deployment {
    Deployment {
        replicas: 10 + round % 90,
        ..deployment(number)
    }
}

/// The load of the store alone.
async fn load(store: &dyn StateStore, entities: usize) {
    let mut changes = store.load(NAMESPACE);
    let mut count = 0;
    while changes.try_next().await.expect("it can be read").is_some() {
        count += 1;
    }
    assert_eq!(count, entities);
}

fn report(what: &str, count: usize, figures: &[(&'static str, Duration)]) {
    for (name, time) in figures {
        let ratio = figures[1].1.as_secs_f64() / time.as_secs_f64();
        println!(
            "{what:22} {name:26} {:>10.0} entities/s   {ratio:.2} of the bare one",
            per_second(count, *time)
        );
    }
}

async fn sqlite(store: &SqliteStore, file: &Path, entities: usize) {
    let restoring = Restoring::new(store.clone());
    let connection = rusqlite::Connection::open(file).expect("the file opens");
    connection
        .execute_batch("PRAGMA mmap_size = 268435456")
        .expect("it is set");
    let figures = in_turns(
        5,
        [
            Contender::new("restore", || timed(restoring.restore(entities))),
            Contender::new("SELECT, decoded", || timed(async { select(&connection, entities) })),
            Contender::new("SELECT, into a map", || {
                timed(async { select_into_a_map(&connection, entities) })
            }),
            Contender::new("load of the store", || timed(load(store, entities))),
        ],
    )
    .await;
    report("SQLite, all", entities, &figures);

    let mut bare = rusqlite::Connection::open(file.with_file_name("bare.db")).expect("the file opens");
    bare.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE states (namespace TEXT, kind TEXT, id TEXT, payload TEXT, PRIMARY KEY (namespace, kind, id)) STRICT",
    )
    .expect("it is created");
    let (mut round, mut bare_round) = (0, 0);
    upsert(&mut bare, 0..entities, 0);
    let bare = std::cell::RefCell::new(bare);
    let figures = in_turns(
        101,
        [
            Contender::new("persist", || {
                round += 1;
                timed(restoring.persist(0..1_000, round))
            }),
            Contender::new("upsert", || {
                bare_round += 1;
                let bare = &bare;
                timed(async move { upsert(&mut bare.borrow_mut(), 0..1_000, bare_round) })
            }),
        ],
    )
    .await;
    report("SQLite, 1,000 changes", 1_000, &figures);
}

const SELECT: &str = "SELECT id, payload FROM states WHERE namespace = 'bench'";

fn select(connection: &rusqlite::Connection, entities: usize) {
    let mut statement = connection.prepare(SELECT).expect("it is SQL");
    let mut rows = statement.query(()).expect("it can be read");
    let mut all = Vec::new();
    while let Some(row) = rows.next().expect("it can be read") {
        let payload = row
            .get_ref(1)
            .and_then(|payload| Ok(payload.as_bytes()?))
            .expect("it is text");
        all.push(serde_json::from_slice::<Deployment>(payload).expect("it is one"));
    }
    assert_eq!(all.len(), entities);
}

fn select_into_a_map(connection: &rusqlite::Connection, entities: usize) {
    let mut statement = connection.prepare(SELECT).expect("it is SQL");
    let mut rows = statement.query(()).expect("it can be read");
    let mut all = BTreeMap::new();
    while let Some(row) = rows.next().expect("it can be read") {
        let payload = row
            .get_ref(1)
            .and_then(|payload| Ok(payload.as_bytes()?))
            .expect("it is text");
        let deployment: Deployment = serde_json::from_slice(payload).expect("it is one");
        all.insert(deployment.id, deployment);
    }
    assert_eq!(all.len(), entities);
}

fn upsert(connection: &mut rusqlite::Connection, numbers: std::ops::Range<usize>, round: u32) {
    let transaction = connection.transaction().expect("it begins");
    {
        let mut statement = transaction
            .prepare(
                "INSERT INTO states VALUES ('bench', 'deployment', ?1, ?2)
                 ON CONFLICT (namespace, kind, id) DO UPDATE SET payload = excluded.payload",
            )
            .expect("it is SQL");
        for number in numbers {
            let deployment = changed(number, round);
            let payload = serde_json::to_string(&deployment).expect("it is JSON");
            statement
                .execute((deployment.id.to_string(), payload))
                .expect("it is taken");
        }
    }
    transaction.commit().expect("it is committed");
}

async fn postgres(store: &es_postgres::PostgresStore, address: &str, entities: usize) {
    let (client, connection) = tokio_postgres::connect(address, NoTls)
        .await
        .expect("the server is there");
    tokio::spawn(connection);
    client
        .batch_execute("VACUUM ANALYZE es.states")
        .await
        .expect("it is done");
    let restoring = Restoring::new(store.clone());
    let figures = in_turns(
        5,
        [
            Contender::new("restore", || timed(restoring.restore(entities))),
            Contender::new("SELECT, decoded", || timed(select_on_postgres(&client, entities))),
            Contender::new("load of the store", || timed(load(store, entities))),
        ],
    )
    .await;
    report("PostgreSQL, all", entities, &figures);

    let create = "CREATE TABLE bare (namespace text, kind text, id text, payload json, PRIMARY KEY (namespace, kind, id)) \
                  WITH (fillfactor = 80)";
    client.batch_execute(create).await.expect("it is created");
    for first in (0..entities).step_by(10_000) {
        upsert_on_postgres(&client, first..entities.min(first + 10_000), 0).await;
    }
    client.batch_execute("VACUUM ANALYZE bare").await.expect("it is done");
    let (mut round, mut bare_round) = (0, 0);
    let figures = in_turns(
        101,
        [
            Contender::new("persist", || {
                round += 1;
                timed(restoring.persist(0..1_000, round))
            }),
            Contender::new("upsert", || {
                bare_round += 1;
                timed(upsert_on_postgres(&client, 0..1_000, bare_round))
            }),
        ],
    )
    .await;
    report("PostgreSQL, 1,000 changes", 1_000, &figures);
}

async fn select_on_postgres(client: &tokio_postgres::Client, entities: usize) {
    let sql = "SELECT id, payload::text FROM es.states WHERE namespace = 'bench'";
    let rows = client
        .query_raw(sql, std::iter::empty::<i32>())
        .await
        .expect("it can be read");
    let mut rows = std::pin::pin!(rows);
    let mut all = Vec::new();
    while let Some(row) = rows.try_next().await.expect("it can be read") {
        all.push(serde_json::from_str::<Deployment>(row.get(1)).expect("it is one"));
    }
    assert_eq!(all.len(), entities);
}

async fn upsert_on_postgres(client: &tokio_postgres::Client, numbers: std::ops::Range<usize>, round: u32) {
    let (mut ids, mut payloads) = (Vec::new(), Vec::new());
    for number in numbers {
        let deployment = changed(number, round);
        ids.push(deployment.id.to_string());
        payloads.push(serde_json::to_string(&deployment).expect("it is JSON"));
    }
    let sql = "INSERT INTO bare SELECT 'bench', 'deployment', id, payload::json FROM unnest($1::text[], $2::text[]) AS n(id, payload) \
               ON CONFLICT (namespace, kind, id) DO UPDATE SET payload = excluded.payload";
    client.execute(sql, &[&ids, &payloads]).await.expect("it is taken");
}
