//! The account: what it can be asked, what can happen to it, and its rules.

use es_runtime::prelude::*;

pub use crate::opened::Opened;
use crate::{AccountNumber, Cents, Refused};

/// Opens an account.
#[command(validate)]
pub struct Open {
    /// Whose account it is.
    pub owner: String,
    /// The other owners.
    // A new field of a request is left out if it is empty: a line of a ledger that an older build has imported is then
    // the same request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joint: Vec<String>,
    /// By how much it may be overdrawn.
    #[serde(default, skip_serializing_if = "Cents::is_zero")]
    pub overdraft: Cents,
}

impl Open {
    fn validate(&self) -> Result<(), Invalid> {
        if self.owner.trim().is_empty() {
            return Err(Invalid::new("owner", "an account needs an owner"));
        }
        if self.joint.iter().any(|owner| owner.trim().is_empty()) {
            return Err(Invalid::new("joint", "each owner needs a name"));
        }
        if self.overdraft < Cents::ZERO {
            return Err(Invalid::new("overdraft", "it must not be negative"));
        }
        Ok(())
    }
}

/// Pays money in.
#[command]
pub struct Deposit {
    /// The amount.
    pub amount: Cents,
}

/// Pays money out.
#[command]
pub struct Withdraw {
    /// The amount.
    pub amount: Cents,
}

/// Money was paid in.
#[event]
pub struct Deposited {
    /// The amount.
    pub amount: Cents,
}

/// Money was paid out.
#[event]
pub struct Withdrawn {
    /// The amount.
    pub amount: Cents,
}

/// An account, as far as its rules need to know it.
#[derive(Debug, Clone, PartialEq, Aggregate)]
#[es(name = "account", id = AccountNumber)]
pub struct Account {
    /// Whose account it is.
    pub owners: Vec<String>,
    /// The balance; below zero if the account is overdrawn.
    pub balance: Cents,
    /// By how much it may be overdrawn.
    pub overdraft: Cents,
}

#[aggregate]
impl Account {
    #[handle]
    fn open(cmd: Open) -> Opened {
        let mut owners = vec![cmd.owner];
        owners.extend(cmd.joint);
        Opened {
            owners,
            overdraft: cmd.overdraft,
        }
    }

    #[handle]
    fn deposit(&self, cmd: Deposit) -> Result<Deposited, Refused> {
        positive(cmd.amount)?;
        self.balance.checked_add(cmd.amount).ok_or(Refused::TooLarge)?;
        Ok(Deposited { amount: cmd.amount })
    }

    #[handle]
    fn withdraw(&self, cmd: Withdraw) -> Result<Withdrawn, Refused> {
        positive(cmd.amount)?;
        if self
            .balance
            .checked_add(self.overdraft)
            .is_some_and(|available| cmd.amount > available)
        {
            return Err(Refused::InsufficientFunds { balance: self.balance });
        }
        Ok(Withdrawn { amount: cmd.amount })
    }

    #[apply]
    fn opened(event: Opened) -> Self {
        Account {
            owners: event.owners,
            balance: Cents::ZERO,
            overdraft: event.overdraft,
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

fn positive(amount: Cents) -> Result<(), Refused> {
    (amount > Cents::ZERO).then_some(()).ok_or(Refused::NotPositive)
}

#[cfg(test)]
mod tests {
    use es_runtime::testing::Given;

    use super::*;

    fn opened() -> Opened {
        overdrawable(0)
    }

    fn overdrawable(cents: i64) -> Opened {
        Opened {
            owners: vec!["Zoë".into()],
            overdraft: Cents(cents),
        }
    }

    fn open(owner: &str) -> Open {
        Open {
            owner: owner.into(),
            joint: vec![],
            overdraft: Cents::ZERO,
        }
    }

    fn deposited(cents: i64) -> Deposited {
        Deposited { amount: Cents(cents) }
    }

    #[test]
    fn an_account_opens_empty() {
        Account::given(())
            .when(open("Zoë"))
            .then(opened())
            .then_state(|account| assert_eq!(account.balance, Cents::ZERO));
    }

    #[test]
    fn an_account_needs_an_owner() {
        Account::given(()).when(open(" ")).then_invalid("owner");
    }

    #[test]
    fn an_account_is_opened_once() {
        Account::given(opened()).when(open("Max")).then_already_exists();
    }

    #[test]
    fn nothing_is_paid_into_an_account_that_is_not_open() {
        Account::given(()).when(Deposit { amount: Cents(1) }).then_not_found();
    }

    #[test]
    fn the_whole_balance_can_be_withdrawn() {
        Account::given((opened(), deposited(500), deposited(250)))
            .when(Withdraw { amount: Cents(750) })
            .then(Withdrawn { amount: Cents(750) })
            .then_state(|account| assert_eq!(account.balance, Cents::ZERO));
    }

    #[test]
    fn a_withdrawal_beyond_the_balance_is_refused() {
        Account::given((opened(), deposited(500)))
            .when(Withdraw { amount: Cents(501) })
            .then_refused(Refused::InsufficientFunds { balance: Cents(500) });
    }

    #[test]
    fn an_account_is_overdrawn_as_far_as_agreed() {
        Account::given((overdrawable(200), deposited(500)))
            .when(Withdraw { amount: Cents(700) })
            .then(Withdrawn { amount: Cents(700) })
            .then_state(|account| assert_eq!(account.balance, Cents(-200)));
        Account::given((overdrawable(200), deposited(500)))
            .when(Withdraw { amount: Cents(701) })
            .then_refused(Refused::InsufficientFunds { balance: Cents(500) });
    }

    #[test]
    fn an_account_can_have_several_owners() {
        let joint = Open {
            joint: vec!["Max".into()],
            ..open("Zoë")
        };
        Account::given(()).when(joint).then(Opened {
            owners: vec!["Zoë".into(), "Max".into()],
            overdraft: Cents::ZERO,
        });
    }

    /// The lines of a ledger that was imported years ago are the same requests today.
    #[test]
    fn a_request_without_anything_new_is_sent_as_ever() -> Result<()> {
        assert_eq!(serde_json::to_string(&open("Zoë"))?, r#"{"owner":"Zoë"}"#);
        Ok(())
    }

    #[test]
    fn nothing_and_less_than_nothing_is_refused() {
        for amount in [Cents(0), Cents(-1), Cents(i64::MIN)] {
            Account::given(opened())
                .when(Deposit { amount })
                .then_refused(Refused::NotPositive);
            Account::given(opened())
                .when(Withdraw { amount })
                .then_refused(Refused::NotPositive);
        }
    }

    #[test]
    fn a_balance_does_not_overflow() {
        Account::given((opened(), deposited(1)))
            .when(Deposit {
                amount: Cents(i64::MAX),
            })
            .then_refused(Refused::TooLarge);
    }
}
