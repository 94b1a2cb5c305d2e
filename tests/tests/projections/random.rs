//! Whatever happens, and whatever fails meanwhile: the rows are what folding the log by hand gives.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::ReadError;
use es_runtime::prelude::*;
use es_tests::balances::{Balance, Send, Settle, Store, Transfer, dump, folded};
use es_tests::bank::{Account, Deposit, Open, Withdraw};
use es_tests::faults::{Fault, Faulty};
use es_tests::random::{config, run};
use es_tests::stores;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Numbers of accounts are taken modulo those that there are.
#[derive(Debug, Clone)]
enum Step {
    Open,
    Deposit(usize, i64),
    Withdraw(usize),
    Send(usize, usize, i64),
    /// Deletes the row of the account, of which nothing more is heard.
    Settle(usize),
    /// Deposits while the projection stands still: it meets them in one batch.
    Burst(usize, usize),
    /// The next call that can, fails so.
    Fault(Fault),
    Rebuild,
    /// Another runtime starts, and the one before ends.
    TakeOver,
    /// Waits for the rows.
    CatchUp(usize),
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let any = 0..100_usize;
    let step = prop_oneof![
        2 => Just(Step::Open),
        6 => (any.clone(), 1..1_000_i64).prop_map(|(account, cents)| Step::Deposit(account, cents)),
        4 => any.clone().prop_map(Step::Withdraw),
        4 => (any.clone(), any.clone(), 1..9_i64).prop_map(|(from, to, cents)| Step::Send(from, to, cents)),
        1 => any.clone().prop_map(Step::Settle),
        2 => (any.clone(), 1..40_usize).prop_map(|(account, events)| Step::Burst(account, events)),
        4 => select(Fault::ALL.to_vec()).prop_map(Step::Fault),
        1 => Just(Step::Rebuild),
        1 => Just(Step::TakeOver),
        2 => any.prop_map(Step::CatchUp),
    ];
    vec(step, 1..60)
}

/// A runtime that projects. The store may fail while it starts.
async fn project(store: &Faulty) -> Runtime {
    for _ in 0..100 {
        if let Ok(runtime) = Runtime::builder(store.clone()).projection::<Balance>().start().await {
            return runtime;
        }
    }
    panic!("it never starts");
}

/// Waits until the rows show all but the last events.
async fn caught_up(runtime: &Runtime, store: &Store, behind: u64) {
    let head = store.head().await.unwrap().0.saturating_sub(behind);
    let projection = runtime.projection::<Balance>();
    for _ in 0..100 {
        match projection.wait_for(head, Duration::from_secs(60)).await {
            Ok(()) => return,
            Err(ReadError::Timeout { at, .. }) => panic!("it is at {at}, and not at {head}"),
            // A fault that the wait has met itself.
            Err(_) => {}
        }
    }
    panic!("the store fails for ever");
}

/// Lets it happen, and compares.
async fn comes_out_right(store: Store, history: Vec<Step>) {
    let faulty = Faulty::new(Arc::clone(&store));
    let bank = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let mut projecting = project(&faulty).await;
    let mut accounts: Vec<Id<Account>> = Vec::new();
    let mut transfer = None;
    for step in history {
        if accounts.is_empty() || matches!(step, Step::Open) {
            let id = Id::new();
            bank.execute(id, Open { owner: "Alice".into() }).await.unwrap();
            accounts.push(id);
        }
        let account = |number: usize| accounts[number % accounts.len()];
        match step {
            Step::Open => {}
            Step::Deposit(to, amount) => drop(bank.execute(account(to), Deposit { amount }).await.unwrap()),
            // Refused if there is nothing to take.
            Step::Withdraw(from) => drop(bank.execute(account(from), Withdraw { amount: 1 }).await),
            Step::Send(from, to, amount) => {
                let (from, to) = (account(from), account(to));
                let id = *transfer.insert(Id::<Transfer>::new());
                bank.execute(id, Send { from, to, amount }).await.unwrap();
            }
            Step::Settle(number) => {
                if let Some(transfer) = transfer {
                    let account = accounts.swap_remove(number % accounts.len());
                    bank.execute(transfer, Settle { account }).await.unwrap();
                }
            }
            Step::Burst(to, events) => {
                faulty.freeze(true);
                for _ in 0..events {
                    bank.execute(account(to), Deposit { amount: 1 }).await.unwrap();
                }
                faulty.freeze(false);
            }
            Step::Fault(fault) => faulty.plan([fault]),
            // Of rows that are there. Refused while the runtime before has the lease, or the store fails: then it is as it was.
            Step::Rebuild => {
                caught_up(&projecting, &store, 0).await;
                drop(projecting.projection::<Balance>().rebuild().await);
            }
            Step::TakeOver => projecting = project(&faulty).await,
            Step::CatchUp(behind) => caught_up(&projecting, &store, behind as u64 / 10).await,
        }
    }
    // By the same runtime, which must have come through it all.
    faulty.forgive();
    caught_up(&projecting, &store, 0).await;
    assert_eq!(dump(&store).await, folded(&store).await);
}

proptest! {
    #![proptest_config(config(12, 500))]

    #[test]
    fn on_memory(history in history()) {
        run(comes_out_right(Arc::new(MemoryStore::new()), history));
    }
}

proptest! {
    #![proptest_config(config(6, 200))]

    #[test]
    fn on_sqlite(history in history()) {
        let folder = es_tests::tempdir().unwrap();
        run(async {
            let store = es_tests::SqliteStore::open(folder.path().join("test.db")).await.unwrap();
            comes_out_right(Arc::new(store), history).await;
        });
    }

    #[test]
    fn on_postgres(history in history()) {
        run(async { comes_out_right(Arc::new(stores::postgres().await), history).await });
    }
}
