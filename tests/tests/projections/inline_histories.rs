//! After each step of a random history, failures included, inline rows are those that folding the log by hand gives.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::inline_balances::{InlineBalance, dump};
use es_runtime::prelude::*;
use es_runtime::{AppendError, ControlError, ExecuteError, RetryPolicy};
use es_tests::balances::{Send, Settle, Store, Transfer, folded};
use es_tests::bank::{Account, Deposit, Open, Withdraw};
use es_tests::faults::{Fault, Faulty};
use es_tests::random::{config, run};
use es_tests::stores;
use es_tests::waits::caught_up;
use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Numbers of accounts are taken modulo those that there are, also of those whose row is gone.
#[derive(Debug, Clone)]
enum Step {
    Open,
    Deposit(usize, i64),
    Withdraw(usize),
    Send(usize, usize, i64),
    Settle(usize),
    /// Both change, or neither.
    Both(usize, usize),
    /// Several at once, by two runtimes.
    AtOnce(Vec<(usize, usize)>),
    /// By a process of a build that does not have the projection.
    Without(usize, i64),
    /// The next append meets it.
    Fault(Fault, usize),
    Rebuild,
    /// Another runtime starts, and the one before ends.
    TakeOver,
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let any = || 0..100_usize;
    let faults = vec![
        Fault::CommitRefused,
        Fault::CommitLost,
        Fault::AnswerLost,
        Fault::PanicBeforeCommit,
        Fault::PanicAfterCommit,
    ];
    let step = prop_oneof![
        2 => Just(Step::Open),
        4 => (any(), 1..20_i64).prop_map(|(account, cents)| Step::Deposit(account, cents)),
        2 => any().prop_map(Step::Withdraw),
        3 => (any(), any(), 1..9_i64).prop_map(|(from, to, cents)| Step::Send(from, to, cents)),
        1 => any().prop_map(Step::Settle),
        2 => (any(), any()).prop_map(|(one, other)| Step::Both(one, other)),
        2 => vec((any(), any()), 2..8).prop_map(Step::AtOnce),
        2 => (any(), 1..15_i64).prop_map(|(account, cents)| Step::Without(account, cents)),
        3 => (select(faults), any()).prop_map(|(fault, account)| Step::Fault(fault, account)),
        1 => Just(Step::Rebuild),
        1 => Just(Step::TakeOver),
    ];
    vec(step, 1..40)
}

async fn project(store: &Faulty) -> Runtime {
    let builder = Runtime::builder(store.clone()).retry(RetryPolicy::default().attempts(1_000));
    builder.projection::<InlineBalance>().start().await.unwrap()
}

/// Returns true if it was stored, false if it was refused: by the domain, or because a row does not take it.
#[track_caller]
fn is_stored<T, E: std::fmt::Debug>(result: Result<T, ExecuteError<E>>) -> bool {
    match result {
        Ok(_) => true,
        Err(ExecuteError::Refused(_) | ExecuteError::Append(AppendError::ProjectionFailed { .. })) => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// Lets it happen, and compares.
async fn comes_out_right(store: Store, history: Vec<Step>) {
    let faulty = Faulty::new(Arc::clone(&store));
    let plain = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let other = project(&Faulty::new(Arc::clone(&store))).await;
    let mut bank = project(&faulty).await;
    let (mut accounts, mut settled) = (Vec::<Id<Account>>::new(), BTreeSet::new());
    for step in history {
        let what = format!("{step:?}");
        if accounts.is_empty() || matches!(step, Step::Open) {
            let id = Id::new();
            bank.execute(id, Open { owner: "Alice".into() }).await.unwrap();
            accounts.push(id);
        }
        let account = |number: usize| accounts[number % accounts.len()];
        let is_shown = |number: usize| !settled.contains(&account(number));
        match step {
            Step::Open => {}
            Step::Deposit(to, amount) => {
                let stored = is_stored(bank.execute(account(to), Deposit { amount }).await);
                assert_eq!(stored, is_shown(to) && amount != 15);
            }
            Step::Withdraw(from) => drop(is_stored(bank.execute(account(from), Withdraw { amount: 1 }).await)),
            Step::Send(from, to, amount) => {
                let sends = Send {
                    from: account(from),
                    to: account(to),
                    amount,
                };
                let stored = is_stored(bank.execute(Id::<Transfer>::new(), sends).await);
                assert_eq!(stored, is_shown(from) && is_shown(to));
            }
            Step::Settle(number) => {
                let (id, account) = (Id::<Transfer>::new(), account(number));
                let sends = Send {
                    from: account,
                    to: account,
                    amount: 1,
                };
                if is_stored(bank.execute(id, sends).await) {
                    assert!(is_stored(bank.execute(id, Settle { account }).await));
                    settled.insert(account);
                }
            }
            Step::Both(one, other) => {
                let done = bank.atomically(async |tx| {
                    tx.execute(account(one), Deposit { amount: 2 }).await?;
                    tx.execute(account(other), Deposit { amount: 3 }).await
                });
                let stored = is_stored(done.await);
                assert_eq!(stored, is_shown(one) && is_shown(other));
            }
            Step::AtOnce(sends) => {
                let done = sends.iter().enumerate().map(async |(number, (from, to))| {
                    let runtime = if number % 2 == 0 { &bank } else { &other };
                    let sends = Send {
                        from: account(*from),
                        to: account(*to),
                        amount: 1,
                    };
                    let stored = is_stored(runtime.execute(Id::<Transfer>::new(), sends).await);
                    assert_eq!(stored, is_shown(*from) && is_shown(*to));
                });
                join_all(done).await;
            }
            Step::Without(to, amount) => {
                if is_shown(to) {
                    assert!(is_stored(plain.execute(account(to), Deposit { amount }).await));
                    caught_up::<InlineBalance>(&other).await;
                }
            }
            Step::Fault(fault, to) => {
                faulty.plan([fault]);
                let (runtime, to) = (bank.clone(), account(to));
                // It fails, or panics, or was stored all the same.
                let done = tokio::spawn(async move { runtime.execute(to, Deposit { amount: 2 }).await });
                drop(done.await);
                faulty.forgive();
            }
            Step::Rebuild => match bank.projection::<InlineBalance>().rebuild().await {
                Ok(()) => caught_up::<InlineBalance>(&bank).await,
                // The other runtime has the lease.
                Err(ControlError::Elsewhere { .. }) => {}
                Err(error) => panic!("{error}"),
            },
            Step::TakeOver => bank = project(&faulty).await,
        }
        assert_eq!(dump(&store).await, folded(&store).await, "after {what}");
    }
}

proptest! {
    #![proptest_config(config(24, 500))]

    #[test]
    fn on_memory(history in history()) {
        run(comes_out_right(Arc::new(MemoryStore::new()), history));
    }
}

proptest! {
    #![proptest_config(config(8, 200))]

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
