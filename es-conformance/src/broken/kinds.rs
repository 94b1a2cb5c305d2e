//! Faults in what is told of the kinds of events, and of the caps on writing them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use es_runtime::store::{Append, AppendError, Appended, EventKind, ReadLog};
use es_runtime::{EventStore, MemoryStore, StoreError};
use futures_util::TryStreamExt;

use super::faulty;
use crate::Fixture;
use crate::wrap::Wrap;

pub(super) fn tells_kinds_late() -> Box<dyn Fixture> {
    struct TellsKindsLate(MemoryStore);

    #[async_trait]
    impl Wrap for TellsKindsLate {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
            let before = self.0.head().await?.0.saturating_sub(1);
            let events = self.0.read_log(ReadLog::new().to(before));
            let kinds: BTreeSet<EventKind> = events
                .map_ok(|event| EventKind::new(event.stream.category(), event.name, event.shape_version))
                .try_collect()
                .await?;
            Ok(kinds.into_iter().collect())
        }
    }

    faulty(|store, _| TellsKindsLate(store))
}

pub(super) fn tells_kinds_of_refused_appends() -> Box<dyn Fixture> {
    #[derive(Default)]
    struct TellsKindsOfRefusedAppends {
        store: MemoryStore,
        asked: Mutex<BTreeSet<EventKind>>,
    }

    #[async_trait]
    impl Wrap for TellsKindsOfRefusedAppends {
        fn inner(&self) -> &dyn EventStore {
            &self.store
        }

        async fn append(&self, append: Append) -> Result<Appended, AppendError> {
            let kinds = append.streams.iter().flat_map(|part| {
                let kind = |event: &es_runtime::NewEvent| {
                    EventKind::new(part.stream.category(), event.name.clone(), event.shape_version)
                };
                part.events.iter().map(kind)
            });
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).extend(kinds);
            self.store.append(append).await
        }

        async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(asked.iter().cloned().collect())
        }
    }

    faulty(|store, _| TellsKindsOfRefusedAppends {
        store,
        ..TellsKindsOfRefusedAppends::default()
    })
}

pub(super) fn counts_every_version() -> Box<dyn Fixture> {
    struct CountsEveryVersion(MemoryStore);

    #[async_trait]
    impl Wrap for CountsEveryVersion {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn count_events(&self, kind: &EventKind) -> Result<u64, StoreError> {
            let mut count = 0;
            for stored in self.0.stored_events().await? {
                if (&stored.category, &stored.name) == (&kind.category, &kind.name) {
                    count += self.0.count_events(&stored).await?;
                }
            }
            Ok(count)
        }
    }

    faulty(|store, _| CountsEveryVersion(store))
}
