//! The start next to another process that runs an inline projection.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::StartError;
use es_runtime::prelude::*;
use es_runtime::store::{Advance, CursorStore, Lease};
use es_tests::bank::account_with;
use tokio::time::{Instant, sleep};

use crate::inline_balances::InlineBalance;

const READER: &str = "inline_balances@1";
const MARK: &str = "inline_balances@1 ready";

/// A store with three events that the projection has not applied. Another process has its lease.
async fn led_by_another() -> (MemoryStore, Lease) {
    let store = MemoryStore::new();
    let plain = Runtime::builder(store.clone()).start().await.unwrap();
    account_with(&plain, 1).await;
    account_with(&plain, 0).await;
    let lease = store.acquire(READER, "somebody", Lease::LONGEST).await.unwrap();
    (store, lease.unwrap())
}

async fn moved(store: &MemoryStore, lease: &Lease, reader: &str, from: u64, to: u64) {
    let log: Arc<dyn EventStore> = Arc::new(store.clone());
    let event = es_runtime::store::ReadLog::new().from(to).to(to);
    let event = futures_util::TryStreamExt::try_next(&mut log.read_log(event))
        .await
        .unwrap();
    let advance = Advance {
        event: event.map(|event| event.id),
        ..Advance::new(reader, lease, from.into(), to.into())
    };
    store.advance(advance).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_does_nothing_ends_the_start_after_a_minute() {
    let (store, _lease) = led_by_another().await;
    let began = Instant::now();
    let refused = Runtime::builder(store)
        .projection::<InlineBalance>()
        .start()
        .await
        .unwrap_err();
    let StartError::InlineBehind {
        projection,
        position,
        head,
        waited,
        owner,
    } = &refused
    else {
        panic!("{refused}")
    };
    assert_eq!((*projection, position.0, head.0), ("inline_balances", 0, 3));
    assert_eq!(owner.as_deref(), Some("somebody"));
    assert!(
        *waited >= Duration::from_secs(60) && began.elapsed() < Duration::from_secs(70),
        "{waited:?}"
    );
    assert!(refused.to_string().contains("`somebody` runs it"), "{refused}");
    assert!(refused.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn whatever_moves_it_gives_it_another_minute() {
    let (store, lease) = led_by_another().await;
    let owner = tokio::spawn({
        let store = store.clone();
        async move {
            for to in 1..=3 {
                sleep(Duration::from_secs(50)).await;
                moved(&store, &lease, READER, to - 1, to).await;
            }
            sleep(Duration::from_secs(50)).await;
            moved(&store, &lease, MARK, 0, 3).await;
            // The rows would be there, too.
        }
    });
    let began = Instant::now();
    let started = Runtime::builder(store).projection::<InlineBalance>().start().await;
    owner.await.unwrap();
    drop(started.unwrap());
    assert!(began.elapsed() >= Duration::from_secs(200), "{:?}", began.elapsed());
}
