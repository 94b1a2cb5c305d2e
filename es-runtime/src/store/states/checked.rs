use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};

use super::{Demand, Purge, SaveError, StateChange, StateKey, StateStore};
use crate::projection::store::check_name;
use crate::{StoreError, StoreErrorKind};

/// The namespace of what the framework itself keeps.
const RESERVED: &str = "es";

/// Checks what is asked of a [`StateStore`] before the store sees it, so that all stores refuse the same, in the same words. The runtime
/// puts it around every store of states; the namespace `es`, in which the runtime keeps its own, is refused.
#[derive(Clone)]
pub struct CheckedStates {
    store: Arc<dyn StateStore>,
}

impl CheckedStates {
    /// Checks what is asked of `store`.
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self { store }
    }

    fn check_namespace(namespace: &str) -> Result<(), StoreError> {
        if namespace == RESERVED {
            return Err(StoreError::new(
                StoreErrorKind::Rejected,
                format!("the namespace `{RESERVED}` is the framework's own: choose another one"),
            ));
        }
        Ok(())
    }
}

impl std::fmt::Debug for CheckedStates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckedStates").finish_non_exhaustive()
    }
}

#[async_trait]
impl StateStore for CheckedStates {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        StateChange::check_all(&changes)?;
        for change in &changes {
            Self::check_namespace(&change.key.namespace).map_err(SaveError::Rejected)?;
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.store.save(changes, demand).await
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        key.check()?;
        Self::check_namespace(&key.namespace)?;
        self.store.get(key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        let checked = check_name("namespace", namespace).and_then(|()| Self::check_namespace(namespace));
        match checked {
            Ok(()) => self.store.load(namespace),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        purge.check()?;
        for namespace in purge.namespaces() {
            Self::check_namespace(namespace)?;
        }
        self.store.purge(purge).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}
