//! The totals on SQLite.

use es_runtime::prelude::*;
use es_sqlite::{SqliteStore, SqliteTransaction};

use crate::bank::{Account, Deposited, Opened, Withdrawn};

/// A row an account.
#[projection(name = "totals", schema = "sqlite.sql")]
pub struct Totals;

#[projection]
impl Totals {
    #[apply]
    fn opened(tx: &mut SqliteTransaction<'_>, _: Opened, meta: &Meta<Account>) -> Result<()> {
        let sql = "INSERT INTO totals_v1 (account, cents, events) VALUES (?1, 0, 1)";
        tx.execute(sql, [meta.id().to_string()])?;
        Ok(())
    }

    #[apply]
    fn deposited(tx: &mut SqliteTransaction<'_>, event: Deposited, meta: &Meta<Account>) -> Result<()> {
        add(tx, meta, event.amount)
    }

    #[apply]
    fn withdrawn(tx: &mut SqliteTransaction<'_>, event: Withdrawn, meta: &Meta<Account>) -> Result<()> {
        add(tx, meta, -event.amount)
    }
}

fn add(tx: &mut SqliteTransaction<'_>, meta: &Meta<Account>, cents: i64) -> Result<()> {
    let sql = "UPDATE totals_v1 SET cents = cents + ?2, events = events + 1 WHERE account = ?1";
    tx.execute(sql, (meta.id().to_string(), cents))?;
    Ok(())
}

/// The rows of the table.
///
/// # Panics
///
/// If the store fails.
pub async fn dump(store: &SqliteStore) -> super::Totals {
    let rows = store.query(|connection| {
        let mut statement = connection.prepare("SELECT account, cents, events FROM totals_v1 ORDER BY account")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect()
    });
    rows.await.unwrap()
}
