//! The file `events.lock`.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::shape::Definition;
use super::text::Parser;

const HEADER: &str = "\
# The stored shape of every event and entity, written and checked by a test. After an addition: ES_EVENTS_LOCK=accept cargo test
#
#   field?: T = v   may be missing, and is then read as v (without one: as nothing)
#   ...: T          any further fields; what is not listed is not read
#   T[]   [T, U]    a list; a tuple
#   T | U   T / U   either; the first that fits
#   @T              a type that contains itself, given below by `with`
";

/// Under what an event or an entity is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The name of the aggregate, or [`ENTITIES`].
    pub(super) category: String,
    pub(super) name: String,
    pub(super) version: u32,
}

/// The category of entities, which belong to no aggregate. No aggregate has this name.
pub(super) const ENTITIES: &str = "";

/// The word before the name of an entity.
const ENTITY: &str = "entity";

impl Key {
    pub(super) fn is_entity(&self) -> bool {
        self.category == ENTITIES
    }

    /// The name of its attribute.
    pub(super) fn noun(&self) -> &'static str {
        if self.is_entity() { ENTITY } else { "event" }
    }

    /// Several of them.
    pub(super) fn nouns(&self) -> &'static str {
        if self.is_entity() { "entities" } else { "events" }
    }

    /// Returns whether `other` is a newer version of the same event.
    pub(super) fn is_older_than(&self, other: &Self) -> bool {
        self.category == other.category && self.name == other.name && self.version < other.version
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            category,
            name,
            version,
        } = self;
        if self.is_entity() {
            write!(f, "{ENTITY} {name} {version}")
        } else {
            write!(f, "{category}/{name} {version}")
        }
    }
}

/// The use of its name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Role {
    /// It is written, or was before a newer version.
    Event,
    /// It is only read.
    Retired,
    /// The name stands for the event that has this one now.
    AliasOf(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) role: Role,
    pub(super) definition: Definition,
}

pub(super) type Lock = BTreeMap<Key, Entry>;

pub(super) fn write(lock: &Lock) -> String {
    let mut text = HEADER.to_owned();
    for (key, entry) in lock {
        let role = match &entry.role {
            Role::Event => String::new(),
            Role::Retired => " (retired)".to_owned(),
            Role::AliasOf(name) => format!(" (alias of {name})"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{key}{role} {}", entry.definition.lines());
    }
    text
}

/// Reads the file. The error says in which line of it what is wrong.
pub(super) fn read(text: &str) -> Result<Lock, String> {
    let mut parser = Parser::new(text);
    let mut lock = Lock::new();
    while !parser.is_at_end() {
        let entry = entry(&mut parser);
        let (key, entry) = entry.map_err(|error| format!("line {}: {error}", parser.line()))?;
        if lock.contains_key(&key) {
            return Err(format!("line {}: `{key}` is there twice", parser.line()));
        }
        lock.insert(key, entry);
    }
    Ok(lock)
}

fn entry(parser: &mut Parser<'_>) -> Result<(Key, Entry), String> {
    let mut category = parser.word("the name of an aggregate")?.to_owned();
    if category == ENTITY && !parser.is_at("/") {
        ENTITIES.clone_into(&mut category);
    } else {
        parser.expect("/")?;
    }
    let name = parser.word("a name")?.to_owned();
    let version = parser.word("the version of its shape")?;
    let version = version
        .parse()
        .map_err(|_| format!("`{version}` is not the version of a shape"))?;
    let role = role(parser)?;
    let definition = parser.definition()?;
    let key = Key {
        category,
        name,
        version,
    };
    Ok((key, Entry { role, definition }))
}

/// `(retired)` and `(alias of …)` are no shapes: a shape in parentheses holds a `|` or `/`.
fn role(parser: &mut Parser<'_>) -> Result<Role, String> {
    if parser.take("(retired)") {
        return Ok(Role::Retired);
    }
    if !parser.take("(alias of ") {
        return Ok(Role::Event);
    }
    let name = parser.word("the name of an event")?.to_owned();
    parser.expect(")")?;
    Ok(Role::AliasOf(name))
}
