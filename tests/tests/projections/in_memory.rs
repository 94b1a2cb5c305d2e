//! What projections promise whose rows each process keeps in its memory, over the events of every store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::{ProjectionHealth, Status};
use es_runtime::store::Compare;
use es_tests::balances::{Sent, Settle, Settled, Store, Transfer, folded};
use es_tests::bank::{Account, Deposit, Deposited, Opened, Withdraw, Withdrawn, account_with};
use es_tests::faults::{Fault, Faulty};
use es_tests::waits::{becomes, caught_up};

/// The rows of [`es_tests::balances::Balance`], kept in memory.
#[projection(name = "hot-balances", memory)]
struct Balance {
    owner: String,
    cents: i64,
    events: u64,
}

impl Balance {
    fn add(&mut self, cents: i64) {
        self.cents += cents;
        self.events += 1;
    }
}

#[projection]
impl Balance {
    #[apply]
    fn opened(event: Opened) -> Self {
        Self {
            owner: event.owner,
            cents: 0,
            events: 1,
        }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.add(event.amount);
    }

    #[apply]
    fn withdrawn(&mut self, event: Withdrawn) {
        self.add(-event.amount);
    }

    #[apply(keys = [event.from, event.to])]
    fn sent(&mut self, event: Sent) {
        self.add(event.amount % 2);
    }

    #[apply(key = event.account)]
    fn settled(self, _: Settled) -> Option<Self> {
        None
    }
}

/// Puts a deposit of 13 aside until it is told that this is fixed.
#[projection(memory, park_alone)]
struct Careless {
    cents: i64,
}

static FIXED: AtomicBool = AtomicBool::new(false);

#[projection]
impl Careless {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        if event.amount == 13 && !FIXED.load(Ordering::SeqCst) {
            std::panic::resume_unwind(Box::new("13 brings bad luck"));
        }
        self.cents += event.amount;
    }
}

/// A runtime over nothing but the events of the store.
async fn start(store: &Store) -> Runtime {
    let events: Arc<dyn EventStore> = Arc::clone(store) as _;
    Runtime::builder(events).projection::<Balance>().start().await.unwrap()
}

/// Key, data and position of each row, as [`folded`] has them.
async fn dump(runtime: &Runtime) -> Vec<(String, String, u64)> {
    let rows = runtime.list::<Balance>().await.unwrap().rows;
    rows.into_iter()
        .map(|row| (row.key, serde_json::to_string(&row.row).unwrap(), row.position.0))
        .collect()
}

async fn health(runtime: &Runtime) -> ProjectionHealth {
    runtime.health().await.unwrap().projections.remove(0)
}

es_tests::on_every_store_and_postgres! {
    async fn rows_show_what_happened(store: _, _clock: _) {
        let runtime = start(&store).await;
        let alice = account_with(&runtime, 50).await;
        let bob = account_with(&runtime, 7).await;
        let transfer = Id::<Transfer>::new();
        let send = es_tests::balances::Send { from: alice, to: bob, amount: 3 };
        runtime.execute(transfer, send).await.unwrap();
        let receipt = runtime.execute(alice, Withdraw { amount: 20 }).await.unwrap();

        let row = runtime.get::<Balance>(alice).after(receipt.position).await.unwrap().unwrap();
        assert_eq!((row.cents, row.events, row.position), (31, 4, receipt.position));
        let rich = runtime.list::<Balance>().filter("cents", Compare::Less, 10).order_by("owner").await.unwrap();
        assert_eq!(rich.rows.iter().map(|row| row.cents).collect::<Vec<_>>(), [8]);

        let receipt = runtime.execute(transfer, Settle { account: alice }).wait_for::<Balance>().await.unwrap();
        assert_eq!(runtime.get::<Balance>(alice).await.unwrap(), None);
        let health = health(&runtime).await;
        assert_eq!((health.position, health.lag_events, health.ready), (receipt.position, 0, true));
        assert_eq!(dump(&runtime).await, folded(&store).await);
    }

    async fn each_process_has_rows_of_its_own_and_the_store_none(store: _, _clock: _) {
        let store: Store = store;
        let (first, second) = (start(&store).await, start(&store).await);
        let account = account_with(&first, 5).await;
        for runtime in [&first, &second] {
            caught_up::<Balance>(runtime).await;
            assert_eq!(runtime.get::<Balance>(account).await.unwrap().unwrap().cents, 5);
            assert!(health(runtime).await.owner.is_some());
        }
        assert_eq!(store.checkpoint("hot-balances@1").await.unwrap(), None);
        let lease = store.acquire("hot-balances@1", "another", Duration::from_secs(1)).await.unwrap();
        assert!(lease.is_some(), "nobody holds a lease in the store");
    }

    async fn a_process_that_starts_folds_the_log_before_it_shows_a_row(store: _, _clock: _) {
        let store: Store = store;
        let before = start(&store).await;
        let account = account_with(&before, 0).await;
        for _ in 0..300 {
            before.execute(account, Deposit { amount: 1 }).await.unwrap();
        }
        drop(before);
        let after = start(&store).await;
        let row = after.get::<Balance>(account).timeout(Duration::from_secs(120)).await.unwrap().unwrap();
        assert_eq!(row.cents, 300);
        assert_eq!(dump(&after).await, folded(&store).await);
    }

    async fn each_event_counts_once_whatever_fails(store: _, _clock: _) {
        let store: Store = store;
        let faulty = Faulty::new(Arc::clone(&store));
        let runtime = Runtime::builder(faulty.clone()).projection::<Balance>().start().await.unwrap();
        let account = account_with(&runtime, 100).await;
        for second in [Fault::Head, Fault::Log, Fault::LogMidway] {
            for first in [Fault::Head, Fault::Log, Fault::LogMidway] {
                faulty.plan([first, second]);
                while !faulty.planned().is_empty() {
                    for _ in 0..4 {
                        runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
                    }
                    let head = store.head().await.unwrap();
                    let projection = runtime.projection::<Balance>();
                    projection.wait_for(head, Duration::from_secs(120)).await.unwrap();
                }
                assert_eq!(dump(&runtime).await, folded(&store).await, "after {first:?} and {second:?}");
            }
        }
    }

    async fn a_rebuild_gives_the_same_rows(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start(&store).await;
        for cents in [5, 3, 9] {
            account_with(&runtime, cents).await;
        }
        caught_up::<Balance>(&runtime).await;
        runtime.projection::<Balance>().rebuild().await.unwrap();
        assert_eq!(dump(&runtime).await, folded(&store).await);
    }

    async fn whoever_waits_sees_his_own_write(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = account_with(&runtime, 0).await;
        for round in 1..=500 {
            runtime.execute(account, Deposit { amount: 1 }).wait_for::<Balance>().await.unwrap();
            assert_eq!(runtime.get::<Balance>(account).await.unwrap().unwrap().cents, round);
        }
    }
}

#[tokio::test]
async fn a_parked_event_is_listed_and_retried() {
    let runtime = Runtime::builder(MemoryStore::new())
        .projection::<Careless>()
        .start()
        .await
        .unwrap();
    let account: Id<Account> = account_with(&runtime, 1).await;
    let poison = runtime.execute(account, Deposit { amount: 13 }).await.unwrap();
    let deposit = runtime.execute(account, Deposit { amount: 2 });
    deposit.wait_for::<Careless>().await.unwrap();
    let handle = runtime.projection::<Careless>();
    assert_eq!(handle.parked().await.unwrap()[0].position, poison.position);
    assert_eq!(handle.status().await.unwrap().parked, 1);
    FIXED.store(true, Ordering::SeqCst);
    handle.retry(poison.position).await.unwrap();
    assert_eq!(runtime.get::<Careless>(account).await.unwrap().unwrap().cents, 16);
}

#[tokio::test]
async fn a_log_that_was_restored_to_an_earlier_point_is_noticed_and_a_rebuild_heals() {
    // Shorter than what was folded, or with other events in their place.
    for events_after in [0, 8] {
        let store = MemoryStore::new();
        // Without cached states of events that are gone.
        let builder = Runtime::builder(store.clone()).cache(0);
        let runtime = builder.projection::<Balance>().start().await.unwrap();
        let account = account_with(&runtime, 5).await;
        let deposit = async || runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
        for _ in 0..4 {
            deposit().await;
        }
        caught_up::<Balance>(&runtime).await;
        store.rewind(2.into());
        for _ in 0..events_after {
            deposit().await;
        }
        becomes::<Balance>(&runtime, Status::Diverged).await;
        let error = runtime.get::<Balance>(account).await.unwrap_err();
        assert!(matches!(error, es_runtime::ReadError::Checkpoint(_)), "{error}");
        runtime.projection::<Balance>().rebuild().await.unwrap();
        let expected = folded(&(Arc::new(store) as Store)).await;
        assert_eq!(dump(&runtime).await, expected);
        becomes::<Balance>(&runtime, Status::Live).await;
    }
}
