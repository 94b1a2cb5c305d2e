//! The rows of [`balances`](es_tests::balances), written with each append.

use es_runtime::InlineMeta;
use es_runtime::prelude::*;

use es_tests::balances::{Sent, Settled, Store, dump_of};
use es_tests::bank::{Account, Deposited, Opened, Withdrawn};

/// One row an account. It always holds what [`folded`](es_tests::balances::folded) gives.
#[projection(name = "inline_balances", inline, index = ["owner", "cents"])]
pub(crate) struct InlineBalance {
    /// See above.
    pub(crate) owner: String,
    /// See above.
    pub(crate) cents: i64,
    /// See above.
    pub(crate) events: u64,
}

#[projection]
impl InlineBalance {
    #[apply]
    fn opened(event: Opened) -> Self {
        Self {
            owner: event.owner,
            cents: 0,
            events: 1,
        }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        if event.amount == 15 {
            // Without the hook: with debug information the trace that it prints takes seconds.
            std::panic::resume_unwind(Box::new("15 is too much"));
        }
        self.cents += event.amount;
        self.events += 1;
    }

    #[apply]
    fn withdrawn(&mut self, event: Withdrawn, meta: &InlineMeta<Account>) {
        assert_eq!(meta.stream().category(), "account");
        self.cents -= event.amount;
        self.events += 1;
    }

    #[apply(keys = [event.from, event.to])]
    fn sent(&mut self, event: Sent) {
        self.cents += event.amount % 2;
        self.events += 1;
    }

    #[apply(key = event.account)]
    fn settled(self, _: Settled) -> Option<Self> {
        None
    }
}

/// Key, data and position of each row.
///
/// # Panics
///
/// If the store fails.
pub(crate) async fn dump(store: &Store) -> Vec<(String, String, u64)> {
    dump_of(store, "inline_balances").await
}
