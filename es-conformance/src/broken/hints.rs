//! Faults in the hints at appends.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use es_runtime::store::{Append, AppendError, AppendSignal, AppendSignalSource, Appended};
use es_runtime::{EventStore, MemoryStore, Position};
use tokio::task::yield_now;

use super::{Fixture, faulty};
use crate::wrap::Wrap;

/// Hints first, and appends then.
struct Early {
    store: MemoryStore,
    wakes: AppendSignalSource,
}

#[async_trait]
impl Wrap for Early {
    fn inner(&self) -> &dyn EventStore {
        &self.store
    }

    fn wakes(&self) -> AppendSignal {
        self.wakes.wakes()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let head = self.store.head().await?.0 + append.events().count() as u64;
        self.wakes.wake(Position(head));
        // Work that takes a moment elsewhere: a woken reader is faster.
        for _ in 0..100 {
            yield_now().await;
        }
        self.store.append(append).await
    }
}

pub(super) fn hints_too_early() -> Box<dyn Fixture> {
    faulty(|store, _| Early {
        store,
        wakes: AppendSignalSource::new(),
    })
}

/// Does not hint at every tenth append.
struct Forgetful {
    store: MemoryStore,
    wakes: AppendSignalSource,
    appends: AtomicU64,
}

#[async_trait]
impl Wrap for Forgetful {
    fn inner(&self) -> &dyn EventStore {
        &self.store
    }

    fn wakes(&self) -> AppendSignal {
        self.wakes.wakes()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let appended = self.store.append(append).await?;
        if self.appends.fetch_add(1, Ordering::Relaxed) % 10 != 9 {
            self.wakes.wake(self.store.head().await?);
        }
        Ok(appended)
    }
}

pub(super) fn loses_a_hint() -> Box<dyn Fixture> {
    faulty(|store, _| Forgetful {
        store,
        wakes: AppendSignalSource::new(),
        appends: AtomicU64::new(0),
    })
}
