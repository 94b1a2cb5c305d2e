use std::collections::HashMap;

use rusqlite::{Connection, Statement};

/// The number of statements kept.
const KEPT: usize = 128;

/// Statements of which the text is known at run time only. Those in use are kept.
pub(crate) struct Statements<'c> {
    connection: &'c Connection,
    prepared: HashMap<String, Statement<'c>>,
}

impl<'c> Statements<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            prepared: HashMap::new(),
        }
    }

    pub(crate) fn connection(&self) -> &'c Connection {
        self.connection
    }

    pub(crate) fn get(&mut self, sql: &str) -> rusqlite::Result<&mut Statement<'c>> {
        if !self.prepared.contains_key(sql) {
            if self.prepared.len() >= KEPT {
                self.prepared.clear();
            }
            let statement = self.connection.prepare(sql)?;
            self.prepared.insert(sql.to_owned(), statement);
        }
        match self.prepared.get_mut(sql) {
            Some(statement) => Ok(statement),
            None => unreachable!("it was prepared above"),
        }
    }
}
