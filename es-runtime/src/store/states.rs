//! The latest of each entity: what a store keeps of state that changes, apart from the events that led to it.

mod check;
mod checked;
mod own;
mod reserved;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

pub(crate) use own::{Kept, OwnState};
pub(crate) use reserved::{RESERVED, SNAPSHOTS, Unreserved, has_archived, is_archived};

use super::{LimitExceeded, StoreError};
use crate::Timestamp;

/// Keeps only the latest change of each entity. Object safe: the runtime holds an `Arc<dyn StateStore>`.
///
/// Implementations need not check their input: the runtime and `es-conformance` call them through
/// [`Checked`](super::Checked), which does. [`StateChange::fits`] decides what a [`save`](Self::save) does with a
/// change, for stores that compare in Rust.
#[async_trait]
pub trait StateStore: Send + Sync + 'static {
    /// Saves changes of different entities: all of them or none. `Ok` means durable and visible to every later
    /// [`get`](Self::get) and [`load`](Self::load). Saving a change that is already kept succeeds, so that a save whose
    /// outcome is unknown may be repeated.
    ///
    /// # Errors
    ///
    /// [`SaveError::Conflict`] under [`Demand::Next`], with one of the changes that do not follow the kept ones.
    /// [`SaveError::Indeterminate`] if the outcome is unknown: save the same again, or [`get`](Self::get) the kept
    /// change. After every other error nothing is saved.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the changes saved as a whole or not at all.
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError>;

    /// Returns the latest change of an entity: a [`Delete`](Change::Delete) if it was deleted, `None` if it was never there, or was
    /// purged.
    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError>;

    /// Returns the latest change of each entity of a namespace, including deleted ones, at least once. A store that
    /// compacts late may return older changes too, in any order: the highest sequence of each entity counts. It never
    /// misses the latest change saved before the load began; changes saved meanwhile may be returned or not.
    ///
    /// Memory is bounded, however many entities there are. Dropping the stream at any point is safe.
    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>>;

    /// Returns every namespace in which an entity is kept, deleted or not, in the order of their bytes.
    async fn namespaces(&self) -> Result<Vec<String>, StoreError>;

    /// Removes entities for good, and returns their number. A purged entity begins at sequence 1 again.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, or fails, any part of it may be done: purge the same again.
    async fn purge(&self, purge: Purge) -> Result<u64, StoreError>;

    /// Finishes pending requests, then releases the resources of the store, as
    /// [`EventStore::close`](super::EventStore::close) does.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl<S: StateStore + ?Sized> StateStore for Arc<S> {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        (**self).save(changes, demand).await
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        (**self).get(key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        (**self).load(namespace)
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        (**self).namespaces().await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        (**self).purge(purge).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        (**self).close().await
    }
}

/// Names an entity. Each part has 1 to 512 bytes without NUL. Keys that are loaded share their namespace and kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateKey {
    /// Separates unrelated entities: each namespace is loaded on its own. `es`, and what begins with
    /// `es/`, belongs to the framework.
    pub namespace: Arc<str>,
    /// The kind of the entity.
    pub kind: Arc<str>,
    /// The entity, among those of its kind.
    pub id: String,
}

impl StateKey {
    /// Names the entity `id` of a kind.
    pub fn new(namespace: impl Into<Arc<str>>, kind: impl Into<Arc<str>>, id: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            kind: kind.into(),
            id: id.into(),
        }
    }
}

impl fmt::Display for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind, self.id)
    }
}

/// The latest change of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The entity.
    pub key: StateKey,
    /// The number of the change: 1 for the first, up to `i64::MAX`.
    pub sequence: u64,
    /// The kind of change.
    pub change: Change,
    /// The shape of the payload: a version or a fingerprint, as its reader chooses.
    pub shape: u64,
    /// The entity's state, in JSON: kept byte for byte. `None` exactly if the entity was deleted.
    pub payload: Option<Bytes>,
}

/// The kind of a change of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It was created, perhaps after it had been deleted.
    Create,
    /// It was changed.
    Update,
    /// It was deleted. The change stays as a tombstone, so that the sequence goes on, until it is [purged](StateStore::purge).
    Delete,
}

/// The condition of a [`save`](StateStore::save) on the kept changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Demand {
    /// The kept sequence is that of the change minus one, or 0 if nothing is kept: otherwise
    /// [`Conflict`](SaveError::Conflict).
    Next,
    /// None: changes that are not newer than the kept ones are left out.
    Newer,
}

impl StateChange {
    /// The most bytes in all payloads of one save.
    pub const MOST_BYTES: usize = 16 << 20;
    /// The most changes in one save, and the most entities in one purge.
    pub const MOST_CHANGES: usize = 10_000;

    /// Returns whether the change replaces the kept one; `false` if it is left out. For stores.
    ///
    /// # Errors
    ///
    /// [`SaveError::Conflict`] if `demand` is not met.
    pub fn fits(&self, kept: Option<&Self>, demand: Demand) -> Result<bool, SaveError> {
        let sequence = kept.map_or(0, |kept| kept.sequence);
        match demand {
            Demand::Newer => Ok(sequence < self.sequence),
            Demand::Next if sequence.checked_add(1) == Some(self.sequence) => Ok(true),
            Demand::Next if kept == Some(self) => Ok(false),
            Demand::Next => Err(SaveError::Conflict {
                key: self.key.clone(),
                kept: sequence,
                given: self.sequence,
            }),
        }
    }
}

/// The entities to remove for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// Those with these keys, deleted or not.
    Entities(Vec<StateKey>),
    /// The deleted ones of a namespace whose deletion was saved before `before`, by the store's clock.
    Tombstones {
        /// The namespace.
        namespace: String,
        /// The time before which the deletions must have been saved.
        before: Timestamp,
    },
}

impl Purge {
    /// Removes these entities, deleted or not; does nothing about those that are not kept.
    pub fn entities(keys: impl IntoIterator<Item = StateKey>) -> Self {
        Self::Entities(keys.into_iter().collect())
    }

    /// Removes the deleted entities of `namespace` whose deletion was saved before `before`.
    pub fn tombstones(namespace: impl Into<String>, before: Timestamp) -> Self {
        Self::Tombstones {
            namespace: namespace.into(),
            before,
        }
    }
}

/// Why changes were not saved, or are not known to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The change does not follow on the kept one: get that, and decide again.
    #[error("`{key}` is kept at sequence {kept}, so that {given} cannot be saved")]
    Conflict {
        /// The entity.
        key: StateKey,
        /// The sequence that is kept; 0 if nothing is.
        kept: u64,
        /// The sequence that was to be saved. The kept change is another one if both are equal.
        given: u64,
    },
    /// The changes are too many or too large for one save.
    #[error(transparent)]
    LimitExceeded(#[from] LimitExceeded),
    /// The changes are not well formed: they would be refused again.
    #[error(transparent)]
    Rejected(StoreError),
    /// It is not known whether the changes were saved: save the same again, or get what is kept.
    #[error("it is not known whether the states were saved")]
    Indeterminate(#[source] StoreError),
    /// The store failed; nothing was saved.
    #[error(transparent)]
    Store(#[from] StoreError),
}
