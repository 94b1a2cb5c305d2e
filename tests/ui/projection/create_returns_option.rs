use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[projection(name = "balances")]
pub struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Option<Self> {
        None
    }
}

fn main() {}
