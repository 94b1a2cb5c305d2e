//! Processes that import the past, and are killed in the midst of it: the next one goes on, and each event is stored
//! once.

use std::time::Duration;

use es_runtime::Past;
use es_runtime::prelude::*;
use es_runtime::runtime::Imported;
use es_runtime::store::ReadLog;
use es_tests::bank::{Account, Deposited, Opened};
use es_tests::process::Process;
use es_tests::{scaled, stores};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

/// Where the store is into which the process imports.
const ADDRESS: &str = "ES_TESTS_IMPORTING";

const ACCOUNTS: u64 = 50;
const EVENTS: u64 = 20_000;

/// Event number so many: each account in turn.
fn past(number: u64) -> Past<Account> {
    let account = Id::<Account>::from_uuid(Uuid::from_u128(u128::from(number % ACCOUNTS)));
    let time = Timestamp::from_micros(i64::try_from(number).unwrap()).unwrap();
    if number < ACCOUNTS {
        Past::of(account).at(time, Opened { owner: "Alice".into() })
    } else {
        Past::of(account).at(time, Deposited { amount: 1 })
    }
}

async fn import(runtime: &Runtime, progress: impl FnMut(Imported) + Send) -> Imported {
    // Now and then it waits, as a source does that is read.
    let source = stream::iter(0..EVENTS).then(async |number| {
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
        past(number)
    });
    runtime.import("bank", source).progress(progress).await.unwrap()
}

/// Is a process of its own, if it is started as one.
#[tokio::test(flavor = "multi_thread")]
async fn importing_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let runtime = Runtime::builder(stores::open(&address).await).start().await.unwrap();
    println!("\nimporting");
    let mut stored = 0;
    import(&runtime, |so_far| {
        if so_far.stored / 500 > stored / 500 {
            println!("\nmore is stored");
        }
        stored = so_far.stored;
    })
    .await;
    println!("\nimported");
}

async fn an_import_that_is_killed_is_completed(address: &str) {
    let kills = scaled(4, 25);
    for _ in 0..kills {
        let process = Process::start("importing_killed::importing_process", [(ADDRESS, address)], "importing");
        assert!(
            process.says("more is stored", Duration::from_secs(60)),
            "it goes on where the one before was"
        );
        process.kill();
    }
    let store = stores::open(address).await;
    let before = store.head().await.unwrap().0;
    assert!(
        (500 * kills..EVENTS).contains(&before),
        "killed in the midst of it: {before}"
    );
    let runtime = Runtime::builder(store).start().await.unwrap();
    let imported = import(&runtime, |_| {}).await;
    assert_eq!((imported.events, imported.stored), (EVENTS, EVENTS - before));
    let mut log = runtime.store().read_log(ReadLog::new());
    let mut number = 0;
    while let Some(event) = log.try_next().await.unwrap() {
        assert_eq!(
            event.occurred_at().as_micros().unsigned_abs(),
            number,
            "in order, each once"
        );
        number += 1;
    }
    assert_eq!(number, EVENTS);
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
