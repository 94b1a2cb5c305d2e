use es_postgres::{PgTransaction, PostgresStore};
use es_runtime::StoreError;
use es_runtime::prelude::*;

use super::{Day, day};
use crate::account::{Deposited, Opened, Withdrawn};
use crate::{Account, Cents};

/// A row a day, in PostgreSQL.
#[projection(name = "totals", version = 2, schema = "postgres.sql")]
pub(crate) struct Totals;

#[projection]
impl Totals {
    #[apply]
    async fn opened(tx: &mut PgTransaction<'_>, _: Opened, meta: &Meta<Account>) -> Result<()> {
        add(tx, meta, [1, 0, 0]).await
    }

    #[apply]
    async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited, meta: &Meta<Account>) -> Result<()> {
        add(tx, meta, [0, event.amount.0, 0]).await
    }

    #[apply]
    async fn withdrawn(tx: &mut PgTransaction<'_>, event: Withdrawn, meta: &Meta<Account>) -> Result<()> {
        add(tx, meta, [0, 0, event.amount.0]).await
    }
}

async fn add(tx: &mut PgTransaction<'_>, meta: &Meta<Account>, [opened, paid_in, paid_out]: [i64; 3]) -> Result<()> {
    let sql = "INSERT INTO totals AS t (day, opened, paid_in, paid_out) VALUES ($1, $2, $3, $4)
               ON CONFLICT (day) DO UPDATE
               SET opened = t.opened + $2, paid_in = t.paid_in + $3, paid_out = t.paid_out + $4";
    Ok(tx.enqueue(sql, &[&day(meta), &opened, &paid_in, &paid_out]).await?)
}

/// Reads the table.
pub(crate) async fn read(store: &PostgresStore) -> Result<super::Totals, StoreError> {
    let sql = "SELECT day, opened, paid_in, paid_out FROM es_totals_v2.totals ORDER BY day";
    let days = store.query(sql, &[]).await?;
    let days = days.iter().map(|row| Day {
        date: row.get(0),
        opened: row.get(1),
        paid_in: Cents(row.get(2)),
        paid_out: Cents(row.get(3)),
    });
    Ok(super::Totals(days.collect()))
}
