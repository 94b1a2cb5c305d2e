//! The bank of the README.

use es_runtime::prelude::*;

#[event]
pub struct Opened {
    pub owner: String,
}

#[event]
pub struct Deposited {
    pub amount: i64,
}

#[event]
pub struct Withdrawn {
    pub amount: i64,
}

#[command]
pub struct Open {
    pub owner: String,
}

#[command]
pub struct Deposit {
    pub amount: i64,
}

#[command]
pub struct Withdraw {
    pub amount: i64,
}

/// The balance does not suffice.
#[derive(Debug, PartialEq)]
pub struct InsufficientFunds;

impl std::fmt::Display for InsufficientFunds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("insufficient funds")
    }
}

impl std::error::Error for InsufficientFunds {}

#[derive(Aggregate)]
pub struct Account {
    pub balance: i64,
}

#[aggregate]
impl Account {
    #[handle]
    fn open(cmd: Open) -> Opened {
        Opened { owner: cmd.owner }
    }

    #[handle]
    fn deposit(&self, cmd: Deposit) -> Deposited {
        Deposited { amount: cmd.amount }
    }

    #[handle]
    fn withdraw(&self, cmd: Withdraw) -> Result<Withdrawn, InsufficientFunds> {
        if cmd.amount > self.balance {
            return Err(InsufficientFunds);
        }
        Ok(Withdrawn { amount: cmd.amount })
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account { balance: 0 }
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
