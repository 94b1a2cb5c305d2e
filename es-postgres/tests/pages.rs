//! Reads ask for as many events at a time as are like those that were read before. That is a guess.

mod support;

use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use es_postgres::PostgresStore;
use es_runtime::EventStore;
use es_runtime::store::{ReadLog, ReadStream};
use futures_util::TryStreamExt;
use support::{Database, append, stream};
use tokio_postgres::NoTls;

/// The server has megabytes more to send of a page that was taken for a small one: nobody waits for them.
#[tokio::test]
async fn large_events_come_through_where_small_ones_were_usual() {
    const LARGE: usize = 60;
    let database = Database::new().await;
    let manager = Manager::new(database.config.clone(), NoTls);
    let pool = Pool::builder(manager).max_size(1).build().unwrap();
    let backend = || async {
        let client = pool.get().await.unwrap();
        let pid = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
        pid.get::<_, i32>(0)
    };
    let options = PostgresStore::options()
        .pool(pool.clone())
        .answer_timeout(Duration::MAX);
    let store = support::open(options, &database.config).await;
    store.append(append("small", 0..700)).await.unwrap();
    let in_sql = "SELECT es.append('{test}', '{large}', '{none}', array_agg('counted'::text), array_agg(payload)) \
                  FROM generate_series(1, $1) AS i, to_json(repeat('x', 500000) || i) AS payload";
    let large = i32::try_from(LARGE).unwrap();
    database.client().await.query(in_sql, &[&large]).await.unwrap();

    let small = || async {
        let events = store.load_stream(ReadStream::new(stream("small")));
        events.try_fold(0, async |n, _| Ok(n + 1)).await.unwrap()
    };
    for turn in 0..2 {
        assert_eq!(small().await, 700);
        let before = backend().await;
        let loaded: Vec<_> = store
            .load_stream(ReadStream::new(stream("large")))
            .map_ok(|event| event.version.0)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(loaded, (1..=LARGE as u64).collect::<Vec<_>>());
        // The second time it was known that they may be large.
        assert_eq!(backend().await != before, turn == 0, "in turn {turn}");
        let backwards: Vec<_> = store
            .read_log(ReadLog::new().backwards())
            .map_ok(|event| event.position.0)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(backwards, (1..=700 + LARGE as u64).rev().collect::<Vec<_>>());
    }
}
