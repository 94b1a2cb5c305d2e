//! What a failing event and a failing store cost a projection: nothing but that event, and pauses that grow.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::Position;
use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_tests::balances::{Balance, Store, dump, folded};
use es_tests::bank::{Account, Deposit, Deposited, Opened, account_with};
use es_tests::faults::{Fault, Faulty};
use es_tests::waits::{LONG, becomes};

/// The amounts of an account, in the order in which they were applied.
#[projection(name = "holding")]
struct Holding {
    amounts: Vec<i64>,
}

#[projection]
impl Holding {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { amounts: Vec::new() }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        fails_below_zero(event.amount);
        self.amounts.push(event.amount);
    }
}

/// The same, and goes on behind what it cannot apply.
#[projection(name = "parking", park_alone)]
struct Parking {
    amounts: Vec<i64>,
}

#[projection]
impl Parking {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { amounts: Vec::new() }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        fails_below_zero(event.amount);
        self.amounts.push(event.amount);
    }
}

fn fails_below_zero(amount: i64) {
    if amount < 0 {
        // Without the hook: with debug information the trace that it prints takes seconds.
        std::panic::resume_unwind(Box::new("it is below zero"));
    }
}

/// Appends a hundred deposits at once, of which the one of this number cannot be applied, and gives its position.
async fn deposit_hundred(runtime: &Runtime, account: Id<Account>, failing: i64) -> Position {
    let amount = |number| if number == failing { -1 } else { number };
    let deposits = (1..=100).map(|number| Deposited { amount: amount(number) });
    let receipt = runtime.append(account, deposits.collect::<Vec<_>>()).await.unwrap();
    Position(receipt.position.0 - 100 + u64::try_from(failing).unwrap())
}

fn all_but(failing: i64) -> Vec<i64> {
    (1..=100).filter(|number| *number != failing).collect()
}

es_tests::on_every_store_and_postgres! {
    /// What stands before it is applied once and in order, and what stands behind it when it is given up.
    async fn one_event_of_a_hundred_holds(store: _, _clock: _) {
        let runtime = Runtime::builder(store).projection::<Holding>().start().await.unwrap();
        let holding = runtime.projection::<Holding>();
        for failing in [1, 57, 100] {
            let account = Id::<Account>::new();
            let opened = runtime.append(account, [Opened { owner: "Alice".into() }]).await.unwrap();
            holding.wait_for(opened.position, LONG).await.unwrap();
            let position = deposit_hundred(&runtime, account, failing).await;
            let health = becomes::<Holding>(&runtime, Status::Held).await;
            assert_eq!(health.last_error.and_then(|failure| failure.position), Some(position));
            assert_eq!(health.position.0, position.0 - 1);
            let row = runtime.get::<Holding>(account).await.unwrap().unwrap();
            assert!(row.amounts.iter().copied().eq(1..failing), "{:?}", row.amounts);

            holding.skip(position, "booked by hand").await.unwrap();
            let head = runtime.store().head().await.unwrap();
            let row = runtime.get::<Holding>(account).after(head).timeout(LONG).await.unwrap().unwrap();
            assert_eq!(row.amounts, all_but(failing));
            becomes::<Holding>(&runtime, Status::Live).await;
        }
    }

    async fn one_event_of_a_hundred_is_parked(store: _, _clock: _) {
        let runtime = Runtime::builder(store).projection::<Parking>().start().await.unwrap();
        let mut aside = Vec::new();
        for failing in [1, 57, 100] {
            let account = Id::<Account>::new();
            runtime.append(account, [Opened { owner: "Alice".into() }]).await.unwrap();
            aside.push((deposit_hundred(&runtime, account, failing).await, 1));
            let head = runtime.store().head().await.unwrap();
            let row = runtime.get::<Parking>(account).after(head).timeout(LONG).await.unwrap().unwrap();
            assert_eq!(row.amounts, all_but(failing));
        }
        let parked = runtime.projection::<Parking>().parked().await.unwrap();
        let parked: Vec<_> = parked.iter().map(|parked| (parked.position, parked.attempts)).collect();
        assert_eq!(parked, aside);
    }
}

/// The clock stands still but for what is waited for: it is tried often at first, then less and less, and never more seldom than
/// every twenty seconds.
#[tokio::test(start_paused = true)]
async fn while_the_store_fails_the_pauses_grow_up_to_a_bound() {
    let behind: Store = Arc::new(MemoryStore::new());
    let store = Faulty::new(Arc::clone(&behind));
    let runtime = Runtime::builder(store.clone())
        .projection::<Balance>()
        .start()
        .await
        .unwrap();
    let account = account_with(&runtime, 1).await;
    runtime
        .projection::<Balance>()
        .wait_for(Position(2), LONG)
        .await
        .unwrap();
    store.plan([Fault::CommitRefused; 10_000]);
    runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
    let tried = || 10_000 - store.planned().len();
    let mut of_minutes = Vec::new();
    for _ in 0..10 {
        let before = tried();
        tokio::time::sleep(Duration::from_secs(60)).await;
        of_minutes.push(tried() - before);
    }
    // From 50 ms on each pause is twice the one before, up to ten seconds; jitter makes each up to twice as long.
    assert!((8..=16).contains(&of_minutes[0]), "{of_minutes:?}");
    assert!(
        of_minutes[1..].iter().all(|tries| (2..=7).contains(tries)),
        "{of_minutes:?}"
    );
    let health = runtime.projection::<Balance>().status().await.unwrap();
    assert_eq!((health.status, health.position), (Status::Retrying, Position(2)));

    store.forgive();
    runtime
        .projection::<Balance>()
        .wait_for(Position(3), LONG)
        .await
        .unwrap();
    assert_eq!(dump(&behind).await, folded(&behind).await);
}
