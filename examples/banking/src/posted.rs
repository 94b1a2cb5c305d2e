use std::fmt;

use es_runtime::Metadata;
use es_runtime::prelude::*;
use serde_json::{Value, json};

use crate::entry::{Entry, Slip};
use crate::error::BankError;
use crate::report::Report;
use crate::show::{Shown, When, show};

/// A request that was done, and the accounts after it.
pub(crate) struct Posted {
    pub(crate) reference: String,
    /// True if it had been done before, and nothing was done now.
    pub(crate) repeated: bool,
    pub(crate) accounts: Vec<Shown>,
}

impl Posted {
    /// Does `entry`, unless it was done under this reference before.
    pub(crate) async fn of(bank: &Runtime, entry: &Entry, reference: String) -> Result<Self, BankError> {
        let mut metadata = Metadata::default();
        metadata.set_actor("teller");
        metadata.set_correlation_id(&reference);
        let slip = Slip {
            key: format!("teller/{reference}"),
            metadata,
        };
        let posted = entry.post(bank, &slip).await;
        let receipts = posted.map_err(|error| BankError::of(error, &reference))?;
        let mut accounts = Vec::new();
        for account in entry.accounts() {
            accounts.push(show(bank, account, When::Now).await?);
        }
        Ok(Self {
            reference,
            repeated: receipts.iter().any(|receipt| receipt.repeated),
            accounts,
        })
    }
}

impl Report for Posted {
    fn json(&self) -> Value {
        json!({
            "reference": self.reference,
            "done_before": self.repeated,
            "accounts": self.accounts.iter().map(Report::json).collect::<Value>(),
        })
    }
}

impl fmt::Display for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = if self.repeated { "was done before" } else { "done" };
        write!(f, "{done} (reference {})", self.reference)?;
        for account in &self.accounts {
            write!(f, "\n{account}")?;
        }
        Ok(())
    }
}
