use es_runtime::prelude::*;
use es_sqlite::SqliteTransaction;
use es_tests::bank::Opened;

#[projection(name = "totals", schema = "totals.sql")]
pub struct Totals;

#[projection]
impl Totals {
    #[apply]
    async fn opened(tx: &mut SqliteTransaction<'_>, _: Opened) -> Result<()> {
        tx.execute("DELETE FROM totals_v1", [])?;
        Ok(())
    }
}

fn main() {}
