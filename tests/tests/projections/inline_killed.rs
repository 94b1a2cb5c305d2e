//! Inline rows are what the log gives whenever processes that append are killed.

use crate::inline_alike::survives_kills;
use crate::inline_balances::{InlineBalance, dump};
use es_runtime::RetryPolicy;
use es_runtime::prelude::*;
use es_tests::balances::{Send, Transfer, folded};
use es_tests::bank::{Deposit, account_with};
use es_tests::stores;

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
    let seen = async || (dump(&store).await, folded(&store).await);
    survives_kills("inline_killed::appending_process", (ADDRESS, address), &store, seen).await;
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
