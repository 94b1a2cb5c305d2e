use es_postgres::{PgTransaction, PostgresStore};
use es_runtime::prelude::*;
use es_runtime::{InlineMeta, StoreError};

use super::{Line, Lines};
use crate::account::{Deposited, Withdrawn};
use crate::{Account, Cents};

/// A line for each event that moves money, in PostgreSQL.
#[projection(name = "ledger", version = 1, inline, schema = "postgres.sql")]
pub(crate) struct GeneralLedger;

#[projection]
impl GeneralLedger {
    #[apply]
    async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited, meta: &InlineMeta<Account>) -> Result<()> {
        enter(tx, meta, event.amount.0).await
    }

    #[apply]
    async fn withdrawn(tx: &mut PgTransaction<'_>, event: Withdrawn, meta: &InlineMeta<Account>) -> Result<()> {
        enter(tx, meta, -event.amount.0).await
    }
}

async fn enter(tx: &mut PgTransaction<'_>, meta: &InlineMeta<Account>, cents: i64) -> Result<()> {
    let sql = "INSERT INTO ledger (account, line, cents, balance)
               SELECT $1, $2, $3, $3 + coalesce(
                   (SELECT balance FROM ledger WHERE account = $1 ORDER BY line DESC LIMIT 1), 0)";
    let line = i64::try_from(meta.version().0)?;
    Ok(tx.enqueue(sql, &[&meta.id().to_string(), &line, &cents]).await?)
}

/// The last so many lines.
pub(crate) async fn read(store: &PostgresStore, last: u32) -> Result<Lines, StoreError> {
    let sql = "SELECT * FROM (SELECT number, account, line, cents, balance FROM es_ledger_v1.ledger ORDER BY number DESC LIMIT $1) AS l
                ORDER BY number";
    let lines = store.query(sql, &[&i64::from(last)]).await?;
    let lines = lines.iter().map(|row| Line {
        number: row.get(0),
        account: row.get(1),
        version: row.get(2),
        amount: Cents(row.get(3)),
        balance: Cents(row.get(4)),
    });
    Ok(Lines(lines.collect()))
}
