//! Commands that wait for the same instance.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use es_conformance::wrap::Wrapped;
use es_runtime::prelude::*;
use es_runtime::{AppendError, ExecuteError, Limits, MemoryStore, Receipt, RetryPolicy};
use es_tests::bank::{Account, Audit, Deposit, Deposited, InsufficientFunds, Withdraw, account_with, balance};
use es_tests::on_every_store_and_postgres;
use es_tests::waits::wait_until;
use tokio::task::JoinHandle;

use crate::gate::Gate;

/// A runtime whose store is closed, and in which a first deposit is on its way to it.
struct Held {
    gate: Wrapped<Gate>,
    runtime: Runtime,
    account: Id<Account>,
    first: JoinHandle<Result<Receipt, ExecuteError<std::convert::Infallible>>>,
}

impl Held {
    async fn over(store: MemoryStore, queue: usize) -> Self {
        let gate = Gate::before(store);
        let builder = Runtime::builder(gate.clone()).queue(queue);
        let runtime = builder.start().await.unwrap();
        let account = account_with(&runtime, 10).await;
        gate.0.close();
        let first = spawn(&runtime, account, 1);
        gate.0.has_calls(1).await;
        Self {
            gate,
            runtime,
            account,
            first,
        }
    }

    fn deposit(&self, amount: i64) -> JoinHandle<Result<Receipt, ExecuteError<std::convert::Infallible>>> {
        spawn(&self.runtime, self.account, amount)
    }

    fn withdraw(&self, amount: i64) -> JoinHandle<Result<Receipt, ExecuteError<InsufficientFunds>>> {
        let (runtime, account) = (self.runtime.clone(), self.account);
        tokio::spawn(async move { runtime.execute(account, Withdraw { amount }).await })
    }
}

fn spawn(
    runtime: &Runtime,
    account: Id<Account>,
    amount: i64,
) -> JoinHandle<Result<Receipt, ExecuteError<std::convert::Infallible>>> {
    let runtime = runtime.clone();
    tokio::spawn(async move { runtime.execute(account, Deposit { amount }).await })
}

/// Gives every task that can go on the time to do so.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn commands_that_wait_go_to_the_store_together_and_in_order() {
    let held = Held::over(MemoryStore::new(), 100).await;
    let waiting: Vec<_> = (0..80).map(|_| held.deposit(1)).collect();
    settle().await;
    held.gate.0.open();
    held.first.await.unwrap().unwrap();
    for (deposit, version) in waiting.into_iter().zip(4..) {
        assert_eq!(deposit.await.unwrap().unwrap().version, version);
    }
    assert_eq!(*held.gate.0.calls(), [1, 64, 16]);
    assert_eq!(balance(&held.runtime, held.account).await, 91);
}

#[tokio::test]
async fn callers_that_come_back_at_once_are_in_the_next_chain() {
    let gate = Gate::before(MemoryStore::new());
    let runtime = Runtime::builder(gate.clone()).start().await.unwrap();
    let account = account_with(&runtime, 0).await;
    let callers = (0..16).map(|_| {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let calls = gate.0.calls().len();
    assert!(calls < 30, "{calls} calls: one half of the callers waits for the other");
}

#[tokio::test]
async fn a_chain_holds_no_more_than_an_append_may() {
    let mut limits = Limits::default();
    limits.events = 5;
    let held = Held::over(MemoryStore::new().with_limits(limits), 100).await;
    let waiting: Vec<_> = (0..12).map(|_| held.deposit(1)).collect();
    settle().await;
    held.gate.0.open();
    for deposit in waiting {
        deposit.await.unwrap().unwrap();
    }
    assert_eq!(*held.gate.0.calls(), [1, 5, 5, 2]);
}

#[tokio::test]
async fn a_command_sees_what_those_before_it_have_decided() {
    let held = Held::over(MemoryStore::new(), 100).await;
    let (all, none, back) = (held.withdraw(11), held.withdraw(1), held.deposit(5));
    let (audit, some) = ((held.runtime.clone(), held.account), held.withdraw(5));
    settle().await;
    let audit = tokio::spawn(async move { audit.0.execute(audit.1, Audit).await });
    settle().await;
    assert!(!none.is_finished(), "a refusal waits for that on which it rests");
    held.gate.0.open();
    let version = |receipt: Receipt| receipt.version.0;
    assert_eq!(version(all.await.unwrap().unwrap()), 4);
    let refused = none.await.unwrap();
    assert!(
        matches!(refused, Err(ExecuteError::Refused(InsufficientFunds { balance: 0 }))),
        "{refused:?}"
    );
    assert_eq!(version(back.await.unwrap().unwrap()), 5);
    let some = some.await.unwrap().unwrap();
    let audit = audit.await.unwrap().unwrap();
    assert_eq!(
        (audit.version, audit.position, audit.events),
        (some.version, some.position, 0)
    );
}

#[tokio::test]
async fn one_more_than_may_wait_is_busy() {
    let held = Held::over(MemoryStore::new(), 2).await;
    let waiting = [held.deposit(1), held.deposit(1)];
    settle().await;
    let busy = held.deposit(1).await.unwrap().unwrap_err();
    assert!(
        matches!(&busy, ExecuteError::Busy { waiting: 2, .. }) && busy.is_retryable(),
        "{busy:?}"
    );
    held.gate.0.open();
    for deposit in waiting {
        deposit.await.unwrap().unwrap();
    }
    assert_eq!(
        balance(&held.runtime, held.account).await,
        13,
        "one who was busy leaves no trace"
    );
}

#[tokio::test]
async fn who_is_dropped_while_waiting_leaves_no_trace() {
    let held = Held::over(MemoryStore::new(), 3).await;
    let waiting = [held.deposit(1), held.deposit(100), held.deposit(1)];
    settle().await;
    waiting[1].abort();
    settle().await;
    held.gate.0.open();
    let [first, _, last] = waiting;
    assert_eq!(first.await.unwrap().unwrap().version, 4);
    assert_eq!(last.await.unwrap().unwrap().version, 5);
    assert_eq!(balance(&held.runtime, held.account).await, 13);
}

#[tokio::test]
async fn a_command_that_fails_fails_alone() {
    let held = Held::over(MemoryStore::new(), 100).await;
    let (before, behind) = (held.deposit(1), {
        settle().await;
        let (runtime, account) = (held.runtime.clone(), held.account);
        let events = [Deposited { amount: 1 }];
        let key = "k".repeat(1_000);
        let too_long = tokio::spawn(async move { runtime.append(account, events).idempotency_key(key).await });
        settle().await;
        (too_long, held.deposit(1))
    });
    settle().await;
    held.gate.0.open();
    assert_eq!(before.await.unwrap().unwrap().version, 4);
    let error = behind.0.await.unwrap().unwrap_err();
    assert!(
        matches!(error, ExecuteError::Append(AppendError::LimitExceeded(_))),
        "{error:?}"
    );
    assert_eq!(behind.1.await.unwrap().unwrap().version, 5);
}

#[test]
fn those_who_wait_go_on_when_the_runtime_of_one_of_them_ends() {
    let executor = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let (here, elsewhere) = (executor(), executor());
    let held = here.block_on(Held::over(MemoryStore::new(), 100));
    // The first one who waits is elsewhere, and so is the task that serves them all.
    let lost = {
        let _elsewhere = elsewhere.enter();
        held.deposit(100)
    };
    here.block_on(async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        wait_until(|| elsewhere.metrics().num_alive_tasks() >= 2).await;
    });
    let waiting: Vec<_> = {
        let _here = here.enter();
        (0..10).map(|_| held.deposit(1)).collect()
    };
    here.block_on(settle());
    elsewhere.shutdown_background();
    here.block_on(async {
        assert!(lost.await.unwrap_err().is_cancelled());
        settle().await;
        held.gate.0.open();
        for deposit in waiting {
            deposit.await.unwrap().unwrap();
        }
        assert_eq!(balance(&held.runtime, held.account).await, 21);
    });
}

#[tokio::test(start_paused = true)]
async fn a_future_that_nobody_polls_does_not_hold_up_the_others() {
    let gate = Gate::before(MemoryStore::new());
    let runtime = Runtime::builder(gate.clone()).start().await.unwrap();
    let account = account_with(&runtime, 0).await;
    gate.0.close();
    let mut forgotten = Box::pin(runtime.execute(account, Deposit { amount: 100 }).into_future());
    let once = poll_fn(|context| Poll::Ready(forgotten.as_mut().poll(context).is_pending()));
    assert!(once.await);
    gate.0.open();
    for round in 1..=3 {
        runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
        assert_eq!(balance(&runtime, account).await, round);
    }
    forgotten.await.unwrap();
    runtime.execute(account, Withdraw { amount: 103 }).await.unwrap();
}

on_every_store_and_postgres! {
    async fn commands_to_one_instance_wait_for_each_other_whatever_is_cached(store: _, _clock: _) {
        for instances in [0, 1, 100] {
            let builder = Runtime::builder(Arc::clone(&store)).cache(instances).retry(RetryPolicy::never());
            let runtime = builder.start().await.unwrap();
            let accounts = [account_with(&runtime, 0).await, account_with(&runtime, 0).await];
            let callers = (0..16).map(|number| {
                let (runtime, account) = (runtime.clone(), accounts[number % 2]);
                tokio::spawn(async move {
                    for _ in 0..10 {
                        runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
                    }
                })
            });
            for caller in callers.collect::<Vec<_>>() {
                caller.await.unwrap();
            }
            for account in accounts {
                assert_eq!(balance(&runtime, account).await, 80, "with {instances} cached");
            }
        }
    }
}
