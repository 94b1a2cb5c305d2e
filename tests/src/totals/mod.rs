//! SQL projections of the tests, and what their tables must hold: for each account its balance and the number of its events.

pub mod postgres;
pub mod sqlite;

use std::collections::BTreeMap;

use es_runtime::store::{EventStore, ReadLog};
use futures_util::TryStreamExt as _;

/// The rows of a table: account, balance, events.
pub type Totals = Vec<(String, i64, i64)>;

/// What a table of totals must hold: the log folded by hand.
///
/// # Panics
///
/// If the store fails, or the log cannot be folded.
pub async fn folded(store: &dyn EventStore) -> Totals {
    let mut totals: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut log = store.read_log(ReadLog::new());
    while let Some(event) = log.try_next().await.unwrap() {
        let payload: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        let cents = match &*event.name {
            "opened" => 0,
            "deposited" => payload["amount"].as_i64().unwrap(),
            "withdrawn" => -payload["amount"].as_i64().unwrap(),
            other => panic!("{other}"),
        };
        let (sum, events) = totals.entry(event.stream.id().to_owned()).or_default();
        *sum += cents;
        *events += 1;
    }
    totals
        .into_iter()
        .map(|(account, (cents, events))| (account, cents, events))
        .collect()
}
