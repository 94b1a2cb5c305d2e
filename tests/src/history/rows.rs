//! A projection whose rows show how often, and in which order, it was given the events.

use es_runtime::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bank::{Account, Deposited, Opened, Withdrawn};

/// One row an account.
#[projection(name = "entries")]
pub(super) struct Entries {
    /// See [`Row`].
    pub row: Row,
}

/// What is folded of the events of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// How many there were.
    pub events: u64,
    /// The balance.
    pub cents: i64,
    /// Depends on the order in which they came.
    pub digest: u64,
}

impl Row {
    /// The row after an event at this position, by which so much comes in.
    #[must_use]
    pub fn after(self, position: u64, cents: i64) -> Self {
        Self {
            events: self.events + 1,
            cents: self.cents + cents,
            digest: (self.digest * 31 + position) % 4_294_967_291,
        }
    }
}

#[projection]
impl Entries {
    #[apply]
    fn opened(_: Opened, meta: &Meta<Account>) -> Self {
        Self {
            row: Row::default().after(meta.position().0, 0),
        }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited, meta: &Meta<Account>) {
        self.row = self.row.after(meta.position().0, event.amount);
    }

    #[apply]
    fn withdrawn(&mut self, event: Withdrawn, meta: &Meta<Account>) {
        self.row = self.row.after(meta.position().0, -event.amount);
    }
}
