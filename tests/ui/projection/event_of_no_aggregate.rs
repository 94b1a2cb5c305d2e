use es_runtime::prelude::*;
use es_tests::bank::Opened;

#[event]
pub struct Shipped;

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
    fn shipped(&mut self, _: Shipped) {}
}

fn main() {}
