use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};

use super::{Demand, Purge, SaveError, StateChange, StateKey, StateStore};
use crate::{StoreError, StoreErrorKind};

/// The namespace of what the framework itself keeps, there and in namespaces that begin with it and a `/`.
pub(crate) const RESERVED: &str = "es";

/// The kinds of what the framework keeps there that cannot be made again from the log.
const LASTING: [&str; 1] = [crate::store::caps::KIND];

/// The namespaces of snapshots begin so.
pub(crate) const SNAPSHOTS: &str = "es/snapshot/";

/// Returns whether an archive keeps entities of the namespace: not of those below that of the framework, which hold its caches.
pub(crate) fn has_archived(namespace: &str) -> bool {
    namespace == RESERVED || !is_reserved(namespace)
}

/// Returns whether an archive keeps the entity: all but the framework's caches.
pub(crate) fn is_archived(key: &StateKey) -> bool {
    has_archived(&key.namespace) && (*key.namespace != *RESERVED || LASTING.contains(&&*key.kind))
}

/// A store of states as it is given to users: without what the framework keeps in it.
pub(crate) struct Unreserved(pub(crate) Arc<dyn StateStore>);

#[async_trait]
impl StateStore for Unreserved {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        for change in &changes {
            not_reserved(&change.key.namespace).map_err(SaveError::Rejected)?;
        }
        self.0.save(changes, demand).await
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        not_reserved(&key.namespace)?;
        self.0.get(key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        match not_reserved(namespace) {
            Ok(()) => self.0.load(namespace),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        let mut namespaces = self.0.namespaces().await?;
        namespaces.retain(|namespace| !is_reserved(namespace));
        Ok(namespaces)
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        purge.namespaces().into_iter().try_for_each(not_reserved)?;
        self.0.purge(purge).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }
}

fn is_reserved(namespace: &str) -> bool {
    namespace.split('/').next() == Some(RESERVED)
}

fn not_reserved(namespace: &str) -> Result<(), StoreError> {
    if is_reserved(namespace) {
        return Err(StoreError::new(
            StoreErrorKind::Rejected,
            format!(
                "the namespace `{namespace}` is the framework's own: choose another one than `{RESERVED}` and those below it"
            ),
        ));
    }
    Ok(())
}
