//! What projections promise, on every store: each event in the rows exactly once, whatever fails.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::{AnyKey, Status};
use es_runtime::store::Append;
use es_runtime::store::Compare;
use es_runtime::{ControlError, EventId, ExpectedVersion, Key as _, Metadata, NewEvent, ReadError};
use es_tests::balances::{Balance, Send, Settle, Store, Transfer, dump, folded, start};
use es_tests::bank::{Account, Deposit, Deposited, Open, Opened, Withdraw, Withdrawn, account_with};
use es_tests::faults::{Fault, Faulty};
use es_tests::scaled;
use es_tests::waits::{becomes, caught_up, reached};

/// Fails as it is told to.
#[projection(name = "fragile")]
struct Fragile {
    cents: i64,
}

/// The accounts for which the bug of [`Careless`] is fixed, as if by a new build.
static FIXED: Mutex<Vec<Id<Account>>> = Mutex::new(Vec::new());

#[projection]
impl Fragile {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        assert_ne!(event.amount, 13, "13 brings bad luck");
        self.cents += event.amount;
    }
}

/// Like [`Fragile`], but puts aside what it cannot apply.
#[projection(name = "careless", park_alone)]
struct Careless {
    cents: i64,
}

#[projection]
impl Careless {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited, meta: &Meta<Account>) {
        let is_known = event.amount != 14 || FIXED.lock().unwrap().contains(meta.id());
        assert!(is_known, "14 is not known yet");
        self.cents += event.amount;
    }
}

/// Some accounts with money that moves.
async fn trade(runtime: &Runtime, rounds: i64) -> Vec<Id<Account>> {
    let mut accounts = Vec::new();
    for _ in 0..3 {
        accounts.push(account_with(runtime, 100).await);
    }
    for round in 0..rounds {
        let account = accounts[usize::try_from(round % 3).unwrap()];
        runtime.execute(account, Deposit { amount: 1 + round }).await.unwrap();
        runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
    }
    accounts
}

es_tests::on_every_store_and_postgres! {
    async fn rows_show_what_happened(store: _, _clock: _) {
        let runtime = start(&store).await;
        let alice = account_with(&runtime, 50).await;
        let bob = account_with(&runtime, 7).await;
        let transfer = Id::<Transfer>::new();
        runtime.execute(transfer, Send { from: alice, to: bob, amount: 3 }).await.unwrap();
        let receipt = runtime.execute(alice, Withdraw { amount: 20 }).await.unwrap();

        let row = runtime.get::<Balance>(alice).after(receipt.position).await.unwrap().unwrap();
        assert_eq!((row.cents, row.events, row.position), (31, 4, receipt.position));
        assert_eq!(row.key, alice.to_string());
        assert_eq!(runtime.get::<Balance>(AnyKey::new("nobody")).await.unwrap(), None);

        let receipt = runtime.execute(transfer, Settle { account: alice }).wait_for::<Balance>().await.unwrap();
        assert_eq!(runtime.get::<Balance>(alice).await.unwrap(), None);
        assert_eq!(runtime.health().await.unwrap().projections[0].position, receipt.position);
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn rows_are_listed_by_field_and_in_pages(store: _, _clock: _) {
        let runtime = start(&store).await;
        for cents in [5, 3, 9, 3, 7] {
            account_with(&runtime, cents).await;
        }
        caught_up::<Balance>(&runtime).await;
        let list = || runtime.list::<Balance>().order_by("cents").limit(2);
        let (mut seen, mut next) = (Vec::new(), None);
        loop {
            let page = match next {
                Some(next) => list().page(next).await.unwrap(),
                None => list().await.unwrap(),
            };
            seen.extend(page.rows.iter().map(|row| row.cents));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen, [3, 3, 5, 7, 9]);
        let rich = runtime.list::<Balance>().filter("cents", Compare::Greater, 5).descending().order_by("cents");
        let rich = rich.await.unwrap().rows;
        assert_eq!(rich.iter().map(|row| row.cents).collect::<Vec<_>>(), [9, 7]);
        let alices = runtime.list::<Balance>().filter("owner", Compare::Equal, "Alice").await.unwrap();
        assert_eq!((alices.rows.len(), alices.next), (5, None));
    }

    async fn whoever_waits_sees_his_own_write(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = account_with(&runtime, 0).await;
        for round in 1..=scaled(1_000, 10_000) {
            runtime.execute(account, Deposit { amount: 1 }).wait_for::<Balance>().await.unwrap();
            assert_eq!(runtime.get::<Balance>(account).await.unwrap().unwrap().cents, round);
        }
    }

    async fn waiting_in_vain_says_how_far_it_got(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = account_with(&runtime, 5).await;
        caught_up::<Balance>(&runtime).await;
        let head = runtime.store().head().await.unwrap();
        let never = runtime.get::<Balance>(account).after(head.next()).timeout(Duration::from_millis(20)).await;
        let error = never.unwrap_err();
        assert!(matches!(error, ReadError::Timeout { at, after, .. } if at == head && after == head.next()), "{error}");
    }

    /// At each point between the log, the rows, the checkpoint and the answer: when all is over, every event counts once.
    async fn each_event_counts_once_whatever_fails(store: _, _clock: _) {
        let store: Store = store;
        let faulty = Faulty::new(Arc::clone(&store));
        let runtime = Runtime::builder(faulty.clone()).projection::<Balance>().start().await.unwrap();
        let accounts = trade(&runtime, 2).await;
        for second in Fault::ALL.into_iter().take(scaled(1, Fault::ALL.len())) {
            for first in Fault::ALL {
                // Behind a refused commit everything is read anew, so that each fault is met.
                faulty.plan([Fault::CommitRefused, first, second]);
                while !faulty.planned().is_empty() {
                    for account in &accounts {
                        runtime.execute(*account, Deposit { amount: 2 }).await.unwrap();
                        runtime.execute(*account, Withdraw { amount: 1 }).await.unwrap();
                    }
                    // Asked of the store behind, so that it is the projection that meets the faults.
                    reached::<Balance>(&runtime, store.head().await.unwrap()).await;
                }
                assert_eq!(dump(&store).await, folded(&store).await, "after {first:?} and {second:?}");
            }
        }
    }

    async fn while_the_store_fails_it_is_tried_again_and_the_checkpoint_stays(store: _, _clock: _) {
        let store: Store = store;
        let faulty = Faulty::new(Arc::clone(&store));
        let runtime = Runtime::builder(faulty.clone()).projection::<Balance>().start().await.unwrap();
        let account = account_with(&runtime, 1).await;
        caught_up::<Balance>(&runtime).await;
        let before = becomes::<Balance>(&runtime, Status::Live).await.position;
        faulty.plan([Fault::CommitRefused; 6]);
        let receipt = runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
        let mut attempts = 0;
        while attempts < 4 {
            let health = becomes::<Balance>(&runtime, Status::Retrying).await;
            assert_eq!(health.position, before);
            let failure = health.last_error.unwrap();
            assert!(failure.position.is_none() && failure.error.contains("the test wants it so"), "{failure:?}");
            attempts = failure.attempts;
        }
        reached::<Balance>(&runtime, receipt.position).await;
        let health = becomes::<Balance>(&runtime, Status::Live).await;
        assert_eq!((health.last_error, health.position), (None, receipt.position));
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn an_order_that_panics_is_answered_and_the_projection_goes_on(store: _, _clock: _) {
        let store: Store = store;
        let faulty = Faulty::new(Arc::clone(&store));
        let runtime = Runtime::builder(faulty.clone()).projection::<Balance>().start().await.unwrap();
        let account = account_with(&runtime, 1).await;
        caught_up::<Balance>(&runtime).await;
        becomes::<Balance>(&runtime, Status::Live).await;
        faulty.plan([Fault::PanicBeforeCommit]);
        let error = runtime.projection::<Balance>().rebuild().await.unwrap_err();
        assert!(error.to_string().contains("panicked: the test wants it so"), "{error}");
        let receipt = runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
        reached::<Balance>(&runtime, receipt.position).await;
        runtime.projection::<Balance>().rebuild().await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn an_event_that_cannot_be_applied_holds_and_those_before_it_count(store: _, _clock: _) {
        let runtime = Runtime::builder(Arc::clone(&store))
            .projection::<Fragile>()
            .projection::<Balance>()
            .start()
            .await
            .unwrap();
        let account = account_with(&runtime, 1).await;
        runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
        let poison = runtime.execute(account, Deposit { amount: 13 }).await.unwrap();
        let after = runtime.execute(account, Deposit { amount: 4 }).await.unwrap();

        let health = becomes::<Fragile>(&runtime, Status::Held).await;
        let failure = health.last_error.unwrap();
        assert_eq!(failure.position, Some(poison.position));
        assert!(failure.error.contains("13 brings bad luck"), "{}", failure.error);
        assert!(failure.attempts >= 1);
        assert_eq!(health.lag_events, 2);

        // The other projection lives.
        let row = runtime.get::<Balance>(account).after(after.position).await.unwrap().unwrap();
        assert_eq!(row.cents, 20);

        let handle = runtime.projection::<Fragile>();
        let other = handle.skip(after.position, "a mistake").await.unwrap_err();
        assert!(matches!(other, ControlError::NotParked { .. }), "{other}");
        let again = handle.retry(poison.position).await.unwrap_err();
        assert!(matches!(again, ControlError::Failed(_)), "{again}");
        handle.skip(poison.position, "13 is booked by hand").await.unwrap();
        let row = runtime.get::<Fragile>(account).after(after.position).await.unwrap().unwrap();
        assert_eq!(row.cents, 1 + 2 + 4);
        becomes::<Fragile>(&runtime, Status::Live).await;
    }

    async fn a_parked_event_is_listed_retried_and_skipped(store: _, _clock: _) {
        let runtime = Runtime::builder(Arc::clone(&store)).projection::<Careless>().start().await.unwrap();
        let account = account_with(&runtime, 1).await;
        let first = runtime.execute(account, Deposit { amount: 14 }).await.unwrap();
        let second = runtime.execute(account, Deposit { amount: 14 }).await.unwrap();
        runtime.execute(account, Deposit { amount: 2 }).wait_for::<Careless>().await.unwrap();
        assert_eq!(runtime.get::<Careless>(account).await.unwrap().unwrap().cents, 3);

        let handle = runtime.projection::<Careless>();
        let parked = handle.parked().await.unwrap();
        let positions: Vec<_> = parked.iter().map(|parked| (parked.position, parked.attempts)).collect();
        assert_eq!(positions, [(first.position, 1), (second.position, 1)]);
        assert!(parked[0].error.contains("14 is not known yet"), "{}", parked[0].error);
        assert_eq!(handle.status().await.unwrap().parked, 2);
        let again = handle.retry(first.position).await.unwrap_err();
        assert!(matches!(again, ControlError::Failed(_)), "{again}");
        assert_eq!(handle.parked().await.unwrap()[0].attempts, 2);
        FIXED.lock().unwrap().push(account);
        handle.retry(first.position).await.unwrap();
        assert_eq!(runtime.get::<Careless>(account).await.unwrap().unwrap().cents, 17);
        handle.skip(second.position, "booked by hand").await.unwrap();
        assert_eq!(handle.parked().await.unwrap(), []);
        assert_eq!(runtime.get::<Careless>(account).await.unwrap().unwrap().cents, 17);
        let gone = handle.skip(second.position, "again").await.unwrap_err();
        assert!(matches!(gone, ControlError::NotParked { .. }), "{gone}");
    }

    async fn an_unknown_event_holds_until_a_build_comes_that_knows_it(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = account_with(&runtime, 5).await;
        let unknown = NewEvent {
            id: EventId(uuid::Uuid::now_v7()),
            name: "interest_paid".into(),
            shape_version: 1,
            payload: r#"{"amount":100}"#.into(),
            metadata: Metadata::EMPTY,
        };
        store.append(Append::new(account.stream_id(), ExpectedVersion::Any, vec![unknown])).await.unwrap();
        let health = becomes::<Balance>(&runtime, Status::Held).await;
        assert_eq!(health.lag_events, 1);
        assert!(health.last_error.unwrap().error.contains("interest_paid"));

        // The new build may come while the old one still runs.
        let newer = Runtime::builder(Arc::clone(&store)).projection::<newer::Balance>().start().await.unwrap();
        let head = store.head().await.unwrap();
        newer.projection::<newer::Balance>().wait_for(head, Duration::from_secs(30)).await.unwrap();
        assert_eq!(newer.get::<newer::Balance>(AnyKey::new(account)).await.unwrap().unwrap().cents, 105);
    }

    async fn a_rebuild_gives_the_same_bytes(store: _, _clock: _) {
        let runtime = start(&store).await;
        trade(&runtime, 40).await;
        caught_up::<Balance>(&runtime).await;
        let before = dump(&store).await;
        assert_eq!(before, folded(&store).await);
        runtime.projection::<Balance>().rebuild().await.unwrap();
        // Nobody is shown a row that is older than one before.
        let alice = runtime.list::<Balance>().await.unwrap();
        assert_eq!(alice.rows.len(), before.len());
        assert_eq!(dump(&store).await, before);
    }

    async fn a_new_version_is_built_beside_the_old_one(store: _, _clock: _) {
        let old = start(&store).await;
        let accounts = trade(&old, 20).await;
        caught_up::<Balance>(&old).await;
        let before = dump(&store).await;
        let new = Runtime::builder(Arc::clone(&store)).projection::<second::Balance>().start().await.unwrap();
        // The first answer of the new build is a whole one.
        let row = new.get::<second::Balance>(accounts[0]).await.unwrap().unwrap();
        let old_row = old.get::<Balance>(accounts[0]).await.unwrap().unwrap();
        assert_eq!(i128::from(old_row.cents), row.cents_as_text.parse::<i128>().unwrap());
        assert_eq!(dump(&store).await, before);
    }

    async fn of_two_runtimes_one_writes_and_the_other_takes_over(store: _, _clock: _) {
        let store: Store = store;
        let frozen = Faulty::new(Arc::clone(&store));
        let first = Runtime::builder(frozen.clone()).projection::<Balance>().start().await.unwrap();
        let account = account_with(&first, 1).await;
        caught_up::<Balance>(&first).await;
        let second = start(&store).await;
        second.execute(account, Deposit { amount: 1 }).wait_for::<Balance>().await.unwrap();
        let owners = async |runtime: &Runtime| runtime.health().await.unwrap().projections[0].runs_here;
        assert!(owners(&first).await && !owners(&second).await);

        // The first stands still, as under SIGSTOP, until the second has taken over: then it must not write.
        frozen.freeze(true);
        let started = std::time::Instant::now();
        second.execute(account, Deposit { amount: 1 }).await.unwrap();
        caught_up::<Balance>(&second).await;
        println!("taken over after {:?}", started.elapsed());
        assert!(owners(&second).await);
        frozen.freeze(false);
        for _ in 0..3_000 {
            if !owners(&first).await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!owners(&first).await, "the first has not noticed that it lost the lease");
        for _ in 0..20 {
            first.execute(account, Deposit { amount: 1 }).await.unwrap();
            second.execute(account, Deposit { amount: 1 }).await.unwrap();
        }
        caught_up::<Balance>(&first).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn whoever_stops_while_he_asks_for_a_lease_gives_it_back(store: _, _clock: _) {
        let store: Store = store;
        let ask = async || store.acquire("balances@1", "another", Duration::from_secs(60)).await.unwrap();
        let mut other = ask().await;
        let frozen = Faulty::new(Arc::clone(&store));
        let runtime = Runtime::builder(frozen.clone()).projection::<Balance>().start().await.unwrap();
        frozen.freeze(true);
        for _ in 0..3_000 {
            let Some(lease) = other else { break };
            store.release(&lease).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            other = ask().await;
        }
        assert!(other.is_none(), "the runtime never took the lease");
        // The store is not closed: it belongs to the test too.
        drop(runtime);
        frozen.freeze(false);
        let mut lease = None;
        // Less than the lease would take to run out.
        for _ in 0..250 {
            lease = ask().await;
            if lease.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(lease.is_some(), "the lease is held by nobody who would let it go");
    }

    async fn runtimes_come_and_go_and_each_event_counts_once(store: _, _clock: _) {
        let store: Store = store;
        let mut account = None;
        for round in 0..30 {
            let runtime = start(&store).await;
            let account = match account {
                Some(account) => account,
                None => *account.insert(account_with(&runtime, 1).await),
            };
            for _ in 0..5 {
                runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
            }
            match round % 3 {
                // Dropped in the middle of it.
                0 => drop(runtime),
                1 => {
                    caught_up::<Balance>(&runtime).await;
                    drop(runtime);
                }
                _ => caught_up::<Balance>(&runtime).await,
            }
        }
        let runtime = start(&store).await;
        caught_up::<Balance>(&runtime).await;
        assert_eq!(dump(&store).await, folded(&store).await);
        runtime.shutdown().await.unwrap();
        assert_eq!(runtime.projection::<Balance>().rebuild().await.unwrap_err().to_string(), ControlError::ShutDown.to_string());
    }

    async fn a_runtime_that_is_dropped_leaves_its_work_to_others(store: _, _clock: _) {
        let store: Store = store;
        let first = start(&store).await;
        let account = account_with(&first, 1).await;
        caught_up::<Balance>(&first).await;
        let second = start(&store).await;
        drop(first);
        second.execute(account, Deposit { amount: 1 }).await.unwrap();
        caught_up::<Balance>(&second).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }
}

/// The same projection in a build that knows one event more.
mod newer {
    use super::*;

    #[event]
    pub(super) struct Opened {
        owner: String,
    }

    #[event]
    pub(super) struct Deposited {
        amount: i64,
    }

    #[event]
    pub(super) struct InterestPaid {
        amount: i64,
    }

    #[command]
    pub(super) struct Open;

    #[derive(Aggregate)]
    pub(super) struct Account;

    #[aggregate]
    impl Account {
        #[handle]
        fn open(_: Open) -> Opened {
            Opened { owner: String::new() }
        }

        #[apply]
        fn opened(_: Opened) -> Self {
            Account
        }

        #[apply]
        fn deposited(&mut self, _: Deposited) {}

        #[apply]
        fn interest_paid(&mut self, _: InterestPaid) {}
    }

    #[projection(name = "balances")]
    pub(super) struct Balance {
        owner: String,
        pub(super) cents: i64,
        events: u64,
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
            self.cents += event.amount;
            self.events += 1;
        }

        #[apply]
        fn interest_paid(&mut self, event: InterestPaid) {
            self.cents += event.amount;
            self.events += 1;
        }
    }
}

/// The same projection in another shape.
mod second {
    use super::*;

    #[projection(name = "balances", version = 2)]
    pub(super) struct Balance {
        pub(super) cents_as_text: String,
    }

    impl Balance {
        fn add(&mut self, cents: i64) {
            self.cents_as_text = (self.cents_as_text.parse::<i64>().unwrap() + cents).to_string();
        }
    }

    #[projection]
    impl Balance {
        #[apply]
        fn opened(_: Opened) -> Self {
            Self {
                cents_as_text: "0".to_owned(),
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
    }
}

#[test]
#[should_panic(expected = "two projections are named `balances` with version 1")]
fn two_projections_of_one_name_are_a_mistake() {
    let _ = Runtime::builder(MemoryStore::new())
        .projection::<Balance>()
        .projection::<Balance>();
}

#[tokio::test]
#[should_panic(expected = "add `.projection::<Balance>()` to its builder")]
async fn a_projection_that_was_not_given_to_the_builder_is_a_mistake() {
    let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
    let _ = runtime.get::<Balance>(AnyKey::new("x"));
}

#[tokio::test]
async fn an_empty_store_has_no_rows() {
    let store: Store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    assert_eq!(runtime.get::<Balance>(AnyKey::new("x")).await.unwrap(), None);
    assert_eq!(runtime.list::<Balance>().await.unwrap().rows, []);
    let _ = Open { owner: String::new() };
}
