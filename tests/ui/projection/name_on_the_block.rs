use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[projection]
struct Balance {
    cents: i64,
}

#[projection(name = "balances")]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }
}

fn main() {}
