//! States in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};

use super::MemoryStore;
use crate::store::{Change, Demand, Purge, SaveError, StateChange, StateKey, StateStore};
use crate::{StoreError, Timestamp};

/// The number of entities that a load copies at a time.
const PAGE: usize = 256;

/// The latest change of each entity, and when it was saved. Clones share it.
#[derive(Clone, Default)]
pub(super) struct States(Arc<Mutex<BTreeMap<StateKey, (StateChange, Timestamp)>>>);

impl States {
    // A panic under the lock can only come from running out of memory.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<StateKey, (StateChange, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first entities of a namespace behind `after`.
    fn page(&self, namespace: &str, after: Option<StateKey>) -> Vec<StateChange> {
        // No name is empty.
        let after = after.unwrap_or_else(|| StateKey::new(namespace, "", ""));
        let states = self.lock();
        let behind = states.range((Bound::Excluded(after), Bound::Unbounded));
        behind
            .take_while(|(key, _)| *key.namespace == *namespace)
            .take(PAGE)
            .map(|(_, (change, _))| change.clone())
            .collect()
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        let mut states = self.states.lock();
        let mut fitting = Vec::with_capacity(changes.len());
        for change in changes {
            let kept = states.get(&change.key).map(|(kept, _)| kept);
            if change.fits(kept, demand)? {
                fitting.push(change);
            }
        }
        let now = self.clock.now();
        states.extend(fitting.into_iter().map(|change| (change.key.clone(), (change, now))));
        Ok(())
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        Ok(self.states.lock().get(key).map(|(change, _)| change.clone()))
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        let namespace = namespace.to_owned();
        let pages = stream::unfold(None, move |after| {
            let page = self.states.page(&namespace, after);
            let last = page.last().map(|change| Some(change.key.clone()));
            async { Some((page, last?)) }
        });
        pages.map(stream::iter).flatten().map(Ok).boxed()
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        let states = self.states.lock();
        let mut namespaces: Vec<&str> = states.keys().map(|key| &*key.namespace).collect();
        namespaces.dedup();
        Ok(namespaces.into_iter().map(str::to_owned).collect())
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        let mut states = self.states.lock();
        let before = states.len();
        match purge {
            Purge::Entities(keys) => keys.iter().for_each(|key| {
                states.remove(key);
            }),
            Purge::Tombstones { namespace, before } => states.retain(|key, (change, saved_at)| {
                *key.namespace != *namespace || change.change != Change::Delete || *saved_at >= before
            }),
        }
        Ok((before - states.len()) as u64)
    }
}
