//! The entities of one type, as a manager knows them.

use std::any::Any;
use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};
use serde::de::Error as _;

use super::changes::{Content, Staged, check};
use super::{Entity, PersistError, Repository, RestoreError, Restored};
use crate::DecodeError;
use crate::store::{Change, StateChange, StateKey};

/// The changes that are kept of one type's entities.
pub(super) trait Record: Send + Sync {
    /// Takes a change from the store, which may give older ones too, in any order: the highest sequence counts.
    fn take(&mut self, change: StateChange, restored: &mut Restored);

    /// Counts what was taken. Fails with the first entity that can neither be read nor left out; then the record is of no
    /// further use.
    fn count(&mut self, namespace: &str, leave_unknown: bool, restored: &mut Restored) -> Result<(), RestoreError>;

    /// Gives all entities to the repository.
    fn publish(&mut self);

    /// Returns the changes to save for what is staged: none for an entity that is not there before and after.
    fn changes(&self, key: &StateKey, staged: &Staged) -> Result<Vec<StateChange>, PersistError>;

    /// Takes changes that were saved, and gives the entity, as it is now, to the repository.
    fn saved(&mut self, changes: &[StateChange], content: &(dyn Any + Send + Sync));
}

/// The record of entities `E`.
pub(super) struct Rows<E: Entity> {
    repository: Arc<dyn Repository<E>>,
    /// The entity's name and its aliases, each with what is kept under it, by the text of the id.
    names: Vec<(&'static str, HashMap<String, Row<E>>)>,
    /// The entities that were restored, in the order of the store, which is often that of the ids.
    arrived: Vec<Arc<E>>,
    /// True if some of these were replaced.
    replaced: bool,
}

/// The latest change of an entity.
struct Row<E> {
    sequence: u64,
    state: State<E>,
}

enum State<E> {
    Deleted,
    There(Arc<E>),
    /// Stored in a version of its shape that this build does not know.
    Unknown(u64),
    /// Why, with the version of its shape, until that is reported.
    Unreadable(Option<Box<(u64, DecodeError)>>),
}

impl<E> State<E> {
    fn is_there(&self) -> bool {
        !matches!(self, Self::Deleted)
    }
}

impl<E: Entity> Rows<E> {
    pub(super) fn new(repository: Arc<dyn Repository<E>>) -> Self {
        let names = [E::NAME].into_iter().chain(E::ALIASES.iter().copied());
        Self {
            repository,
            names: names.map(|name| (name, HashMap::new())).collect(),
            arrived: Vec::new(),
            replaced: false,
        }
    }

    fn rows(&mut self, name: &str) -> Option<&mut HashMap<String, Row<E>>> {
        self.names
            .iter_mut()
            .find(|(other, _)| *other == name)
            .map(|(_, rows)| rows)
    }

    /// The sequence of the latest change under this name; 0 if there is none.
    fn sequence(&self, name: &str, id: &str) -> u64 {
        let mut rows = self.names.iter().filter(|(other, _)| *other == name);
        rows.find_map(|(_, rows)| rows.get(id)).map_or(0, |row| row.sequence)
    }

    /// The names under which an entity is there.
    fn places(&self, id: &str) -> impl Iterator<Item = (&'static str, &Row<E>)> {
        let kept = self
            .names
            .iter()
            .filter_map(move |(name, rows)| Some((*name, rows.get(id)?)));
        kept.filter(|(_, row)| row.state.is_there())
    }
}

impl<E: Entity> Record for Rows<E> {
    fn take(&mut self, change: StateChange, restored: &mut Restored) {
        let StateKey { kind, id, .. } = change.key;
        let Some(rows) = self.rows(&kind) else { return };
        let (sequence, payload) = (change.sequence, change.payload);
        let read = |id: &str| Row {
            sequence,
            state: payload.map_or(State::Deleted, |payload| read(id, change.shape, &payload)),
        };
        let (row, replaced) = match rows.entry(id) {
            Entry::Vacant(vacant) => {
                let row = read(vacant.key());
                (vacant.insert(row), false)
            }
            Entry::Occupied(mut kept) => {
                restored.outdated += 1;
                if kept.get().sequence >= sequence {
                    return;
                }
                let row = read(kept.key());
                kept.insert(row);
                (kept.into_mut(), true)
            }
        };
        if let State::There(entity) = &row.state {
            let entity = Arc::clone(entity);
            self.arrived.push(entity);
        }
        self.replaced |= replaced;
    }

    fn count(&mut self, namespace: &str, leave_unknown: bool, restored: &mut Restored) -> Result<(), RestoreError> {
        let key = |name: &'static str, id: &str| StateKey::new(namespace, name, id);
        let mut wrong = BTreeMap::new();
        for (name, rows) in &mut self.names {
            for (id, row) in rows {
                match &mut row.state {
                    State::Deleted => restored.deleted += 1,
                    State::There(_) => restored.entities += 1,
                    State::Unknown(_) if leave_unknown => restored.unknown += 1,
                    State::Unknown(version) => {
                        let (entity, version) = (key(name, id), *version);
                        wrong.insert(entity.clone(), RestoreError::UnknownEntity { entity, version });
                    }
                    State::Unreadable(why) => {
                        let entity = key(name, id);
                        let error = why.take().map(|why| {
                            let ((version, source), entity) = (*why, entity.clone());
                            RestoreError::Unreadable {
                                entity,
                                version,
                                source,
                            }
                        });
                        wrong.extend(error.map(|error| (entity, error)));
                    }
                }
            }
        }
        if let Some((_, error)) = wrong.pop_first() {
            return Err(error);
        }
        for (alias, rows) in &self.names[1..] {
            for id in rows.iter().filter(|(_, row)| row.state.is_there()).map(|(id, _)| id) {
                if let Some((other, _)) = self.places(id).find(|(other, _)| other != alias) {
                    let (entity, also) = (key(alias, id), other);
                    return Err(RestoreError::Twice { entity, also });
                }
            }
        }
        Ok(())
    }

    fn publish(&mut self) {
        let mut all = std::mem::take(&mut self.arrived);
        if self.replaced {
            all.retain(|entity| {
                let id = entity.id().to_string();
                let mut places = self.places(&id);
                places.any(|(_, row)| matches!(&row.state, State::There(kept) if Arc::ptr_eq(kept, entity)))
            });
        }
        self.repository.replace(all);
    }

    fn changes(&self, key: &StateKey, staged: &Staged) -> Result<Vec<StateChange>, PersistError> {
        let kind = E::NAME;
        if !staged.content.is::<Content<E>>() {
            return Err(PersistError::NoRepository { kind });
        }
        // Restored under one name, and saved under one.
        let place = self.places(&key.id).next();
        if let Some((_, row)) = &place
            && matches!(row.state, State::Unknown(_))
        {
            return Err(PersistError::LeftUnknown { entity: key.clone() });
        }
        check(place.is_some(), staged.needs_it, key)?;
        let place = place.map(|(name, _)| name);
        let after = |name: &'static str, change, payload| StateChange {
            key: StateKey {
                kind: if *key.kind == *name {
                    Arc::clone(&key.kind)
                } else {
                    name.into()
                },
                ..key.clone()
            },
            sequence: self.sequence(name, &key.id) + 1,
            change,
            shape: E::SHAPE_VERSION.into(),
            payload,
        };
        let written = staged.payload.clone().map(|payload| {
            let is_there = place == Some(kind);
            let change = if is_there { Change::Update } else { Change::Create };
            after(kind, change, Some(payload))
        });
        // An alias is read and no longer written: the entity moves to its name.
        let removed = place.filter(|name| written.is_none() || *name != kind);
        let removed = removed.map(|name| after(name, Change::Delete, None));
        Ok(written.into_iter().chain(removed).collect())
    }

    fn saved(&mut self, changes: &[StateChange], content: &(dyn Any + Send + Sync)) {
        let Some(Content { id, entity }) = content.downcast_ref::<Content<E>>() else {
            return;
        };
        for StateChange {
            key, sequence, change, ..
        } in changes
        {
            let there = entity.clone().filter(|_| *change != Change::Delete);
            let row = Row {
                sequence: *sequence,
                state: there.map_or(State::Deleted, State::There),
            };
            if let Some(rows) = self.rows(&key.kind) {
                rows.insert(key.id.clone(), row);
            }
        }
        match entity {
            Some(entity) => self.repository.put(Arc::clone(entity)),
            None => self.repository.remove(id),
        }
    }
}

/// Reads an entity that is kept under this id.
fn read<E: Entity>(id: &str, version: u64, payload: &[u8]) -> State<E> {
    let Ok(shape) = u32::try_from(version) else {
        return State::Unknown(version);
    };
    let unreadable = |error| State::Unreadable(Some(Box::new((version, error))));
    match E::decode(shape, payload) {
        Ok(entity) if is_text_of(id, entity.id()) => State::There(Arc::new(entity)),
        Ok(entity) => {
            let message = format!("it is kept as `{id}`, and its own id is `{}`", entity.id());
            unreadable(DecodeError::Malformed(serde_json::Error::custom(message)))
        }
        Err(DecodeError::UnknownVersion { .. }) => State::Unknown(version),
        Err(error) => unreadable(error),
    }
}

/// Compares the text of an id without making a string of it.
fn is_text_of(text: &str, id: &impl fmt::Display) -> bool {
    struct Rest<'a>(&'a str);

    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    let mut rest = Rest(text);
    write!(rest, "{id}").is_ok() && rest.0.is_empty()
}
