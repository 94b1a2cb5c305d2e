//! A store that fails by chance, and to whose stream others write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use es_conformance::wrap::Wrap;
use es_runtime::prelude::*;
use es_runtime::store::ReadStream;
use es_runtime::store::{Append, AppendError, AppendRef, Appended, KeyRecord, has_ended};
use es_runtime::{EventStore, StoreErrorKind};
use es_runtime::{RecordedEvent, StoreError};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::ledger::{Ledger, Move};

/// Numbers by chance, the same ones for the same seed.
pub(super) struct Chance(AtomicU64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed.wrapping_mul(0x2545_F491_4F6C_DD1D)))
    }

    /// One of the numbers below `bound`.
    pub(super) fn below(&self, bound: u64) -> u64 {
        // SplitMix64.
        let mut number = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (number ^ (number >> 31)) % bound
    }

    /// One of the indices of so many things.
    pub(super) fn index(&self, things: usize) -> usize {
        usize::try_from(self.below(things as u64)).unwrap()
    }

    /// One of these.
    pub(super) fn one_of<T: Copy, const N: usize>(&self, these: [T; N]) -> T {
        these[self.index(N)]
    }

    /// True once in so many times.
    pub(super) fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// The store, as the runtime under test sees it.
pub(super) struct Unsteady<S> {
    pub(super) store: S,
    /// A writer of its own, over the steady store.
    pub(super) stranger: Runtime,
    pub(super) ledger: Id<Ledger>,
    pub(super) chance: Chance,
    /// One call in so many has a fault.
    pub(super) fault: u64,
    /// The appends that came in chains of several.
    pub(super) chained: AtomicU64,
    /// Some calls last longer than those who wait have patience.
    pub(super) stalls: bool,
}

fn failure() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the test wants it so")
}

fn in_doubt(append: &AppendRef) -> AppendError {
    AppendError::Indeterminate {
        append: Box::new(append.clone()),
        source: failure(),
    }
}

impl<S: EventStore> Unsteady<S> {
    async fn pause(&self) {
        if self.stalls && self.chance.once_in(60) {
            tokio::time::sleep(Duration::from_secs(1 + self.chance.below(12))).await;
        }
        for _ in 0..self.chance.below(4) {
            tokio::task::yield_now().await;
        }
    }

    async fn call(&self) -> Result<(), StoreError> {
        self.pause().await;
        if self.chance.once_in(3 * self.fault) {
            Err(failure())
        } else {
            Ok(())
        }
    }

    /// Others write to the same stream.
    async fn strangers(&self) {
        while self.chance.once_in(self.fault) {
            let (tag, amount) = (u64::MAX - self.chance.below(1 << 60), self.chance.below(5));
            let amount = i64::try_from(amount).unwrap() - 2;
            // Refused, perhaps.
            let _ = self.stranger.execute(self.ledger, Move { tag, amount }).await;
        }
    }
}

#[async_trait]
impl<S: EventStore> Wrap for Unsteady<S> {
    fn inner(&self) -> &dyn EventStore {
        &self.store
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.append_chain(vec![append]).await.remove(0)
    }

    async fn append_chain(&self, mut appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        if appends.len() > 1 {
            self.chained.fetch_add(appends.len() as u64, Ordering::Relaxed);
        }
        self.pause().await;
        self.strangers().await;
        let mut answers = Vec::new();
        if appends.len() > 1 && self.chance.once_in(self.fault) {
            let behind = appends.split_off(1 + self.chance.index(appends.len() - 1));
            answers = self.store.append_chain(std::mem::replace(&mut appends, behind)).await;
            self.strangers().await;
            if has_ended(&answers) {
                return answers;
            }
        }
        if !self.chance.once_in(self.fault) {
            answers.extend(self.store.append_chain(appends).await);
            self.pause().await;
            return answers;
        }
        // From here on nobody learns the whole.
        let references: Vec<_> = appends.iter().map(AppendRef::of).collect();
        let fault = self.chance.below(4);
        appends.truncate(self.chance.index(appends.len() + 1));
        match fault {
            0 => {
                answers.push(Err(failure().into()));
                return answers;
            }
            1 => {
                answers.push(Err(in_doubt(&references[0])));
                return answers;
            }
            _ => {}
        }
        let mut stored = if appends.is_empty() {
            Vec::new()
        } else {
            self.store.append_chain(appends).await
        };
        self.pause().await;
        if has_ended(&stored) || stored.is_empty() {
            if stored.is_empty() {
                stored.push(Err(failure().into()));
            }
        } else {
            let learnt = self.chance.index(stored.len() + 1);
            let is_known = learnt < stored.len();
            stored.truncate(learnt);
            let append = references.get(learnt);
            stored.extend(append.map(|append| match fault {
                3 if is_known => Err(AppendError::UnderReplicated {
                    append: Box::new(append.clone()),
                }),
                _ => Err(in_doubt(append)),
            }));
        }
        answers.extend(stored);
        answers
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        self.call().await?;
        self.store.resolve(append).await
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        self.call().await?;
        self.store.find_key(key).await
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        let events = self.store.read_stream(query);
        let called = async move {
            match self.call().await {
                Ok(()) => events,
                Err(error) => futures_util::stream::iter([Err(error)]).boxed(),
            }
        };
        futures_util::stream::once(called).flatten().boxed()
    }
}
