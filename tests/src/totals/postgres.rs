//! The totals on PostgreSQL.

use es_postgres::{PgTransaction, PostgresStore};
use es_runtime::prelude::*;

use crate::bank::{Account, Deposited, Opened, Withdrawn};

/// A row an account.
#[projection(name = "totals", schema = "postgres.sql")]
pub struct Totals;

#[projection]
impl Totals {
    #[apply]
    async fn opened(tx: &mut PgTransaction<'_>, _: Opened, meta: &Meta<Account>) -> Result<()> {
        let sql = "INSERT INTO totals (account, cents, events) VALUES ($1, 0, 1)";
        tx.execute(sql, &[&meta.id().to_string()]).await?;
        Ok(())
    }

    #[apply]
    async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited, meta: &Meta<Account>) -> Result<()> {
        add(tx, meta, event.amount).await
    }

    #[apply]
    async fn withdrawn(tx: &mut PgTransaction<'_>, event: Withdrawn, meta: &Meta<Account>) -> Result<()> {
        add(tx, meta, -event.amount).await
    }
}

async fn add(tx: &mut PgTransaction<'_>, meta: &Meta<Account>, cents: i64) -> Result<()> {
    let sql = "UPDATE totals SET cents = cents + $2, events = events + 1 WHERE account = $1";
    Ok(tx.enqueue(sql, &[&meta.id().to_string(), &cents]).await?)
}

/// The rows of the table.
///
/// # Panics
///
/// If the store fails.
pub async fn dump(store: &PostgresStore) -> super::Totals {
    let sql = "SELECT account, cents, events FROM es_totals_v1.totals ORDER BY account COLLATE \"C\"";
    let rows = store.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}
