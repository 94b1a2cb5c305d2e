use std::sync::Arc;

use super::cache::Cache;
use super::{Inner, RetryPolicy, Runtime};
use crate::projection::{Plan, Project, Projections, Wakes};
use crate::{Clock, EventStore, StoreError, SystemClock};

/// Settings of a [`Runtime`].
#[must_use = "a builder does nothing until `start` is called"]
pub struct Builder<S> {
    store: S,
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
    cached: usize,
    plans: Vec<Plan<S>>,
}

impl<S: EventStore> Builder<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
            retry: RetryPolicy::default(),
            cached: 10_000,
            plans: Vec::new(),
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

    /// Runs projection `P` from [`start`](Self::start) on: in this process or, if another one that shares the store runs it, in
    /// that one, until it ends.
    ///
    /// # Panics
    ///
    /// If another projection of this name and version was given before.
    #[track_caller]
    pub fn projection<P: Project<S>>(mut self) -> Self {
        let plan = P::plan();
        let of = |plan: &Plan<S>| (plan.standing.name, plan.standing.version);
        let (name, version) = of(&plan);
        assert!(
            !self.plans.iter().any(|other| of(other) == (name, version)),
            "two projections are named `{name}` with version {version}: give one of them another name or version"
        );
        self.plans.push(plan);
        self
    }

    /// Starts the runtime, and its projections.
    ///
    /// # Errors
    ///
    /// If the store cannot be reached, or refuses the table of a projection.
    pub async fn start(self) -> Result<Runtime, StoreError> {
        self.store.head().await?;
        let (store, wakes) = (Arc::new(self.store), Wakes::new());
        let projections = Projections::start(self.plans, &store, &wakes, &self.clock).await?;
        Ok(Runtime(Arc::new(Inner {
            store,
            wakes,
            projections,
            clock: self.clock,
            retry: self.retry,
            cache: Cache::new(self.cached),
        })))
    }
}
