//! Inline rows are what the log gives whenever processes that append are killed.

use std::time::Duration;

use crate::inline_balances::{InlineBalance, dump};
use es_runtime::RetryPolicy;
use es_runtime::prelude::*;
use es_tests::balances::{Send, Store, Transfer, folded};
use es_tests::bank::{Deposit, account_with};
use es_tests::process::Process;
use es_tests::{scaled, stores};

/// Where the store is to which the process appends.
const ADDRESS: &str = "ES_TESTS_APPENDING_ROWS";

/// Is a process of its own, if it is started as one: appends until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn appending_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let builder = Runtime::builder(stores::open(&address).await).retry(RetryPolicy::default().attempts(1_000));
    let runtime = builder.projection::<InlineBalance>().start().await.unwrap();
    let (alice, bob) = (account_with(&runtime, 1).await, account_with(&runtime, 1).await);
    println!("\nappending");
    // Until it is killed; bounded, should nobody do so.
    for amount in 1..100_000 {
        let both = async {
            let amount = amount % 12 + 1;
            runtime.execute(alice, Deposit { amount }).await.unwrap();
            let sends = Send {
                from: alice,
                to: bob,
                amount,
            };
            runtime.execute(Id::<Transfer>::new(), sends).await.unwrap();
        };
        futures_util::future::join(both, account_with(&runtime, 3)).await;
    }
}

async fn rows_are_the_fold_of_the_log_whenever_processes_are_killed(address: &str) {
    let store = stores::open(address).await;
    for kill in 0..scaled(8, 100) {
        let process = Process::start("inline_killed::appending_process", [(ADDRESS, address)], "appending");
        tokio::time::sleep(Duration::from_millis(kill * 7919 % 200)).await;
        process.kill();
        let (rows, log) = settled(&store).await;
        assert_eq!(rows, log, "after kill {kill}");
    }
}

type Rows = Vec<(String, String, u64)>;

/// The rows and the fold of the log. What a killed client has sent, the server may still do: then they are looked at again.
async fn settled(store: &Store) -> (Rows, Rows) {
    for _ in 0..1_000 {
        let head = store.head().await.unwrap();
        let seen = (dump(store).await, folded(store).await);
        if store.head().await.unwrap() == head {
            return seen;
        }
    }
    panic!("the log grows, though nobody appends");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_killed() {
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    rows_are_the_fold_of_the_log_whenever_processes_are_killed(file.to_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed() {
    rows_are_the_fold_of_the_log_whenever_processes_are_killed(&stores::postgres_address().await).await;
}
