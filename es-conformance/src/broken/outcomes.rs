//! Faults in what is known of an append that comes again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use es_runtime::store::{Append, AppendError, AppendRef, Appended, IdempotencyKey};
use es_runtime::{AppendId, EventStore, MemoryStore, StoreError, Timestamp};

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

pub(super) fn forgets_every_key() -> Box<dyn Fixture> {
    struct ForgetsEveryKey(MemoryStore);

    #[async_trait]
    impl Wrap for ForgetsEveryKey {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn purge_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
            let later = before.as_micros() + 1;
            self.0.purge_keys(Timestamp::from_micros(later).unwrap_or(before)).await
        }
    }

    faulty(|store, _| ForgetsEveryKey(store))
}

pub(super) fn forgets_the_append_with_its_key() -> Box<dyn Fixture> {
    struct ForgetsTheAppend(MemoryStore);

    #[async_trait]
    impl Wrap for ForgetsTheAppend {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
            if let Some(key) = &append.key
                && self.0.find_key(&key.key).await?.is_none()
                && self.0.resolve(&AppendRef::of(&append)).await?.is_some()
            {
                append.id = AppendId::new();
            }
            self.0.append(append).await
        }
    }

    faulty(|store, _| ForgetsTheAppend(store))
}

pub(super) fn takes_no_key_while_it_forgets() -> Box<dyn Fixture> {
    struct TakesNoKey(MemoryStore, AtomicBool);

    #[async_trait]
    impl Wrap for TakesNoKey {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
            // Under way for a while.
            tokio::time::sleep(Duration::from_micros(500)).await;
            if self.1.load(Ordering::SeqCst) {
                append.key = None;
            }
            self.0.append(append).await
        }

        async fn purge_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
            self.1.store(true, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(2)).await;
            let forgotten = self.0.purge_keys(before).await;
            self.1.store(false, Ordering::SeqCst);
            forgotten
        }
    }

    faulty(|store, _| TakesNoKey(store, AtomicBool::new(false)))
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
