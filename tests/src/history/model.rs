//! What requests do to accounts, told without the runtime.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::plan::{What, id, owner, share};
use super::rows::Row;
use super::stored::{Event, Stored};

/// The events of a request, for each stream in the order of their versions. Its witness, if it has one, is at this version.
pub fn events(what: &What, witness: u64) -> BTreeMap<String, Vec<(&'static str, Value)>> {
    let mut streams: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut event = |account: u32, name: &'static str, payload: Value| {
        let stream = streams.entry(id(account).to_string()).or_default();
        stream.push((name, payload));
    };
    let opened = |account: u32| json!({ "owner": owner(account) });
    let amount = |amount: i64| json!({ "amount": amount });
    match what {
        What::Open(account) => event(*account, "opened", opened(*account)),
        What::Import(account, amounts) => {
            event(*account, "opened", opened(*account));
            for cents in amounts {
                event(*account, "deposited", amount(*cents));
            }
        }
        What::Append(account, amounts) => {
            for cents in amounts {
                event(*account, "deposited", amount(*cents));
            }
        }
        What::Deposit(account, cents) => event(*account, "deposited", amount(*cents)),
        What::Withdraw(account, cents) => event(*account, "withdrawn", amount(*cents)),
        What::Transfer {
            from,
            to,
            amount: least,
            ..
        } => {
            let cents = share(*least, witness);
            for to in to {
                event(*from, "withdrawn", amount(cents));
                event(*to, "deposited", amount(cents));
            }
        }
        What::Audit(_) | What::Load(_) | What::Row(_) => {}
    }
    streams
}

/// The accounts as the log tells of them.
#[derive(Default)]
pub struct Accounts<'a> {
    /// The events of each stream, and what is folded of each with those before it.
    streams: HashMap<&'a str, Vec<(&'a Event, Row)>>,
    /// The events of each attempt, in the order of their positions.
    attempts: HashMap<&'a str, Vec<&'a Event>>,
}

impl<'a> Accounts<'a> {
    /// Folds the log.
    pub fn of(stored: &'a Stored) -> Self {
        let mut accounts = Self::default();
        for event in &stored.log {
            let stream = accounts.streams.entry(&event.stream).or_default();
            let before = stream.last().map_or_else(Row::default, |(_, row)| *row);
            stream.push((event, before.after(event.seen.0, event.cents())));
            accounts.attempts.entry(&event.attempt).or_default().push(event);
        }
        accounts
    }

    /// The streams, in no order.
    pub fn streams(&self) -> impl Iterator<Item = (&'a str, &[(&'a Event, Row)])> {
        self.streams.iter().map(|(stream, events)| (*stream, &events[..]))
    }

    /// The events of a stream.
    pub fn stream(&self, stream: &str) -> &[(&'a Event, Row)] {
        self.streams.get(stream).map_or(&[], |events| events)
    }

    /// What is folded of a stream up to this version; nothing at version 0.
    pub fn at(&self, stream: &str, version: u64) -> Option<Row> {
        let last = usize::try_from(version).ok()?.checked_sub(1)?;
        self.stream(stream).get(last).map(|(_, row)| *row)
    }

    /// The version of a stream before this position.
    pub fn version_before(&self, stream: &str, position: u64) -> u64 {
        self.stream(stream)
            .partition_point(|(event, _)| event.seen.0 < position) as u64
    }

    /// The events of an attempt, in the order of their positions.
    pub fn attempt(&self, attempt: &str) -> &[&'a Event] {
        self.attempts.get(attempt).map_or(&[], |events| events)
    }
}

/// The balance at which a request is refused that begins at this one, with its witness at this version; `None` if it is not.
pub fn refused_at(what: &What, balance: i64, witness: u64) -> Option<i64> {
    match what {
        What::Withdraw(_, amount) => (*amount > balance).then_some(balance),
        What::Transfer { from, to, amount, .. } => {
            let (amount, mut balance) = (share(*amount, witness), balance);
            for to in to {
                if amount > balance {
                    return Some(balance);
                }
                if to != from {
                    balance -= amount;
                }
            }
            None
        }
        _ => None,
    }
}
