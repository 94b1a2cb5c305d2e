//! Whole appends: read in the order of the log, and restored.

mod read;
mod restore;

use async_trait::async_trait;
use es_runtime::StoreError;
use es_runtime::store::{ArchiveStore, RecordedAppend, RestoreAppendError};
use futures_core::stream::BoxStream;

use crate::PostgresStore;

#[async_trait]
impl ArchiveStore for PostgresStore {
    fn appends(&self) -> BoxStream<'_, Result<RecordedAppend, StoreError>> {
        read::appends(&self.reader, &self.schema)
    }

    async fn restore(&self, appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
        restore::restore(self, appends).await
    }
}
