use es_runtime::prelude::*;
use es_sqlite::SqliteTransaction;
use es_tests::bank::Opened;

#[event]
pub struct Listed {}

#[command]
pub struct List {}

#[derive(Debug, Clone, PartialEq, Aggregate)]
pub struct Product;

#[aggregate]
impl Product {
    #[handle]
    fn list(_: List) -> Listed {
        Listed {}
    }

    #[apply]
    fn listed(_: Listed) -> Self {
        Product
    }
}

#[projection(name = "totals", schema = "totals.sql")]
pub struct Totals;

#[projection]
impl Totals {
    #[apply]
    fn opened(_: &mut SqliteTransaction<'_>, _: Opened, meta: &Meta<Product>) -> Result<()> {
        let _ = meta;
        Ok(())
    }
}

fn main() {}
