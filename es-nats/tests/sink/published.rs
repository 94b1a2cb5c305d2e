//! The published messages, as a consumer sees them.

use es_nats::NatsSink;
use es_nats::async_nats::jetstream::Message;
use es_nats::async_nats::jetstream::stream::Config;
use es_runtime::prelude::*;
use es_tests::bank::{Account, Deposit, Opened, Withdraw, account_with};
use es_tests::published::{Accounts, at_the_head, check, expected};
use percent_encoding::percent_decode_str;

use super::server::{Server, header};

/// The keys and ids of the messages.
pub(crate) fn ids(messages: &[Message]) -> Vec<(String, String)> {
    let of = |message: &Message| (header(message, "ce-partitionkey"), header(message, "ce-id"));
    messages.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_follow_the_log_with_headers_of_cloud_events() {
    let server = Server::start().await;
    server.stream(Config::default()).await;
    let store = std::sync::Arc::new(MemoryStore::new());
    let sink = NatsSink::connect(server.url()).await.unwrap();
    let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink, Beginning::Start);
    let runtime = builder.start().await.unwrap();
    let first = account_with(&runtime, 5).await;
    for _ in 0..20 {
        let account = account_with(&runtime, 2_000).await;
        runtime.execute(account, Withdraw { amount: 3 }).await.unwrap();
        runtime.execute(first, Deposit { amount: 7 }).await.unwrap();
    }
    at_the_head(&runtime).await;
    let messages = server.messages().await;
    let expected = expected(&*store).await;
    let ids = ids(&messages);
    check(ids.iter().map(|(key, id)| (&**key, &**id)), &expected);
    assert_eq!(messages.len(), expected.values().map(Vec::len).sum::<usize>());

    let opening = &messages[0];
    assert_eq!(&*opening.subject, "bank.accounts");
    assert_eq!(opening.payload, format!(r#"{{"account":"{first}","owner":"Alice"}}"#));
    let value = |name| header(opening, name);
    assert_eq!(value("content-type"), "application/json");
    assert_eq!(value("ce-specversion"), "1.0");
    assert_eq!(value("ce-type"), "com.bank.account.opened");
    assert_eq!(value("ce-source"), "accounts");
    assert_eq!(value("ce-subject"), first.to_string());
    assert_eq!(value("ce-sequence"), "00000000000000000001");
    assert_eq!(value("Nats-Msg-Id"), format!("accounts@1/{}", value("ce-id")));
    runtime.shutdown().await.unwrap();
}

/// Another publication of the same events, to the same stream.
#[publication(name = "owners", topic = "bank.owners")]
struct Owners;

#[message]
struct Owner {
    account: Id<Account>,
}

#[publication]
impl Owners {
    #[publish(key = event.owner)]
    fn opened(event: Opened, meta: &Meta<Account>) -> Owner {
        drop(event);
        Owner { account: *meta.id() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_takes_several_publications_of_the_same_events() {
    let server = Server::start().await;
    server.stream(Config::default()).await;
    let sink = NatsSink::connect(server.url()).await.unwrap();
    let builder = Runtime::builder(MemoryStore::new());
    let builder = builder.publication::<Accounts>(sink.clone(), Beginning::Start);
    let runtime = builder
        .publication::<Owners>(sink, Beginning::Start)
        .start()
        .await
        .unwrap();
    for _ in 0..10 {
        account_with(&runtime, 0).await;
    }
    at_the_head(&runtime).await;
    let messages = server.messages().await;
    let count = |subject: &str| messages.iter().filter(|message| &*message.subject == subject).count();
    assert_eq!((count("bank.accounts"), count("bank.owners")), (10, 10));
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_any_text_comes_through() {
    let server = Server::start().await;
    server.stream(Config::default()).await;
    let sink = NatsSink::connect(server.url()).await.unwrap();
    let builder = Runtime::builder(MemoryStore::new()).publication::<Owners>(sink, Beginning::Start);
    let runtime = builder.start().await.unwrap();
    let owners = ["Alice", " 100 % \"safe\" ", "Jörg\r\nce-id: forged", "日本", ""];
    for owner in owners {
        let owner = owner.to_owned();
        runtime
            .execute(Id::new(), es_tests::bank::Open { owner })
            .await
            .unwrap();
    }
    at_the_head(&runtime).await;
    let messages = server.messages().await;
    let keys = messages.iter().map(|message| {
        let key = header(message, "ce-partitionkey");
        percent_decode_str(&key).decode_utf8().unwrap().into_owned()
    });
    assert_eq!(keys.collect::<Vec<_>>(), owners);
    assert!(messages.iter().all(|message| header(message, "ce-id").ends_with("/0")));
    runtime.shutdown().await.unwrap();
}
