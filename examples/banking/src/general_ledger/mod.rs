//! The general ledger: a line for each movement of money, in a table that is written with the event, or neither is.

#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::fmt;

use serde_json::{Value, json};

use crate::Cents;
use crate::report::Report;

/// Its newest lines, the oldest of them first.
pub(crate) struct Lines(pub(crate) Vec<Line>);

pub(crate) struct Line {
    number: i64,
    account: String,
    version: i64,
    amount: Cents,
    balance: Cents,
}

impl Report for Lines {
    fn json(&self) -> Value {
        let json = |line: &Line| {
            json!({
                "number": line.number,
                "account": line.account,
                "version": line.version,
                "amount": line.amount.to_string(),
                "balance": line.balance.to_string(),
            })
        };
        self.0.iter().map(json).collect()
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.0 {
            let Line {
                number,
                account,
                amount,
                balance,
                ..
            } = line;
            writeln!(f, "{number:>8}  {account}  {amount:>14}  balance {balance:>14}")?;
        }
        write!(f, "{} lines", self.0.len())
    }
}
