use async_trait::async_trait;
use bytes::Bytes;
use es_runtime::StoreError;
use es_runtime::store::{Demand, EventStore, Purge, SaveError, StateChange, StateKey, StateStore};
use futures_core::stream::BoxStream;

use crate::SqliteStore;
use crate::error::Problem;
use crate::pages::{self, Paged};
use crate::projections::Doubt;
use crate::reader::{Page, Reader};

impl Doubt for SaveError {
    fn doubt(error: StoreError) -> Self {
        Self::Indeterminate(error)
    }
}

#[async_trait]
impl StateStore for SqliteStore {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        let now = self.now();
        let size = changes
            .iter()
            .filter_map(|change| change.payload.as_ref())
            .map(Bytes::len)
            .sum();
        let entities = changes.len();
        self.write(size, entities, move |writer| writer.states.save(&changes, demand, now))
            .await
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        let key = key.clone();
        self.read(move |reader| reader.states.get(&key)).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        let load = Load {
            namespace: namespace.to_owned(),
            after: None,
        };
        pages::read(self.pool(), load)
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.read(|reader| reader.states.namespaces()).await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        self.write(0, 1, move |writer| {
            writer.states.purge(&purge).map(|purged| Ok(purged as u64))
        })
        .await
    }

    /// Closes the store of events too: it is one file.
    async fn close(&self) -> Result<(), StoreError> {
        EventStore::close(self).await
    }
}

/// The rest of a load of a namespace.
struct Load {
    namespace: String,
    after: Option<StateKey>,
}

impl Paged for Load {
    type Item = StateChange;

    fn is_empty(&self) -> bool {
        false
    }

    fn page(&self, reader: &mut Reader<'_>, rows: u64) -> Result<Page<StateChange>, Problem> {
        reader.states.page(&self.namespace, self.after.as_ref(), rows)
    }

    fn after(self, _: u64, last: &StateChange) -> Self {
        Self {
            after: Some(last.key.clone()),
            ..self
        }
    }
}
