//! Events per second into an archive and out of it, for each store, and the memory that it takes.
//!
//! `target/release/archive`; with a server: `scripts/postgres run -- target/release/archive`

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use es_runtime::archive;
use es_runtime::store::{Append, EventStore, StreamAppend};
use es_runtime::{EventId, ExpectedVersion, MemoryStore, Metadata, NewEvent, StreamId};
use es_sqlite::SqliteStore;
use es_tests::stores;
use tokio::fs::File;
use uuid::Uuid;

const APPENDS: u64 = 200_000;
const EVENTS: u64 = 2;
const STREAMS: u64 = 20_000;
type Store = Arc<dyn EventStore>;

fn append(number: u64) -> Append {
    let event = |_| NewEvent {
        id: EventId(Uuid::now_v7()),
        name: "deposited".into(),
        shape_version: 1,
        payload: format!(r#"{{"amount":{number},"reference":"L{number:010}","text":"a payment among many"}}"#).into(),
        metadata: {
            let mut metadata = Metadata::EMPTY;
            metadata.set_actor("teller");
            metadata
        },
    };
    let mut append = Append::new(StreamId::new("", ""), ExpectedVersion::Any, Vec::new());
    append.streams = vec![StreamAppend {
        stream: StreamId::new("account", format!("ACC-{:06}", number % STREAMS)),
        expected: ExpectedVersion::Any,
        last: None,
        events: (0..EVENTS).map(event).collect(),
    }];
    append
}

/// The most memory that this process has used so far, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn rate(start: Instant) -> u64 {
    let events = u32::try_from(APPENDS * EVENTS).expect("it is small");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is not exact"
    )]
    let rate = (f64::from(events) / start.elapsed().as_secs_f64()).round() as u64;
    rate
}

/// Imports the archive, twice, and exports it again.
async fn measure(name: &str, store: impl EventStore, folder: &Path) {
    let (source, copy) = (folder.join("archive"), folder.join("copy"));
    let store: Store = Arc::new(store);
    let start = Instant::now();
    let import = archive::import(File::open(&source).await.expect("it is there"), Arc::clone(&store));
    import.await.expect("it is imported");
    let imported = rate(start);
    let start = Instant::now();
    let import = archive::import(File::open(&source).await.expect("it is there"), Arc::clone(&store));
    import.await.expect("it is compared");
    let compared = rate(start);
    let start = Instant::now();
    let export = archive::export(Arc::clone(&store), File::create(&copy).await.expect("it is made"));
    let bytes = export.await.expect("it is exported").bytes;
    let exported = rate(start);
    assert_eq!(bytes, std::fs::metadata(&source).expect("it is there").len());
    println!("{name:<28} {exported:>10} {imported:>10} {compared:>10} {:>8}", peak());
    store.close().await.expect("it closes");
}

/// An archive of appends of which so many have one time of recording.
async fn archived(folder: &Path, together: u64) {
    let store = SqliteStore::open(folder.join(format!("source-{together}.db")))
        .await
        .expect("it opens");
    for first in (0..APPENDS).step_by(usize::try_from(together).expect("it is small")) {
        let appends: Vec<_> = (first..first + together).map(append).collect();
        assert!(store.append_chain(appends).await.iter().all(Result::is_ok));
    }
    let file = File::create(folder.join("archive")).await.expect("it is made");
    let archived = archive::export(store.clone(), file).await.expect("it is exported");
    println!(
        "\n{} appends of {EVENTS} events, {together} at a time, {} MiB",
        archived.appends,
        archived.bytes >> 20
    );
    println!(
        "{:<28} {:>10} {:>10} {:>10} {:>8}",
        "events/s", "export", "import", "compare", "peak MiB"
    );
    store.close().await.expect("it closes");
}

#[tokio::main]
async fn main() {
    for together in [50, 1] {
        let folder = tempfile::tempdir().expect("a directory");
        archived(folder.path(), together).await;
        let sqlite = SqliteStore::open(folder.path().join("copy.db")).await;
        measure("SQLite", sqlite.expect("it opens"), folder.path()).await;
        if std::env::var("ES_TEST_DATABASE_URL").is_ok() {
            measure("PostgreSQL", stores::postgres().await, folder.path()).await;
        }
        measure("memory", MemoryStore::new(), folder.path()).await;
    }
}
