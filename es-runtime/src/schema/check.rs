//! Compares a lock file with the events of this build.

use super::compare::{Difference, compare};
use super::lock::{Entry, Key, Lock, Role};
use super::renamed::{self, Renamed};
use super::shape::Definition;
use super::today::Today;

/// Something that cannot be accepted.
pub(super) enum Problem {
    /// The stored shape is not the one that is read.
    Changed {
        key: Key,
        rust: String,
        /// The version of the event that is written.
        current: u32,
        differences: Vec<Difference>,
        stored: Definition,
        today: Definition,
    },
    /// Nothing reads it.
    Vanished { key: Key, stored: Definition, guess: Guess },
    /// The whole aggregate is gone.
    AggregateVanished { category: String, renamed: Option<String> },
    /// There is a newer version of it already.
    WentDown { key: Key, rust: String, current: u32 },
    /// A version of it can no longer be read.
    VersionVanished {
        key: Key,
        rust: String,
        current: u32,
        stored: Definition,
    },
    /// The name stood for another event.
    Reused { key: Key, rust: String, before: Role },
    /// An implementation by hand does not tell its shape.
    Unknown { key: Key, rust: String },
}

/// A guess at what happened to an event that is gone.
pub(super) enum Guess {
    Removed,
    /// There are new events of the same shape.
    Renamed(Renamed),
    /// There is one of the same name at another aggregate.
    Moved {
        category: String,
    },
}

/// Something that is not in the file yet.
pub(super) enum Addition {
    Shape(Key),
    Grown(Key, Vec<Difference>),
    Role(Key, Role),
}

impl Addition {
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::Shape(key) | Self::Grown(key, _) | Self::Role(key, _) => key,
        }
    }
}

#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) additions: Vec<Addition>,
}

pub(super) fn check(lock: &Lock, today: &Today) -> Findings {
    let mut findings = Findings::default();
    for (key, rust) in &today.unknown {
        findings.problems.push(Problem::Unknown {
            key: key.clone(),
            rust: rust.clone(),
        });
    }
    let mut gone = Vec::new();
    for (key, entry) in lock {
        if today.knows_category(&key.category) {
            findings.entry(key, entry, lock, today);
        } else if !gone.contains(&&key.category) {
            gone.push(&key.category);
            findings.problems.push(Problem::AggregateVanished {
                category: key.category.clone(),
                renamed: renamed_aggregate(&key.category, lock, today),
            });
        }
    }
    for (key, readable) in &today.shapes {
        let named = |other: &&Key| other.category == key.category && other.name == key.name;
        // A name that is no longer written gets no further versions.
        let closed = matches!(readable.role, Role::AliasOf(_)) && lock.keys().any(|other| named(&other));
        if !lock.contains_key(key) && !closed {
            findings.additions.push(Addition::Shape(key.clone()));
        }
    }
    findings
}

impl Findings {
    fn entry(&mut self, key: &Key, entry: &Entry, lock: &Lock, today: &Today) {
        let Some(readable) = today.shapes.get(key) else {
            if !today.unknown.iter().any(|(unknown, _)| unknown == key) {
                self.problems.push(missing(key, entry, lock, today));
            }
            return;
        };
        let rust = || readable.rust.clone();
        if entry.role != Role::Event && readable.role == Role::Event {
            return self.problems.push(Problem::Reused {
                key: key.clone(),
                rust: rust(),
                before: entry.role.clone(),
            });
        }
        let differences = compare(&entry.definition, &readable.definition);
        if differences.iter().any(|difference| difference.kind.is_breaking()) {
            return self.problems.push(Problem::Changed {
                key: key.clone(),
                rust: rust(),
                current: today.version(key).unwrap_or(key.version),
                differences,
                stored: entry.definition.clone(),
                today: readable.definition.clone(),
            });
        }
        if entry.role != readable.role {
            self.additions.push(Addition::Role(key.clone(), readable.role.clone()));
        }
        if !differences.is_empty() {
            self.additions.push(Addition::Grown(key.clone(), differences));
        }
    }
}

/// Why a stored shape is not among those that can be read.
fn missing(key: &Key, entry: &Entry, lock: &Lock, today: &Today) -> Problem {
    let stored = entry.definition.clone();
    let rust_of = |version: u32| {
        let key = Key { version, ..key.clone() };
        today
            .shapes
            .get(&key)
            .map_or_else(|| "…".to_owned(), |readable| readable.rust.clone())
    };
    match today.version(key) {
        Some(current) if current < key.version => Problem::WentDown {
            key: key.clone(),
            rust: rust_of(current),
            current,
        },
        Some(current) => Problem::VersionVanished {
            key: key.clone(),
            rust: rust_of(current),
            current,
            stored,
        },
        None => Problem::Vanished {
            guess: guess(key, entry, lock, today),
            key: key.clone(),
            stored,
        },
    }
}

fn guess(key: &Key, entry: &Entry, lock: &Lock, today: &Today) -> Guess {
    if let Role::AliasOf(name) = &entry.role {
        let is_it = |other: &Key| other.category == key.category && other.name == *name;
        if let Some((_, readable)) = today.shapes.iter().rfind(|(other, _)| is_it(other)) {
            return Guess::Renamed(Renamed::into(&readable.rust));
        }
    }
    let moved = today
        .shapes
        .keys()
        .find(|other| other.name == key.name && other.noun() == key.noun() && !renamed::is_locked(lock, other));
    if let Some(other) = moved {
        let category = other.category.clone();
        return Guess::Moved { category };
    }
    renamed::guess(key, lock, today).map_or(Guess::Removed, Guess::Renamed)
}

/// The aggregate that has the events of one that is gone, and is new.
fn renamed_aggregate(category: &str, lock: &Lock, today: &Today) -> Option<String> {
    let mut names = lock.keys().filter(|key| key.category == category).map(|key| &key.name);
    let first = names.next()?;
    let new = today
        .categories()
        .filter(|name| !lock.keys().any(|key| key.category == **name));
    new.filter(|name| today.knows_name(name, first) && names.clone().all(|event| today.knows_name(name, event)))
        .map(ToOwned::to_owned)
        .next()
}
