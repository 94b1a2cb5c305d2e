use std::fmt;

use es_runtime::prelude::*;
use es_runtime::runtime::DryRun;
use es_runtime::{AnyRefusal, CommandOf};
use serde_json::{Value, json};

use crate::account::{AccountEvent, Deposit, Withdraw};
use crate::error::BankError;
use crate::history::what;
use crate::report::Report;
use crate::show::{Shown, When, show};
use crate::{Account, AccountNumber, Cents};

/// A request that is only supposed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Supposed {
    Deposit(Cents),
    Withdraw(Cents),
}

/// The result that a request would have.
pub(crate) struct WhatIf {
    /// The account that would have been asked.
    asked: Shown,
    events: Vec<AccountEvent>,
}

/// Decides the request on the account as it is, or was. Nothing is stored.
pub(crate) async fn what_if(
    bank: &Runtime,
    account: AccountNumber,
    request: Supposed,
    when: When,
) -> Result<WhatIf, BankError> {
    let asked = show(bank, account, when).await?;
    let events = match request {
        Supposed::Deposit(amount) => decide(bank.dry_run(account, Deposit { amount }), when).await,
        Supposed::Withdraw(amount) => decide(bank.dry_run(account, Withdraw { amount }), when).await,
    };
    Ok(WhatIf { asked, events: events? })
}

async fn decide<C: CommandOf<Account>>(
    dry_run: DryRun<'_, Account, C, C::Refusal>,
    when: When,
) -> Result<Vec<AccountEvent>, BankError> {
    let dry_run = match when {
        When::Now => dry_run,
        When::Version(version) => dry_run.at_version(version),
        When::Time(time) => dry_run.as_of_occurred(time),
    };
    let decided = dry_run.await;
    decided.map_err(|error| BankError::of(error.map_refused(AnyRefusal::new), ""))
}

impl Report for WhatIf {
    fn json(&self) -> Value {
        json!({
            "account": self.asked.json(),
            "events": self.events.iter().map(what).collect::<Value>(),
        })
    }
}

impl fmt::Display for WhatIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.asked)?;
        for event in &self.events {
            write!(f, "\nwould be {}", what(event))?;
        }
        Ok(())
    }
}
