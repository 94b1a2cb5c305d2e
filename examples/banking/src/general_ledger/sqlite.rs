use es_runtime::prelude::*;
use es_runtime::{InlineMeta, StoreError};
use es_sqlite::{SqliteStore, SqliteTransaction};

use super::{Line, Lines};
use crate::account::{Deposited, Withdrawn};
use crate::{Account, Cents};

/// A line for each event that moves money, in SQLite.
#[projection(name = "ledger", version = 1, inline, schema = "sqlite.sql")]
pub(crate) struct GeneralLedger;

#[projection]
impl GeneralLedger {
    #[apply]
    fn deposited(tx: &mut SqliteTransaction<'_>, event: Deposited, meta: &InlineMeta<Account>) -> Result<()> {
        enter(tx, meta, event.amount.0)
    }

    #[apply]
    fn withdrawn(tx: &mut SqliteTransaction<'_>, event: Withdrawn, meta: &InlineMeta<Account>) -> Result<()> {
        enter(tx, meta, -event.amount.0)
    }
}

fn enter(tx: &mut SqliteTransaction<'_>, meta: &InlineMeta<Account>, cents: i64) -> Result<()> {
    let sql = "INSERT INTO ledger_v1 (account, line, cents, balance)
               SELECT ?1, ?2, ?3, ?3 + coalesce(
                   (SELECT balance FROM ledger_v1 WHERE account = ?1 ORDER BY line DESC LIMIT 1), 0)";
    let line = i64::try_from(meta.version().0)?;
    tx.execute(sql, (meta.id().to_string(), line, cents))?;
    Ok(())
}

/// The last so many lines.
pub(crate) async fn read(store: &SqliteStore, last: u32) -> Result<Lines, StoreError> {
    let lines = store.query(move |connection| {
        let sql =
            "SELECT * FROM (SELECT number, account, line, cents, balance FROM ledger_v1 ORDER BY number DESC LIMIT ?1)
                   ORDER BY number";
        let mut lines = connection.prepare(sql)?;
        let lines = lines.query_map([last], |row| {
            Ok(Line {
                number: row.get(0)?,
                account: row.get(1)?,
                version: row.get(2)?,
                amount: Cents(row.get(3)?),
                balance: Cents(row.get(4)?),
            })
        })?;
        lines.collect()
    });
    lines.await.map(Lines)
}
