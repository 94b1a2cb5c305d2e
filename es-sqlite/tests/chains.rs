//! Chains of appends, as far as the conformance suite cannot see them.

mod common;

use std::sync::atomic::{AtomicI64, Ordering};

use common::{append, event, log, stream};
use es_runtime::store::{Append, AppendError, EventStore};
use es_runtime::{Clock, ExpectedVersion, StoreErrorKind, Timestamp};
use es_sqlite::SqliteStore;
use rusqlite::Connection;

/// Goes on each time that it is asked, as every transaction does once.
#[derive(Default)]
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1, Ordering::Relaxed)).unwrap()
    }
}

fn chain(length: usize) -> Vec<Append> {
    (0..length).map(|_| append("a", ExpectedVersion::Any, 1)).collect()
}

#[tokio::test]
async fn a_chain_is_one_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteStore::options().clock(Ticks::default());
    let store = options.open(directory.path().join("bank.db")).await.unwrap();
    for length in [2, 16, 1_000] {
        let before = log(&store).await.len();
        assert_eq!(store.append_chain(chain(length)).await.len(), length);
        let stored = log(&store).await.split_off(before);
        assert_eq!(stored.len(), length);
        let times = [stored[0].recorded_at, stored[length - 1].recorded_at];
        assert_eq!(times[0], times[1], "{length} appends");
    }
}

/// The transaction is undone as a whole, and the appends before the one that is to blame are stored all the same.
#[tokio::test]
async fn an_append_that_the_database_refuses_ends_its_chain_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    let store = SqliteStore::open(&path).await.unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER refuses BEFORE INSERT ON recorded_events WHEN NEW.payload = '{\"refused\":true}'
             BEGIN SELECT RAISE(ABORT, 'the test wants it so'); END",
        )
        .unwrap();
    for at in 0..4 {
        let before = log(&store).await.len();
        let mut appends = chain(4);
        let refused = event(*br#"{"refused":true}"#);
        appends[at] = Append::new(stream("a"), ExpectedVersion::Any, vec![refused]);
        let answers = store.append_chain(appends.clone()).await;
        assert_eq!(answers.len(), at + 1, "{answers:?}");
        let Some(Err(AppendError::Store(error))) = answers.last() else {
            panic!("{answers:?}");
        };
        assert!(format!("{error:?}").contains("the test wants it so"), "{error:?}");
        let stored: Vec<_> = log(&store).await[before..].iter().map(|event| event.id).collect();
        let first: Vec<_> = appends[..at]
            .iter()
            .map(|append| append.streams[0].events[0].id)
            .collect();
        assert_eq!(stored, first);
    }
}

#[tokio::test]
async fn a_closed_store_tells_a_chain_so() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("bank.db")).await.unwrap();
    store.close().await.unwrap();
    let answers = store.append_chain(chain(3)).await;
    assert!(
        matches!(&answers[..], [Err(AppendError::Store(error))] if error.kind() == StoreErrorKind::Closed),
        "{answers:?}"
    );
}
