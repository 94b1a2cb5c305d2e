//! What this build can read.

use std::collections::BTreeMap;

use super::aggregates::{Aggregates, Read};
use super::lock::{Key, Role};
use super::shape::Definition;

#[derive(Default)]
pub(super) struct Today {
    pub(super) shapes: BTreeMap<Key, Readable>,
    /// How the events of each aggregate are read.
    pub(super) read: BTreeMap<String, Read>,
    /// The version that is written of each event.
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
            today.read.insert(category.name.to_owned(), category.read);
            for info in category.events {
                let event = (category.name.to_owned(), info.name.to_owned());
                today.versions.insert(event, info.shape_version);
            }
            for found in category.found {
                let key = Key {
                    category: category.name.to_owned(),
                    name: found.name,
                    version: found.version,
                };
                match found.schema {
                    None => today.unknown.push((key, found.rust)),
                    Some(schema) => {
                        let readable = Readable {
                            role: Role::Event,
                            definition: Definition::of(&schema),
                            rust: found.rust,
                        };
                        today.shapes.insert(key, readable);
                    }
                }
            }
        });
        today
    }

    /// The version of the event that is written, if there is one of this name.
    pub(super) fn version(&self, key: &Key) -> Option<u32> {
        self.versions.get(&(key.category.clone(), key.name.clone())).copied()
    }

    pub(super) fn knows_name(&self, category: &str, name: &str) -> bool {
        self.shapes
            .keys()
            .any(|key| key.category == category && key.name == name)
    }

    pub(super) fn knows_category(&self, category: &str) -> bool {
        self.read.contains_key(category)
    }
}
