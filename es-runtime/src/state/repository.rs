use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Entity;

/// Where a [`StateManager`](super::StateManager) puts the entities of one type: [`Entities`], or an index of yours.
///
/// It is a cache of what the store keeps. A manager calls it under a lock, with one change after the other, so it should
/// not block; if it panics, the manager has to restore before it persists again.
pub trait Repository<E: Entity>: Send + Sync + 'static {
    /// Replaces whatever is there by the entities that were restored, each of them once.
    fn replace(&self, entities: Vec<Arc<E>>);

    /// Takes an entity that was created or updated.
    fn put(&self, entity: Arc<E>);

    /// Removes an entity that was deleted.
    fn remove(&self, id: &E::Id);
}

/// The entities of one type in memory, ordered by id. Clones share them.
pub struct Entities<E: Entity>(Arc<RwLock<BTreeMap<E::Id, Arc<E>>>>);

impl<E: Entity> Entities<E> {
    /// Returns an empty repository.
    pub fn new() -> Self {
        Self(Arc::new(RwLock::new(BTreeMap::new())))
    }

    /// Returns the entity with this id.
    pub fn get(&self, id: &E::Id) -> Option<Arc<E>> {
        self.read().get(id).cloned()
    }

    /// Returns the number of entities.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the entities of now, ordered by id; later changes are not among them.
    pub fn iter(&self) -> std::vec::IntoIter<Arc<E>> {
        let all: Vec<_> = self.read().values().cloned().collect();
        all.into_iter()
    }

    // A panic under the lock comes from `Ord` of an id, between two changes or while nothing is changed yet.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<E::Id, Arc<E>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<E::Id, Arc<E>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Entity> Repository<E> for Entities<E> {
    fn replace(&self, entities: Vec<Arc<E>>) {
        let fresh = entities
            .into_iter()
            .map(|entity| (entity.id().clone(), entity))
            .collect();
        // The old ones are dropped without the lock.
        let old = std::mem::replace(&mut *self.write(), fresh);
        drop(old);
    }

    fn put(&self, entity: Arc<E>) {
        self.write().insert(entity.id().clone(), entity);
    }

    fn remove(&self, id: &E::Id) {
        self.write().remove(id);
    }
}

impl<E: Entity> IntoIterator for &Entities<E> {
    type Item = Arc<E>;
    type IntoIter = std::vec::IntoIter<Arc<E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<E: Entity> Clone for Entities<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: Entity> Default for Entities<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entity> fmt::Debug for Entities<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
