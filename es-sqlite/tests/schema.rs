//! Which files are opened, and what is in them.

mod common;

use std::path::Path;
use std::process::Command;

use common::{append, log, stream};
use es_runtime::store::{Append, AppendRef, EventStore};
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
    assert!(message.contains("use a newer es-sqlite"), "{message}");
}

/// Such a build counted its schemas from 1, and ended anywhere up to 5.
#[tokio::test]
async fn a_file_of_a_build_before_the_first_release_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for version in 1..=5 {
        let path = directory.path().join(format!("bank-{version}.db"));
        SqliteStore::open(&path).await.unwrap().close().await.unwrap();
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!("PRAGMA user_version = {version}"))
            .unwrap();
        connection.close().unwrap();
        let message = refusal(&path).await;
        let what = format!(
            "{}` has schema version {version}, which a build before the first release made",
            path.display()
        );
        assert!(message.contains(&what), "{message}");
        assert!(message.contains("choose another file"), "{message}");
    }
}

/// A process that has the file open when a newer build raises the version goes on, and leaves it raised.
#[tokio::test]
async fn an_older_build_that_resolves_an_append_leaves_the_version_of_a_newer_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    let unknown = AppendRef::of(&append("a", ExpectedVersion::Any, 1));
    assert_eq!(store.resolve(&unknown).await.unwrap(), None);
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
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
