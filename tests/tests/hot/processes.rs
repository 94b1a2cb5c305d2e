//! Processes that all write to one account.

use std::time::{Duration, Instant};

use es_runtime::prelude::*;
use es_tests::bank::{Account, Deposit, account_with, balance};
use es_tests::process::Process;
use es_tests::{scaled, stores};
use futures_util::future::join_all;

/// The account, and where its store is.
const ACCOUNT: &str = "ES_TESTS_HOT_ACCOUNT";
const ADDRESS: &str = "ES_TESTS_HOT";

const PROCESSES: i64 = 16;

/// 10,000 commands of all at full.
fn commands() -> i64 {
    scaled(40, 625)
}

/// Is a process of its own, if it is started as one.
#[tokio::test(flavor = "multi_thread")]
async fn depositing_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let account: Id<Account> = std::env::var(ACCOUNT).unwrap().parse().unwrap();
    let runtime = Runtime::builder(stores::open(&address).await).start().await.unwrap();
    println!("\nready");
    for _ in 0..commands() {
        if let Err(error) = runtime.execute(account, Deposit { amount: 1 }).await {
            println!("\n{error:?}");
            return;
        }
    }
    println!("\ndone");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_processes_on_one_account_meet_no_conflict_in_the_end() {
    let address = stores::postgres_address().await;
    let runtime = Runtime::builder(stores::open(&address).await).start().await.unwrap();
    let account = account_with(&runtime, 0).await;
    let id = account.to_string();
    let environment = [(ADDRESS, &*address), (ACCOUNT, &*id)];
    let start = Instant::now();
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| Process::start("processes::depositing_process", environment, "ready"))
        .collect();
    let done = processes
        .iter()
        .map(|process| async { process.says("done", Duration::from_secs(120)) });
    let done = join_all(done).await;
    println!("{} commands in {:?}", PROCESSES * commands(), start.elapsed());
    assert!(
        done.iter().all(|done| *done),
        "each process has done all of its commands: {done:?}"
    );
    assert_eq!(balance(&runtime, account).await, PROCESSES * commands());
}
