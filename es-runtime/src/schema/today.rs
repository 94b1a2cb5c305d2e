//! The shapes that this build can read.

use std::collections::BTreeMap;

use super::aggregates::{Aggregates, Read};
use super::lock::{ENTITIES, Key, Role};
use super::shape::Definition;
use super::shapes::Found;
use crate::EventInfo;

#[derive(Default)]
pub(super) struct Today {
    pub(super) shapes: BTreeMap<Key, Readable>,
    /// The readers: of each aggregate's events, and of each entity under each of its names.
    read: BTreeMap<(String, String), Read>,
    /// The version that is written of each event, under its earlier names too.
    pub(super) versions: BTreeMap<(String, String), u32>,
    /// Events whose implementation by hand does not tell their shape.
    pub(super) unknown: Vec<(Key, String)>,
}

pub(super) struct Readable {
    pub(super) role: Role,
    pub(super) definition: Definition,
    pub(super) rust: String,
}

impl Today {
    pub(super) fn of<S: Aggregates>() -> Self {
        let mut today = Self::default();
        S::each(&mut |category| {
            let is_aggregate = category.name != ENTITIES;
            if is_aggregate {
                today
                    .read
                    .insert((category.name.to_owned(), String::new()), category.read);
            }
            for info in category.events {
                for name in info.aliases.iter().chain([&info.name]) {
                    if !is_aggregate {
                        today
                            .read
                            .insert((ENTITIES.to_owned(), (*name).to_owned()), category.read);
                    }
                    let event = (category.name.to_owned(), (*name).to_owned());
                    today.versions.insert(event, info.shape_version);
                }
            }
            for found in category.found {
                today.add(category.name, category.events, found);
            }
        });
        today
    }

    /// Adds a shape under the event's name and under its earlier ones.
    fn add(&mut self, category: &str, events: &[EventInfo], found: Found) {
        let key = |name: &str| Key {
            category: category.to_owned(),
            name: name.to_owned(),
            version: found.version,
        };
        let Some(schema) = found.schema else {
            return self.unknown.push((key(&found.name), found.rust));
        };
        let info = events.iter().find(|info| info.name == found.name);
        let retired = info.is_some_and(|info| info.retired);
        let role = if retired { Role::Retired } else { Role::Event };
        let earlier = info.into_iter().flat_map(|info| info.aliases);
        let names = earlier.map(|name| (*name, Role::AliasOf(found.name.clone())));
        let definition = Definition::of(&schema);
        for (name, role) in names.chain([(&*found.name, role)]) {
            let readable = Readable {
                role,
                definition: definition.clone(),
                rust: found.rust.clone(),
            };
            self.shapes.insert(key(name), readable);
        }
    }

    /// The version that is written of the event that has, or had, this name.
    pub(super) fn version(&self, key: &Key) -> Option<u32> {
        self.versions.get(&(key.category.clone(), key.name.clone())).copied()
    }

    /// The reader of what is stored under this name.
    pub(super) fn reader(&self, category: &str, name: &str) -> Option<Read> {
        let name = if category == ENTITIES { name } else { "" };
        self.read.get(&(category.to_owned(), name.to_owned())).copied()
    }

    /// The names of all aggregates.
    pub(super) fn categories(&self) -> impl Iterator<Item = &str> {
        self.read
            .keys()
            .map(|(category, _)| &**category)
            .filter(|category| *category != ENTITIES)
    }

    pub(super) fn knows_name(&self, category: &str, name: &str) -> bool {
        self.shapes
            .keys()
            .any(|key| key.category == category && key.name == name)
    }

    pub(super) fn knows_category(&self, category: &str) -> bool {
        category == ENTITIES || self.read.contains_key(&(category.to_owned(), String::new()))
    }
}
