//! The promises of inline projections, whether they keep rows or tables. `check` says that what they keep is the fold of the log.

use std::fmt::Debug;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::{AppendError, ExecuteError, Position, Projection, StoreErrorKind, Version};
use es_tests::balances::Store;
use es_tests::bank::{Account, Deposit, Open, account_with};
use es_tests::faults::{Fault, Faulty};
use es_tests::process::Process;
use es_tests::scaled;
use futures_util::future::{join, join_all, try_join_all};

/// Of an account with 1 and one deposit of 5, however often it is asked for.
pub(crate) async fn repeated_counts_once(runtime: &Runtime) -> Id<Account> {
    let alice = account_with(runtime, 1).await;
    let deposit = || runtime.execute(alice, Deposit { amount: 5 }).idempotency_key("five");
    let first = deposit().await.unwrap();
    let again = try_join_all((0..5).map(|_| deposit().into_future())).await.unwrap();
    assert!(
        again
            .iter()
            .all(|again| again.repeated && again.version == first.version),
        "{again:?}"
    );
    let other = runtime
        .execute(alice, Deposit { amount: 6 })
        .idempotency_key("five")
        .await;
    assert!(
        matches!(other, Err(ExecuteError::IdempotencyMismatch { .. })),
        "{other:?}"
    );
    alice
}

/// Of an account with 1, into which each of four runtimes pays 1 to 10. Each has a cache of its own, so that they do not queue.
pub(crate) async fn writers_meet_in_a_stream(runtimes: &[Runtime; 4]) -> Id<Account> {
    let alice = account_with(&runtimes[0], 1).await;
    let deposits = runtimes.iter().map(async |runtime| {
        for amount in 1..=10 {
            runtime.execute(alice, Deposit { amount }).await?;
        }
        Ok::<_, ExecuteError<_>>(())
    });
    try_join_all(deposits).await.unwrap();

    // The later ones are told that it exists, rather than what its row met.
    let bob = Id::<Account>::new();
    let opens = runtimes
        .iter()
        .map(|runtime| runtime.execute(bob, Open { owner: "Bob".into() }).into_future());
    let (stored, late): (Vec<_>, Vec<_>) = join_all(opens).await.into_iter().partition(Result::is_ok);
    assert_eq!(stored.len(), 1);
    assert!(
        late.iter()
            .all(|late| matches!(late, Err(ExecuteError::AlreadyExists { .. }))),
        "{late:?}"
    );
    alice
}

/// A process of an older build, or one that appends past the runtime, comes between the appends of the one `with` it.
pub(crate) async fn others_append_without_it(with: &Runtime, without: &Runtime, check: impl AsyncFn()) -> Id<Account> {
    let alice = account_with(with, 1).await;
    for _ in 0..5 {
        without.execute(alice, Deposit { amount: 2 }).await.unwrap();
        account_with(without, 3).await;
        account_with(with, 4).await;
        check().await;
    }
    alice
}

pub(crate) async fn appends_wait_for_a_rebuild<P: Projection>(runtime: &Runtime, check: impl AsyncFn()) {
    for amount in 1..=12 {
        account_with(runtime, amount).await;
    }
    for _ in 0..3 {
        let projection = runtime.projection::<P>();
        let rebuild = projection.rebuild().into_future();
        let (alice, done) = join(account_with(runtime, 1), rebuild).await;
        done.unwrap();
        runtime.execute(alice, Deposit { amount: 1 }).await.unwrap();
        check().await;
    }
}

/// At each point between the methods, the append and its answer.
pub(crate) async fn stand_or_fall_whatever_fails<S: ?Sized>(
    faulty: &Faulty<S>,
    runtime: &Runtime,
    check: impl AsyncFn(),
) {
    let alice = account_with(runtime, 1).await;
    let mut stored = 2;
    for fault in [
        Fault::CommitRefused,
        Fault::CommitLost,
        Fault::AnswerLost,
        Fault::PanicBeforeCommit,
        Fault::PanicAfterCommit,
    ] {
        for _ in 0..3 {
            faulty.plan([fault]);
            let appending = runtime.clone();
            let done = tokio::spawn(async move { appending.execute(alice, Deposit { amount: 2 }).await }).await;
            assert_eq!(faulty.planned(), [], "the append has met it");
            match fault {
                Fault::CommitRefused => {
                    let refused = done.unwrap().unwrap_err();
                    assert!(
                        matches!(&refused, ExecuteError::Append(AppendError::Store(error)) if error.kind() == StoreErrorKind::Unavailable),
                        "{refused}"
                    );
                }
                // Resolved by the id of the append, and tried again where it was not stored.
                Fault::CommitLost | Fault::AnswerLost => {
                    stored += 1;
                    assert_eq!(done.unwrap().unwrap().version, Version(stored));
                }
                _ => {
                    assert!(done.unwrap_err().is_panic());
                    stored += u64::from(fault == Fault::PanicAfterCommit);
                }
            }
            assert_eq!(
                runtime.store().head().await.unwrap(),
                Position(stored),
                "after {fault:?}"
            );
            check().await;
        }
    }
}

/// Kills processes that append to `store`, which `variable` tells them, and compares what the projection keeps with the fold of the log:
/// both are given by `seen`.
pub(crate) async fn survives_kills<T: PartialEq + Debug>(
    process: &str,
    (variable, address): (&str, &str),
    store: &Store,
    seen: impl AsyncFn() -> (T, T),
) {
    for kill in 0..scaled(8, 100) {
        let process = Process::start(process, [(variable, address)], "appending");
        tokio::time::sleep(Duration::from_millis(kill * 7919 % 200)).await;
        process.kill();
        let (kept, log) = settled(store, &seen).await;
        assert_eq!(kept, log, "after kill {kill}");
    }
}

/// Looks again while the server may still do what a killed client has sent.
async fn settled<T>(store: &Store, seen: impl AsyncFn() -> (T, T)) -> (T, T) {
    for _ in 0..1_000 {
        let head = store.head().await.unwrap();
        let seen = seen().await;
        if store.head().await.unwrap() == head {
            return seen;
        }
    }
    panic!("the log grows, though nobody appends");
}
