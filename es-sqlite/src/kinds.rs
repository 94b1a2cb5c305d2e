use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use crate::error::Problem;
use crate::statement::Prepared;

/// The kinds of events that are stored. Those known to be in the table are kept in memory, so that an append of a known kind
/// writes nothing more.
pub(crate) struct Kinds<'c> {
    insert: Prepared<'c>,
    /// The versions of each name of each category. Nested, so that a known one is found without a copy.
    known: HashMap<String, HashMap<String, HashSet<u32>>>,
}

impl<'c> Kinds<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self {
            insert: Prepared::new(
                connection,
                "INSERT OR IGNORE INTO event_types (category, name, shape_version) VALUES (?1, ?2, ?3)",
            ),
            known: HashMap::new(),
        }
    }

    /// Notes that there is an event of this kind.
    pub(crate) fn note(&mut self, category: &str, name: &str, shape_version: u32) -> Result<(), Problem> {
        let versions = self.known.get(category).and_then(|names| names.get(name));
        if versions.is_some_and(|versions| versions.contains(&shape_version)) {
            return Ok(());
        }
        self.insert.get()?.execute((category, name, shape_version))?;
        let names = self.known.entry(category.to_owned()).or_default();
        names.entry(name.to_owned()).or_default().insert(shape_version);
        Ok(())
    }

    /// Forgets all kinds: those noted since the last commit may not be in the table.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }
}
