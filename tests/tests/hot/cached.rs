//! The cache of states, and its bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use es_conformance::wrap::{Wrap, Wrapped};
use es_runtime::prelude::*;
use es_runtime::runtime::Builder;
use es_runtime::store::ReadStream;
use es_runtime::{
    EventStore, ExecuteError, LoadError, MemoryStore, RecordedEvent, RetryPolicy, StoreError, StoreErrorKind,
};
use es_tests::bank::{Account, Deposit, InsufficientFunds, Open, Withdraw, account_with, balance};
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream};

/// Counts how often a stream is read.
#[derive(Default)]
struct Reads {
    store: MemoryStore,
    reads: AtomicUsize,
    /// True if the next read fails.
    fails: AtomicBool,
}

impl Wrap for Reads {
    fn inner(&self) -> &dyn EventStore {
        &self.store
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.fails.swap(false, Ordering::SeqCst) {
            let error = StoreError::new(StoreErrorKind::Unavailable, "the test wants it so");
            return stream::once(ready(Err(error))).boxed();
        }
        self.store.read_stream(query)
    }
}

struct Bank {
    runtime: Runtime,
    store: Wrapped<Reads>,
}

impl Bank {
    async fn with(options: impl FnOnce(Builder<Wrapped<Reads>>) -> Builder<Wrapped<Reads>>) -> Self {
        let store = Wrapped(Arc::<Reads>::default());
        let runtime = options(Runtime::builder(store.clone())).start().await.unwrap();
        Self { runtime, store }
    }

    /// Accounts of which each takes some 10 kB.
    async fn accounts(&self, count: usize) -> Vec<Id<Account>> {
        let mut accounts = Vec::new();
        for _ in 0..count {
            let id = Id::new();
            let owner = "x".repeat(10_000);
            self.runtime.execute(id, Open { owner }).await.unwrap();
            accounts.push(id);
        }
        accounts
    }

    /// Deposits to each in turn, and returns how often a stream was read for that.
    async fn reads_of(&self, accounts: &[Id<Account>]) -> usize {
        let before = self.store.0.reads.load(Ordering::SeqCst);
        for _ in 0..3 {
            for account in accounts {
                self.runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
            }
        }
        self.store.0.reads.load(Ordering::SeqCst) - before
    }
}

#[tokio::test]
async fn states_are_cached_within_the_bytes() {
    let bank = Bank::with(|builder| builder.cache_bytes(100_000)).await;
    let accounts = bank.accounts(200).await;
    assert_eq!(
        bank.reads_of(&accounts[192..]).await,
        0,
        "those that were used last are there"
    );
    assert_eq!(bank.reads_of(&accounts[..8]).await, 8);
    assert_eq!(
        bank.reads_of(&accounts[..8]).await,
        0,
        "what has gone is not counted any longer"
    );
    assert_eq!(
        bank.reads_of(&accounts[..20]).await,
        12 + 2 * 20,
        "the state used least recently goes first"
    );
}

#[tokio::test]
async fn states_are_cached_within_the_number_of_instances() {
    let bank = Bank::with(|builder| builder.cache(8)).await;
    let accounts = bank.accounts(20).await;
    assert_eq!(bank.reads_of(&accounts[..8]).await, 8);
    assert_eq!(bank.reads_of(&accounts[..9]).await, 1 + 2 * 9);
}

#[tokio::test]
async fn a_state_above_all_bytes_is_cached_until_another_is_used() {
    let bank = Bank::with(|builder| builder.cache_bytes(5_000)).await;
    let accounts = bank.accounts(2).await;
    assert_eq!(bank.reads_of(&accounts[..1]).await, 1);
    assert_eq!(bank.reads_of(&accounts).await, 6 - 1);
}

#[tokio::test]
async fn no_state_is_cached_if_there_is_no_room_for_any() {
    for bank in [
        Bank::with(|builder| builder.cache(0)).await,
        Bank::with(|builder| builder.cache_bytes(0)).await,
    ] {
        let accounts = bank.accounts(1).await;
        assert_eq!(bank.reads_of(&accounts).await, 3);
    }
}

#[tokio::test]
async fn a_state_that_could_not_be_read_is_not_cached() {
    let bank = Bank::with(|builder| builder.retry(RetryPolicy::never())).await;
    let account = account_with(&bank.runtime, 1).await;
    bank.store.0.fails.store(true, Ordering::SeqCst);
    let error = bank.runtime.execute(account, Withdraw { amount: 2 }).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Load(LoadError::Store(_))), "{error:?}");
    let open = Open { owner: "Bob".into() };
    let error = bank.runtime.execute(account, open).await.unwrap_err();
    assert!(matches!(error, ExecuteError::AlreadyExists { .. }), "{error:?}");
}

/// The account had 100 at version 2, and the log was then restored to version 1, and written to by others.
async fn restored(others: i64) -> (Runtime, Id<Account>) {
    let store = MemoryStore::new();
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let account = account_with(&runtime, 100).await;
    store.rewind(Position(1));
    let elsewhere = Runtime::builder(store).start().await.unwrap();
    elsewhere.execute(account, Deposit { amount: others }).await.unwrap();
    (runtime, account)
}

#[tokio::test]
async fn a_command_is_not_decided_on_events_that_are_gone() {
    let (runtime, account) = restored(1).await;
    let refused = runtime.execute(account, Withdraw { amount: 100 }).await.unwrap_err();
    assert!(
        matches!(refused, ExecuteError::Refused(InsufficientFunds { balance: 1 })),
        "{refused:?}"
    );
    runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();

    let (runtime, account) = restored(200).await;
    runtime.execute(account, Withdraw { amount: 150 }).await.unwrap();
    assert_eq!(balance(&runtime, account).await, 50, "nor refused on them");

    let (runtime, account) = restored(1).await;
    let refused = runtime
        .atomically(async |tx| tx.execute(account, Withdraw { amount: 100 }).await)
        .await
        .unwrap_err();
    let ExecuteError::Refused(refusal) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refusal.downcast::<InsufficientFunds>().unwrap().balance, 1);
}
