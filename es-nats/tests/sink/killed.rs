//! The server is killed and started again, and so are processes that publish: within each key nothing is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use es_nats::NatsSink;
use es_nats::async_nats::jetstream::stream::Config;
use es_runtime::prelude::*;
use es_sqlite::SqliteStore;
use es_tests::bank::{Deposit, account_with};
use es_tests::process::Process;
use es_tests::published::{Accounts, check, expected};
use es_tests::scaled;
use es_tests::waits::wait_for;
use tokio::task::JoinHandle;

use super::published::{ids, is_done};
use super::server::Server;

/// A stream that knows repetitions for a moment only, so that they reach the consumer.
fn forgetful() -> Config {
    Config {
        duplicate_window: Duration::from_millis(100),
        ..Config::default()
    }
}

/// Writes to some accounts until it is over.
async fn write(runtime: &Runtime, is_over: &Arc<AtomicBool>) -> JoinHandle<()> {
    let mut accounts = Vec::new();
    for _ in 0..5 {
        accounts.push(account_with(runtime, 0).await);
    }
    let (runtime, is_over) = (runtime.clone(), Arc::clone(is_over));
    tokio::spawn(async move {
        for amount in 1.. {
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            let account = accounts[usize::try_from(amount).unwrap() % accounts.len()];
            let amount = amount * 100 % 1_700 + 1;
            runtime.execute(account, Deposit { amount }).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
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
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = write(&runtime, &is_over).await;
    for kill in 0..scaled(3, 50) {
        let count = server.messages().await.len();
        wait_for(async || server.messages().await.len() > count + 20).await;
        tokio::time::sleep(Duration::from_millis(kill * 7919 % 100)).await;
        server.restart().await;
    }
    is_over.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    is_done(&runtime).await;
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
    let mut owns = false;
    // Until it is killed; bounded, should nobody do so.
    for _ in 0..6_000 {
        let health = runtime.health().await;
        let owner = health.is_ok_and(|health| health.publications[0].owner.is_some());
        if owner && !owns {
            println!("\nowner");
        }
        owns = owner;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_killed() {
    let server = Server::start().await;
    server.stream(forgetful()).await;
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let store = Arc::new(SqliteStore::open(&file).await.unwrap());
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = write(&runtime, &is_over).await;
    for kill in 0..scaled(4, 50) {
        let environment = [(FILE, file.to_str().unwrap()), (SERVER, &*server.url())];
        let process = Process::start("killed::publishing_process", environment, "publishing");
        assert!(
            process.says("owner", Duration::from_secs(60)),
            "the lease of the one before has run out"
        );
        tokio::time::sleep(Duration::from_millis(kill * 7919 % 300)).await;
        process.kill();
    }
    is_over.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    drop(runtime);

    // Published here, to the end.
    let sink = NatsSink::connect(server.url()).await.unwrap();
    let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink, Beginning::Start);
    let runtime = builder.start().await.unwrap();
    is_done(&runtime).await;
    nothing_is_missing(&server, &*store).await;
    runtime.shutdown().await.unwrap();
}
