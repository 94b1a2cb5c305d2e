//! The ledger on PostgreSQL.

use es_postgres::{PgTransaction, PostgresStore};
use es_runtime::InlineMeta;
use es_runtime::prelude::*;

use crate::bank::{Account, Deposited, Opened, Withdrawn};
use crate::totals::Totals;

/// A row an account.
#[projection(name = "ledger", inline, schema = "postgres.sql")]
pub struct Ledger;

#[projection]
impl Ledger {
    #[apply]
    async fn opened(tx: &mut PgTransaction<'_>, _: Opened, meta: &InlineMeta<Account>) -> Result<()> {
        insert(tx, meta).await
    }

    #[apply]
    async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited, meta: &InlineMeta<Account>) -> Result<()> {
        add(tx, meta, event.amount).await?;
        if event.amount == 14 {
            // The account stands there already.
            insert(tx, meta).await?;
        }
        super::fails(event.amount)
    }

    #[apply]
    async fn withdrawn(tx: &mut PgTransaction<'_>, event: Withdrawn, meta: &InlineMeta<Account>) -> Result<()> {
        add(tx, meta, -event.amount).await
    }
}

/// The same in a build that knows what to do with every amount.
#[projection(name = "ledger", inline, schema = "postgres.sql")]
pub struct Mended;

#[projection]
impl Mended {
    #[apply]
    async fn opened(tx: &mut PgTransaction<'_>, _: Opened, meta: &InlineMeta<Account>) -> Result<()> {
        insert(tx, meta).await
    }

    #[apply]
    async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited, meta: &InlineMeta<Account>) -> Result<()> {
        add(tx, meta, event.amount).await
    }
}

async fn insert(tx: &mut PgTransaction<'_>, meta: &InlineMeta<Account>) -> Result<()> {
    let sql = "INSERT INTO ledger (account, cents, events) VALUES ($1, 0, 1)";
    tx.execute(sql, &[&meta.id().to_string()]).await?;
    Ok(())
}

async fn add(tx: &mut PgTransaction<'_>, meta: &InlineMeta<Account>, cents: i64) -> Result<()> {
    let sql = "UPDATE ledger SET cents = cents + $2, events = events + 1 WHERE account = $1";
    tx.execute(sql, &[&meta.id().to_string(), &cents]).await?;
    Ok(())
}

/// The rows of the table.
///
/// # Panics
///
/// If the store fails.
pub async fn dump(store: &PostgresStore) -> Totals {
    let sql = "SELECT account, cents, events FROM es_ledger_v1.ledger ORDER BY account COLLATE \"C\"";
    let rows = store.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}
