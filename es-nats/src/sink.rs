use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_nats::jetstream::context::{ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::StorageType;
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, ToServerAddrs};
use async_trait::async_trait;
use es_runtime::publication::{Outgoing, Sink, SinkError};
use futures_util::{StreamExt as _, stream};

use crate::headers::headers;

/// The number of messages that wait for their confirmations at once, each of another key.
const AT_ONCE: usize = 256;

/// Publishes to a stream of NATS JetStream, whose subject is the topic.
///
/// The messages of one key are sent one after the other, each when the one before is confirmed; those of up to 256 keys at once.
#[derive(Debug, Clone)]
pub struct NatsSink {
    jetstream: Context,
}

/// No connection to the server.
#[derive(Debug, thiserror::Error)]
#[error("no connection to the NATS server")]
pub struct ConnectError(#[from] async_nats::ConnectError);

impl NatsSink {
    /// Connects to a server, or to one of a cluster: `nats://127.0.0.1:4222`. Connects anew by itself from then on.
    ///
    /// For credentials, TLS and the rest, connect with [`async_nats::ConnectOptions`], and take [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// If no server answers.
    pub async fn connect(addresses: impl ToServerAddrs) -> Result<Self, ConnectError> {
        Ok(Self::new(async_nats::connect(addresses).await?))
    }

    /// Publishes over this connection.
    pub fn new(client: Client) -> Self {
        Self {
            jetstream: ContextBuilder::new().max_ack_inflight(4 * AT_ONCE).build(client),
        }
    }

    async fn publish_one(&self, topic: &str, message: &Outgoing) -> Result<(), PublishError> {
        let publish = PublishMessage::build()
            .payload(message.payload.clone())
            .headers(headers(message));
        let sent = self.jetstream.send_publish(topic.to_owned(), publish).await?;
        // A duplicate is confirmed as well: it is stored.
        sent.await.map(drop)
    }
}

#[async_trait]
impl Sink for NatsSink {
    async fn check(&self, topic: &str) -> Result<(), SinkError> {
        use jetstream::context::GetStreamByNameErrorKind::NotFound;
        let name = self
            .jetstream
            .stream_by_subject(topic)
            .await
            .map_err(|error| match error.kind() {
                NotFound => SinkError::rejected(0, no_stream(topic)),
                _ => SinkError::retry(0, error),
            })?;
        let stream = self.jetstream.get_stream(&name).await;
        let stream = stream.map_err(|error| SinkError::retry(0, error))?;
        let config = &stream.cached_info().config;
        if config.no_ack {
            let message = format!("stream `{name}` confirms nothing: create it without `no_ack`");
            return Err(SinkError::rejected(0, message));
        }
        if config.storage == StorageType::Memory {
            tracing::warn!(
                stream = name,
                topic,
                "the stream is kept in memory: what is published is lost with the server"
            );
        }
        Ok(())
    }

    async fn publish(&self, topic: &str, messages: &[Outgoing]) -> Result<(), SinkError> {
        let mut keys: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, message) in messages.iter().enumerate() {
            keys.entry(&message.key).or_default().push(place);
        }
        // Keys in the order of their first messages, as the first failure is what counts.
        let mut keys: Vec<_> = keys.into_values().collect();
        keys.sort_unstable();
        let failed = AtomicUsize::new(usize::MAX);
        let of_key = |places: Vec<usize>| {
            let failed = &failed;
            async move {
                for place in places {
                    // Messages behind a failure come again anyway.
                    if place > failed.load(Ordering::Relaxed) {
                        break;
                    }
                    if let Err(error) = self.publish_one(topic, &messages[place]).await {
                        failed.fetch_min(place, Ordering::Relaxed);
                        return Some((place, error));
                    }
                }
                None
            }
        };
        let failures = stream::iter(keys).map(of_key).buffer_unordered(AT_ONCE);
        let failures: Vec<_> = failures.filter_map(async |failure| failure).collect().await;
        // All before the first of them are confirmed: none of these was passed over.
        match failures.into_iter().min_by_key(|(place, _)| *place) {
            None => Ok(()),
            Some((done, error)) => Err(failure(topic, done, error)),
        }
    }
}

fn failure(topic: &str, done: usize, error: PublishError) -> SinkError {
    let api = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<jetstream::Error>());
    let is_too_large = api.is_some_and(|api| {
        let too_large = [
            ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM,
            ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM,
        ];
        too_large.contains(&api.error_code())
    });
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => SinkError::rejected(done, error),
        PublishErrorKind::Other if is_too_large => SinkError::rejected(done, error),
        PublishErrorKind::StreamNotFound => SinkError::retry(done, no_stream(topic)),
        _ => SinkError::retry(done, error),
    }
}

fn no_stream(topic: &str) -> String {
    format!("no stream takes subject `{topic}`: create one, `nats stream add --subjects {topic} --storage file`")
}
