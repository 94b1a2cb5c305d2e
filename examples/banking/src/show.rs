use std::fmt;

use es_runtime::Loaded;
use es_runtime::prelude::*;
use serde_json::{Value, json};

use crate::error::BankError;
use crate::report::Report;
use crate::{Account, AccountNumber};

/// An account as it is, or was.
pub(crate) struct Shown {
    pub(crate) number: AccountNumber,
    pub(crate) account: Loaded<Account>,
}

/// As of when an account is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    Now,
    Version(u64),
    Time(Timestamp),
}

pub(crate) async fn show(bank: &Runtime, number: AccountNumber, when: When) -> Result<Shown, BankError> {
    let load = match when {
        When::Now => bank.load(number),
        When::Version(version) => bank.load(number).at_version(version),
        When::Time(time) => bank.load(number).as_of_occurred(time),
    };
    match (load.await?, when) {
        (None, When::Time(time)) => Err(BankError::NotOpenAt { number, time }),
        (None, _) => Err(BankError::NotOpen { number }),
        (Some(account), When::Version(wanted)) if account.version != wanted => Err(BankError::NoSuchVersion {
            number,
            wanted,
            last: account.version,
        }),
        (Some(account), _) => Ok(Shown { number, account }),
    }
}

impl Report for Shown {
    fn json(&self) -> Value {
        json!({
            "account": self.number.to_string(),
            "owners": self.account.owners,
            "balance": self.account.balance.to_string(),
            "version": self.account.version,
        })
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { owners, balance, .. } = &self.account.state;
        write!(
            f,
            "{}  {balance:>12}  {}  (version {})",
            self.number,
            owners.join(" and "),
            self.account.version
        )
    }
}
