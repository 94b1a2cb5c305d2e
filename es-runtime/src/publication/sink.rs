use std::error::Error;

use async_trait::async_trait;

use super::Outgoing;

/// Brings messages to a broker.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Checks, before anything is published, that the topic is there and that the broker keeps what it confirms.
    ///
    /// # Errors
    ///
    /// If it can be known that publishing would fail, or would not keep its promise: the runtime does not start.
    async fn check(&self, topic: &str) -> Result<(), SinkError> {
        let _ = topic;
        Ok(())
    }

    /// Publishes the messages in this order, and returns when the broker has confirmed all of them.
    ///
    /// Up to 1,000 events' messages come at once. One call is made at a time, and the next one after this has returned. A
    /// dropped future leaves it open what was published: the same messages come again.
    ///
    /// # Errors
    ///
    /// [`SinkError`], with the number of messages that are confirmed, from the first on. They need not be published again.
    async fn publish(&self, topic: &str, messages: &[Outgoing]) -> Result<(), SinkError>;
}

/// The broker did not take a message.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct SinkError {
    /// The number of messages that are confirmed, from the first on. The next one failed.
    pub done: usize,
    /// Whether that may go well later.
    pub kind: SinkErrorKind,
    /// The error of the broker's client.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// Whether a message that failed may go well later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkErrorKind {
    /// It may, or nobody knows what became of it: it is published again until it is confirmed.
    Retry,
    /// The broker will never take this message, because it is too large, for example: it is held or parked.
    Rejected,
}

impl SinkError {
    /// The message behind the first `done` failed, or nobody knows what became of it; it may go well later.
    pub fn retry(done: usize, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            done,
            kind: SinkErrorKind::Retry,
            source: source.into(),
        }
    }

    /// The broker will never take the message behind the first `done`.
    pub fn rejected(done: usize, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            done,
            kind: SinkErrorKind::Rejected,
            source: source.into(),
        }
    }
}
