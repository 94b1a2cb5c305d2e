//! Totals of each day: a read model in tables of the bank's own, to be queried with SQL.

#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::fmt;

use es_runtime::prelude::*;
use serde_json::{Value, json};

use crate::report::Report;
use crate::{Account, Cents};

/// The days on which something happened, in order.
pub(crate) struct Totals(pub(crate) Vec<Day>);

/// The totals of a day.
pub(crate) struct Day {
    /// Such as 2026-11-21, in UTC.
    date: String,
    /// The number of accounts opened.
    opened: i64,
    paid_in: Cents,
    paid_out: Cents,
}

/// The day on which it happened: for a line of a ledger, that of the line.
fn day(meta: &Meta<Account>) -> String {
    meta.occurred_at()
        .to_string()
        .chars()
        .take("2026-11-21".len())
        .collect()
}

impl Report for Totals {
    fn json(&self) -> Value {
        let json = |day: &Day| {
            json!({
                "day": day.date,
                "opened": day.opened,
                "paid_in": day.paid_in.to_string(),
                "paid_out": day.paid_out.to_string(),
            })
        };
        self.0.iter().map(json).collect()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for day in &self.0 {
            let Day {
                date,
                opened,
                paid_in,
                paid_out,
            } = day;
            writeln!(f, "{date}  {opened:>6} opened  {paid_in:>14} in  {paid_out:>14} out")?;
        }
        write!(f, "{} days", self.0.len())
    }
}
