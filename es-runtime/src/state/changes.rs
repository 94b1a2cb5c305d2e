use std::any::Any;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::ser::Error as _;

use super::{Entity, PersistError};
use crate::EncodeError;
use crate::store::StateKey;

/// Changes of entities of one namespace, to be [persisted](super::StateManager::persist) together: all of them or none.
///
/// Several changes of one entity become one, which has the same effect, also in what it needs:
///
/// | changes | become | the entity |
/// | --- | --- | --- |
/// | create, update … | create, with the last value | must not be there |
/// | create … delete | nothing | must not be there |
/// | update, update … | update, with the last value | must be there |
/// | update … delete | delete | must be there |
/// | delete, create … | update, with the last value | must be there |
///
/// A change that can follow on none before it, such as an update after a delete, is reported by
/// [`persist`](super::StateManager::persist), as is an entity that cannot be stored.
#[must_use = "changes are saved by `StateManager::persist`"]
pub struct Changes {
    pub(super) namespace: Arc<str>,
    /// The kind that was named last.
    kind: Option<Arc<str>>,
    pub(super) staged: BTreeMap<StateKey, Staged>,
    pub(super) mistake: Option<PersistError>,
}

/// The changes of one entity, as the one that they amount to.
pub(super) struct Staged {
    /// True if the entity has to be there before, false if it must not be.
    pub(super) needs_it: bool,
    /// Its state afterwards, as it is stored.
    pub(super) payload: Option<Bytes>,
    /// A [`Content`] of the entity's type.
    pub(super) content: Box<dyn Any + Send + Sync>,
    pub(super) kind: &'static str,
}

/// An entity after its changes.
pub(super) struct Content<E: Entity> {
    pub(super) id: E::Id,
    /// `None` if it is not there.
    pub(super) entity: Option<Arc<E>>,
}

impl Changes {
    /// Begins a list of changes.
    pub fn of(namespace: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            kind: None,
            staged: BTreeMap::new(),
            mistake: None,
        }
    }

    /// Adds an entity that is not there.
    pub fn create<E: Entity>(self, entity: &E) -> Self {
        self.stage(entity.id(), false, Some(entity))
    }

    /// Changes an entity that is there.
    pub fn update<E: Entity>(self, entity: &E) -> Self {
        self.stage(entity.id(), true, Some(entity))
    }

    /// Removes an entity that is there.
    pub fn delete<E: Entity>(self, id: &E::Id) -> Self {
        self.stage::<E>(id, true, None)
    }

    /// Returns the number of entities that are changed.
    pub fn len(&self) -> usize {
        self.staged.len()
    }

    /// Returns whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }

    fn stage<E: Entity>(mut self, id: &E::Id, needs_it: bool, entity: Option<&E>) -> Self {
        if self.mistake.is_none() {
            self.mistake = self.try_stage(id, needs_it, entity).err();
        }
        self
    }

    fn try_stage<E: Entity>(&mut self, id: &E::Id, needs_it: bool, entity: Option<&E>) -> Result<(), PersistError> {
        let kind = match &self.kind {
            Some(kind) if **kind == *E::NAME => Arc::clone(kind),
            _ => Arc::clone(self.kind.insert(E::NAME.into())),
        };
        let key = StateKey::new(Arc::clone(&self.namespace), kind, id.to_string());
        let payload = stored(&key, id, entity)?;
        let content = Content {
            id: id.clone(),
            entity: entity.map(|entity| Arc::new(entity.clone())),
        };
        let staged = Staged {
            needs_it,
            payload,
            content: Box::new(content),
            kind: E::NAME,
        };
        match self.staged.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(staged);
            }
            Entry::Occupied(mut before) => {
                let is_there = before.get().payload.is_some();
                check(is_there, needs_it, before.key())?;
                let needs_it = before.get().needs_it;
                before.insert(Staged { needs_it, ..staged });
            }
        }
        Ok(())
    }
}

/// Checks that a change can be made of an entity that is there, or is not.
pub(super) fn check(is_there: bool, needs_it: bool, entity: &StateKey) -> Result<(), PersistError> {
    let entity = || entity.clone();
    match (is_there, needs_it) {
        (true, false) => Err(PersistError::Exists { entity: entity() }),
        (false, true) => Err(PersistError::Missing { entity: entity() }),
        (true, true) | (false, false) => Ok(()),
    }
}

/// The stored form of an entity, whose id has to come back from its text.
fn stored<E: Entity>(key: &StateKey, id: &E::Id, entity: Option<&E>) -> Result<Option<Bytes>, PersistError> {
    let unstorable = |source| PersistError::Encode {
        entity: key.clone(),
        source: Box::new(source),
    };
    if !key.id.parse::<E::Id>().is_ok_and(|read| read == *id) {
        let source =
            serde_json::Error::custom(format_args!("its id is stored as {:?}, which is not read back", key.id));
        return Err(unstorable(EncodeError::Value { name: E::NAME, source }));
    }
    let Some(entity) = entity else { return Ok(None) };
    let mut payload = Vec::new();
    entity.encode(&mut payload).map_err(unstorable)?;
    Ok(Some(payload.into()))
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entities: Vec<String> = self.staged.keys().map(ToString::to_string).collect();
        f.debug_struct("Changes")
            .field("entities", &entities)
            .finish_non_exhaustive()
    }
}
