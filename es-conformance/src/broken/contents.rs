//! Faults in what is stored.

use async_trait::async_trait;
use es_runtime::store::{Append, AppendError, Appended, ReadStream};
use es_runtime::{EventStore, MemoryStore, RecordedEvent, StoreError, StreamId};
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
