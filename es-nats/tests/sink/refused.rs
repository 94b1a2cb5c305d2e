//! What the server refuses.

use es_nats::NatsSink;
use es_nats::async_nats::jetstream::stream::Config;
use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::{Error, StartError};
use es_tests::bank::{Account, Open, account_with};
use es_tests::published::Accounts;
use es_tests::waits::wait_for;

use super::server::{Server, header};

async fn start(server: &Server) -> std::result::Result<Runtime, StartError> {
    let sink = NatsSink::connect(server.url()).await.unwrap();
    let builder = Runtime::builder(MemoryStore::new()).publication::<Accounts>(sink, Beginning::Start);
    builder.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_that_no_stream_takes_keeps_the_runtime_from_starting() {
    let server = Server::start().await;
    let error = Error::from(start(&server).await.unwrap_err());
    let text = format!("{error:?}");
    assert!(text.contains("no stream takes subject `bank.accounts`"), "{text}");
    assert!(!error.is_retryable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_confirms_nothing_keeps_the_runtime_from_starting() {
    let server = Server::start().await;
    let config = Config {
        no_ack: true,
        ..Config::default()
    };
    server.stream(config).await;
    let error = Error::from(start(&server).await.unwrap_err());
    assert!(
        format!("{error:?}").contains("stream `BANK` confirms nothing"),
        "{error:?}"
    );
}

/// One is too large for the server, one only for the stream.
async fn too_large(config: Config, length: usize) {
    let server = Server::start().await;
    server.stream(config).await;
    let runtime = start(&server).await.unwrap();
    account_with(&runtime, 0).await;
    let large: Id<Account> = Id::new();
    let owner = "x".repeat(length);
    runtime.execute(large, Open { owner }).await.unwrap();
    account_with(&runtime, 0).await;
    wait_for(async || runtime.health().await.unwrap().publications[0].status == Status::Held).await;
    let failure = runtime
        .health()
        .await
        .unwrap()
        .publications
        .remove(0)
        .last_error
        .unwrap();
    assert_eq!(failure.position, Some(Position(2)), "{failure:?}");
    let messages = server.messages().await;
    let has_large = messages
        .iter()
        .any(|message| header(message, "ce-subject") == large.to_string());
    assert!(!has_large, "it is refused");

    let publication = runtime.publication::<Accounts>().unwrap();
    publication.skip(2, "nobody needs it").await.unwrap();
    wait_for(async || server.messages().await.len() == 2).await;
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_large_for_the_server_is_held() {
    too_large(Config::default(), 70_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_large_for_the_stream_is_held() {
    let config = Config {
        max_message_size: 2_000,
        ..Config::default()
    };
    too_large(config, 3_000).await;
}
