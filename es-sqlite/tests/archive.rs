//! Whole appends of a file, beyond what the contract asks of every store.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{append, log};
use es_runtime::store::{Checked, EventStore, RecordedAppend};
use es_runtime::{AppendId, ExpectedVersion, StoreError, StoreErrorKind};
use es_sqlite::SqliteStore;
use futures_util::{StreamExt, TryStreamExt};
use rusqlite::Connection;

/// A file with `appends` appends of two events each.
async fn filled(path: &Path, appends: u64) -> SqliteStore {
    let store = SqliteStore::open(path).await.unwrap();
    for _ in 0..appends {
        store.append(append("a", ExpectedVersion::Any, 2)).await.unwrap();
    }
    store
}

async fn appends(store: &SqliteStore) -> Result<Vec<RecordedAppend>, StoreError> {
    let archive = Arc::new(Checked::new(Arc::new(store.clone()))).archive_store();
    archive.unwrap().appends().try_collect().await
}

#[tokio::test]
async fn events_of_another_program_are_appends_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = filled(&path, 1_000).await;
    let events = log(&store).await;
    // More than a page of them at the start, some in the midst and one at the end.
    let outside = Connection::open(&path).unwrap();
    let forget = "DELETE FROM appends WHERE last_position <= 1400 OR last_position IN (1500, 1502, 2000)";
    assert_eq!(outside.execute(forget, []).unwrap(), 703);
    let as_if_by_another = "UPDATE recorded_events SET checksum = NULL
         WHERE NOT EXISTS (SELECT 1 FROM appends WHERE position BETWEEN first_position AND last_position)";
    assert_eq!(outside.execute(as_if_by_another, []).unwrap(), 1_406);
    let appends = appends(&store).await.unwrap();
    let read: Vec<_> = appends
        .iter()
        .flat_map(|recorded| recorded.append.events().cloned())
        .collect();
    assert_eq!(read.len(), events.len());
    for ((read, event), number) in read.iter().zip(&events).zip(1..) {
        assert_eq!((read.id, &read.payload), (event.id, &event.payload), "event {number}");
    }
    let alone = appends.iter().filter(|recorded| recorded.events() == 1);
    let alone: Vec<u64> = alone.map(|recorded| recorded.position.0).collect();
    let expected: Vec<u64> = (1..=1_400).chain(1_499..=1_502).chain(1_999..=2_000).collect();
    assert_eq!(alone, expected);
    assert_eq!(appends[0].append.id, AppendId(events[0].id.0));
}

#[tokio::test]
async fn an_append_that_is_damaged_ends_the_read() {
    for damage in [
        "DELETE FROM recorded_events WHERE position = 7",
        "DELETE FROM recorded_events WHERE position = 8",
        "UPDATE recorded_events SET payload = '{}' WHERE position = 7",
        "UPDATE recorded_events SET version = 70 WHERE position = 7",
        "UPDATE recorded_events SET stream = 70 WHERE position = 7",
        "DELETE FROM appends WHERE first_position = 7",
        "UPDATE appends SET first_position = 8 WHERE first_position = 7",
        "UPDATE appends SET last_position = 9 WHERE first_position = 7",
        "UPDATE appends SET recorded_at = recorded_at - 1 WHERE first_position = 7",
        "UPDATE appends SET first_position = 5, last_position = 6 WHERE first_position = 7",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let store = filled(&path, 10).await;
        let outside = Connection::open(&path).unwrap();
        outside.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        assert_eq!(outside.execute(damage, []).unwrap(), 1);
        let kind = appends(&store).await.map_err(|error| error.kind());
        assert_eq!(kind, Err(StoreErrorKind::Corrupt), "{damage}");
    }
}

#[tokio::test]
async fn a_read_of_appends_that_is_left_keeps_nothing_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = Arc::new(filled(&path, 1_000).await);
    let archive = Arc::clone(&store).archive_store().unwrap();
    let mut reading = archive.appends();
    reading.next().await.unwrap().unwrap();
    store.append(append("a", ExpectedVersion::Any, 1)).await.unwrap();
    drop(reading);
    store.close().await.unwrap();
    assert!(!folder.path().join("test.db-wal").exists());

    let late = archive.appends().next().await.unwrap();
    assert_eq!(late.map_err(|error| error.kind()), Err(StoreErrorKind::Closed));
}
