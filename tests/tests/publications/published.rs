//! The messages that are published.

use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::publication::{Outgoing, Sink, SinkError};
use es_runtime::testing::RecordingSink;
use es_runtime::{Position, StartError};
use es_tests::bank::{Account, Open, Opened, Withdraw, account_with};
use es_tests::on_every_store;
use es_tests::waits::{LONG, wait_for};

use es_tests::published::{AccountOpened, Accounts, at_the_head, check, expected, ids};

on_every_store! {
    async fn messages_follow_the_log_in_order(store: _, _clock: _) {
        let sink = RecordingSink::new();
        let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink.clone(), Beginning::Start);
        let runtime = builder.start().await.unwrap();
        for amount in [5, 1_000, 7] {
            let account = account_with(&runtime, amount).await;
            runtime.execute(account, Withdraw { amount: 3 }).await.unwrap();
        }
        let expected = expected(&*store).await;
        let count = expected.values().map(Vec::len).sum();
        assert_eq!(count, 10);
        let messages = sink.wait_for(count).await;
        check(ids(&messages), &expected);
        assert_eq!(messages.len(), count, "nothing comes twice where nothing goes wrong");
        assert!(messages.is_sorted_by_key(|message| message.position));
        runtime.shutdown().await.unwrap();
    }

    async fn another_process_goes_on_where_the_one_before_was(store: _, _clock: _) {
        for round in 0..3 {
            let sink = RecordingSink::new();
            let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink.clone(), Beginning::Start);
            let runtime = builder.start().await.unwrap();
            account_with(&runtime, 5).await;
            let messages = sink.wait_for(2).await;
            assert_eq!(messages[0].position, Position(2 * round + 1));
            at_the_head(&runtime).await;
            drop(runtime);
            assert_eq!(sink.messages().len(), 2, "the cursor was moved before the end");
        }
    }

    async fn the_same_event_gives_the_same_message_again(store: _, _clock: _) {
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        account_with(&runtime, 2_000).await;
        drop(runtime);
        let mut runs = Vec::new();
        for _ in 0..2 {
            let sink = RecordingSink::new();
            let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink.clone(), Beginning::Start);
            let runtime = builder.start().await.unwrap();
            runs.push(sink.wait_for(3).await);
            drop(runtime);
            // As if nothing had ever been published.
            let reader = "publication/accounts@1";
            let mut lease = None;
            wait_for(async || {
                lease = store.acquire(reader, "the test", LONG).await.unwrap();
                lease.is_some()
            }).await;
            let lease = lease.unwrap();
            store.forget(reader, &lease).await.unwrap();
            store.release(&lease).await.unwrap();
        }
        assert_eq!(runs[0], runs[1]);
    }

    async fn another_version_begins_anew_beside_the_former_one(store: _, _clock: _) {
        let (first, second) = (RecordingSink::new(), RecordingSink::new());
        let builder = Runtime::builder(store.clone()).publication::<Accounts>(first.clone(), Beginning::Start);
        let runtime = builder.publication::<Again>(second.clone(), Beginning::Start).start().await.unwrap();
        let account = account_with(&runtime, 0).await;
        at_the_head(&runtime).await;
        let ([first], [second]) = (&first.messages()[..], &second.messages()[..]) else { panic!("one each") };
        assert_eq!((&*first.publication, &*second.publication), ("accounts@1", "accounts@2"));
        assert_eq!((first.source, second.source), ("accounts", "/bank"));
        assert_eq!((&*second.key, second.name), ("Alice", "com.bank.account.opened"));
        assert_eq!(first.key, account.to_string());
        runtime.shutdown().await.unwrap();
    }

    async fn it_begins_at_the_head_where_it_is_told_to(store: _, _clock: _) {
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        account_with(&runtime, 5).await;
        drop(runtime);
        let sink = RecordingSink::new();
        let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink.clone(), Beginning::Head);
        let runtime = builder.start().await.unwrap();
        let account = account_with(&runtime, 0).await;
        let messages = sink.wait_for(1).await;
        assert_eq!(messages[0].key, account.to_string());
        runtime.shutdown().await.unwrap();
    }

    async fn health_tells_of_it(store: _, _clock: _) {
        let sink = RecordingSink::new();
        let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink.clone(), Beginning::Start);
        let runtime = builder.start().await.unwrap();
        account_with(&runtime, 5).await;
        sink.wait_for(2).await;
        wait_for(async || {
            let health = runtime.health().await.unwrap();
            let [accounts] = &health.publications[..] else { panic!("{health:?}") };
            assert_eq!(accounts.name, "accounts@1");
            assert!(health.subscriptions.is_empty(), "it is none of the subscriptions");
            accounts.status == Status::Live && accounts.position == health.head
        }).await;
        runtime.shutdown().await.unwrap();
    }
}

/// Version 2 of the publication, by owner.
#[publication(name = "accounts", topic = "bank.accounts", version = 2, source = "/bank")]
struct Again;

#[publication]
impl Again {
    #[publish(key = event.owner)]
    fn opened(event: Opened, meta: &Meta<Account>) -> AccountOpened {
        AccountOpened {
            account: *meta.id(),
            owner: event.owner,
        }
    }
}

#[test]
#[should_panic(expected = "two publications are named `accounts` in version 1")]
fn two_publications_of_a_name_are_refused() {
    let builder = Runtime::builder(MemoryStore::new());
    let builder = builder.publication::<Accounts>(RecordingSink::new(), Beginning::Start);
    drop(builder.publication::<Accounts>(RecordingSink::new(), Beginning::Head));
}

#[tokio::test]
async fn a_message_carries_the_attributes_of_cloud_events() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let sink = RecordingSink::new();
    let builder = Runtime::builder(MemoryStore::new()).publication::<Accounts>(sink.clone(), Beginning::Start);
    let runtime = builder.start().await.unwrap();
    let (id, owner) = (Id::new(), "Alice".to_owned());
    let occurred = "2026-01-02T03:04:05Z".parse().unwrap();
    let opening = runtime
        .execute(id, Open { owner })
        .traceparent(TRACE)
        .occurred_at(occurred);
    opening.await.unwrap();
    let messages = sink.wait_for(1).await;
    let attributes: Vec<_> = messages[0].attributes().collect();
    let value = |name: &str| {
        let found = attributes.iter().find(|(attribute, _)| *attribute == name);
        found.map(|(_, value)| value.to_string()).unwrap_or_default()
    };
    assert_eq!(value("specversion"), "1.0");
    assert_eq!(value("id"), messages[0].id);
    assert!(messages[0].id.ends_with("/0"));
    assert_eq!(value("source"), "accounts");
    assert_eq!(value("type"), "com.bank.account.opened");
    assert_eq!(value("subject"), id.to_string());
    assert_eq!(value("time"), "2026-01-02T03:04:05Z");
    assert_eq!(value("dataschema"), "com.bank.account.opened/2");
    assert_eq!(value("partitionkey"), id.to_string());
    assert_eq!(value("sequence"), "00000000000000000001");
    assert_eq!(value("traceparent"), TRACE);
    assert_eq!(attributes.len(), 10);
    assert_eq!(Outgoing::CONTENT_TYPE, "application/json");
    assert_eq!(messages[0].payload, format!(r#"{{"account":"{id}","owner":"Alice"}}"#));
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_topic_that_the_sink_refuses_keeps_the_runtime_from_starting() {
    struct NoTopic;

    #[async_trait::async_trait]
    impl Sink for NoTopic {
        async fn check(&self, topic: &str) -> Result<(), SinkError> {
            Err(SinkError::rejected(0, format!("there is no topic {topic}")))
        }

        async fn publish(&self, _: &str, _: &[Outgoing]) -> Result<(), SinkError> {
            unreachable!("it has not started")
        }
    }

    let builder = Runtime::builder(MemoryStore::new()).publication::<Accounts>(NoTopic, Beginning::Start);
    let error = builder.start().await.unwrap_err();
    assert!(matches!(error, StartError::Sink { .. }), "{error}");
    assert_eq!(
        es_runtime::Error::from(error).to_string(),
        "publication `accounts` cannot publish to `bank.accounts`"
    );
}

#[tokio::test]
async fn open_publishes_nothing() {
    let store = MemoryStore::new();
    let sink = RecordingSink::new();
    let builder = Runtime::builder(store).publication::<Accounts>(sink.clone(), Beginning::Start);
    let runtime = builder.open().await.unwrap();
    account_with(&runtime, 5).await;
    let health = runtime.health().await.unwrap();
    assert_eq!(
        (health.publications[0].status, &health.publications[0].owner),
        (Status::Standby, &None)
    );
    assert!(runtime.publication::<Accounts>().is_none());
    assert!(sink.messages().is_empty());
}
