//! Which files are opened, and what is in them.

mod common;

use std::path::Path;
use std::process::Command;

use common::{append, log, stream};
use es_runtime::store::{Append, EventKind, EventStore, WriteCap};
use es_runtime::{ExpectedVersion, StoreErrorKind, Timestamp};
use es_sqlite::{Durability, SqliteStore};
use rusqlite::Connection;

/// The message with which a file is refused, which must be left as it is.
async fn refusal(path: &Path) -> String {
    let before = std::fs::read(path).unwrap();
    let error = SqliteStore::open(path).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected, "{error}");
    assert_eq!(std::fs::read(path).unwrap(), before, "the file was changed");
    error.to_string()
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("photos.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE photos (id INTEGER)").unwrap();
    let message = refusal(&path).await;
    assert!(message.contains("of another program"), "{message}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("letter.txt");
    std::fs::write(&path, "Dear Alice, ".repeat(1000)).unwrap();
    let message = refusal(&path).await;
    assert!(message.contains("is not a SQLite database"), "{message}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    connection.close().unwrap();
    let message = refusal(&path).await;
    assert!(message.contains("schema version 99"), "{message}");
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let error = SqliteStore::open("/no/such/place/bank.db").await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("/no/such/place/bank.db"), "{error}");
}

#[tokio::test]
async fn a_name_that_reads_like_a_uri_is_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file:bank.db?mode=memory");
    let store = SqliteStore::open(&path).await.unwrap();
    store.append(append("a", ExpectedVersion::Any, 1)).await.unwrap();
    assert!(path.exists());
}

#[tokio::test]
async fn a_store_is_durable_as_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.durability(), Durability::Full);
    let store = SqliteStore::options()
        .durability(Durability::Normal)
        .open(&path)
        .await
        .unwrap();
    assert_eq!(store.durability(), Durability::Normal);
    let mode: String = Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn the_view_reads_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    for (id, micros) in [("early", -1), ("late", 1_795_253_400_250_000)] {
        let store = SqliteStore::options()
            .clock(FixedClock(Timestamp::from_micros(micros).unwrap()))
            .open(&path)
            .await
            .unwrap();
        store.append(append(id, ExpectedVersion::NoStream, 1)).await.unwrap();
        store.close().await.unwrap();
    }
    let connection = Connection::open(&path).unwrap();
    let mut statement = connection
        .prepare("SELECT stream, recorded_at, payload ->> 'amount', event_id FROM events ORDER BY position")
        .unwrap();
    let rows: Vec<(String, String, i64, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        (&*rows[0].0, &*rows[0].1),
        ("account/early", "1969-12-31T23:59:59.999999Z")
    );
    assert_eq!(
        (&*rows[1].0, &*rows[1].1, rows[1].2),
        ("account/late", "2026-11-21T09:30:00.250000Z", 20)
    );
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(log(&store).await[1].id.to_string(), rows[1].3);
}

struct FixedClock(Timestamp);

impl es_runtime::Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

#[tokio::test]
async fn a_busy_file_is_unavailable() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    let store = SqliteStore::options()
        .busy_timeout(std::time::Duration::from_millis(50))
        .open(&path)
        .await
        .unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = Append::new(stream("a"), ExpectedVersion::Any, vec![common::event("{}")]);
    let error = store.append(refused).await.unwrap_err();
    assert!(error.to_string().contains("busy timeout"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.head().await.unwrap(), 0);
    store.append(append("a", ExpectedVersion::NoStream, 1)).await.unwrap();
}

/// Several processes that start at once: one creates the tables, all of them append.
#[tokio::test]
async fn eight_processes_that_start_at_once_share_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    let children: Vec<_> = (0..8)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["child_that_appends", "--exact", "--ignored"])
                .env("ES_SQLITE_TEST_STORE", &path)
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(log(&store).await.len(), 8 * 20);
}

#[tokio::test]
#[ignore = "started by another test"]
async fn child_that_appends() {
    let Some(path) = std::env::var_os("ES_SQLITE_TEST_STORE") else {
        return;
    };
    let store = SqliteStore::options()
        .busy_timeout(std::time::Duration::from_secs(60))
        .open(path)
        .await
        .unwrap();
    for _ in 0..20 {
        store.append(append("shared", ExpectedVersion::Any, 1)).await.unwrap();
    }
}

/// A file as the first schema left it, with three kinds of events.
fn first_schema(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    connection.execute_batch(include_str!("../sql/001_create.sql")).unwrap();
    connection
        .execute_batch(
            "PRAGMA application_id = 0x65737273;
             PRAGMA user_version = 1;
             INSERT INTO streams VALUES (1, 'account', 'a'), (2, 'transfer', 'a');
             WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 8)
             INSERT INTO recorded_events
             (position, stream, version, event_id, recorded_at, name, shape_version, metadata, payload)
             SELECT number, 1 + number % 2, (number + 1) / 2, randomblob(16), 0, iif(number < 7, 'opened', 'closed'), 1,
                    '{}', '{}'
             FROM numbers",
        )
        .unwrap();
}

fn kinds_of_the_first_schema() -> Vec<EventKind> {
    [
        ("account", "closed"),
        ("account", "opened"),
        ("transfer", "closed"),
        ("transfer", "opened"),
    ]
    .map(|(category, name)| EventKind::new(category, name, 1))
    .to_vec()
}

#[tokio::test]
async fn a_file_of_the_first_schema_tells_what_is_stored_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    first_schema(&path);
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.stored_events().await.unwrap(), kinds_of_the_first_schema());
    let opened = EventKind::new("transfer", "opened", 1);
    assert_eq!(store.count_events(&opened).await.unwrap(), 3);
    assert_eq!(log(&store).await.len(), 8);
    store.append(append("a", ExpectedVersion::Exists, 1)).await.unwrap();
    let told = store.stored_events().await.unwrap();
    assert!(told.contains(&EventKind::new("account", "deposited", 1)), "{told:?}");
}

/// A writer of the first schema that was open all the while marks the file as its own again when it resolves an append.
#[tokio::test]
async fn a_step_that_is_taken_twice_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    first_schema(&path);
    let store = SqliteStore::open(&path).await.unwrap();
    store
        .set_write_cap(WriteCap::new("account", "opened", 1))
        .await
        .unwrap();
    store.close().await.unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 1").unwrap();
    connection.close().unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.stored_events().await.unwrap(), kinds_of_the_first_schema());
    assert_eq!(
        store.write_caps().await.unwrap(),
        [WriteCap::new("account", "opened", 1)]
    );
}
