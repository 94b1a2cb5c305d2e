use es_runtime::prelude::*;
use es_tests::bank::Opened;

struct Connection;

#[projection(name = "totals", schema = "totals.sql")]
pub struct Totals;

#[projection]
impl Totals {
    #[apply]
    fn opened(connection: &mut Connection, _: Opened) -> Result<()> {
        Ok(())
    }
}

fn main() {}
