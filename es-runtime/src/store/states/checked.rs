use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};

use super::{Demand, Purge, SaveError, StateChange, StateKey, StateStore};
use crate::StoreError;
use crate::store::{Checked, check_name};

#[async_trait]
impl<S: StateStore + ?Sized> StateStore for Checked<S> {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        StateChange::check_all(&changes)?;
        if changes.is_empty() {
            return Ok(());
        }
        self.0.save(changes, demand).await
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        key.check()?;
        self.0.get(key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        match check_name("namespace", namespace) {
            Ok(()) => self.0.load(namespace),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.0.namespaces().await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        purge.check()?;
        self.0.purge(purge).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }
}
