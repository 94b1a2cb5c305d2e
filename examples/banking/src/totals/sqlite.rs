use es_runtime::StoreError;
use es_runtime::prelude::*;
use es_sqlite::{SqliteStore, SqliteTransaction};

use super::{Day, day};
use crate::account::{Deposited, Opened, Withdrawn};
use crate::{Account, Cents};

/// A row a day, in SQLite.
#[projection(name = "totals", version = 2, schema = "sqlite.sql")]
pub(crate) struct Totals;

#[projection]
impl Totals {
    #[apply]
    fn opened(tx: &mut SqliteTransaction<'_>, _: Opened, meta: &Meta<Account>) -> Result<()> {
        add(tx, meta, [1, 0, 0])
    }

    #[apply]
    fn deposited(tx: &mut SqliteTransaction<'_>, event: Deposited, meta: &Meta<Account>) -> Result<()> {
        add(tx, meta, [0, event.amount.0, 0])
    }

    #[apply]
    fn withdrawn(tx: &mut SqliteTransaction<'_>, event: Withdrawn, meta: &Meta<Account>) -> Result<()> {
        add(tx, meta, [0, 0, event.amount.0])
    }
}

fn add(tx: &mut SqliteTransaction<'_>, meta: &Meta<Account>, [opened, paid_in, paid_out]: [i64; 3]) -> Result<()> {
    let sql = "INSERT INTO totals_v2 (day, opened, paid_in, paid_out) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (day) DO UPDATE
               SET opened = opened + ?2, paid_in = paid_in + ?3, paid_out = paid_out + ?4";
    tx.execute(sql, (day(meta), opened, paid_in, paid_out))?;
    Ok(())
}

/// Reads the table.
pub(crate) async fn read(store: &SqliteStore) -> Result<super::Totals, StoreError> {
    let days = store.query(|connection| {
        let mut days = connection.prepare("SELECT day, opened, paid_in, paid_out FROM totals_v2 ORDER BY day")?;
        let days = days.query_map([], |row| {
            Ok(Day {
                date: row.get(0)?,
                opened: row.get(1)?,
                paid_in: Cents(row.get(2)?),
                paid_out: Cents(row.get(3)?),
            })
        })?;
        days.collect()
    });
    days.await.map(super::Totals)
}
