use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[projection(name = "balances", inline, park)]
pub struct Balance {
    pub cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Balance { cents: 0 }
    }
}

fn main() {}
