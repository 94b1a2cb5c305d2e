use std::fmt;

use serde_json::{Value, json};

use crate::report::Report;
use crate::show::Shown;

/// A request that was done, and the accounts after it.
pub(crate) struct Posted {
    pub(crate) reference: String,
    /// Whether it had been done before, and nothing was done now.
    pub(crate) repeated: bool,
    pub(crate) accounts: Vec<Shown>,
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
