use es_runtime::prelude::*;
use es_tests::bank::{Deposited, Opened, Withdrawn};

#[projection(name = "balances")]
pub struct Balance {
    pub cents: i64,
}

#[projection]
impl Balance {
    #[apply(key = "owner")]
    fn opened(opened: Opened) -> Self {
        Self {
            cents: i64::from(opened.owner.is_empty()),
        }
    }

    #[apply(keys = ["amount", &event.amount.to_string()])]
    fn deposited(&mut self, event: Deposited) {
        self.cents += event.amount;
    }

    #[apply(key = (1))]
    fn withdrawn(&mut self, event: Withdrawn) {
        self.cents -= event.amount;
    }
}

fn main() {}
