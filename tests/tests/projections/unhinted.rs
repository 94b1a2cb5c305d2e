//! Hints say when to look, and nothing depends on them.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_tests::balances::{Balance, Store, dump, folded};
use es_tests::bank::{Deposit, account_with};
use es_tests::faults::Faulty;
use es_tests::stores;

/// Only so that a test of what never comes ends.
const LONG: Duration = Duration::from_secs(120);

es_tests::on_every_store_and_postgres! {
    async fn a_projection_that_hears_of_nothing_misses_nothing(store: _, _clock: _) {
        let store: Store = store;
        let silent = Faulty::new(Arc::clone(&store));
        silent.silence();
        let runtime = Runtime::builder(silent).projection::<Balance>().start().await.unwrap();
        let account = account_with(&runtime, 1).await;
        for _ in 0..5 {
            // It has come to rest before the next event, which nobody tells it of.
            let receipt = runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
            runtime.projection::<Balance>().wait_for(receipt.position, LONG).await.unwrap();
        }
        assert_eq!(dump(&store).await, folded(&store).await);
    }
}

/// Ends the connections on which this database's hints come. How many they were.
async fn end_listeners(admin: &tokio_postgres::Client) -> i64 {
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE query LIKE 'SELECT coalesce(max(position)%' AND datname = current_database() AND pid <> pg_backend_pid()";
    admin.query_one(end, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_whose_listener_is_killed_again_and_again_misses_nothing() {
    let address = stores::postgres_address().await;
    // Two stores know of each other no more than two processes do.
    let here: Store = Arc::new(stores::postgres_at(&address).await);
    let elsewhere: Store = Arc::new(stores::postgres_at(&address).await);
    let writer = Runtime::builder(Arc::clone(&here)).start().await.unwrap();
    let runtime = es_tests::balances::start(&elsewhere).await;
    let (admin, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);

    let account = account_with(&writer, 1).await;
    let mut ended = 0;
    for round in 0..20 {
        ended += end_listeners(&admin).await;
        for _ in 0..10 {
            writer.execute(account, Deposit { amount: 1 }).await.unwrap();
        }
        // In half of the rounds it must come to rest without another append that could wake it.
        if round % 2 == 0 {
            let head = here.head().await.unwrap();
            runtime.projection::<Balance>().wait_for(head, LONG).await.unwrap();
        }
    }
    assert!(ended > 0, "somebody listened");
    let head = here.head().await.unwrap();
    runtime.projection::<Balance>().wait_for(head, LONG).await.unwrap();
    assert_eq!(dump(&here).await, folded(&here).await);
}
