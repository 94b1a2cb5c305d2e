use es_runtime::prelude::*;
use es_tests::balances::{Sent, Settled};
use es_tests::bank::Opened;

#[projection(name = "balances", segments = 4)]
pub struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply(keys = [event.from, event.to])]
    fn sent(&mut self, event: Sent) {
        self.cents += event.amount;
    }

    #[apply(key = event.account)]
    fn settled(self, _: Settled) -> Option<Self> {
        None
    }
}

fn main() {}
