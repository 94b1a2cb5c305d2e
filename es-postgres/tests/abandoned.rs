//! Whoever gives up waiting leaves nothing in the way of the next reader.

mod support;
mod tables;

use std::future::pending;
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, Pool};
use es_conformance::{SqlInline, SqlStep, SqlTables as _};
use es_postgres::PostgresStore;
use es_runtime::projection::sql::{SqlSchema, SqlStore as _};
use es_runtime::store::{Advance, CursorStore, InlineReader, Lease, RowStore, RowTable};
use es_runtime::store::{EventFilter, EventKind, ListStreams, ReadLog, ReadStream};
use es_runtime::{EventStore, ExpectedVersion, Position, StoreError};
use futures_core::stream::BoxStream;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use support::{Database, address, append, at_port, stream};
use tables::Tables;
use tokio::io::copy;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

/// Only so that a test without an answer ends.
const LONG: Duration = Duration::from_secs(60);

/// Returns the number of sessions that wait for a lock.
async fn waiting(client: &Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn until_waiting(client: &Client, count: i64) {
    let deadline = Instant::now() + LONG;
    while waiting(client).await != count {
        assert!(Instant::now() < deadline, "{count} sessions wait");
        tokio::task::yield_now().await;
    }
}

/// A store that reads over one connection, on which the server notices nothing by itself.
async fn over_one_connection(database: &Database) -> PostgresStore {
    let pool = Pool::builder(Manager::new(database.config.clone(), NoTls));
    let pool = pool.max_size(1).build().unwrap();
    let options = PostgresStore::options().pool(pool).answer_timeout(Duration::MAX);
    support::open(options, &database.config).await
}

fn called<'a, T: 'a>(call: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, ()> {
    call.map(drop).boxed()
}

async fn first<T>(mut events: BoxStream<'_, Result<T, StoreError>>) -> Result<Option<T>, StoreError> {
    events.try_next().await
}

#[tokio::test]
async fn what_is_given_up_is_cancelled_and_its_connection_not_used_again() {
    let database = Database::new().await;
    let store = over_one_connection(&database).await;
    store.append(append("a", 0..10)).await.unwrap();
    let table = RowTable {
        projection: "balances".into(),
        version: 1,
        indexes: Vec::new().into(),
        beside: false,
    };
    store.create_table(&table).await.unwrap();
    let lease = Lease {
        name: "balances".to_owned(),
        owner: "one".to_owned(),
        epoch: 1,
    };
    let advance = Advance::new("balances", &lease, Position(0), Position(1));
    let schema = SqlSchema {
        projection: "totals".into(),
        version: 1,
        sql: "CREATE TABLE totals (cents bigint)".into(),
    };
    let kind = EventKind {
        category: "test".to_owned(),
        name: "counted".to_owned(),
        shape_version: 1,
    };
    let a = stream("a");

    let (holder, observer) = (database.client().await, database.client().await);
    holder
        .batch_execute(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('es-postgres/schema/es_totals_v1', 0)); \
             LOCK es.recorded_events, es.checkpoints, es.leases, es.idempotency_keys, es.balances_v1 IN ACCESS EXCLUSIVE MODE",
        )
        .await
        .unwrap();
    let calls = [
        ("head", called(store.head())),
        ("version", called(store.version(&a))),
        ("find_key", called(store.find_key("key"))),
        ("count_events", called(store.count_events(&kind))),
        (
            "read_stream",
            called(first(store.read_stream(ReadStream::new(a.clone())))),
        ),
        ("read_log", called(first(store.read_log(ReadLog::new())))),
        (
            "read_log of a category",
            called(first(
                store.read_log(ReadLog::new().only(EventFilter::category("test"))),
            )),
        ),
        ("streams", called(first(store.streams(ListStreams::new("test"))))),
        ("checkpoint", called(store.checkpoint("balances"))),
        ("acquire", called(store.acquire("balances", "one", LONG))),
        ("advance", called(store.advance(advance))),
        ("clear", called(store.clear(&table, "balances", &lease))),
        ("differences", called(store.differences(&table, &table, 1))),
        ("create_schema", called(store.create_schema(&schema))),
        (
            "query",
            called(store.query("SELECT count(*) FROM es.recorded_events", &[])),
        ),
    ];
    for (name, call) in calls {
        tokio::select! {
            () = call => panic!("{name}: it has to wait for the lock"),
            () = until_waiting(&observer, 1) => {}
        }
        let next = timeout(LONG, store.stored_events()).await;
        next.unwrap_or_else(|_| panic!("{name}: the next reader waits for it"))
            .unwrap();
        until_waiting(&observer, 0).await;
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(store.head().await.unwrap(), 10);
}

/// The page that is fetched ahead, too.
#[tokio::test]
async fn a_long_read_that_is_given_up_is_cancelled() {
    let database = Database::new().await;
    let store = over_one_connection(&database).await;
    for _ in 0..3 {
        store.append(append("a", 0..1000)).await.unwrap();
    }
    let (holder, observer) = (database.client().await, database.client().await);
    let mut log = store.read_log(ReadLog::new());
    log.try_next().await.unwrap();
    holder
        .batch_execute("BEGIN; LOCK es.recorded_events IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let rest = async { while log.try_next().await.unwrap().is_some() {} };
    tokio::select! {
        () = rest => panic!("it has to wait for the lock"),
        () = until_waiting(&observer, 1) => {}
    }
    drop(log);
    let next = timeout(LONG, store.stored_events()).await;
    next.expect("the next reader does not wait for it").unwrap();
    until_waiting(&observer, 0).await;
}

/// The same database, through something that never tells the server that a client has gone.
async fn where_ends_do_not_show(database: &Database) -> Config {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = address(&database.config);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(server.clone()).await.unwrap();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.split();
                let (mut from_server, mut to_server) = server.split();
                let sending = async {
                    let _ = copy(&mut from_client, &mut to_server).await;
                    pending::<()>().await;
                };
                tokio::join!(sending, copy(&mut from_server, &mut to_client)).1
            });
        }
    });
    at_port(&database.config, port)
}

/// Else it would keep what its methods have locked.
#[tokio::test]
async fn an_append_that_is_given_up_in_a_method_is_cancelled() {
    let database = Database::new().await;
    let options = PostgresStore::options().answer_timeout(Duration::MAX);
    let tables = Tables(support::open(options, &where_ends_do_not_show(&database).await).await);
    let schema = SqlSchema {
        projection: "numbers".into(),
        version: 1,
        sql: tables.statement(1).into(),
    };
    let reader = InlineReader {
        reader: "numbers".to_owned(),
        mark: "numbers ready".to_owned(),
        categories: vec!["test".to_owned()],
    };
    tables.create_schema(&schema).await.unwrap();
    let (holder, observer) = (database.client().await, database.client().await);
    for begin in [
        "INSERT INTO es.checkpoints SELECT 'numbers ready', 0, NULL, l.epoch, clock_timestamp() FROM es.log AS l",
        "BEGIN; LOCK es_numbers_v1.numbers",
    ] {
        holder.batch_execute(begin).await.unwrap();
    }
    let mut sent = append("a", 0..1);
    sent.streams[0].expected = ExpectedVersion::NoStream;
    let inline = SqlInline {
        projection: reader.clone(),
        schema: schema.clone(),
        steps: vec![(0, SqlStep::Insert(1))],
    };
    tokio::select! {
        _ = tables.append_with(sent, vec![inline]) => panic!("its method has to wait for the lock"),
        () = until_waiting(&observer, 1) => {}
    }
    until_waiting(&observer, 0).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(tables.numbers(&schema).await, Some(vec![]));
}
