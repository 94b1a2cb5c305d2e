use std::fmt;

use es_runtime::Recorded;
use es_runtime::prelude::*;
use serde_json::{Value, json};

use crate::account::{AccountEvent, Deposited, Opened, Withdrawn};
use crate::error::BankError;
use crate::report::Report;
use crate::{AccountNumber, Cents};

/// Everything that has happened to an account.
pub(crate) struct History(Vec<Step>);

/// One event and the balance after it.
struct Step {
    recorded: Recorded<AccountEvent>,
    balance: Cents,
}

/// All of it, or what had happened by then.
pub(crate) async fn history(
    bank: &Runtime,
    number: AccountNumber,
    at: Option<Timestamp>,
) -> Result<History, BankError> {
    let mut steps = Vec::new();
    let mut history = bank.history(number);
    if let Some(time) = at {
        history = history.as_of_occurred(time);
    }
    while let Some((recorded, account)) = history.next().await? {
        steps.push(Step {
            recorded,
            balance: account.balance,
        });
    }
    match (steps.is_empty(), at) {
        (true, Some(time)) => Err(BankError::NotOpenAt { number, time }),
        (true, None) => Err(BankError::NotOpen { number }),
        (false, _) => Ok(History(steps)),
    }
}

impl Report for History {
    fn json(&self) -> Value {
        self.0.iter().map(Step::json).collect()
    }
}

impl Step {
    fn json(&self) -> Value {
        let Self { recorded, balance } = self;
        json!({
            "version": recorded.version,
            "position": recorded.position,
            "occurred_at": recorded.occurred_at(),
            "recorded_at": recorded.recorded_at,
            "what": what(&self.recorded.event),
            "balance": balance.to_string(),
            "reference": recorded.metadata.correlation_id(),
            "actor": recorded.metadata.actor(),
        })
    }
}

/// The event in the words of the bank.
pub(crate) fn what(event: &AccountEvent) -> String {
    match event {
        AccountEvent::Opened(Opened { owners, overdraft }) if overdraft.is_zero() => {
            format!("opened for {}", owners.join(" and "))
        }
        AccountEvent::Opened(Opened { owners, overdraft }) => {
            format!("opened for {} with an overdraft of {overdraft}", owners.join(" and "))
        }
        AccountEvent::Deposited(Deposited { amount }) => format!("deposited {amount}"),
        AccountEvent::Withdrawn(Withdrawn { amount }) => format!("withdrawn {amount}"),
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "version  occurred at                   balance  what (reference, by whom)"
        )?;
        for step in &self.0 {
            write!(f, "\n{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recorded, balance } = self;
        let time = recorded.occurred_at().to_string();
        write!(
            f,
            "{:>7}  {time:<24} {balance:>12}  {}",
            recorded.version.0,
            what(&recorded.event)
        )?;
        let reference = recorded.metadata.correlation_id().unwrap_or("-");
        write!(f, " ({reference}, {})", recorded.metadata.actor().unwrap_or("-"))
    }
}
