//! The suite on the store in memory.

use std::sync::Arc;

use async_trait::async_trait;
use es_conformance::{Capability, Fixture};
use es_runtime::{Clock, EventStore, MemoryStore};

struct Memory(MemoryStore);

#[async_trait]
impl Fixture for Memory {
    fn capabilities(&self) -> &[Capability] {
        &[Capability::MultiStream, Capability::AnyPayload]
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(self.0.clone().with_clock(clock))
    }
}

es_conformance::suite!(Memory(MemoryStore::new()));
