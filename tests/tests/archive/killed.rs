//! Processes that import an archive, and are killed in the midst of it: the next one goes on, and each append is stored once.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::store::{Append, StreamAppend};
use es_runtime::{EventId, ExpectedVersion, MemoryStore, Metadata, NewEvent, StreamId, archive};
use es_tests::process::Process;
use es_tests::{scaled, stores};
use uuid::Uuid;

use crate::history::{Store, export};

/// The address of the store into which the process imports, and the path of the archive.
const ADDRESS: &str = "ES_TESTS_RESTORING";
const ARCHIVE: &str = "ES_TESTS_ARCHIVE";

const APPENDS: u128 = 20_000;

/// Appends over two streams, in an order of their own.
async fn long() -> Vec<u8> {
    let source: Store = Arc::new(MemoryStore::new());
    for number in 0..APPENDS {
        let part = |stream: u128| StreamAppend {
            stream: StreamId::new("account", (stream % 50).to_string()),
            expected: ExpectedVersion::Any,
            last: None,
            events: vec![NewEvent {
                id: EventId(Uuid::from_u128((number << 8) | (stream % 2))),
                name: "happened".into(),
                shape_version: 1,
                payload: format!("{{\"number\":{number}}}").into(),
                metadata: Metadata::EMPTY,
            }],
        };
        let append = Append {
            streams: vec![part(2 * number), part(2 * number + 1)],
            ..Append::new(StreamId::new("", ""), ExpectedVersion::Any, Vec::new())
        };
        source.append(append).await.unwrap();
    }
    export(&source).await
}

/// Is a process of its own, if it is started as one.
#[tokio::test(flavor = "multi_thread")]
async fn restoring_process() {
    let (Ok(address), Ok(path)) = (std::env::var(ADDRESS), std::env::var(ARCHIVE)) else {
        return;
    };
    let store: Store = stores::open(&address).await;
    println!("\nimporting");
    let bytes = std::fs::read(path).unwrap();
    let import = archive::import(&bytes[..], store).progress(|so_far| {
        if so_far.stored > 0 {
            println!("\nmore is stored");
        }
    });
    import.await.unwrap();
    println!("\nimported");
}

async fn an_import_that_is_killed_is_completed(address: &str) {
    let whole = long().await;
    let folder = es_tests::tempdir().unwrap();
    let path = folder.path().join("archive");
    std::fs::write(&path, &whole).unwrap();
    let kills = scaled(4, 15);
    for _ in 0..kills {
        let environment = [(ADDRESS, address), (ARCHIVE, path.to_str().unwrap())];
        let process = Process::start("killed::restoring_process", environment, "importing");
        let goes_on = process.says("more is stored", Duration::from_secs(60));
        assert!(goes_on, "it goes on where the one before was");
        process.kill();
    }
    let store: Store = stores::open(address).await;
    let before = store.head().await.unwrap().0;
    assert_eq!(before % 2, 0, "whole appends");
    let before = before / 2;
    let all = u64::try_from(APPENDS).unwrap();
    assert!(
        (500 * kills..all).contains(&before),
        "killed in the midst of it: {before}"
    );
    let imported = archive::import(&whole[..], Arc::clone(&store)).await.unwrap();
    assert_eq!((imported.appends, imported.stored), (all, all - before));
    assert_eq!(export(&store).await, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_killed() {
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    an_import_that_is_killed_is_completed(file.to_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed() {
    let address = stores::postgres_address().await;
    an_import_that_is_killed_is_completed(&address).await;
}
