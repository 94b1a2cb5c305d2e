//! Every future of the store is dropped after every number of polls: no session stays in a transaction, no connection is lost.

mod support;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use es_postgres::PostgresStore;
use es_runtime::store::{AppendError, AppendRef, IdempotencyKey, ListStreams, ReadLog, ReadStream};
use es_runtime::{EventStore, StoreErrorKind};
use futures_util::TryStreamExt;
use support::{Database, append, log, nothing_idle_in_transaction, stream};
use uuid::Uuid;

/// Polls up to `times` times, each time when the future asks for it. Whether it was done by then.
async fn polled(times: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_future_leaves_nothing_behind() {
    const READERS: usize = 2;
    let database = Database::new().await;
    let options = PostgresStore::options()
        .readers(READERS)
        .answer_timeout(Duration::from_secs(5));
    let store = support::open(options, &database.config).await;
    store.append(append("a", 0..2500)).await.unwrap();
    let absent = AppendRef::of(&append("a", 0..1));
    for _ in 0..5 {
        for call in 0..9 {
            for polls in 0.. {
                let done = match call {
                    0 => polled(polls, store.append(append("b", 0..2))).await,
                    1 => {
                        let mut keyed = append("b", 0..2);
                        keyed.key = Some(IdempotencyKey {
                            key: Uuid::now_v7().to_string(),
                            fingerprint: Uuid::nil(),
                        });
                        polled(polls, store.append(keyed)).await
                    }
                    2 => polled(polls, store.resolve(&absent)).await,
                    3 => polled(polls, store.find_key("none")).await,
                    4 => polled(polls, store.version(&stream("a"))).await,
                    5 => polled(polls, store.head()).await,
                    6 => {
                        polled(
                            polls,
                            store.read_stream(ReadStream::new(stream("a"))).try_collect::<Vec<_>>(),
                        )
                        .await
                    }
                    7 => {
                        polled(
                            polls,
                            store.read_log(ReadLog::new().backwards()).try_collect::<Vec<_>>(),
                        )
                        .await
                    }
                    _ => polled(polls, store.streams(ListStreams::new("test")).try_collect::<Vec<_>>()).await,
                };
                assert!(polls < 10_000, "call {call} is done some time");
                if done {
                    break;
                }
            }
        }
    }
    let client = database.client().await;
    nothing_idle_in_transaction(&client).await;
    // All connections of the pool can be used at once, and there are no others but that which appends and that which notifies.
    let a = stream("a");
    let (head, version) = tokio::join!(store.head(), store.version(&a));
    assert_eq!(version.unwrap(), 2500);
    assert_eq!(log(&store).await.len() as u64, head.unwrap().0);
    let sessions: i64 = client
        .query_one(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert!(usize::try_from(sessions).unwrap() <= READERS + 2, "{sessions} sessions");
}

#[tokio::test]
async fn a_store_that_is_dropped_or_closed_ends_its_sessions() {
    let database = Database::new().await;
    let store = database.open().await;
    store.append(append("a", 0..1)).await.unwrap();
    store.head().await.unwrap();
    drop(store);
    no_sessions(&database).await;

    let store = database.open().await;
    let sent = tokio::spawn({
        let store = store.clone();
        async move { store.append(append("a", 0..1)).await }
    });
    store.close().await.unwrap();
    no_sessions(&database).await;
    if let Err(AppendError::Store(error)) = sent.await.unwrap() {
        assert_eq!(error.kind(), StoreErrorKind::Closed);
    }
    assert_eq!(store.head().await.unwrap_err().kind(), StoreErrorKind::Closed);
    match store.append(append("a", 0..1)).await.unwrap_err() {
        AppendError::Store(error) => assert_eq!(error.kind(), StoreErrorKind::Closed),
        other => panic!("{other}"),
    }
    store.close().await.expect("again it does nothing");
}

async fn no_sessions(database: &Database) {
    let client = database.client().await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..200 {
        if client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("sessions are left");
}
