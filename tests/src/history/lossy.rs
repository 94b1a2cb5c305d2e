//! A store that takes its time with an append, whose answers are lost now and then, and which cannot be asked each time what became of one.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use es_conformance::__private::Random;
use es_conformance::wrap::{Wrap, Wrapped};
use es_runtime::store::{Append, AppendError, AppendRef, Appended};
use es_runtime::{EventStore, StoreError, StoreErrorKind};

/// Stands in front of a store.
pub(super) struct Lossy<S> {
    store: S,
    random: Mutex<Random>,
}

impl<S: EventStore> Lossy<S> {
    /// In front of `store`.
    pub(super) fn new(store: S, seed: u64) -> Wrapped<Self> {
        Wrapped(Arc::new(Self {
            store,
            random: Mutex::new(Random::from_seed(seed)),
        }))
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).below(bound)
    }
}

fn cut() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the connection was cut")
}

#[async_trait]
impl<S: EventStore> Wrap for Lossy<S> {
    fn inner(&self) -> &dyn EventStore {
        &self.store
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let reference = Box::new(AppendRef::of(&append));
        // Others come between what was read and what is appended.
        for _ in 0..self.below(100) {
            tokio::task::yield_now().await;
        }
        match self.below(25) {
            0 => {
                self.store.append(append).await?;
            }
            1 => {}
            _ => return self.store.append(append).await,
        }
        Err(AppendError::Indeterminate {
            append: reference,
            source: cut(),
        })
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        match self.below(2) {
            0 => Err(cut()),
            _ => self.store.resolve(append).await,
        }
    }
}
