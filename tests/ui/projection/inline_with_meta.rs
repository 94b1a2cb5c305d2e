use es_runtime::prelude::*;
use es_sqlite::SqliteTransaction;
use es_tests::bank::{Account, Opened};

#[projection(name = "totals", inline, schema = "totals.sql")]
pub struct Totals;

#[projection]
impl Totals {
    #[apply]
    fn opened(_: &mut SqliteTransaction<'_>, _: Opened, meta: &Meta<Account>) -> Result<()> {
        assert!(meta.position().0 > 0);
        Ok(())
    }
}

fn main() {}
