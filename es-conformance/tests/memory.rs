//! The suite on the store in memory.

use std::sync::Arc;

use async_trait::async_trait;
use es_conformance::{Capability, Fixture};
use es_runtime::store::ProjectionStore;
use es_runtime::{Clock, EventStore, MemoryStore, Position};

struct Memory(MemoryStore);

#[async_trait]
impl Fixture for Memory {
    fn capabilities(&self) -> &[Capability] {
        &[
            Capability::MultiStream,
            Capability::AnyPayload,
            Capability::TxProjections,
            Capability::States,
            Capability::Archive,
            Capability::ForgetKeys,
            Capability::PushWake,
        ]
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(self.0.clone().with_clock(clock))
    }

    async fn open_projections(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn ProjectionStore>> {
        Some(Arc::new(self.0.clone().with_clock(clock)))
    }

    async fn rewind(&self, to: Position) -> bool {
        self.0.rewind(to);
        true
    }
}

es_conformance::suite!(Memory(MemoryStore::new()));
