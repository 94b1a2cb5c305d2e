//! What changes around a store that is open: its file, and the clock.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{append, log};
use es_runtime::store::{AppendError, CursorStore, EventStore};
use es_runtime::{ExpectedVersion, StoreErrorKind};
use es_sqlite::SqliteStore;
use rusqlite::Connection;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// What is done to the files of an open store.
type Change = (&'static str, fn(&Path));

#[cfg(unix)]
const CHANGES: [Change; 5] = [
    ("the file is removed", |path| {
        std::fs::remove_file(path).unwrap();
    }),
    ("the file is renamed", |path| {
        std::fs::rename(path, beside(path, ".old")).unwrap();
    }),
    ("the file is replaced by a copy", |path| {
        std::fs::copy(path, beside(path, ".copy")).unwrap();
        std::fs::rename(beside(path, ".copy"), path).unwrap();
    }),
    ("the log is removed", |path| {
        std::fs::remove_file(beside(path, "-wal")).unwrap();
    }),
    ("all files are removed", |path| {
        for suffix in ["", "-wal", "-shm"] {
            std::fs::remove_file(beside(path, suffix)).unwrap();
        }
    }),
];

/// What is acknowledged can be read by whoever opens the file.
#[cfg(unix)]
#[tokio::test]
async fn nothing_is_acknowledged_in_a_file_that_is_gone() {
    for (what, change) in CHANGES {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bank.db");
        let store = SqliteStore::open(&path).await.unwrap();
        store.append(append("a", ExpectedVersion::Any, 1)).await.unwrap();
        change(&path);
        let first = store.append(append("a", ExpectedVersion::Any, 1)).await;
        assert!(
            matches!(first, Err(AppendError::Indeterminate { .. })),
            "{what}: {first:?}"
        );
        let Err(AppendError::Store(later)) = store.append(append("a", ExpectedVersion::Any, 1)).await else {
            panic!("{what}: it goes on")
        };
        assert_eq!(later.kind(), StoreErrorKind::Closed, "{what}");
        assert!(later.to_string().contains("removed or replaced"), "{what}: {later}");
        assert_eq!(store.head().await.unwrap_err().kind(), StoreErrorKind::Closed, "{what}");
        assert_eq!(
            store.close().await.unwrap_err().kind(),
            StoreErrorKind::Closed,
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_file_that_stays_is_written_to_whatever_happens_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    let store = SqliteStore::open(&path).await.unwrap();
    for _ in 0..20 {
        // Another process comes and goes: it moves the log into the file, and removes nothing.
        let other = SqliteStore::open(&path).await.unwrap();
        other.append(append("a", ExpectedVersion::Any, 1)).await.unwrap();
        other.close().await.unwrap();
        store.append(append("a", ExpectedVersion::Any, 1)).await.unwrap();
    }
    store.close().await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(log(&store).await.len(), 40);
}

const LENGTH: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_lease_from_before_the_clock_was_set_back_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let lease = store
        .acquire("balances", "one", LENGTH)
        .await
        .unwrap()
        .expect("it is free");
    assert_eq!(store.acquire("balances", "two", LENGTH).await.unwrap(), None);
    assert_eq!(
        store.lease("balances").await.unwrap().unwrap().owner.as_deref(),
        Some("one")
    );

    // To the clock it is an hour earlier now than to the lease.
    let connection = Connection::open(&path).unwrap();
    let earlier = "UPDATE leases SET expires_at = expires_at + 3600 * 1000000";
    connection.execute_batch(earlier).unwrap();
    assert_eq!(store.lease("balances").await.unwrap().unwrap().owner, None);
    let taken = store
        .acquire("balances", "two", LENGTH)
        .await
        .unwrap()
        .expect("it has ended");
    assert!(taken.epoch > lease.epoch);
    assert!(!store.renew(&lease, LENGTH).await.unwrap(), "it was taken over");
    assert!(store.renew(&taken, LENGTH).await.unwrap());

    // An owner that lives renews it by the clock as it is now.
    connection.execute_batch(earlier).unwrap();
    assert!(store.renew(&taken, LENGTH).await.unwrap());
    assert_eq!(store.acquire("balances", "one", LENGTH).await.unwrap(), None);
}
