//! Cursors of subscriptions may be kept in another store than the events.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::store::{CheckpointError, CursorStore};
use es_runtime::subscription::SubscriptionError;
use es_runtime::{Position, Recorded};
use es_sqlite::SqliteStore;
use es_tests::bank::{Account, AccountEvent, Deposit, account_with};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Only so that a test ends in which nothing comes.
const LONG: Duration = Duration::from_secs(120);

async fn cursors(folder: &tempfile::TempDir) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(folder.path().join("cursors.db")).await.unwrap())
}

/// A runtime over events in memory, whose cursors lie in a file that has no events.
async fn start(events: &MemoryStore, cursors: &Arc<SqliteStore>) -> Runtime {
    let cursors = Arc::clone(cursors) as Arc<dyn CursorStore>;
    let builder = Runtime::builder(events.clone()).cursors(cursors);
    builder.start().await.unwrap()
}

/// Subscribes with a handler that passes on where each event stands.
async fn handle(runtime: &Runtime) -> mpsc::UnboundedReceiver<Position> {
    let (sender, handled) = mpsc::unbounded_channel();
    let pass_on = move |posting: Recorded<AccountEvent>| {
        let sender = sender.clone();
        async move { sender.send(posting.position) }
    };
    let subscribe = runtime.subscribe("mails").aggregate::<Account>().from_start();
    subscribe.handle(pass_on).start().await.unwrap();
    handled
}

async fn next(handled: &mut mpsc::UnboundedReceiver<Position>) -> Position {
    timeout(LONG, handled.recv())
        .await
        .expect("it comes")
        .expect("the handler is there")
}

#[tokio::test]
async fn a_subscription_goes_on_at_a_cursor_that_another_store_keeps() {
    let (events, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let kept = cursors(&folder).await;
    let runtime = start(&events, &kept).await;
    let account = account_with(&runtime, 5).await;
    let mut handled = handle(&runtime).await;
    assert_eq!(next(&mut handled).await, 1);
    assert_eq!(next(&mut handled).await, 2);
    runtime.shutdown().await.unwrap();
    drop(kept);

    // The file alone says where to go on.
    let runtime = start(&events, &cursors(&folder).await).await;
    runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
    let mut handled = handle(&runtime).await;
    assert_eq!(next(&mut handled).await, 3);
    let health = runtime.health().await.unwrap();
    assert_eq!(health.subscriptions[0].name, "mails");
}

#[tokio::test]
async fn a_log_that_was_restored_without_the_cursors_is_noticed() {
    let (events, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let kept = cursors(&folder).await;
    let runtime = start(&events, &kept).await;
    let account = account_with(&runtime, 5).await;
    let mut handled = handle(&runtime).await;
    assert_eq!(next(&mut handled).await, 1);
    assert_eq!(next(&mut handled).await, 2);
    runtime.shutdown().await.unwrap();

    // As long as before, but with another event at its end.
    events.rewind(Position(1));
    let runtime = start(&events, &cursors(&folder).await).await;
    runtime.execute(account, Deposit { amount: 7 }).await.unwrap();
    let refused = runtime
        .subscribe("mails")
        .aggregate::<Account>()
        .start()
        .await
        .unwrap_err();
    assert!(
        matches!(
            &refused,
            SubscriptionError::Checkpoint(CheckpointError::Diverged { position, found: Some(_), .. }) if *position == 2
        ),
        "{refused:?}"
    );
    runtime.subscribe("mails").forget().await.unwrap();
    let mut handled = handle(&runtime).await;
    assert_eq!(next(&mut handled).await, 1);
}

/// Nothing holds the two stores together while a subscription runs.
#[tokio::test]
async fn a_log_that_is_restored_while_it_is_followed_is_noticed() {
    let (events, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let kept = cursors(&folder).await;
    let runtime = start(&events, &kept).await;
    let account = account_with(&runtime, 5).await;
    let mut handled = handle(&runtime).await;
    assert_eq!(next(&mut handled).await, 1);
    assert_eq!(next(&mut handled).await, 2);
    while kept
        .checkpoint("subscription/mails")
        .await
        .unwrap()
        .is_none_or(|at| at.position < Position(2))
    {
        tokio::task::yield_now().await;
    }

    events.rewind(Position(1));
    // Longer than before by the time that the subscription looks again.
    for _ in 0..3 {
        runtime.execute(account, Deposit { amount: 7 }).await.unwrap();
    }
    let diverged = async {
        while runtime.health().await.unwrap().subscriptions[0].status != Status::Diverged {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, diverged).await.expect("it is noticed");
}
