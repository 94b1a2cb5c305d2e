use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[projection(name = "balances")]
pub struct Balance {
    cents: i64,
}

#[projection(version = 2)]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Balance { cents: 0 }
    }
}

fn main() {}
