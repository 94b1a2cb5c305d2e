//! Instances that are loaded into memory before the runtime is there: from their snapshots, or else from the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use es_conformance::wrap::{Wrap, Wrapped};
use es_runtime::prelude::*;
use es_runtime::runtime::Builder;
use es_runtime::store::{Append, ReadLog, ReadStream};
use es_runtime::{
    EventId, EventStore, ExecuteError, ExpectedVersion, Key, LoadError, Metadata, NewEvent, RecordedEvent, RetryPolicy,
    StartError, StoreError, StoreErrorKind, StreamId,
};
use es_tests::bank::{Account, Deposit, Withdraw, account_with, balance};
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream};

use crate::board::single;
use crate::support::{Counting, Store, cold, health, settled};

/// Both aggregates are loaded into memory.
fn preloaded<S: EventStore>(builder: Builder<S>) -> Builder<S> {
    builder.preload::<Account>().preload::<single::Board>()
}

/// The number of events that were loaded since the last time.
fn taken(loaded: &AtomicU64) -> u64 {
    loaded.swap(0, Ordering::Relaxed)
}

/// Appends an event that no build knows.
async fn append_unknown(store: &Store, stream: StreamId) {
    let event = NewEvent {
        id: EventId(uuid::Uuid::now_v7()),
        name: "frozen".into(),
        shape_version: 1,
        payload: "{}".into(),
        metadata: Metadata::EMPTY,
    };
    let append = Append::new(stream, ExpectedVersion::Any, vec![event]);
    store.append(append).await.unwrap();
}

es_tests::on_every_store_and_postgres! {
    async fn the_first_command_to_an_instance_in_memory_reads_no_event(store: _, _clock: _) {
        let runtime = cold(&store).await;
        let accounts = [account_with(&runtime, 100).await, account_with(&runtime, 50).await];
        let board = single::board_at(&runtime, 20).await;
        settled(&runtime).await;
        single::grow(&runtime, board, 5).await;

        let (counting, loaded) = Counting::new(&store);
        let runtime = preloaded(Runtime::builder(counting)).start().await.unwrap();
        assert_eq!(taken(&loaded), 6, "of the board, from its snapshot on");
        assert_eq!(health(&runtime).await.used, 1);
        runtime.execute(accounts[0], Withdraw { amount: 100 }).await.unwrap();
        runtime.execute(accounts[1], Withdraw { amount: 50 }).await.unwrap();
        single::add(&runtime, board, 1).await;
        assert_eq!(taken(&loaded), 0);
        assert_eq!(balance(&runtime, accounts[0]).await, 0);
        assert_eq!(balance(&runtime, accounts[1]).await, 0);
        assert_eq!(single::total(&runtime, board).await, 25);
    }

    async fn an_instance_that_cannot_be_read_is_left_out_and_its_command_says_so(store: _, _clock: _) {
        let runtime = cold(&store).await;
        let accounts = [account_with(&runtime, 1).await, account_with(&runtime, 1).await];
        let boards = [single::board_at(&runtime, 2).await, single::board_at(&runtime, 2).await];
        append_unknown(&store, accounts[0].stream_id()).await;
        append_unknown(&store, boards[0].stream_id()).await;

        let (counting, loaded) = Counting::new(&store);
        let runtime = preloaded(Runtime::builder(counting)).start().await.unwrap();
        taken(&loaded);
        runtime.execute(accounts[1], Deposit { amount: 1 }).await.unwrap();
        single::add(&runtime, boards[1], 1).await;
        assert_eq!(taken(&loaded), 0, "the others are in memory");
        let error = runtime.execute(accounts[0], Deposit { amount: 1 }).await.unwrap_err();
        assert!(matches!(error, ExecuteError::Load(LoadError::UnknownEvent(_))), "{error:?}");
        let error = runtime.execute(boards[0], single::Add { card: 1, points: 1 }).await.unwrap_err();
        assert!(matches!(error, ExecuteError::Load(LoadError::UnknownEvent(_))), "{error:?}");
    }
}

fn memory() -> Store {
    Arc::new(MemoryStore::new())
}

#[tokio::test]
async fn instances_beyond_the_bounds_of_the_cache_are_left_out() {
    type Bound = fn(Builder<Wrapped<Counting>>) -> Builder<Wrapped<Counting>>;
    let bounds: [Bound; 2] = [|builder| builder.cache(4), |builder| builder.cache_bytes(4 * 560)];
    for bound in bounds {
        let store = memory();
        let runtime = cold(&store).await;
        let mut accounts = Vec::new();
        for _ in 0..6 {
            accounts.push(account_with(&runtime, 10).await);
        }
        let (counting, loaded) = Counting::new(&store);
        let builder = bound(Runtime::builder(counting)).preload::<Account>();
        let runtime = builder.start().await.unwrap();
        for (account, events) in accounts.into_iter().zip([0, 0, 0, 0, 2, 2]) {
            runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
            assert_eq!(taken(&loaded), events);
        }
    }
}

#[tokio::test]
async fn an_instance_whose_last_events_were_left_out_meets_no_conflict() {
    let store = memory();
    let runtime = cold(&store).await;
    let mut accounts = Vec::new();
    for _ in 0..3 {
        accounts.push(account_with(&runtime, 10).await);
    }
    for account in &accounts {
        runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
    }
    let (counting, loaded) = Counting::new(&store);
    let builder = Runtime::builder(counting).cache(2).retry(RetryPolicy::never());
    let runtime = builder.preload::<Account>().start().await.unwrap();
    for account in &accounts[..2] {
        runtime.execute(account, Withdraw { amount: 11 }).await.unwrap();
        assert_eq!(
            taken(&loaded),
            2,
            "the last one in memory, and the one that was left out"
        );
    }
}

#[tokio::test]
async fn one_aggregate_does_not_take_the_room_of_another() {
    let store = memory();
    let runtime = cold(&store).await;
    let (mut accounts, mut boards) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        accounts.push(account_with(&runtime, 10).await);
        boards.push(single::board_at(&runtime, 2).await);
    }
    let (counting, loaded) = Counting::new(&store);
    let builder = Runtime::builder(counting.clone()).cache(4);
    let runtime = builder.preload::<Account>().preload::<single::Board>();
    let runtime = runtime.start().await.unwrap();
    taken(&loaded);
    for account in accounts {
        runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
    }
    assert_eq!(taken(&loaded), 0);

    let builder = Runtime::builder(counting).cache(4);
    let runtime = builder.preload::<single::Board>().preload::<Account>();
    let runtime = runtime.start().await.unwrap();
    taken(&loaded);
    for board in boards {
        single::add(&runtime, board, 1).await;
    }
    assert_eq!(taken(&loaded), 0);
}

/// A store whose events cannot be read.
struct Away(Store);

fn away<T: Send + 'static>() -> BoxStream<'static, Result<T, StoreError>> {
    let error = StoreError::new(StoreErrorKind::Unavailable, "the store is away");
    stream::once(ready(Err(error))).boxed()
}

impl Wrap for Away {
    fn inner(&self) -> &dyn EventStore {
        &*self.0
    }

    fn read_stream(&self, _: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        away()
    }

    fn read_log(&self, _: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        away()
    }

    fn state_store(&self) -> Option<Arc<dyn es_runtime::store::StateStore>> {
        Arc::clone(&self.0).state_store()
    }
}

#[tokio::test]
async fn a_store_that_fails_meanwhile_fails_the_start() {
    let store = memory();
    let runtime = cold(&store).await;
    account_with(&runtime, 10).await;
    single::board_at(&runtime, 2).await;
    let builder = || Runtime::builder(Wrapped(Arc::new(Away(Arc::clone(&store)))));
    for builder in [builder().preload::<Account>(), builder().preload::<single::Board>()] {
        let error = builder.start().await.unwrap_err();
        assert!(
            matches!(&error, StartError::Store(error) if error.kind() == StoreErrorKind::Unavailable),
            "{error:?}"
        );
    }
}
