//! The ledger on SQLite.

use es_runtime::InlineMeta;
use es_runtime::prelude::*;
use es_sqlite::{SqliteStore, SqliteTransaction};

use crate::bank::{Account, Deposited, Opened, Withdrawn};
use crate::totals::Totals;

/// A row an account.
#[projection(name = "ledger", inline, schema = "sqlite.sql")]
pub struct Ledger;

#[projection]
impl Ledger {
    #[apply]
    fn opened(tx: &mut SqliteTransaction<'_>, _: Opened, meta: &InlineMeta<Account>) -> Result<()> {
        insert(tx, meta)
    }

    #[apply]
    fn deposited(tx: &mut SqliteTransaction<'_>, event: Deposited, meta: &InlineMeta<Account>) -> Result<()> {
        add(tx, meta, event.amount)?;
        if event.amount == 14 {
            // The account stands there already.
            insert(tx, meta)?;
        }
        super::fails(event.amount)
    }

    #[apply]
    fn withdrawn(tx: &mut SqliteTransaction<'_>, event: Withdrawn, meta: &InlineMeta<Account>) -> Result<()> {
        add(tx, meta, -event.amount)
    }
}

/// The same in a build that knows what to do with every amount.
#[projection(name = "ledger", inline, schema = "sqlite.sql")]
pub struct Mended;

#[projection]
impl Mended {
    #[apply]
    fn opened(tx: &mut SqliteTransaction<'_>, _: Opened, meta: &InlineMeta<Account>) -> Result<()> {
        insert(tx, meta)
    }

    #[apply]
    fn deposited(tx: &mut SqliteTransaction<'_>, event: Deposited, meta: &InlineMeta<Account>) -> Result<()> {
        add(tx, meta, event.amount)
    }
}

fn insert(tx: &mut SqliteTransaction<'_>, meta: &InlineMeta<Account>) -> Result<()> {
    let sql = "INSERT INTO ledger_v1 (account, cents, events) VALUES (?1, 0, 1)";
    tx.execute(sql, [meta.id().to_string()])?;
    Ok(())
}

fn add(tx: &mut SqliteTransaction<'_>, meta: &InlineMeta<Account>, cents: i64) -> Result<()> {
    let sql = "UPDATE ledger_v1 SET cents = cents + ?2, events = events + 1 WHERE account = ?1";
    tx.execute(sql, (meta.id().to_string(), cents))?;
    Ok(())
}

/// The rows of the table.
///
/// # Panics
///
/// If the store fails.
pub async fn dump(store: &SqliteStore) -> Totals {
    let rows = store.query(|connection| {
        let mut statement = connection.prepare("SELECT account, cents, events FROM ledger_v1 ORDER BY account")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect()
    });
    rows.await.unwrap()
}
