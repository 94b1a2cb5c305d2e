use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};

use super::{Demand, Purge, SaveError, StateChange, StateKey, StateStore};
use crate::store::{Checked, check_name};
use crate::{StoreError, StoreErrorKind};

/// The namespace of what the framework itself keeps.
const RESERVED: &str = "es";

#[async_trait]
impl<S: StateStore + ?Sized> StateStore for Checked<S> {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        StateChange::check_all(&changes)?;
        for change in &changes {
            not_reserved(&change.key.namespace).map_err(SaveError::Rejected)?;
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.0.save(changes, demand).await
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        key.check()?;
        not_reserved(&key.namespace)?;
        self.0.get(key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        match check_name("namespace", namespace).and_then(|()| not_reserved(namespace)) {
            Ok(()) => self.0.load(namespace),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        purge.check()?;
        purge.namespaces().into_iter().try_for_each(not_reserved)?;
        self.0.purge(purge).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }
}

fn not_reserved(namespace: &str) -> Result<(), StoreError> {
    if namespace == RESERVED {
        return Err(StoreError::new(
            StoreErrorKind::Rejected,
            format!("the namespace `{RESERVED}` is the framework's own: choose another one"),
        ));
    }
    Ok(())
}
