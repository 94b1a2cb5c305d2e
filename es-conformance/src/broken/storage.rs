//! Faults in how appends are stored.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use es_runtime::store::{Append, AppendError, Appended};
use es_runtime::{Clock, EventStore, ExpectedVersion, MemoryStore};

use super::faulty;
use crate::sample::{event, stream};
use crate::wrap::{Wrap, Wrapped};
use crate::{Capability, Fixture};

pub(super) fn acknowledges_before_it_stores() -> Box<dyn Fixture> {
    /// The content of the disk: a store opened again holds this.
    #[derive(Default)]
    struct Disk(Arc<Mutex<Vec<Append>>>);

    struct AcknowledgesBeforeItStores {
        store: MemoryStore,
        unwritten: Mutex<Option<Append>>,
        disk: Arc<Mutex<Vec<Append>>>,
    }

    #[async_trait]
    impl Wrap for AcknowledgesBeforeItStores {
        fn inner(&self) -> &dyn EventStore {
            &self.store
        }

        async fn append(&self, append: Append) -> Result<Appended, AppendError> {
            let appended = self.store.append(append.clone()).await?;
            if !appended.repeated {
                let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
                let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
                disk.extend(unwritten.replace(append));
            }
            Ok(appended)
        }
    }

    #[async_trait]
    impl Fixture for Disk {
        fn capabilities(&self) -> &[Capability] {
            &[Capability::Durable, Capability::MultiStream, Capability::AnyPayload]
        }

        async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
            let store = MemoryStore::new().with_clock(clock);
            let written = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for append in written {
                if let Err(error) = store.append(append).await {
                    panic!("what was stored once can be stored again: {error}");
                }
            }
            Arc::new(Wrapped(Arc::new(AcknowledgesBeforeItStores {
                store,
                unwritten: Mutex::default(),
                disk: Arc::clone(&self.0),
            })))
        }
    }

    Box::new(Disk::default())
}

pub(super) fn tears_batches_on_conflict() -> Box<dyn Fixture> {
    struct TearsBatchesOnConflict(MemoryStore);

    #[async_trait]
    impl Wrap for TearsBatchesOnConflict {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, append: Append) -> Result<Appended, AppendError> {
            let result = self.0.append(append.clone()).await;
            let Err(AppendError::Conflict { stream, .. }) = &result else {
                return result;
            };
            for part in append.streams.into_iter().take_while(|part| part.stream != *stream) {
                self.0
                    .append(Append::new(part.stream, part.expected, part.events))
                    .await?;
            }
            result
        }
    }

    faulty(|store, _| TearsBatchesOnConflict(store))
}

pub(super) fn tears_dropped_appends() -> Box<dyn Fixture> {
    struct TearsDroppedAppends(MemoryStore);

    #[async_trait]
    impl Wrap for TearsDroppedAppends {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
            let Some(part) = append.streams.first_mut() else {
                return self.0.append(append).await;
            };
            let stream = part.stream.clone();
            let rest = part.events.split_off(part.events.len().min(1));
            let mut appended = self.0.append(append).await?;
            for event in rest {
                tokio::task::yield_now().await;
                let next = Append::new(stream.clone(), ExpectedVersion::Any, vec![event]);
                let next = self.0.append(next).await?.streams.remove(0);
                appended.streams[0].events += 1;
                appended.streams[0].version = next.version;
            }
            Ok(appended)
        }
    }

    faulty(|store, _| TearsDroppedAppends(store))
}

pub(super) fn leaves_a_trace_of_conflicts() -> Box<dyn Fixture> {
    struct LeavesATraceOfConflicts(MemoryStore);

    #[async_trait]
    impl Wrap for LeavesATraceOfConflicts {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, append: Append) -> Result<Appended, AppendError> {
            let result = self.0.append(append).await;
            if let Err(AppendError::Conflict { .. }) = result {
                let trace = Append::new(stream("conflicts"), ExpectedVersion::Any, vec![event(0)]);
                self.0.append(trace).await?;
            }
            result
        }
    }

    faulty(|store, _| LeavesATraceOfConflicts(store))
}

pub(super) fn checks_then_writes() -> Box<dyn Fixture> {
    struct ChecksThenWrites(MemoryStore);

    #[async_trait]
    impl Wrap for ChecksThenWrites {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
            for part in &mut append.streams {
                let actual = self.0.version(&part.stream).await?;
                if !part.expected.allows(actual) {
                    return Err(AppendError::Conflict {
                        stream: part.stream.clone(),
                        expected: part.expected,
                        actual,
                    });
                }
                part.expected = ExpectedVersion::Any;
                part.last = None;
            }
            tokio::task::yield_now().await;
            self.0.append(append).await
        }
    }

    faulty(|store, _| ChecksThenWrites(store))
}

pub(super) fn does_not_check_guards() -> Box<dyn Fixture> {
    struct DoesNotCheckGuards(MemoryStore);

    #[async_trait]
    impl Wrap for DoesNotCheckGuards {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
            for part in &mut append.streams {
                if part.events.is_empty() {
                    part.expected = ExpectedVersion::Any;
                    part.last = None;
                }
            }
            self.0.append(append).await
        }
    }

    faulty(|store, _| DoesNotCheckGuards(store))
}

pub(super) fn ignores_the_last_event() -> Box<dyn Fixture> {
    struct IgnoresTheLastEvent(MemoryStore);

    #[async_trait]
    impl Wrap for IgnoresTheLastEvent {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
            for part in &mut append.streams {
                part.last = None;
            }
            self.0.append(append).await
        }
    }

    faulty(|store, _| IgnoresTheLastEvent(store))
}
