use es_runtime::prelude::*;
use es_tests::bank::{Deposited, Opened};

#[derive(Aggregate)]
pub struct Other;

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
    fn deposited(&mut self, _: Deposited, _: &Meta<Other>) {}
}

fn main() {}
