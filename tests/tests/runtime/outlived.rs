//! A `Runtime` that is used beyond the end of the tokio runtime on which it was started, as a static one by several
//! tests: what waits for its projections and subscriptions is told so at once.
//!
//! What would wait has an hour for it, so that a test hangs in which it does.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::{ControlError, ReadError};
use es_runtime::store::{CursorStore, ProjectionStore};
use es_runtime::subscription::{Deliveries, SubscriptionError, SubscriptionHandle};
use es_runtime::{AppendError, Recorded, StoreError, StoreErrorKind};
use es_sqlite::SqliteStore;
use es_tests::bank::{Account, AccountEvent, Deposit, Deposited, Opened, account_with};
use es_tests::ledger::sqlite::Ledger;
use es_tests::{stores, waits};

const HOUR: Duration = Duration::from_secs(3_600);

#[projection(name = "balance")]
#[derive(Eq)]
struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.cents += event.amount;
    }
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// A runtime with an account whose row is shown, and the tokio runtime on which it was started.
fn started(store: impl Future<Output = Arc<dyn ProjectionStore>>) -> (tokio::runtime::Runtime, Runtime, Id<Account>) {
    let first = tokio_runtime();
    let (runtime, account) = first.block_on(async {
        let runtime = Runtime::builder(store.await)
            .projection::<Balance>()
            .start()
            .await
            .unwrap();
        let account = account_with(&runtime, 5).await;
        waits::caught_up::<Balance>(&runtime).await;
        assert_eq!(runtime.get::<Balance>(account).await.unwrap().unwrap().cents, 5);
        (runtime, account)
    });
    (first, runtime, account)
}

fn memory() -> Arc<dyn ProjectionStore> {
    Arc::new(MemoryStore::new())
}

async fn sqlite(folder: &tempfile::TempDir) -> Arc<dyn ProjectionStore> {
    Arc::new(SqliteStore::open(folder.path().join("test.db")).await.unwrap())
}

/// Whether it says that the tokio runtime has ended.
#[track_caller]
fn assert_ended(error: &StoreError) {
    assert_eq!(error.kind(), StoreErrorKind::Closed, "{error}");
    assert!(error.to_string().contains("has ended"), "{error}");
}

#[track_caller]
fn assert_read_ended<T: std::fmt::Debug>(read: Result<T, ReadError>) {
    use es_runtime::store::CheckpointError;
    match read {
        Err(ReadError::Store(error) | ReadError::Checkpoint(CheckpointError::Store(error))) => assert_ended(&error),
        other => panic!("{other:?}"),
    }
}

/// What a runtime answers whose tokio runtime has ended.
async fn says_so(runtime: &Runtime, account: Id<Account>) {
    let far = 1_000_000;
    assert_read_ended(runtime.get::<Balance>(account).after(far).timeout(HOUR).await);
    assert_read_ended(runtime.list::<Balance>().after(far).timeout(HOUR).await);
    assert_read_ended(runtime.projection::<Balance>().wait_for(far, HOUR).await);
    assert_ended(&runtime.projection::<Balance>().status().await.unwrap_err());
    assert_ended(&runtime.health().await.unwrap_err());
    for order in [
        runtime.projection::<Balance>().retry(1).await,
        runtime.projection::<Balance>().rebuild().await,
    ] {
        let Err(ControlError::Store(error)) = order else {
            panic!("{order:?}")
        };
        assert_ended(&error);
    }
}

fn what_waits_is_told(store: impl Future<Output = Arc<dyn ProjectionStore>>) {
    let (first, runtime, account) = started(store);
    let second = tokio_runtime();
    // One that waits already.
    let waiting = second.spawn({
        let runtime = runtime.clone();
        async move { runtime.get::<Balance>(account).after(1_000_000).timeout(HOUR).await }
    });
    second.block_on(async {
        runtime.health().await.unwrap();
    });
    drop(first);
    second.block_on(async {
        assert_read_ended(waiting.await.unwrap());
        says_so(&runtime, account).await;
        // What does not need its tasks goes on, and what is shown is shown.
        let error = runtime
            .execute(account, Deposit { amount: 1 })
            .wait_for::<Balance>()
            .await
            .unwrap_err();
        let ExecuteError::NotProjected { receipt, source } = error else {
            panic!("{error}")
        };
        assert_eq!(receipt.version, 3);
        assert_read_ended::<()>(Err(*source));
        assert_eq!(runtime.load(account).await.unwrap().unwrap().balance, 6);
        assert_eq!(runtime.get::<Balance>(account).await.unwrap().unwrap().cents, 5);
    });
    // And on the next one.
    drop(second);
    tokio_runtime().block_on(says_so(&runtime, account));
}

#[test]
fn what_waits_is_told_in_memory() {
    what_waits_is_told(async { memory() });
}

#[test]
fn what_waits_is_told_on_sqlite() {
    let folder = es_tests::tempdir().unwrap();
    what_waits_is_told(sqlite(&folder));
}

/// There the store itself has ended too.
#[test]
fn what_waits_is_told_on_postgres() {
    let (first, runtime, account) = started(async { Arc::new(stores::postgres().await) as Arc<dyn ProjectionStore> });
    drop(first);
    let second = tokio_runtime();
    second.block_on(async {
        let read = runtime.get::<Balance>(account).after(1_000_000).timeout(HOUR).await;
        assert_read_ended(read);
        assert_ended(&runtime.health().await.unwrap_err());
        let error = runtime.execute(account, Deposit { amount: 1 }).await.unwrap_err();
        let ExecuteError::Append(AppendError::Store(error)) = error else {
            panic!("{error}")
        };
        assert_ended(&error);
    });
}

#[test]
fn rows_that_were_never_built_are_not_waited_for() {
    let first = tokio_runtime();
    let runtime = first.block_on(async {
        let store = MemoryStore::new();
        let plain = Runtime::builder(store.clone()).start().await.unwrap();
        account_with(&plain, 5).await;
        // Another runtime has the lease, and does nothing with it.
        let lease = CursorStore::acquire(&store, "balance@1", "another", HOUR)
            .await
            .unwrap();
        assert!(lease.is_some());
        Runtime::builder(store).projection::<Balance>().start().await.unwrap()
    });
    drop(first);
    tokio_runtime().block_on(async {
        assert_read_ended(runtime.list::<Balance>().timeout(HOUR).await);
    });
}

/// An append does not wait for an inline projection that nobody brings up to date.
#[test]
fn an_append_does_not_wait_for_an_inline_projection_whose_task_has_ended() {
    let folder = es_tests::tempdir().unwrap();
    let (first, file) = (tokio_runtime(), folder.path().join("test.db"));
    let (store, runtime) = first.block_on(async {
        let store = SqliteStore::open(file).await.unwrap();
        let runtime = Runtime::builder(store.clone())
            .projection::<Ledger>()
            .start()
            .await
            .unwrap();
        (store, runtime)
    });
    drop(first);
    tokio_runtime().block_on(async {
        let plain = Runtime::builder(store).start().await.unwrap();
        let account = account_with(&plain, 5).await;
        let error = runtime.execute(account, Deposit { amount: 1 }).await.unwrap_err();
        let ExecuteError::Append(AppendError::ProjectionBehind { source, .. }) = error else {
            panic!("{error}")
        };
        assert_read_ended::<()>(Err(*source));
    });
}

type Subscribed = (Deliveries<Recorded<AccountEvent>>, SubscriptionHandle);

async fn subscribed(runtime: &Runtime) -> Subscribed {
    let subscribe = |name| runtime.subscribe(name).aggregate::<Account>().from_start();
    let handle = subscribe("handled").handle(async |_| Ok::<_, StoreError>(()));
    (
        subscribe("delivered").start().await.unwrap(),
        handle.start().await.unwrap(),
    )
}

#[test]
fn subscriptions_are_told_and_can_be_started_again() {
    let first = tokio_runtime();
    let (runtime, (mut deliveries, handle), delivery) = first.block_on(async {
        let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
        account_with(&runtime, 0).await;
        let (mut deliveries, handle) = subscribed(&runtime).await;
        let delivery = deliveries.next().await.unwrap().unwrap();
        (runtime, (deliveries, handle), delivery)
    });
    let second = tokio_runtime();
    let waiting = second.spawn(async move {
        let next = deliveries.next().await;
        (deliveries, next.err())
    });
    drop(first);
    second.block_on(async {
        let (mut deliveries, error) = waiting.await.unwrap();
        let Some(SubscriptionError::Store(error)) = error else {
            panic!("{error:?}")
        };
        assert_ended(&error);
        assert!(deliveries.next().await.unwrap().is_none(), "told once");
        let Err(SubscriptionError::Store(error)) = delivery.ack().await else {
            panic!("it is not stored")
        };
        assert_ended(&error);
        let Err(ControlError::Store(error)) = handle.retry(1).await else {
            panic!("nobody obeys")
        };
        assert_ended(&error);
        assert_ended(&runtime.health().await.unwrap_err());

        let (mut deliveries, _handle) = subscribed(&runtime).await;
        let health = runtime.health().await.unwrap();
        assert_eq!(health.subscriptions.len(), 2);
        // The one before did not give its lease back.
        assert_eq!(deliveries.next().await.unwrap().unwrap().stream.category(), "account");
        runtime.shutdown().await.unwrap();
    });
}
