use rusqlite::{Connection, Statement};

use crate::error::Problem;

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

    pub(crate) fn get(&mut self) -> Result<&mut Statement<'c>, Problem> {
        match &mut self.statement {
            Some(statement) => Ok(statement),
            slot @ None => {
                let prepared = self.connection.prepare(self.sql);
                Ok(slot.insert(prepared.map_err(Problem::unpreparable)?))
            }
        }
    }
}
