use es_runtime::prelude::*;
use es_sqlite::SqliteTransaction;
use es_tests::bank::Opened;

#[projection(name = "totals", schema = "totals.sql")]
pub struct Totals;

#[projection]
impl Totals {
    #[apply(key = event.owner)]
    fn opened(_: &mut SqliteTransaction<'_>, event: Opened) -> Result<()> {
        Ok(())
    }
}

fn main() {}
