//! Faults in what is told of what is stored.

use async_trait::async_trait;
use es_runtime::store::{Append, AppendError, Appended, Direction, ListStreams, ReadLog, ReadStream, StreamInfo};
use es_runtime::{EventStore, ExpectedVersion, MemoryStore, RecordedEvent, StoreError, StoredEvent, StreamId, Version};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryFutureExt, TryStreamExt};

use super::faulty;
use crate::Fixture;
use crate::wrap::Wrap;

type Events<'a> = BoxStream<'a, Result<RecordedEvent, StoreError>>;

pub(super) fn reuses_a_version() -> Box<dyn Fixture> {
    struct ReusesAVersion(MemoryStore);

    impl Wrap for ReusesAVersion {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        fn read_stream(&self, query: ReadStream) -> Events<'_> {
            let events = self.0.read_stream(query).map_ok(|mut event| {
                event.version.0 -= u64::from(event.version.0 > 2);
                event
            });
            Box::pin(events)
        }
    }

    faulty(|store, _| ReusesAVersion(store))
}

pub(super) fn loads_forwards_only() -> Box<dyn Fixture> {
    struct LoadsForwardsOnly(MemoryStore);

    impl Wrap for LoadsForwardsOnly {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        fn load_stream(&self, mut query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
            query.direction = Direction::Forwards;
            self.0.load_stream(query)
        }
    }

    faulty(|store, _| LoadsForwardsOnly(store))
}

pub(super) fn tells_a_wrong_version() -> Box<dyn Fixture> {
    struct TellsAWrongVersion(MemoryStore);

    #[async_trait]
    impl Wrap for TellsAWrongVersion {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, append: Append) -> Result<Appended, AppendError> {
            self.0.append(append).await.map_err(|error| match error {
                AppendError::Conflict { stream, expected, .. } => AppendError::Conflict {
                    stream,
                    expected,
                    actual: match expected {
                        ExpectedVersion::Exact(version) => version,
                        _ => Version::ZERO,
                    },
                },
                other => other,
            })
        }
    }

    faulty(|store, _| TellsAWrongVersion(store))
}

pub(super) fn excludes_the_upper_bound() -> Box<dyn Fixture> {
    struct ExcludesTheUpperBound(MemoryStore);

    impl Wrap for ExcludesTheUpperBound {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        fn read_log(&self, query: ReadLog) -> Events<'_> {
            let to = query.to.0.saturating_sub(1);
            self.0.read_log(query.to(to))
        }
    }

    faulty(|store, _| ExcludesTheUpperBound(store))
}

pub(super) fn repeats_at_the_seam() -> Box<dyn Fixture> {
    const PAGE: usize = 256;

    struct RepeatsAtTheSeam(MemoryStore);

    impl Wrap for RepeatsAtTheSeam {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        fn read_log(&self, query: ReadLog) -> Events<'_> {
            let forwards = query.direction == Direction::Forwards;
            let events = self.0.read_log(query).enumerate().flat_map(move |(index, event)| {
                let again = match &event {
                    Ok(event) if forwards && index % PAGE == PAGE - 1 => Some(Ok(event.clone())),
                    _ => None,
                };
                stream::iter([Some(event), again].into_iter().flatten())
            });
            Box::pin(events)
        }
    }

    faulty(|store, _| RepeatsAtTheSeam(store))
}

pub(super) fn reads_a_stale_version() -> Box<dyn Fixture> {
    struct ReadsAStaleVersion(MemoryStore);

    #[async_trait]
    impl Wrap for ReadsAStaleVersion {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
            let version = self.0.version(stream).await?;
            Ok(Version(version.0.saturating_sub(1)))
        }
    }

    faulty(|store, _| ReadsAStaleVersion(store))
}

pub(super) fn lists_in_another_order() -> Box<dyn Fixture> {
    struct ListsInAnotherOrder(MemoryStore);

    impl Wrap for ListsInAnotherOrder {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
            let sorted = self.0.streams(query).try_collect::<Vec<_>>().map_ok(|mut found| {
                found.sort_by_key(|info| info.stream.id().to_lowercase());
                stream::iter(found.into_iter().map(Ok))
            });
            Box::pin(stream::once(sorted).try_flatten())
        }
    }

    faulty(|store, _| ListsInAnotherOrder(store))
}
