//! The banking domain of the documentation.

#![deny(warnings, missing_docs, clippy::pedantic)]
#![forbid(unsafe_code)]

use es_runtime::prelude::*;
use es_runtime::testing::Given;

type Cents = i64;

/// Opened.
#[event]
pub struct Opened {
    /// Who.
    pub owner: String,
}

/// Deposited.
#[event]
pub struct Deposited {
    /// How much.
    pub amount: Cents,
}

/// Withdrawn.
#[event]
pub struct Withdrawn {
    /// How much.
    pub amount: Cents,
}

/// Open.
#[command]
pub struct Open {
    /// Who.
    pub owner: String,
}

/// Deposit.
#[command]
pub struct Deposit {
    /// How much.
    pub amount: Cents,
}

/// Withdraw.
#[command]
pub struct Withdraw {
    /// How much.
    pub amount: Cents,
}

/// Why not.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Zero or less.
    #[error("the amount must be positive")]
    NotPositive,
    /// Too much.
    #[error("insufficient funds: the balance is {balance}")]
    InsufficientFunds {
        /// What there is.
        balance: Cents,
    },
}

/// An account.
#[derive(Aggregate)]
#[es(name = "account")]
pub struct Account {
    balance: Cents,
}

#[aggregate]
impl Account {
    #[handle]
    fn open(cmd: Open) -> Opened {
        Opened { owner: cmd.owner }
    }

    #[handle]
    fn deposit(&self, cmd: Deposit) -> Result<Deposited, Refused> {
        positive(cmd.amount)?;
        Ok(Deposited { amount: cmd.amount })
    }

    #[handle]
    fn withdraw(&self, cmd: Withdraw) -> Result<Withdrawn, Refused> {
        positive(cmd.amount)?;
        if cmd.amount > self.balance {
            return Err(Refused::InsufficientFunds { balance: self.balance });
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

fn positive(amount: Cents) -> Result<(), Refused> {
    if amount > 0 { Ok(()) } else { Err(Refused::NotPositive) }
}

#[test]
fn a_withdrawal_beyond_the_balance_is_refused() {
    Account::given((Opened { owner: "Alice".into() }, Deposited { amount: 50 }))
        .when(Withdraw { amount: 80 })
        .then_refused(Refused::InsufficientFunds { balance: 50 });
}

#[test]
fn a_withdrawal_within_the_balance() {
    Account::given((Opened { owner: "Alice".into() }, Deposited { amount: 50 }))
        .when(Withdraw { amount: 20 })
        .then(Withdrawn { amount: 20 });
}

#[tokio::test]
async fn commands_as_types_and_as_data() -> Result<()> {
    let runtime = Runtime::builder(MemoryStore::new()).start().await?;
    let alice = Id::<Account>::new();
    runtime.execute(alice, Open { owner: "Alice".into() }).await?;
    let deposit: AccountCommand = serde_json::from_str(r#"{"deposit": {"amount": 70}}"#)?;
    runtime.execute(alice, deposit).await?;
    runtime.execute(alice, Withdraw { amount: 20 }).await?;
    let account = runtime.load(alice).await?.unwrap_or_else(|| panic!("it was opened"));
    assert_eq!(account.state.balance, 50);
    Ok(())
}
