//! The bank of the tests.

use es_runtime::prelude::*;

/// The account was opened.
#[event]
pub struct Opened {
    /// By or for whom.
    pub owner: String,
}

/// Money came in.
#[event]
pub struct Deposited {
    /// In cents.
    pub amount: i64,
}

/// Money went out.
#[event]
pub struct Withdrawn {
    /// In cents.
    pub amount: i64,
}

/// Opens an account.
#[command]
pub struct Open {
    /// By or for whom.
    pub owner: String,
}

/// Puts money in.
#[command(validate)]
pub struct Deposit {
    /// In cents.
    pub amount: i64,
}

impl Deposit {
    fn validate(&self) -> Result<(), Invalid> {
        if self.amount > 0 {
            Ok(())
        } else {
            Err(Invalid::new("amount", "must be positive"))
        }
    }
}

/// Takes money out.
#[command]
pub struct Withdraw {
    /// In cents.
    pub amount: i64,
}

/// Does nothing, and says so.
#[command]
pub struct Audit;

/// Why a withdrawal is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("insufficient funds: the balance is {balance}")]
pub struct InsufficientFunds {
    /// In cents.
    pub balance: i64,
}

/// A bank account.
#[derive(Debug, Clone, PartialEq, Aggregate)]
pub struct Account {
    /// By or for whom.
    pub owner: String,
    /// In cents.
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
            return Err(InsufficientFunds { balance: self.balance });
        }
        Ok(Withdrawn { amount: cmd.amount })
    }

    #[handle]
    fn audit(&self, _: Audit) {}

    #[apply]
    fn opened(event: Opened) -> Self {
        Account {
            owner: event.owner,
            balance: 0,
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

/// An account with this balance.
///
/// # Panics
///
/// If the store fails.
pub async fn account_with(runtime: &Runtime, balance: i64) -> Id<Account> {
    let id = Id::new();
    runtime.execute(id, Open { owner: "Alice".into() }).await.unwrap();
    if balance > 0 {
        runtime.execute(id, Deposit { amount: balance }).await.unwrap();
    }
    id
}

/// The balance of the account.
///
/// # Panics
///
/// If the store fails, or there is no such account.
pub async fn balance(runtime: &Runtime, id: Id<Account>) -> i64 {
    runtime.load(id).await.unwrap().unwrap().balance
}
