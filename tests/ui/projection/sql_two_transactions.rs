use es_runtime::prelude::*;
use es_postgres::PgTransaction;
use es_sqlite::SqliteTransaction;
use es_tests::bank::{Deposited, Opened};

#[projection(name = "totals", schema = "totals.sql")]
pub struct Totals;

#[projection]
impl Totals {
    #[apply]
    async fn opened(_: &mut PgTransaction<'_>, _: Opened) -> Result<()> {
        Ok(())
    }

    #[apply]
    fn deposited(_: &mut SqliteTransaction<'_>, _: Deposited) -> Result<()> {
        Ok(())
    }
}

fn main() {}
