//! Faults in what is stored.

use async_trait::async_trait;
use es_runtime::store::{Append, AppendError, Appended, ReadStream, StreamAppended};
use es_runtime::{
    Clock as _, EventStore, Limits, MemoryStore, Position, RecordedEvent, StoreError, StreamId, SystemClock, Version,
};
use futures_util::stream::BoxStream;

use super::faulty;
use crate::Fixture;
use crate::wrap::Wrap;

pub(super) fn normalises_payloads() -> Box<dyn Fixture> {
    struct NormalisesPayloads(MemoryStore);

    #[async_trait]
    impl Wrap for NormalisesPayloads {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
            for event in append.streams.iter_mut().flat_map(|part| &mut part.events) {
                if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&event.payload) {
                    event.payload = value.to_string().into();
                }
            }
            self.0.append(append).await
        }
    }

    faulty(|store, _| NormalisesPayloads(store))
}

pub(super) fn folds_case() -> Box<dyn Fixture> {
    struct FoldsCase(MemoryStore);

    fn folded(stream: &StreamId) -> StreamId {
        StreamId::new(stream.category().to_owned(), stream.id().to_lowercase())
    }

    #[async_trait]
    impl Wrap for FoldsCase {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
            for part in &mut append.streams {
                part.stream = folded(&part.stream);
            }
            self.0.append(append).await
        }

        fn read_stream(&self, mut query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
            query.stream = folded(&query.stream);
            self.0.read_stream(query)
        }
    }

    faulty(|store, _| FoldsCase(store))
}

pub(super) fn ignores_limits() -> Box<dyn Fixture> {
    struct IgnoresLimits {
        store: MemoryStore,
        told: Limits,
    }

    impl Wrap for IgnoresLimits {
        fn inner(&self) -> &dyn EventStore {
            &self.store
        }

        fn limits(&self) -> &Limits {
            &self.told
        }
    }

    fn none() -> Limits {
        let mut limits = Limits::default();
        limits.payload = usize::MAX;
        limits.payload_depth = usize::MAX / 4;
        limits.events = usize::MAX;
        limits.bytes = usize::MAX;
        limits
    }

    faulty(|store, _| IgnoresLimits {
        store: store.with_limits(none()),
        told: Limits::default(),
    })
}

pub(super) fn accepts_empty_appends() -> Box<dyn Fixture> {
    struct AcceptsEmptyAppends(MemoryStore);

    #[async_trait]
    impl Wrap for AcceptsEmptyAppends {
        fn inner(&self) -> &dyn EventStore {
            &self.0
        }

        async fn append(&self, append: Append) -> Result<Appended, AppendError> {
            if append.key.is_some() || append.events().next().is_some() {
                return self.0.append(append).await;
            }
            let nothing = |stream| StreamAppended {
                stream,
                events: 0,
                version: Version::ZERO,
                position: Position::ZERO,
            };
            Ok(Appended {
                id: append.id,
                repeated: false,
                recorded_at: SystemClock.now(),
                streams: append.streams.into_iter().map(|part| nothing(part.stream)).collect(),
            })
        }
    }

    faulty(|store, _| AcceptsEmptyAppends(store))
}
