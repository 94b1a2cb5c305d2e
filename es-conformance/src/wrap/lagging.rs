use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use es_runtime::StoreError;
use es_runtime::store::{Demand, Purge, SaveError, StateChange, StateKey, StateStore};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};

use crate::random::Random;

/// Stands in front of a store of states, and loads as a log-compacted topic does: with changes that were saved before, some of them
/// twice, shuffled across entities. It keeps every change that goes through it in memory.
pub struct Lagging<S> {
    store: S,
    seed: u64,
    saved: Mutex<HashMap<StateKey, Vec<StateChange>>>,
}

/// The number of entities shuffled together.
const TOGETHER: usize = 16;

impl<S> Lagging<S> {
    /// Lags behind `store`, in ways that follow from `seed`.
    pub fn new(store: S, seed: u64) -> Self {
        Self {
            store,
            seed,
            saved: Mutex::default(),
        }
    }

    fn saved(&self) -> MutexGuard<'_, HashMap<StateKey, Vec<StateChange>>> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest changes, with older ones of the same entities, in any order.
    fn with_older(&self, latest: Vec<StateChange>, random: &mut Random) -> Vec<StateChange> {
        let saved = self.saved();
        let mut all = Vec::new();
        for change in latest {
            let older = saved.get(&change.key).map_or(&[][..], Vec::as_slice);
            let older = older.iter().filter(|older| older.sequence < change.sequence);
            all.extend(older.filter(|_| random.below(2) == 0).cloned());
            all.extend((0..random.below(3)).map(|_| change.clone()));
            all.push(change);
        }
        for last in (1..all.len()).rev() {
            let other = random.below(last as u64 + 1);
            all.swap(last, usize::try_from(other).unwrap_or(0));
        }
        all
    }
}

#[async_trait]
impl<S: StateStore> StateStore for Lagging<S> {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        self.store.save(changes.clone(), demand).await?;
        let mut saved = self.saved();
        for change in changes {
            saved.entry(change.key.clone()).or_default().push(change);
        }
        Ok(())
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        self.store.get(key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        let mut random = Random::from_seed(self.seed);
        let together = self.store.load(namespace).try_chunks(TOGETHER);
        together
            .map_err(|error| error.1)
            .map_ok(move |latest| stream::iter(self.with_older(latest, &mut random).into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.store.namespaces().await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        let purged = self.store.purge(purge.clone()).await?;
        // A change that is purged never comes back, however late the store compacts.
        let keys: Vec<StateKey> = self.saved().keys().cloned().collect();
        for key in keys {
            let is_asked = match &purge {
                Purge::Entities(keys) => keys.contains(&key),
                Purge::Tombstones { namespace, .. } => *key.namespace == **namespace,
            };
            if is_asked && self.store.get(&key).await?.is_none() {
                self.saved().remove(&key);
            }
        }
        Ok(purged)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}
