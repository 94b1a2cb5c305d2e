use es_postgres::PgTransaction;
use es_runtime::prelude::*;
use es_sqlite::SqliteStore;
use es_tests::bank::Opened;

#[projection(name = "totals", schema = "totals.sql")]
pub struct Totals;

#[projection]
impl Totals {
    #[apply]
    async fn opened(_: &mut PgTransaction<'_>, _: Opened) -> Result<()> {
        Ok(())
    }
}

async fn start(store: SqliteStore) {
    let _ = Runtime::builder(store).projection::<Totals>().start().await;
}

fn main() {}
