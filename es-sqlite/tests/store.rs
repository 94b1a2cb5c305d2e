//! Tests of an open store that the conformance suite cannot make.

mod common;

use std::sync::Arc;

use common::{append, event, log, stream};
use es_runtime::store::{
    Append, AppendError, AppendRef, EventStore, IdempotencyKey, ReadLog, ReadStream, StreamAppend,
};
use es_runtime::{Clock, ExpectedVersion, Position, StoreErrorKind, Timestamp, Version};
use es_sqlite::SqliteStore;
use futures_util::TryStreamExt;
use uuid::Uuid;

async fn open() -> (tempfile::TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("bank.db")).await.unwrap();
    (directory, store)
}

#[tokio::test]
async fn events_come_back_as_they_were_given() {
    let (_directory, store) = open().await;
    let payloads: [&[u8]; 5] = [
        b"{\"a\": 1.0}",
        b"",
        b"\0x\0",
        &[0xff, 0xfe, 0],
        "\u{feff}é\u{301}".as_bytes(),
    ];
    let events: Vec<_> = payloads.iter().map(|payload| event(*payload)).collect();
    let given = Append::new(stream(" a b "), ExpectedVersion::NoStream, events);
    let appended = store.append(given.clone()).await.unwrap();
    assert_eq!(appended.streams[0].version, 5);
    let recorded = log(&store).await;
    assert_eq!(recorded.len(), 5);
    for (recorded, given) in recorded.iter().zip(given.events()) {
        assert_eq!(recorded.payload, given.payload);
        assert_eq!(recorded.id, given.id);
        assert_eq!(recorded.stream, stream(" a b "));
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn appends_that_wait_together_see_each_other() {
    let (_directory, store) = open().await;
    let store = Arc::new(store);
    let keyed = |key: &str| {
        let mut append = append("keyed", ExpectedVersion::Any, 1);
        append.key = Some(IdempotencyKey {
            key: key.to_owned(),
            fingerprint: Uuid::nil(),
        });
        append
    };
    let same = append("a", ExpectedVersion::NoStream, 2);
    let appends = [
        same.clone(),
        same.clone(),
        append("a", ExpectedVersion::Exact(Version(2)), 1),
        append("a", ExpectedVersion::Exact(Version(2)), 1),
        keyed("k"),
        keyed("k"),
    ];
    let tasks = appends.map(|append| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.append(append).await })
    });
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    assert!(!outcomes[0].as_ref().unwrap().repeated);
    assert!(outcomes[1].as_ref().unwrap().repeated);
    assert_eq!(outcomes[2].as_ref().unwrap().streams[0].version, 3);
    assert!(matches!(
        outcomes[3],
        Err(AppendError::Conflict { actual: Version(3), .. })
    ));
    let (first, second) = (outcomes[4].as_ref().unwrap(), outcomes[5].as_ref().unwrap());
    assert_eq!((first.repeated, second.repeated), (false, true));
    assert_eq!((first.id, &first.streams), (second.id, &second.streams));
}

#[tokio::test]
async fn an_append_that_guards_is_repeated_with_its_result() {
    let (_directory, store) = open().await;
    store.append(append("b", ExpectedVersion::Any, 3)).await.unwrap();
    let mut guarded = append("a", ExpectedVersion::NoStream, 2);
    guarded.streams.insert(
        0,
        StreamAppend {
            stream: stream("b"),
            expected: ExpectedVersion::Exact(Version(3)),
            last: None,
            events: Vec::new(),
        },
    );
    let first = store.append(guarded.clone()).await.unwrap();
    store.append(append("b", ExpectedVersion::Any, 1)).await.unwrap();
    let mut second = store.append(guarded.clone()).await.unwrap();
    assert!(std::mem::take(&mut second.repeated));
    assert_eq!(first, second);
    let resolved = store.resolve(&AppendRef::of(&guarded)).await.unwrap().unwrap();
    assert_eq!(resolved.streams, first.streams);
    guarded.streams[0].stream = stream("c");
    let error = store.append(guarded).await.unwrap_err();
    assert!(matches!(error, AppendError::IdempotencyMismatch { .. }), "{error}");
}

#[tokio::test]
async fn reads_cross_pages_in_both_directions() {
    let (_directory, store) = open().await;
    for _ in 0..3 {
        store.append(append("a", ExpectedVersion::Any, 700)).await.unwrap();
    }
    let query = ReadStream::new(stream("a"));
    let forwards: Vec<_> = store.read_stream(query.clone()).try_collect().await.unwrap();
    let mut backwards: Vec<_> = store.read_stream(query.backwards()).try_collect().await.unwrap();
    backwards.reverse();
    assert_eq!(forwards.len(), 2100);
    assert!(forwards == backwards);
    let limited: Vec<_> = store
        .read_log(ReadLog::new().backwards().limit(600).to(2000_u64))
        .try_collect()
        .await
        .unwrap();
    assert_eq!((limited.len(), limited[599].position), (600, Position(1401)));
}

#[tokio::test]
async fn a_large_read_is_cut_into_pages_by_bytes() {
    let (_directory, store) = open().await;
    for _ in 0..5 {
        let events = vec![event(vec![b'x'; 1 << 20]), event(vec![b'y'; 10])];
        let append = Append::new(stream("a"), ExpectedVersion::Any, events);
        store.append(append).await.unwrap();
    }
    let sizes: Vec<_> = log(&store).await.iter().map(|event| event.payload.len()).collect();
    assert_eq!(sizes, [1 << 20, 10].repeat(5));
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let (_directory, store) = open().await;
    let clone = store.clone();
    store.close().await.unwrap();
    let error = clone.head().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Closed);
    let error = clone.append(append("a", ExpectedVersion::Any, 1)).await.unwrap_err();
    assert!(matches!(error, AppendError::Store(error) if error.kind() == StoreErrorKind::Closed));
}

struct PanickingClock;

impl Clock for PanickingClock {
    fn now(&self) -> Timestamp {
        panic!("the clock stopped")
    }
}

#[tokio::test]
async fn a_panic_of_the_writer_is_told_to_who_waits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    for length in [1, 3] {
        let store = SqliteStore::options().clock(PanickingClock).open(&path).await.unwrap();
        let chain = (0..length).map(|_| append("a", ExpectedVersion::Any, 1)).collect();
        let answers = store.append_chain(chain).await;
        assert!(
            matches!(&answers[..], [Err(AppendError::Indeterminate { .. })]),
            "{answers:?}"
        );
    }
    let store = SqliteStore::options().clock(PanickingClock).open(&path).await.unwrap();
    let error = store.append(append("a", ExpectedVersion::Any, 1)).await.unwrap_err();
    assert!(matches!(error, AppendError::Indeterminate { .. }), "{error:?}");
    let error = store.append(append("a", ExpectedVersion::Any, 1)).await.unwrap_err();
    assert!(matches!(error, AppendError::Store(error) if error.kind() == StoreErrorKind::Closed));

    let other = SqliteStore::open(&path).await.unwrap();
    other.append(append("a", ExpectedVersion::NoStream, 1)).await.unwrap();
}

#[tokio::test]
async fn what_was_requested_before_closing_is_done() {
    let (directory, store) = open().await;
    let clone = store.clone();
    let appends = (0..100).map(|_| clone.append(append("a", ExpectedVersion::Any, 1)));
    let mut appends = std::pin::pin!(futures_util::future::join_all(appends));
    assert!(futures_util::poll!(appends.as_mut()).is_pending());
    store.close().await.unwrap();
    assert!(appends.await.iter().all(Result::is_ok));
    let store = SqliteStore::open(directory.path().join("bank.db")).await.unwrap();
    assert_eq!(store.head().await.unwrap(), 100);
}

#[tokio::test]
async fn an_append_is_hinted_at_here_and_in_other_processes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bank.db");
    // Two stores know of each other no more than two processes do.
    let (here, elsewhere) = (
        SqliteStore::open(&path).await.unwrap(),
        SqliteStore::open(&path).await.unwrap(),
    );
    let (mut own, mut other) = (here.wakes(), elsewhere.wakes());
    for round in 0..20 {
        let appended = here
            .append(append(&round.to_string(), ExpectedVersion::NoStream, 2))
            .await
            .unwrap();
        let head = appended.head().unwrap();
        for wakes in [&mut own, &mut other] {
            let hinted = async { while wakes.beyond(Position(head.0 - 1)).await < head {} };
            tokio::time::timeout(std::time::Duration::from_secs(60), hinted)
                .await
                .expect("a hint comes");
        }
    }
    // Nobody wants hints for a while, and then somebody does.
    drop(other);
    here.append(append("late", ExpectedVersion::NoStream, 1)).await.unwrap();
    let mut again = elsewhere.wakes();
    let hinted = tokio::time::timeout(std::time::Duration::from_secs(60), again.beyond(Position(40)));
    assert_eq!(hinted.await.expect("a hint comes"), 41);
    elsewhere.close().await.unwrap();
    here.close().await.unwrap();
}
