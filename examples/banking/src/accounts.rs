use std::fmt;

use es_runtime::prelude::*;
use serde_json::Value;

use crate::Account;
use crate::error::BankError;
use crate::report::Report;
use crate::show::{Shown, When, show};

/// Every account.
pub(crate) struct Accounts(Vec<Shown>);

pub(crate) async fn accounts(bank: &Runtime) -> Result<Accounts, BankError> {
    let mut shown = Vec::new();
    let mut accounts = bank.streams::<Account>();
    while let Some((number, _)) = accounts.next().await? {
        shown.push(show(bank, number, When::Now).await?);
    }
    Ok(Accounts(shown))
}

impl Report for Accounts {
    fn json(&self) -> Value {
        self.0.iter().map(Report::json).collect()
    }
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for account in &self.0 {
            writeln!(f, "{account}")?;
        }
        write!(f, "{} accounts", self.0.len())
    }
}
