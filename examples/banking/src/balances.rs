use std::fmt;
use std::time::Duration;

use es_runtime::ProjectionRow;
use es_runtime::prelude::*;
use serde_json::{Value, json};

use crate::balance::Balance;
use crate::error::BankError;
use crate::report::Report;

/// The richest accounts.
pub(crate) struct Balances(Vec<ProjectionRow<Balance>>);

/// Rows that are as new as the bank, which takes its time if they were never asked for before.
pub(crate) async fn balances(bank: &Runtime, top: u32) -> Result<Balances, BankError> {
    let head = bank.health().await?.head;
    let rows = bank.list::<Balance>().after(head).timeout(PATIENCE);
    let page = rows.order_by("balance").descending().limit(top).await?;
    Ok(Balances(page.rows))
}

/// The time to wait for rows that are being built.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

impl Report for Balances {
    fn json(&self) -> Value {
        let json = |shown: &ProjectionRow<Balance>| {
            json!({
                "account": shown.key,
                "owners": shown.owners,
                "balance": shown.balance.to_string(),
            })
        };
        self.0.iter().map(json).collect()
    }
}

impl fmt::Display for Balances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ProjectionRow { row, key, .. } in &self.0 {
            writeln!(f, "{key}  {:>12}  {}", row.balance, row.owners.join(" and "))?;
        }
        write!(f, "{} accounts", self.0.len())
    }
}
