//! Several commands as one, on every store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use es_runtime::prelude::*;
use es_runtime::store::ProjectionStore;
use es_runtime::{
    AnyRefusal, AppendError, EventStore, ExecuteError, LoadError, RetryPolicy, Runtime, StoreError, StoreErrorKind,
};
use es_tests::bank::{Account, Deposit, Deposited, InsufficientFunds, Open, Withdraw, account_with, balance};

async fn start(store: &Arc<dyn ProjectionStore>) -> Runtime {
    Runtime::builder(Arc::clone(store)).start().await.unwrap()
}

/// Does something in a task of its own, as another writer would.
async fn elsewhere<T: Send + 'static>(runtime: &Runtime, write: impl AsyncFnOnce(Runtime) -> T + Send + 'static) -> T {
    let runtime = runtime.clone();
    tokio::task::spawn_blocking(move || tokio::runtime::Handle::current().block_on(write(runtime)))
        .await
        .unwrap()
}

/// The stream that a write was refused for because it takes part in a transaction.
fn in_transaction<T, E>(result: Result<T, ExecuteError<E>>) -> Option<String> {
    match result {
        Err(ExecuteError::InTransaction { stream }) => Some(stream.id().to_owned()),
        _ => None,
    }
}

type Outcome = Result<Vec<es_runtime::Receipt>, ExecuteError<AnyRefusal>>;

async fn transfer(runtime: &Runtime, from: Id<Account>, to: Id<Account>, amount: i64) -> Outcome {
    runtime
        .atomically(async |tx| {
            tx.execute(from, Withdraw { amount }).await?;
            tx.execute(to, Deposit { amount }).await
        })
        .await
}

es_tests::on_every_store! {
    async fn both_accounts_change(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 100).await, account_with(&runtime, 0).await);
        let receipts = transfer(&runtime, alice, bob, 30).await.unwrap();
        assert_eq!(receipts.iter().map(|receipt| (receipt.version.0, receipt.events)).collect::<Vec<_>>(), [(3, 1), (2, 1)]);
        assert_eq!((balance(&runtime, alice).await, balance(&runtime, bob).await), (70, 30));
        runtime.execute(alice, Withdraw { amount: 70 }).await.unwrap();
    }

    async fn a_refusal_leaves_both_as_they_were(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 10).await, account_with(&runtime, 0).await);
        let head = store.head().await.unwrap();
        // The deposit comes first, so that something had been decided.
        let refused = runtime.atomically(async |tx| {
            tx.execute(bob, Deposit { amount: 30 }).await?;
            tx.execute(alice, Withdraw { amount: 30 }).await?;
            Ok(())
        }).await;
        let Err(ExecuteError::Refused(refusal)) = refused else { panic!("{refused:?}") };
        assert_eq!(refusal.downcast::<InsufficientFunds>().unwrap(), InsufficientFunds { balance: 10 });
        assert_eq!(store.head().await.unwrap(), head);
    }

    async fn a_refusal_can_be_answered_with_another_command(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 10).await, account_with(&runtime, 100).await);
        let receipts = runtime.atomically(async |tx| -> Result<()> {
            if let Err(refused) = tx.execute(alice, Withdraw { amount: 30 }).await {
                let InsufficientFunds { balance } = refused.downcast_ref().unwrap();
                tx.execute(alice, Withdraw { amount: *balance }).await?;
                tx.execute(bob, Withdraw { amount: 30 - balance }).await?;
            }
            Ok(())
        }).await.unwrap();
        assert_eq!((receipts.len(), balance(&runtime, alice).await, balance(&runtime, bob).await), (2, 0, 80));
    }

    async fn an_error_of_the_closure_is_a_refusal_and_a_failure_in_it_is_none(store: _, _clock: _) {
        let runtime = start(&store).await;
        let alice = account_with(&runtime, 10).await;
        let refused = runtime.atomically(async |tx| {
            tx.execute(alice, Deposit { amount: 1 }).await?;
            Err(std::fmt::Error.into())
        }).await;
        assert!(matches!(refused, Err(ExecuteError::Refused(refusal)) if refusal.downcast_ref() == Some(&std::fmt::Error)));
        // As `?` on a call of the runtime or of the store would end it.
        let lost = || StoreError::new(StoreErrorKind::Unavailable, "the test wants it so");
        let failed = runtime.atomically(async |_| Err(LoadError::from(lost()).into())).await;
        assert!(matches!(failed, Err(ExecuteError::Load(LoadError::Store(_)))), "{failed:?}");
        let failed = runtime.atomically(async |_| Err(lost().into())).await;
        assert!(matches!(failed, Err(ExecuteError::Append(AppendError::Store(_)))), "{failed:?}");
    }

    async fn what_is_no_refusal_ends_the_closure(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, nobody) = (account_with(&runtime, 10).await, Id::new());
        let after = AtomicU32::new(0);
        let missing: Outcome = runtime.atomically(async |tx| {
            tx.execute(alice, Withdraw { amount: 5 }).await?;
            let _ = tx.execute(nobody, Deposit { amount: 5 }).await;
            after.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }).await;
        assert!(matches!(missing, Err(ExecuteError::NotFound { .. })));
        assert_eq!((after.into_inner(), balance(&runtime, alice).await), (0, 10));
    }

    async fn a_command_sees_what_those_before_it_decided(store: _, _clock: _) {
        let runtime = start(&store).await;
        let alice = account_with(&runtime, 0).await;
        runtime.atomically(async |tx| {
            tx.execute(alice, Deposit { amount: 50 }).await?;
            assert_eq!(tx.load(alice).await.unwrap().balance, 50);
            tx.execute(alice, Withdraw { amount: 50 }).await
        }).await.unwrap();
        assert_eq!(runtime.load(alice).await.unwrap().unwrap().version, 3);
    }

    async fn money_is_neither_made_nor_lost_by_concurrent_transfers(store: _, _clock: _) {
        let runtime = Runtime::builder(Arc::clone(&store)).retry(RetryPolicy::default().attempts(10_000)).start().await.unwrap();
        let accounts = [account_with(&runtime, 100).await, account_with(&runtime, 100).await, account_with(&runtime, 100).await];
        let mut tasks = Vec::new();
        for task in 0..6 {
            let runtime = runtime.clone();
            // A task of its own, so the future must be `Send`.
            tasks.push(tokio::spawn(async move {
                for turn in 0..10 {
                    let (from, to) = (accounts[task % 3], accounts[(task + 1 + turn % 2) % 3]);
                    match transfer(&runtime, from, to, 40).await {
                        Ok(_) | Err(ExecuteError::Refused(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let mut total = 0;
        for account in accounts {
            let balance = balance(&runtime, account).await;
            assert!(balance >= 0);
            total += balance;
        }
        assert_eq!(total, 300);
    }

    async fn an_aggregate_that_was_only_read_must_not_have_moved(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (rich, poor) = (account_with(&runtime, 100).await, account_with(&runtime, 0).await);
        let runs = AtomicU32::new(0);
        runtime.atomically(async |tx| {
            let funds = tx.load(rich).await.unwrap().balance;
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                elsewhere(&runtime, async move |runtime| runtime.execute(rich, Withdraw { amount: 60 }).await.unwrap()).await;
            }
            tx.execute(poor, Deposit { amount: funds }).await
        }).await.unwrap();
        assert_eq!((runs.into_inner(), balance(&runtime, poor).await), (2, 40));
    }

    async fn a_refusal_on_what_has_moved_is_decided_again(store: _, _clock: _) {
        let runtime = start(&store).await;
        let alice = account_with(&runtime, 0).await;
        let runs = AtomicU32::new(0);
        runtime.atomically(async |tx| {
            let decided: Result<()> = tx.execute(alice, Withdraw { amount: 10 }).await;
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                elsewhere(&runtime, async move |runtime| runtime.execute(alice, Deposit { amount: 10 }).await.unwrap()).await;
            }
            decided
        }).await.unwrap();
        assert_eq!(balance(&runtime, alice).await, 0);
    }

    async fn a_transaction_with_a_key_is_done_once(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 100).await, account_with(&runtime, 0).await);
        for repeated in [false, true, true] {
            let receipts = runtime.atomically(async |tx| {
                tx.execute(alice, Withdraw { amount: 30 }).await?;
                tx.execute(bob, Deposit { amount: 30 }).await
            }).idempotency_key("transfer-1").actor("user:1").await.unwrap();
            assert!(receipts.len() == 2 && receipts.iter().all(|receipt| receipt.repeated == repeated));
        }
        let other = runtime.execute(bob, Deposit { amount: 1 }).idempotency_key("transfer-1").await.unwrap_err();
        assert!(matches!(other, ExecuteError::IdempotencyMismatch { .. }));
        assert_eq!(balance(&runtime, bob).await, 30);
    }

    async fn a_transaction_that_decides_nothing_stores_nothing(store: _, _clock: _) {
        let runtime = start(&store).await;
        let alice = account_with(&runtime, 10).await;
        let head = store.head().await.unwrap();
        let receipts = runtime.atomically(async |tx| {
            tx.load(alice).await;
            Ok(())
        }).await.unwrap();
        assert_eq!((receipts.len(), receipts[0].events, receipts[0].version.0), (1, 0, 2));
        assert_eq!(store.head().await.unwrap(), head);
    }

    async fn a_write_without_the_transaction_to_what_takes_part_in_it_is_refused_at_once(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 100).await, account_with(&runtime, 100).await);
        let head = store.head().await.unwrap();
        let runs = AtomicU32::new(0);
        let done = runtime.atomically(async |tx| {
            runs.fetch_add(1, Ordering::SeqCst);
            tx.execute(alice, Withdraw { amount: 30 }).await?;
            tx.load(bob).await;
            for account in [alice, bob] {
                let account_id = Some(account.to_string());
                let clone = runtime.clone();
                assert_eq!(in_transaction(clone.execute(account, Deposit { amount: 1 }).await), account_id);
                assert_eq!(in_transaction(runtime.append(account, Deposited { amount: 1 }).await), account_id);
                let nested = runtime.atomically(async |inner| inner.execute(account, Withdraw { amount: 1 }).await).await;
                assert_eq!(in_transaction(nested), account_id, "nested");
                let nested = runtime.atomically(async |inner| {
                    inner.load(account).await;
                    Ok(())
                }).await;
                assert_eq!(in_transaction(nested), account_id, "nested, and read only");
            }
            Ok(())
        }).await.unwrap();
        assert_eq!((runs.into_inner(), done.len()), (1, 2));
        assert_eq!(store.head().await.unwrap().0, head.0 + 1);
        let words = ExecuteError::<InsufficientFunds>::InTransaction { stream: done[0].stream.clone() }.to_string();
        assert!(words.contains("`tx.execute`"), "{words}");
        // It is over behind the closure.
        runtime.execute(alice, Deposit { amount: 30 }).await.unwrap();
    }

    async fn a_transaction_that_began_in_a_closure_knows_those_around_it(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob, carol) = (account_with(&runtime, 9).await, account_with(&runtime, 9).await, account_with(&runtime, 9).await);
        runtime.atomically(async |outer| {
            outer.execute(alice, Withdraw { amount: 1 }).await?;
            runtime.atomically(async |inner| {
                inner.execute(bob, Withdraw { amount: 2 }).await?;
                for taken in [alice, bob] {
                    assert!(in_transaction(runtime.execute(taken, Withdraw { amount: 1 }).await).is_some());
                }
                Ok(())
            }).await.unwrap();
            // Another instance, and one whose transaction is over, are written as ever.
            runtime.execute(carol, Withdraw { amount: 3 }).await.unwrap();
            runtime.execute(bob, Withdraw { amount: 2 }).await.unwrap();
            Ok(())
        }).await.unwrap();
        let balances = (balance(&runtime, alice).await, balance(&runtime, bob).await, balance(&runtime, carol).await);
        assert_eq!(balances, (8, 5, 6));
    }

    async fn another_store_and_another_task_are_not_within_the_transaction(store: _, _clock: _) {
        let runtime = start(&store).await;
        let elsewhere_kept = Runtime::builder(es_runtime::MemoryStore::new()).start().await.unwrap();
        let alice = account_with(&runtime, 100).await;
        elsewhere_kept.execute(alice, Open { owner: "Alice".into() }).await.unwrap();
        let runs = AtomicU32::new(0);
        runtime.atomically(async |tx| {
            tx.execute(alice, Withdraw { amount: 30 }).await?;
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                elsewhere_kept.execute(alice, Deposit { amount: 5 }).await.unwrap();
                // Another writer, so that the transaction is decided again.
                elsewhere(&runtime, async move |runtime| runtime.execute(alice, Deposit { amount: 1 }).await.unwrap()).await;
            }
            Ok(())
        }).await.unwrap();
        assert_eq!((runs.into_inner(), balance(&runtime, alice).await, balance(&elsewhere_kept, alice).await), (2, 71, 5));
    }
}
