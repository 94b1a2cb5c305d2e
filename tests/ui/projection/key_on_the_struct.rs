use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[projection(name = "balances", key = owner)]
struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }
}

fn main() {}
