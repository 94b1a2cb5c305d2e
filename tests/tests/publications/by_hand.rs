//! The publication of the tests, and the same written by hand.

use std::collections::BTreeMap;

use es_runtime::Stored;
use es_runtime::prelude::*;
use es_runtime::publication::{IntoMessages, Message, Messages, Outgoing, Publication, PublicationInfo, Publishes};
use es_runtime::store::ReadLog;
use es_runtime::testing::RecordingSink;
use es_tests::bank::{Account, Deposited, Opened, Withdrawn, account_with};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};

#[message(name = "com.bank.account.opened", version = 2)]
pub(crate) struct AccountOpened {
    pub(crate) account: Id<Account>,
    pub(crate) owner: String,
}

#[message]
pub(crate) struct Moved {
    pub(crate) cents: i64,
}

#[message]
pub(crate) struct Large;

#[publication(topic = "bank.accounts")]
pub(crate) struct Accounts;

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
pub(crate) async fn expected(store: &dyn EventStore) -> BTreeMap<String, Vec<String>> {
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
pub(crate) fn check<'a>(
    published: impl IntoIterator<Item = (&'a str, &'a str)>,
    expected: &BTreeMap<String, Vec<String>>,
) {
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
pub(crate) fn ids(messages: &[Outgoing]) -> impl Iterator<Item = (&str, &str)> {
    messages.iter().map(|message| (&*message.key, &*message.id))
}

/// The same as the macros write.
mod hand {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct Opening {
        pub(super) owner: String,
    }

    impl Stored for Opening {
        const NAME: &'static str = "opening";
    }

    impl Message for Opening {}

    impl IntoMessages for Opening {
        fn into_messages(self, out: &mut Messages) {
            out.push(&self);
        }
    }

    pub(super) struct Openings;

    impl PublicationInfo for Openings {
        const NAME: &'static str = "openings";
        const TOPIC: &'static str = "bank.openings";
    }

    impl Publication for Openings {
        fn publishes(list: &mut Publishes) {
            list.event::<Opened, _>(
                |event, _| event.owner.clone(),
                |event, _| Opening { owner: event.owner },
            );
        }
    }
}

#[tokio::test]
async fn a_publication_by_hand_publishes() {
    let sink = RecordingSink::new();
    let runtime = Runtime::builder(MemoryStore::new())
        .publication::<hand::Openings>(sink.clone(), Beginning::Start)
        .start()
        .await
        .unwrap();
    account_with(&runtime, 5).await;
    let messages = sink.wait_for(1).await;
    assert_eq!((messages[0].name, messages[0].source), ("opening", "openings"));
    assert_eq!(messages[0].key, "Alice");
    runtime.shutdown().await.unwrap();
}
