//! A store that does nothing until it may.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use es_conformance::wrap::{Wrap, Wrapped};
use es_runtime::store::{Append, AppendError, Appended};
use es_runtime::{EventStore, MemoryStore};
use es_tests::waits::wait_until;
use tokio::sync::Semaphore;

/// Lets so many calls pass that append, and notes how many appends came with each.
pub(crate) struct Gate {
    store: MemoryStore,
    may: Semaphore,
    calls: Mutex<Vec<usize>>,
}

impl Gate {
    /// In front of `store`, and open.
    pub(crate) fn before(store: MemoryStore) -> Wrapped<Self> {
        Wrapped(Arc::new(Self {
            store,
            may: Semaphore::new(Semaphore::MAX_PERMITS),
            calls: Mutex::default(),
        }))
    }

    /// Nothing is appended from now on, until it is opened.
    pub(crate) fn close(&self) {
        self.may.forget_permits(Semaphore::MAX_PERMITS);
        self.calls().clear();
    }

    pub(crate) fn open(&self) {
        self.may.add_permits(Semaphore::MAX_PERMITS);
    }

    /// Waits until so many calls have come since it was closed.
    pub(crate) async fn has_calls(&self, calls: usize) {
        wait_until(|| self.calls().len() >= calls).await;
    }

    /// The number of appends that came with each call since it was closed.
    pub(crate) fn calls(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Wrap for Gate {
    fn inner(&self) -> &dyn EventStore {
        &self.store
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.append_chain(vec![append]).await.remove(0)
    }

    async fn append_chain(&self, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        self.calls().push(appends.len());
        let _may = self.may.acquire().await.unwrap();
        tokio::task::yield_now().await;
        self.store.append_chain(appends).await
    }
}
