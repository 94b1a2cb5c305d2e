use std::sync::Arc;

use super::cache::Cache;
use super::{Inner, RetryPolicy, Runtime};
use crate::{Clock, EventStore, StoreError, SystemClock};

/// Settings of a [`Runtime`].
#[must_use = "a builder does nothing until `start` is called"]
pub struct Builder<S> {
    store: S,
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
    cached: usize,
}

impl<S: EventStore> Builder<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
            retry: RetryPolicy::default(),
            cached: 10_000,
        }
    }

    /// Takes [`Context::now`](crate::Context::now) from `clock`. A store has a clock of its own.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How often, and after which pauses, a command that met a conflict is decided again.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Of how many aggregate instances the state is kept in memory: 10,000 unless set, 0 for none. The state that was used
    /// least recently goes first.
    ///
    /// A cached state saves reading the stream. It never decides wrongly, because the append checks its version, and a
    /// refusal is given only after the newest events were read.
    pub fn cache(mut self, instances: usize) -> Self {
        self.cached = instances;
        self
    }

    /// Starts the runtime.
    ///
    /// # Errors
    ///
    /// If the store cannot be reached.
    pub async fn start(self) -> Result<Runtime, StoreError> {
        self.store.head().await?;
        Ok(Runtime(Arc::new(Inner {
            store: Arc::new(self.store),
            clock: self.clock,
            retry: self.retry,
            cache: Cache::new(self.cached),
        })))
    }
}
