//! Faults in what is read and restored of whole appends.

use std::sync::Arc;

use async_trait::async_trait;
use es_runtime::store::{ArchiveStore, RecordedAppend, RestoreAppendError};
use es_runtime::{EventStore, MemoryStore, StoreError};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future};

use super::faulty;
use crate::Fixture;
use crate::wrap::Wrap;

/// A layer in front of an archive: passes both calls on, except the one that it overrides.
#[async_trait]
trait Fault: Clone + Send + Sync + 'static {
    fn appends<'a>(&self, store: &'a MemoryStore) -> BoxStream<'a, Result<RecordedAppend, StoreError>> {
        ArchiveStore::appends(store)
    }

    async fn restore(&self, store: &MemoryStore, appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
        store.restore(appends).await
    }
}

#[derive(Clone)]
struct Faulty<F> {
    store: MemoryStore,
    fault: F,
}

#[async_trait]
impl<F: Fault> ArchiveStore for Faulty<F> {
    fn appends(&self) -> BoxStream<'_, Result<RecordedAppend, StoreError>> {
        self.fault.appends(&self.store)
    }

    async fn restore(&self, appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
        self.fault.restore(&self.store, appends).await
    }
}

impl<F: Fault> Wrap for Faulty<F> {
    fn inner(&self) -> &dyn EventStore {
        &self.store
    }

    fn archive_store(&self) -> Option<Arc<dyn ArchiveStore>> {
        Some(Arc::new(self.clone()))
    }
}

/// A store with one method of [`Fault`] that is wrong.
macro_rules! fault {
    ($name:ident, $($method:tt)*) => {
        pub(super) fn $name() -> Box<dyn Fixture> {
            #[derive(Clone)]
            struct Wrong;

            #[async_trait]
            impl Fault for Wrong {
                $($method)*
            }

            faulty(|store, _| Faulty { store, fault: Wrong })
        }
    };
}

/// Appends as from a writer.
async fn append(store: &MemoryStore, recorded: RecordedAppend) -> Result<(), RestoreAppendError> {
    let id = recorded.append.id;
    let appended = store.append(recorded.append).await;
    appended
        .map(drop)
        .map_err(|error| RestoreAppendError::refused(id, error))
}

fault!(
    reads_only_what_has_events,
    fn appends<'a>(&self, store: &'a MemoryStore) -> BoxStream<'a, Result<RecordedAppend, StoreError>> {
        let all = ArchiveStore::appends(store);
        all.try_filter(|append| future::ready(append.events() > 0)).boxed()
    }
);

fault!(
    reads_no_keys,
    fn appends<'a>(&self, store: &'a MemoryStore) -> BoxStream<'a, Result<RecordedAppend, StoreError>> {
        let all = ArchiveStore::appends(store);
        let keyless = all.map_ok(|mut recorded| {
            recorded.append.key = None;
            recorded
        });
        keyless.boxed()
    }
);

fault!(
    restores_at_its_own_time,
    async fn restore(&self, store: &MemoryStore, appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
        for recorded in appends {
            append(store, recorded).await?;
        }
        Ok(())
    }
);

fault!(
    forgets_keys_of_what_it_restores,
    async fn restore(&self, store: &MemoryStore, mut appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
        for recorded in &mut appends {
            recorded.append.key = None;
        }
        store.restore(appends).await
    }
);

fault!(
    restores_what_fits,
    async fn restore(&self, store: &MemoryStore, appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
        for recorded in appends {
            store.restore(vec![recorded]).await?;
        }
        Ok(())
    }
);

fault!(
    restores_anywhere,
    async fn restore(&self, store: &MemoryStore, mut appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
        let mut head = store.head().await?;
        for recorded in &mut appends {
            head.0 += recorded.events();
            recorded.position = head;
        }
        store.restore(appends).await
    }
);

fault!(
    tears_dropped_restores,
    async fn restore(&self, store: &MemoryStore, appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
        for recorded in appends {
            store.restore(vec![recorded]).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
);

fault!(honest,);
