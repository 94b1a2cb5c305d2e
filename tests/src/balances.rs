//! A projection of the tests, over the events of two aggregates, and what its rows must be.

// A lint of nursery about derives that the macros write.
#![deny(clippy::derive_partial_eq_without_eq)]

use std::collections::BTreeMap;
use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::store::ProjectionStore;
use es_runtime::store::ReadLog;
use es_runtime::store::{RowQuery, RowTable};
use futures_util::TryStreamExt as _;

use crate::bank::{Account, Deposited, Opened, Withdrawn};

/// A store with projections.
pub type Store = Arc<dyn ProjectionStore>;

/// Money was sent from one account to another.
#[event]
pub struct Sent {
    /// See above.
    pub from: Id<Account>,
    /// See above.
    pub to: Id<Account>,
    /// See above.
    pub amount: i64,
}

/// A transfer was settled, and an account with it.
#[event]
pub struct Settled {
    /// See above.
    pub account: Id<Account>,
}

/// Sends money.
#[command]
pub struct Send {
    /// See above.
    pub from: Id<Account>,
    /// See above.
    pub to: Id<Account>,
    /// See above.
    pub amount: i64,
}

/// Settles the transfer and deletes the row of an account.
#[command]
pub struct Settle {
    /// See above.
    pub account: Id<Account>,
}

/// A transfer between two accounts.
#[derive(Aggregate)]
pub struct Transfer;

#[aggregate]
impl Transfer {
    #[handle]
    fn send(cmd: Send) -> Sent {
        Sent {
            from: cmd.from,
            to: cmd.to,
            amount: cmd.amount,
        }
    }

    #[handle]
    fn settle(&self, cmd: Settle) -> Settled {
        Settled { account: cmd.account }
    }

    #[apply]
    fn sent(_: Sent) -> Self {
        Transfer
    }

    #[apply]
    fn settled(&mut self, _: Settled) {}
}

/// One row an account.
#[projection(name = "balances", index = ["owner", "cents"])]
pub struct Balance {
    /// See above.
    pub owner: String,
    /// See above.
    pub cents: i64,
    /// See above.
    pub events: u64,
}

#[projection]
impl Balance {
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
        self.cents += event.amount;
        self.events += 1;
    }

    #[apply]
    fn withdrawn(&mut self, event: Withdrawn, meta: &Meta<Account>) {
        assert_eq!(meta.stream().category(), "account");
        self.cents -= event.amount;
        self.events += 1;
    }

    #[apply(keys = [event.from, event.to])]
    fn sent(&mut self, event: Sent) {
        // Applied to both rows: what one loses, the other gets.
        self.cents += event.amount % 2;
        self.events += 1;
    }

    #[apply(key = event.account)]
    fn settled(self, _: Settled) -> Option<Self> {
        None
    }
}

/// A runtime with the projection.
///
/// # Panics
///
/// If the store fails.
pub async fn start(store: &Store) -> Runtime {
    Runtime::builder(Arc::clone(store))
        .projection::<Balance>()
        .start()
        .await
        .unwrap()
}

fn table(projection: &'static str) -> RowTable {
    RowTable {
        projection: projection.into(),
        version: 1,
        indexes: Vec::new().into(),
        beside: false,
    }
}

/// Key, data and position of each row, byte by byte.
///
/// # Panics
///
/// If the store fails.
pub async fn dump(store: &Store) -> Vec<(String, String, u64)> {
    dump_of(store, "balances").await
}

/// The rows of version 1 of another projection.
///
/// # Panics
///
/// If the store fails.
pub async fn dump_of(store: &Store, projection: &'static str) -> Vec<(String, String, u64)> {
    let rows = store.list_rows(&table(projection), &RowQuery::default()).await.unwrap();
    rows.into_iter()
        .map(|row| (row.key, String::from_utf8(row.data.to_vec()).unwrap(), row.position.0))
        .collect()
}

/// What [`dump`] must show: the log folded by hand.
///
/// # Panics
///
/// If the store fails, or the log cannot be folded.
pub async fn folded(store: &Store) -> Vec<(String, String, u64)> {
    let mut rows = BTreeMap::new();
    let mut log = store.read_log(ReadLog::new());
    while let Some(event) = log.try_next().await.unwrap() {
        let field = |name: &str| {
            let payload: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
            payload[name].clone()
        };
        let own = event.stream.id().to_owned();
        let mut change = |key: String, cents: i64| {
            let (_, sum, events, position): &mut (String, i64, u64, u64) = rows.get_mut(&key).unwrap();
            *sum += cents;
            *events += 1;
            *position = event.position.0;
        };
        match &*event.name {
            "opened" => {
                let owner = field("owner").as_str().unwrap().to_owned();
                rows.insert(own, (owner, 0, 1, event.position.0));
            }
            "deposited" => change(own, field("amount").as_i64().unwrap()),
            "withdrawn" => change(own, -field("amount").as_i64().unwrap()),
            "sent" => {
                let (from, to) = (field("from"), field("to"));
                let cents = field("amount").as_i64().unwrap() % 2;
                change(from.as_str().unwrap().to_owned(), cents);
                if from != to {
                    change(to.as_str().unwrap().to_owned(), cents);
                }
            }
            "settled" => drop(rows.remove(field("account").as_str().unwrap())),
            other => panic!("{other}"),
        }
    }
    rows.into_iter()
        .map(|(key, (owner, cents, events, position))| {
            let data = format!(r#"{{"owner":"{owner}","cents":{cents},"events":{events}}}"#);
            (key, data, position)
        })
        .collect()
}
