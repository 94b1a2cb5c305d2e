//! Reads from tables changed by hand: each returns the stored data, or an error that says that the data is damaged.

mod support;

use std::sync::Arc;

use es_postgres::PostgresStore;
use es_runtime::store::{ArchiveStore as _, Checked, EventFilter, EventStore, ReadLog, ReadStream};
use es_runtime::{StoreError, StoreErrorKind, Version};
use futures_util::TryStreamExt;
use support::{Database, append, stream};

/// Three streams of nine events each, dealt out in turn.
async fn filled() -> (Database, PostgresStore) {
    let database = Database::new().await;
    let store = database.open().await;
    for number in 0..27 {
        let id = ["a", "b", "c"][number % 3];
        let number = number as u64;
        store.append(append(id, number..number + 1)).await.unwrap();
    }
    (database, store)
}

/// Returns how reads of a stream end, and reads of the log.
async fn kinds(store: &PostgresStore, id: &str) -> [(&'static str, Option<StoreErrorKind>); 9] {
    fn kind<T>(result: Result<T, StoreError>) -> Option<StoreErrorKind> {
        result.err().map(|error| error.kind())
    }
    // As the runtime reads it.
    let store = Checked::new(Arc::new(store.clone()));
    let query = ReadStream::new(stream(id));
    let of_category = ReadLog::new().only(EventFilter::category(query.stream.category().to_owned()));
    let of_another = ReadLog::new().only(EventFilter::category("another"));
    let in_log = ReadLog::new().only(EventFilter::Stream(stream(id)));
    [
        (
            "log",
            kind(store.read_log(ReadLog::new()).try_collect::<Vec<_>>().await),
        ),
        (
            "log backwards",
            kind(store.read_log(ReadLog::new().backwards()).try_collect::<Vec<_>>().await),
        ),
        (
            "stream in the log",
            kind(store.read_log(in_log).try_collect::<Vec<_>>().await),
        ),
        (
            "category in the log",
            kind(store.read_log(of_category).try_collect::<Vec<_>>().await),
        ),
        (
            "another category in the log",
            kind(store.read_log(of_another).try_collect::<Vec<_>>().await),
        ),
        (
            "stream",
            kind(store.read_stream(query.clone()).try_collect::<Vec<_>>().await),
        ),
        (
            "load",
            kind(store.load_stream(query.clone()).try_collect::<Vec<_>>().await),
        ),
        (
            "stream backwards",
            kind(store.read_stream(query.backwards()).try_collect::<Vec<_>>().await),
        ),
        ("version", kind(store.version(&stream(id)).await)),
    ]
}

const CORRUPT: Option<StoreErrorKind> = Some(StoreErrorKind::Corrupt);

#[tokio::test]
async fn a_stream_whose_name_is_gone_is_damage_to_every_read_of_it() {
    let (database, store) = filled().await;
    assert_eq!(store.version(&stream("never")).await.unwrap(), Version::ZERO);
    let gone = "DELETE FROM es.streams WHERE stream_id = 'b'";
    database.client().await.batch_execute(gone).await.unwrap();
    // Another process, which has not seen the name before.
    for (what, kind) in kinds(&database.open().await, "b").await {
        assert_eq!(kind, CORRUPT, "{what}");
    }
}

#[tokio::test]
async fn what_is_missing_or_out_of_place_is_damage() {
    for (what, sql, hurt) in [
        (
            "an event is gone",
            "DELETE FROM es.recorded_events WHERE position = 14",
            [
                "log",
                "log backwards",
                "stream in the log",
                "stream",
                "load",
                "stream backwards",
            ]
            .as_slice(),
        ),
        (
            "the first of all is gone",
            "DELETE FROM es.recorded_events WHERE position = 1",
            &["log", "log backwards"],
        ),
        (
            "an event stands elsewhere",
            "UPDATE es.recorded_events SET position = 1000 WHERE position = 14",
            &["log", "log backwards", "stream", "load", "stream backwards"],
        ),
        (
            "a version is another",
            "UPDATE es.recorded_events SET version = 100 WHERE position = 14",
            &["stream in the log", "stream", "load", "stream backwards"],
        ),
    ] {
        let (database, store) = filled().await;
        database.client().await.batch_execute(sql).await.unwrap();
        let kinds = kinds(&store, "b").await;
        for hurt in hurt {
            assert!(kinds.contains(&(*hurt, CORRUPT)), "{what}: {hurt} of {kinds:?}");
        }
    }
}

#[tokio::test]
async fn an_append_that_is_damaged_ends_a_read_of_appends() {
    for damage in [
        "DELETE FROM es.recorded_events WHERE position = 14",
        "UPDATE es.recorded_events SET position = 1000 WHERE position = 14",
        "UPDATE es.recorded_events SET append_size = 0 WHERE position = 14",
        "UPDATE es.recorded_events SET append_size = 0 WHERE position = 27",
        "UPDATE es.recorded_events SET append_size = 2 WHERE position = 14",
        "UPDATE es.recorded_events SET append_size = 2147483647 WHERE position = 27",
    ] {
        let (database, store) = filled().await;
        database.client().await.batch_execute(damage).await.unwrap();
        // As an export reads it.
        let archive = Arc::new(Checked::new(Arc::new(store))).archive_store().unwrap();
        let read = archive.appends().try_collect::<Vec<_>>().await;
        assert_eq!(read.err().map(|error| error.kind()), CORRUPT, "{damage}");
    }
}

/// An export that the server ends is told of the server, not that the log is damaged.
#[tokio::test]
async fn a_read_of_appends_that_fails_is_not_taken_for_damage() {
    let (database, _) = filled().await;
    // Another process, which has not seen the names before.
    let store = database.open().await;
    let away = "ALTER TABLE es.streams RENAME TO elsewhere";
    database.client().await.batch_execute(away).await.unwrap();
    let read = store.appends().try_collect::<Vec<_>>().await;
    assert_eq!(read.err().map(|error| error.kind()), Some(StoreErrorKind::Rejected));
}
