use es_runtime::prelude::*;
use es_tests::bank::{Deposited, Opened, Withdrawn};

#[projection(name = "Balances", version = 0, indexes = ["owner"])]
pub struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Balance { cents: 0 }
    }

    #[apply(by = event.amount)]
    fn deposited(&self, event: &Deposited) {}

    #[apply]
    async fn withdrawn(&mut self, event: Withdrawn) -> i64 {
        self.cents
    }
}

fn main() {}
