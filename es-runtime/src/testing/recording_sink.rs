use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::publication::{Outgoing, Sink, SinkError};

/// A sink in memory, for tests of a [publication](mod@crate::publication). A clone has the same messages.
#[derive(Clone)]
pub struct RecordingSink {
    messages: Arc<watch::Sender<Vec<Outgoing>>>,
    take: Arc<Take>,
}

/// The longest wait for a message.
const PATIENCE: Duration = Duration::from_secs(60);

type Take = dyn Fn(&Outgoing) -> Result<(), SinkError> + Send + Sync;

impl RecordingSink {
    /// A sink that takes every message.
    #[expect(
        clippy::new_without_default,
        reason = "a default sink would suggest one that does something"
    )]
    pub fn new() -> Self {
        Self::failing(|_| Ok(()))
    }

    /// A sink that asks `take` before each message, and fails at the first for which that fails.
    pub fn failing(take: impl Fn(&Outgoing) -> Result<(), SinkError> + Send + Sync + 'static) -> Self {
        Self {
            messages: Arc::new(watch::Sender::new(Vec::new())),
            take: Arc::new(take),
        }
    }

    /// The messages that it has taken, in order, with those that were repeated.
    pub fn messages(&self) -> Vec<Outgoing> {
        self.messages.borrow().clone()
    }

    /// Waits until it has taken as many messages as that, and returns all that it has.
    ///
    /// # Panics
    ///
    /// If that takes longer than a minute: look at [`Runtime::health`](crate::Runtime::health).
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> impl Future<Output = Vec<Outgoing>> {
        let (mut taken, caller) = (self.messages.subscribe(), Location::caller());
        async move {
            // The time runs out, or the sender is gone: this is told below.
            drop(timeout(PATIENCE, taken.wait_for(|messages| messages.len() >= count)).await);
            let messages = taken.borrow().clone();
            assert!(
                messages.len() >= count,
                "{caller}: the sink has taken {} messages of {count} in {PATIENCE:?}: {messages:#?}",
                messages.len()
            );
            messages
        }
    }
}

#[async_trait]
impl Sink for RecordingSink {
    async fn publish(&self, _: &str, messages: &[Outgoing]) -> Result<(), SinkError> {
        for (done, message) in messages.iter().enumerate() {
            (self.take)(message).map_err(|error| SinkError { done, ..error })?;
            self.messages.send_modify(|taken| taken.push(message.clone()));
        }
        Ok(())
    }
}

impl fmt::Debug for RecordingSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingSink")
            .field("messages", &self.messages.borrow().len())
            .finish_non_exhaustive()
    }
}
