//! Processes that carry out transfers, and are killed at random moments: no money is lost or made, and each transfer ends.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_tests::bank::{Account, account_with, balance};
use es_tests::process::{Process, life};
use es_tests::waits::LONG;
use es_tests::{scaled, stores};

use super::by_hand::{Request, Transfer, TransferRequest};

/// Where the store is on which the process carries out transfers.
const ADDRESS: &str = "ES_TESTS_TRANSFERRING";

const ACCOUNTS: usize = 5;
const EACH: i64 = 100;

/// Is a process of its own, if it is started as one: carries out transfers until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn transferring_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let builder = Runtime::builder(stores::open(&address).await).process_manager::<Transfer>(Beginning::Start);
    let runtime = builder.start().await.unwrap();
    println!("\ntransferring");
    life(async || {
        runtime
            .health()
            .await
            .is_ok_and(|health| health.process_managers[0].owner.is_some())
    })
    .await;
}

/// A number that looks random, and is the same in each run.
fn number(of: u64) -> u64 {
    of.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}

async fn money_is_conserved(address: &str) {
    let store = stores::open(address).await;
    let runtime = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let mut accounts = Vec::new();
    for _ in 0..ACCOUNTS {
        accounts.push(account_with(&runtime, EACH).await);
    }
    // One that nobody has: what is sent there is given back.
    accounts.push(Id::<Account>::new());
    let (mut ids, mut count) = (Vec::<Id<TransferRequest>>::new(), 0);
    for kill in 0..scaled(5, 100) {
        let process = Process::start("killed::transferring_process", [(ADDRESS, address)], "transferring");
        for _ in 0..scaled(20, 100) {
            count += 1;
            let pick = |of: u64| usize::try_from(number(count * 7 + of) % 64).unwrap();
            let (from, to) = (accounts[pick(1) % ACCOUNTS], accounts[pick(2) % (ACCOUNTS + 1)]);
            let (id, cents) = (Id::new(), i64::try_from(number(count) % 80).unwrap() + 1);
            runtime.execute(id, Request { from, to, cents }).await.unwrap();
            ids.push(id);
        }
        process.kill_as_owner(Duration::from_millis(number(kill) % 60)).await;
    }
    drop(runtime);

    // Taken up here, to the end.
    let builder = Runtime::builder(Arc::clone(&store)).process_manager::<Transfer>(Beginning::Start);
    let runtime = builder.start().await.unwrap();
    let transfers = runtime.process_manager::<Transfer>();
    let waited = tokio::time::timeout(LONG, async {
        for id in &ids {
            while !matches!(transfers.get(*id).await, Ok(Some(transfer)) if transfer.state.is_none()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    assert!(waited.await.is_ok(), "each transfer ends: {:?}", runtime.health().await);
    let mut sum = 0;
    for account in &accounts[..ACCOUNTS] {
        let balance = balance(&runtime, *account).await;
        assert!(balance >= 0);
        sum += balance;
    }
    assert_eq!(sum, EACH * i64::try_from(ACCOUNTS).unwrap());
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_killed() {
    let folder = es_tests::tempdir().unwrap();
    let file: &Path = &folder.path().join("test.db");
    money_is_conserved(file.to_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed() {
    money_is_conserved(&stores::postgres_address().await).await;
}
