use es_runtime::prelude::*;
use es_sqlite::SqliteStore;
use es_tests::bank::Opened;

#[projection(name = "totals", schema = "totals.sql")]
pub struct Totals;

#[projection]
impl Totals {
    #[apply]
    fn opened(store: &SqliteStore, _: Opened) -> Result<()> {
        Ok(())
    }
}

fn main() {}
