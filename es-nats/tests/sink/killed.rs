//! The server is killed and started again, and so are processes that publish: within each key nothing is missing.

use std::sync::Arc;
use std::time::Duration;

use es_nats::NatsSink;
use es_nats::async_nats::jetstream::stream::Config;
use es_runtime::prelude::*;
use es_sqlite::SqliteStore;
use es_tests::process::{Process, life};
use es_tests::published::{Accounts, Writer, at_the_head, check, expected};
use es_tests::scaled;
use es_tests::waits::wait_for;

use super::published::ids;
use super::server::Server;

/// A stream that knows repetitions for a moment only, so that they reach the consumer.
fn forgetful() -> Config {
    Config {
        duplicate_window: Duration::from_millis(100),
        ..Config::default()
    }
}

async fn nothing_is_missing(server: &Server, store: &dyn EventStore) {
    let ids = ids(&server.messages().await);
    check(ids.iter().map(|(key, id)| (&**key, &**id)), &expected(store).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_killed() {
    let mut server = Server::start().await;
    server.stream(forgetful()).await;
    let store = Arc::new(MemoryStore::new());
    let sink = NatsSink::connect(server.url()).await.unwrap();
    let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink, Beginning::Start);
    let runtime = builder.start().await.unwrap();
    let writer = Writer::start(&runtime).await;
    for kill in 0..scaled(3, 50) {
        let count = server.messages().await.len();
        wait_for(async || server.messages().await.len() > count + 20).await;
        tokio::time::sleep(Duration::from_millis(kill * 7919 % 100)).await;
        server.restart().await;
    }
    writer.end().await;
    at_the_head(&runtime).await;
    nothing_is_missing(&server, &*store).await;
    runtime.shutdown().await.unwrap();
}

/// Where the store is whose events the process publishes.
const FILE: &str = "ES_NATS_PUBLISHING";
/// The server.
const SERVER: &str = "ES_NATS_SERVER";

/// Is a process of its own, if it is started as one: publishes until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn publishing_process() {
    let Ok(file) = std::env::var(FILE) else { return };
    let sink = NatsSink::connect(std::env::var(SERVER).unwrap()).await.unwrap();
    let store = SqliteStore::open(file).await.unwrap();
    let builder = Runtime::builder(store).publication::<Accounts>(sink, Beginning::Start);
    let runtime = builder.start().await.unwrap();
    println!("\npublishing");
    life(async || {
        runtime
            .health()
            .await
            .is_ok_and(|health| health.publications[0].owner.is_some())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_killed() {
    let server = Server::start().await;
    server.stream(forgetful()).await;
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let store = Arc::new(SqliteStore::open(&file).await.unwrap());
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let writer = Writer::start(&runtime).await;
    for kill in 0..scaled(4, 50) {
        let environment = [(FILE, file.to_str().unwrap()), (SERVER, &*server.url())];
        let process = Process::start("killed::publishing_process", environment, "publishing");
        process.kill_as_owner(Duration::from_millis(kill * 7919 % 300)).await;
    }
    writer.end().await;
    drop(runtime);

    // Published here, to the end.
    let sink = NatsSink::connect(server.url()).await.unwrap();
    let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink, Beginning::Start);
    let runtime = builder.start().await.unwrap();
    at_the_head(&runtime).await;
    nothing_is_missing(&server, &*store).await;
    runtime.shutdown().await.unwrap();
}
