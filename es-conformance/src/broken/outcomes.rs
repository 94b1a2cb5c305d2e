//! Faults in what is known of an append that comes again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use es_runtime::store::{Append, AppendError, AppendRef, Appended, IdempotencyKey};
use es_runtime::{AppendId, EventStore, MemoryStore, StoreError};

use super::faulty;
use crate::Fixture;
use crate::wrap::Wrap;

pub(super) fn forgets_append_ids() -> Box<dyn Fixture> {
    struct ForgetsAppendIds(MemoryStore);

    #[async_trait]
    impl Wrap for ForgetsAppendIds {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
            let given = std::mem::replace(&mut append.id, AppendId::new());
            let appended = self.0.append(append).await?;
            Ok(Appended { id: given, ..appended })
        }
    }

    faulty(|store, _| ForgetsAppendIds(store))
}

pub(super) fn forgets_keys() -> Box<dyn Fixture> {
    struct ForgetsKeys(MemoryStore);

    #[async_trait]
    impl Wrap for ForgetsKeys {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
            append.key = None;
            self.0.append(append).await
        }
    }

    faulty(|store, _| ForgetsKeys(store))
}

pub(super) fn shifts_keys() -> Box<dyn Fixture> {
    /// Appends that are under way together, and a key that was taken from one of them.
    #[derive(Default)]
    struct Batch {
        under_way: usize,
        has_keyless: bool,
        shifted: Option<IdempotencyKey>,
    }

    struct ShiftsKeys {
        store: MemoryStore,
        batch: Mutex<Batch>,
    }

    impl ShiftsKeys {
        fn batch(&self) -> MutexGuard<'_, Batch> {
            self.batch.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[async_trait]
    impl Wrap for ShiftsKeys {
        fn inner(&self) -> &dyn EventStore {
            &self.store
        }

        async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
            {
                let mut batch = self.batch();
                batch.under_way += 1;
                batch.has_keyless |= append.key.is_none();
            }
            // Others join.
            tokio::task::yield_now().await;
            {
                let mut batch = self.batch();
                if batch.has_keyless && append.key.is_some() {
                    append.key = std::mem::replace(&mut batch.shifted, append.key);
                }
            }
            let appended = self.store.append(append).await;
            let mut batch = self.batch();
            batch.under_way -= 1;
            if batch.under_way == 0 {
                *batch = Batch::default();
            }
            appended
        }
    }

    faulty(|store, _| ShiftsKeys {
        store,
        batch: Mutex::default(),
    })
}

pub(super) fn trusts_append_ids() -> Box<dyn Fixture> {
    struct TrustsAppendIds(MemoryStore);

    #[async_trait]
    impl Wrap for TrustsAppendIds {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, append: Append) -> Result<Appended, AppendError> {
            match self.0.resolve(&AppendRef::of(&append)).await? {
                Some(appended) => Ok(appended),
                None => self.0.append(append).await,
            }
        }
    }

    faulty(|store, _| TrustsAppendIds(store))
}

pub(super) fn resolves_nothing() -> Box<dyn Fixture> {
    struct ResolvesNothing(MemoryStore);

    #[async_trait]
    impl Wrap for ResolvesNothing {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn resolve(&self, _: &AppendRef) -> Result<Option<Appended>, StoreError> {
            Ok(None)
        }
    }

    faulty(|store, _| ResolvesNothing(store))
}
