use es_runtime::prelude::*;
use es_tests::bank::{Deposited, Opened};

#[projection(name = "balances")]
pub struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Balance { cents: 0 }
    }

    #[apply]
    fn deposited(_: Option<&mut Self>, _: Deposited) {}
}

fn main() {}
