//! Processes that handle events, and are killed at random moments: each event is handled, and by its id it counts once.

use std::collections::HashSet;
use std::fs::{OpenOptions, read_to_string};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use es_runtime::{Recorded, Runtime};
use es_tests::bank::{Account, AccountEvent, Deposit, account_with};
use es_tests::process::{Process, life};
use es_tests::{scaled, stores};

/// Where the store is whose events the process handles.
const ADDRESS: &str = "ES_TESTS_HANDLING";
/// Where it writes down which it has handled.
const BOOK: &str = "ES_TESTS_BOOK";

/// Has a line written down for each event: what is written survives the process.
async fn handle(runtime: &Runtime, book: PathBuf) {
    let handler = move |event: Recorded<AccountEvent>| {
        let book = book.clone();
        async move {
            let mut book = OpenOptions::new().create(true).append(true).open(book)?;
            book.write_all(format!("{} {}\n", event.position, event.id).as_bytes())
        }
    };
    let subscribe = runtime.subscribe("book").aggregate::<Account>().from_start();
    subscribe.handle(handler).start().await.unwrap();
}

/// Is a process of its own, if it is started as one: handles events until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn handling_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let runtime = Runtime::builder(stores::open(&address).await).start().await.unwrap();
    handle(&runtime, std::env::var(BOOK).unwrap().into()).await;
    println!("\nhandling");
    life(async || {
        runtime
            .health()
            .await
            .is_ok_and(|health| health.subscriptions[0].owner.is_some())
    })
    .await;
}

async fn each_event_is_handled_when_processes_are_killed(address: &str, book: &Path) {
    let store = stores::open(address).await;
    let runtime = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let account = account_with(&runtime, 100).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (runtime, is_over) = (runtime.clone(), Arc::clone(&is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    };
    for kill in 0..scaled(8, 100) {
        let environment = [(ADDRESS, address), (BOOK, book.to_str().unwrap())];
        let process = Process::start("handlers_killed::handling_process", environment, "handling");
        process.kill_as_owner(Duration::from_millis(kill * 7919 % 300)).await;
    }
    // Not cut off: what it has begun would be appended at some time.
    is_over.store(true, Ordering::SeqCst);
    writer.await.unwrap();

    // Taken up here, to the end.
    handle(&runtime, book.to_owned()).await;
    let head = store.head().await.unwrap();
    for _ in 0..12_000 {
        if runtime.health().await.unwrap().subscriptions[0].position >= head {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (mut seen, mut first, mut lines) = (HashSet::new(), Vec::new(), 0);
    for line in read_to_string(book).unwrap().lines() {
        let (position, id) = line.split_once(' ').unwrap();
        lines += 1;
        if seen.insert(id.to_owned()) {
            first.push(position.parse::<u64>().unwrap());
        }
    }
    assert_eq!(first, (1..=head.0).collect::<Vec<_>>(), "all of them, in order");
    println!(
        "{} events, {} of them handled again after a kill",
        first.len(),
        lines - first.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_killed() {
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    each_event_is_handled_when_processes_are_killed(file.to_str().unwrap(), &folder.path().join("book")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed() {
    let folder = es_tests::tempdir().unwrap();
    let address = stores::postgres_address().await;
    each_event_is_handled_when_processes_are_killed(&address, &folder.path().join("book")).await;
}
