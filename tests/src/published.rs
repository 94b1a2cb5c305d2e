//! The publication of the tests, and what its consumers rely on.

use std::collections::BTreeMap;

use es_runtime::prelude::*;
use es_runtime::publication::Outgoing;
use es_runtime::store::ReadLog;
use futures_util::TryStreamExt as _;

use crate::bank::{Account, Deposited, Opened, Withdrawn};

/// An account was opened.
#[message(name = "com.bank.account.opened", version = 2)]
pub struct AccountOpened {
    /// Its id.
    pub account: Id<Account>,
    /// By or for whom.
    pub owner: String,
}

/// Money came in, or went out.
#[message]
pub struct Moved {
    /// Below zero if it went out.
    pub cents: i64,
}

/// It was much.
#[message]
pub struct Large;

/// Tells of accounts.
#[publication(topic = "bank.accounts")]
pub struct Accounts;

#[publication]
impl Accounts {
    #[publish]
    fn opened(event: Opened, meta: &Meta<Account>) -> AccountOpened {
        AccountOpened {
            account: *meta.id(),
            owner: event.owner,
        }
    }

    #[publish]
    fn deposited(event: Deposited) -> (Moved, Option<Large>) {
        let large = (event.amount >= 1_000).then_some(Large);
        (Moved { cents: event.amount }, large)
    }

    #[publish]
    fn withdrawn(event: Withdrawn) -> Vec<Moved> {
        vec![Moved { cents: -event.amount }]
    }
}

/// The ids of the messages that the log gives, by key. Told by the events alone.
///
/// # Panics
///
/// If the log cannot be read.
pub async fn expected(store: &dyn EventStore) -> BTreeMap<String, Vec<String>> {
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut events = store.read_log(ReadLog::new());
    while let Some(event) = events.try_next().await.unwrap() {
        let payload: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        let is_large = event.name == "deposited" && payload["amount"].as_i64() >= Some(1_000);
        let ids = (0..=u32::from(is_large)).map(|index| format!("{}/{index}", event.id));
        expected.entry(event.stream.id().to_owned()).or_default().extend(ids);
    }
    expected
}

/// Checks what a consumer relies on, by the keys and ids of the messages that a broker has taken: within each key nothing is missing,
/// none comes before those in front of it, and what comes again goes on to the end.
///
/// # Panics
///
/// If it is not so.
pub fn check<'a>(published: impl IntoIterator<Item = (&'a str, &'a str)>, expected: &BTreeMap<String, Vec<String>>) {
    let mut next: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, id) in published {
        let place = expected[key].iter().position(|other| other == id);
        let place = place.unwrap_or_else(|| panic!("`{id}` of `{key}` is of no event"));
        let next = next.entry(key).or_default();
        assert!(place <= *next, "message {place} of `{key}` comes where {next} is due");
        *next = place + 1;
    }
    for (key, ids) in expected {
        assert_eq!(
            next.get(&**key),
            Some(&ids.len()),
            "the last message of `{key}` comes last"
        );
    }
}

/// The keys and ids of messages.
pub fn ids(messages: &[Outgoing]) -> impl Iterator<Item = (&str, &str)> {
    messages.iter().map(|message| (&*message.key, &*message.id))
}
