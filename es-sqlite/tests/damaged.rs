//! Reads from damaged files: each returns the stored data, or an error that says that the file is damaged.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{event, stream};
use es_runtime::store::{Append, Checked, EventFilter, EventStore, ReadLog, ReadStream};
use es_runtime::testing::ManualClock;
use es_runtime::{
    AppendId, EventId, ExpectedVersion, NewEvent, RecordedEvent, StoreError, StoreErrorKind, StoredEvent, Version,
};
use es_sqlite::SqliteStore;
use futures_util::{StreamExt, TryStreamExt};
use rusqlite::Connection;
use uuid::Uuid;

/// Returns the number of files to damage: `quick`, or `full` with `ES_TEST_SCALE=full`.
fn scaled(quick: u64, full: u64) -> u64 {
    if std::env::var("ES_TEST_SCALE").is_ok_and(|scale| scale == "full") {
        full
    } else {
        quick
    }
}

/// A number for each seed, as good as random.
fn mixed(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

fn below(seed: u64, bound: usize) -> usize {
    usize::try_from(mixed(seed) % bound as u64).unwrap()
}

fn id(number: u64) -> String {
    format!("{:016x}", mixed(number))
}

fn uuid(number: u64) -> Uuid {
    Uuid::from_u64_pair(mixed(number), number)
}

fn deposited(number: u64) -> NewEvent {
    let mut event = event(format!(
        r#"{{"amount":{number},"note":"{}"}}"#,
        "x".repeat(below(number, 120))
    ));
    event.id = EventId(uuid(number));
    if number.is_multiple_of(3) {
        event.metadata.set_actor(id(number));
    }
    event
}

const STREAMS: u64 = 40;

/// A file with streams of some events each, the same each time.
async fn filled(path: &Path) {
    let clock = ManualClock::at("2026-01-01T12:00:00Z".parse().unwrap());
    let store = SqliteStore::options().clock(clock).open(path).await.unwrap();
    for round in 0..10 {
        for number in 0..STREAMS {
            let events = (0..below(round * STREAMS + number, 4))
                .map(|event| deposited((round * STREAMS + number) * 4 + event as u64));
            let mut append = Append::new(stream(&id(number)), ExpectedVersion::Any, events.collect());
            append.id = AppendId(uuid(round * STREAMS + number));
            if append.events().next().is_some() {
                store.append(append).await.unwrap();
            }
        }
    }
    store.close().await.unwrap();
}

/// All that can be read of the events of a file.
#[derive(Debug, PartialEq)]
struct Content {
    log: Vec<RecordedEvent>,
    backwards: Vec<RecordedEvent>,
    of_category: Vec<RecordedEvent>,
    of_name: Vec<RecordedEvent>,
    in_log: Vec<Vec<RecordedEvent>>,
    streams: Vec<Vec<RecordedEvent>>,
    loads: Vec<Vec<StoredEvent>>,
    tails: Vec<Vec<RecordedEvent>>,
    versions: Vec<Version>,
}

fn deposits() -> EventFilter {
    EventFilter::events("account", ["deposited"])
}

/// A store as the runtime reads it.
type Store = Checked<SqliteStore>;

async fn open(path: &Path) -> Store {
    Checked::new(Arc::new(SqliteStore::open(path).await.unwrap()))
}

/// Far more than there is: a read that goes round comes to an end too.
const ENDLESS: usize = 10_000;

async fn all<T>(events: impl futures_util::Stream<Item = Result<T, StoreError>>) -> Result<Vec<T>, StoreError> {
    let events: Vec<T> = events.take(ENDLESS).try_collect().await?;
    assert!(events.len() < ENDLESS, "a read without end");
    Ok(events)
}

/// Reads each part of the content, whatever happens to the others, and returns the differences.
async fn differences(store: &Store, right: &Content) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: String, is_right: Result<bool, StoreError>| match is_right {
        Ok(true) => {}
        Ok(false) => wrong.push(what),
        Err(error) if error.kind() == StoreErrorKind::Corrupt => {}
        Err(error) => wrong.push(format!("{what}: {error} ({:?})", error.kind())),
    };
    let read = all(store.read_log(ReadLog::new())).await;
    compare("the log".into(), read.map(|read| read == right.log));
    let read = all(store.read_log(ReadLog::new().backwards())).await;
    compare("the log backwards".into(), read.map(|read| read == right.backwards));
    let of_category = ReadLog::new().only(EventFilter::category("account"));
    let read = all(store.read_log(of_category)).await;
    compare("the category".into(), read.map(|read| read == right.of_category));
    let read = all(store.read_log(ReadLog::new().only(deposits()))).await;
    compare("the deposits".into(), read.map(|read| read == right.of_name));
    for number in 0..STREAMS {
        let at = usize::try_from(number).unwrap();
        let query = ReadStream::new(stream(&id(number)));
        let read = all(store.read_stream(query.clone())).await;
        compare(format!("stream {number}"), read.map(|read| read == right.streams[at]));
        let read = all(store.read_log(ReadLog::new().only(EventFilter::Stream(query.stream.clone())))).await;
        compare(
            format!("stream {number} in the log"),
            read.map(|read| read == right.in_log[at]),
        );
        let read = all(store.load_stream(query.clone())).await;
        compare(format!("load {number}"), read.map(|read| read == right.loads[at]));
        let read = all(store.read_stream(query.backwards().limit(2))).await;
        compare(format!("tail {number}"), read.map(|read| read == right.tails[at]));
        let version = store.version(&stream(&id(number))).await;
        compare(
            format!("version {number}"),
            version.map(|version| version == right.versions[at]),
        );
    }
    wrong
}

async fn content(store: &Store) -> Content {
    let mut content = Content {
        log: all(store.read_log(ReadLog::new())).await.unwrap(),
        backwards: all(store.read_log(ReadLog::new().backwards())).await.unwrap(),
        of_name: all(store.read_log(ReadLog::new().only(deposits()))).await.unwrap(),
        of_category: all(store.read_log(ReadLog::new().only(EventFilter::category("account"))))
            .await
            .unwrap(),
        in_log: Vec::new(),
        streams: Vec::new(),
        loads: Vec::new(),
        tails: Vec::new(),
        versions: Vec::new(),
    };
    for number in 0..STREAMS {
        let query = ReadStream::new(stream(&id(number)));
        content
            .streams
            .push(all(store.read_stream(query.clone())).await.unwrap());
        let in_log = ReadLog::new().only(EventFilter::Stream(query.stream.clone()));
        content.in_log.push(all(store.read_log(in_log)).await.unwrap());
        content.loads.push(all(store.load_stream(query.clone())).await.unwrap());
        content
            .tails
            .push(all(store.read_stream(query.backwards().limit(2))).await.unwrap());
        content
            .versions
            .push(store.version(&stream(&id(number))).await.unwrap());
    }
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_reads_as_it_was_or_as_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    filled(&path).await;
    let bytes = std::fs::read(&path).unwrap();
    let store = open(&path).await;
    let right = content(&store).await;
    store.close().await.unwrap();

    let mut wrong = Vec::new();
    let files = scaled(150, 5_000);
    for seed in 0..files {
        let mut damaged = bytes.clone();
        let at = below(seed * 2, bytes.len());
        damaged[at] ^= u8::try_from(1 + below(seed * 2 + 1, 255)).unwrap();
        let path = directory.path().join(format!("{seed}.db"));
        std::fs::write(&path, &damaged).unwrap();
        match SqliteStore::options().readers(1).open(&path).await {
            Ok(store) => {
                let store = Checked::new(Arc::new(store));
                let differences = differences(&store, &right).await;
                if !differences.is_empty() {
                    wrong.push(format!(
                        "seed {seed}, byte {at} of page {}: {differences:?}",
                        at / 4096 + 1
                    ));
                }
                // It may have lost its trust in itself.
                let _ = store.close().await;
            }
            Err(error) => assert!(
                matches!(error.kind(), StoreErrorKind::Corrupt | StoreErrorKind::Rejected),
                "{error}"
            ),
        }
        std::fs::remove_file(&path).unwrap();
    }
    // An entry of an index that is no record any more may be passed over, and so may be a row that a filter looks at.
    let most = usize::try_from(files / 1_000).unwrap();
    assert!(
        wrong.len() <= most,
        "{} of {files} files:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Changes that somebody makes to a file, each with its SQL.
const CHANGES: [(&str, &str); 12] = [
    ("an event is gone", "DELETE FROM recorded_events WHERE position = 20"),
    (
        "many events are gone",
        "DELETE FROM recorded_events WHERE position BETWEEN 20 AND 90",
    ),
    (
        "the first event is gone",
        "DELETE FROM recorded_events WHERE position = 1",
    ),
    (
        "an event stands elsewhere",
        "UPDATE recorded_events SET position = 1000 WHERE position = 20",
    ),
    (
        "two events have changed places",
        "UPDATE recorded_events SET position = -1 WHERE position = 20;
         UPDATE recorded_events SET position = 20 WHERE position = 70;
         UPDATE recorded_events SET position = 70 WHERE position = -1",
    ),
    (
        "a version is another",
        "UPDATE recorded_events SET version = version + 100 WHERE position = 20",
    ),
    (
        "an event is of another stream",
        "UPDATE recorded_events SET stream = 2, version = 1000 WHERE position = 1",
    ),
    (
        "an id is another",
        "UPDATE recorded_events SET event_id = zeroblob(16) WHERE position = 20",
    ),
    (
        "a payload is another",
        "UPDATE recorded_events SET payload = replace(payload, 'amount', 'count') WHERE position = 20",
    ),
    (
        "the metadata are others",
        "UPDATE recorded_events SET metadata = '{\"actor\":\"nobody\"}' WHERE position = 20",
    ),
    (
        "a name is no text",
        "UPDATE recorded_events SET name = CAST(x'ff' AS TEXT) WHERE position = 20",
    ),
    (
        "a time is none",
        "UPDATE recorded_events SET recorded_at = 9223372036854775807 WHERE position = 20",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_row_reads_as_damage_and_nothing_else_reads_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    filled(&path).await;
    let store = open(&path).await;
    let right = content(&store).await;
    store.close().await.unwrap();
    for (what, sql) in CHANGES {
        let copy = directory.path().join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        let connection = Connection::open(&copy).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
        let store = open(&copy).await;
        // The metadata are no part of what folding reads, and a backward read may come to the damage first or last.
        let log = all(store.read_log(ReadLog::new())).await;
        assert_eq!(log.unwrap_err().kind(), StoreErrorKind::Corrupt, "{what}");
        let backwards = all(store.read_log(ReadLog::new().backwards())).await;
        assert_eq!(backwards.unwrap_err().kind(), StoreErrorKind::Corrupt, "{what}");
        let mut wrong = differences(&store, &right).await;
        // Only a read of the whole log misses what is gone from the end of a stream, or what a filter would have let through.
        wrong.retain(|wrong| !what.contains("gone") || wrong.starts_with("the log"));
        assert!(wrong.is_empty(), "{what}: {wrong:?}");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_name_without_events_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    filled(&path).await;
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("DELETE FROM recorded_events WHERE stream = 3")
        .unwrap();
    let name: String = connection
        .query_row("SELECT stream_id FROM streams WHERE id = 3", [], |row| row.get(0))
        .unwrap();
    let store = open(&path).await;
    let query = ReadStream::new(stream(&name));
    for failed in [
        all(store.read_stream(query.clone())).await.map(drop),
        all(store.load_stream(query.clone())).await.map(drop),
        all(store.load_stream(query.backwards())).await.map(drop),
        store.version(&stream(&name)).await.map(drop),
    ] {
        assert_eq!(failed.unwrap_err().kind(), StoreErrorKind::Corrupt);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_name_is_gone_is_damage_to_every_read_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    filled(&path).await;
    let copy = directory.path().join("copy.db");
    for (gone, is_open) in (0..STREAMS).zip([true, false].into_iter().cycle()) {
        std::fs::copy(&path, &copy).unwrap();
        let mut store = open(&copy).await;
        let (gone, never) = (stream(&id(gone)), stream("never"));
        assert_eq!(store.version(&never).await.unwrap(), 0);
        if store.version(&gone).await.unwrap() == 0 {
            continue;
        }
        if !is_open {
            store.close().await.unwrap();
        }
        let connection = Connection::open(&copy).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection
            .execute("DELETE FROM streams WHERE stream_id = ?1", [gone.id()])
            .unwrap();
        connection.close().unwrap();
        if !is_open {
            store = open(&copy).await;
        }
        let query = ReadStream::new(gone.clone());
        for failed in [
            all(store.read_log(ReadLog::new())).await.map(drop),
            all(store.read_log(ReadLog::new().backwards())).await.map(drop),
            all(store.read_log(ReadLog::new().only(EventFilter::category("account"))))
                .await
                .map(drop),
            all(store.read_log(ReadLog::new().only(EventFilter::Stream(gone.clone()))))
                .await
                .map(drop),
            all(store.read_stream(query.clone())).await.map(drop),
            all(store.load_stream(query.clone())).await.map(drop),
            all(store.load_stream(query.backwards())).await.map(drop),
            store.version(&gone).await.map(drop),
        ] {
            assert_eq!(failed.unwrap_err().kind(), StoreErrorKind::Corrupt, "{gone}");
        }
        store.close().await.unwrap();
    }
}
