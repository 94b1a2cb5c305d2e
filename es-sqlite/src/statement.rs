use rusqlite::{Connection, Statement};

/// A statement that is prepared at its first use, and kept.
///
/// The statement cache of rusqlite is a feature that its older versions in our range do not have.
pub(crate) struct Prepared<'c> {
    connection: &'c Connection,
    sql: &'static str,
    statement: Option<Statement<'c>>,
}

impl<'c> Prepared<'c> {
    pub(crate) fn new(connection: &'c Connection, sql: &'static str) -> Self {
        Self {
            connection,
            sql,
            statement: None,
        }
    }

    pub(crate) fn get(&mut self) -> rusqlite::Result<&mut Statement<'c>> {
        match &mut self.statement {
            Some(statement) => Ok(statement),
            slot @ None => Ok(slot.insert(self.connection.prepare(self.sql)?)),
        }
    }
}
