//! The balance of each account: a read model, which answers without folding every account.

use es_runtime::prelude::*;

use crate::Cents;
use crate::account::{Deposited, Opened, Withdrawn};

/// A row for each account, under its number.
#[projection(name = "balances", version = 1, index = ["balance"])]
pub struct Balance {
    /// Whose account it is.
    pub owners: Vec<String>,
    /// The balance.
    pub balance: Cents,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(event: Opened) -> Self {
        Balance {
            owners: event.owners,
            balance: Cents::default(),
        }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.balance += event.amount;
    }

    #[apply]
    fn withdrawn(&mut self, event: Withdrawn) {
        self.balance -= event.amount;
    }
}
