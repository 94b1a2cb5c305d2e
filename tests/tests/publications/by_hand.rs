//! A publication as the macros write it.

use es_runtime::Stored;
use es_runtime::prelude::*;
use es_runtime::publication::{IntoMessages, Message, Messages, Publication, PublicationInfo, Publishes};
use es_runtime::testing::RecordingSink;
use es_tests::bank::{Opened, account_with};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Opening {
    owner: String,
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

struct Openings;

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

#[tokio::test]
async fn a_publication_by_hand_publishes() {
    let sink = RecordingSink::new();
    let runtime = Runtime::builder(MemoryStore::new())
        .publication::<Openings>(sink.clone(), Beginning::Start)
        .start()
        .await
        .unwrap();
    account_with(&runtime, 5).await;
    let messages = sink.wait_for(1).await;
    assert_eq!((messages[0].name, messages[0].source), ("opening", "openings"));
    assert_eq!(messages[0].key, "Alice");
    runtime.shutdown().await.unwrap();
}
