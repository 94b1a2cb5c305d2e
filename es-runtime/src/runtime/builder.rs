use std::sync::Arc;

use super::RetryPolicy;
use super::event_check::Registered;
use crate::projection::{Plan, Project};
use crate::store::{CursorStore, StateStore};
use crate::{Clock, EventSourced, EventStore, SystemClock};

/// Settings of a [`Runtime`](super::Runtime).
#[must_use = "a builder does nothing until `start` is called"]
pub struct Builder<S> {
    pub(super) store: S,
    pub(super) states: Option<Arc<dyn StateStore>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) retry: RetryPolicy,
    pub(super) cached: usize,
    pub(super) aggregates: Vec<Registered>,
    pub(super) allows_unreadable: bool,
    pub(super) plans: Vec<Plan<S>>,
    pub(super) build_rate: Option<u32>,
    pub(super) cursors: Option<Arc<dyn CursorStore>>,
}

impl<S: EventStore> Builder<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store,
            states: None,
            clock: Arc::new(SystemClock),
            retry: RetryPolicy::default(),
            cached: 10_000,
            aggregates: Vec::new(),
            allows_unreadable: false,
            plans: Vec::new(),
            build_rate: None,
            cursors: None,
        }
    }

    /// Keeps the latest state of entities in `states`, and not in the store of the events: what the runtime notes for itself, such as the
    /// caps on what may be written, and what [`Runtime::states`](super::Runtime::states) gives. All processes that share the events should
    /// share the states. It is yours to close.
    pub fn states(mut self, states: Arc<dyn StateStore>) -> Self {
        self.states = Some(states);
        self
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
        let (name, version) = plan.id();
        assert!(
            !self.plans.iter().any(|other| other.id() == (name, version)),
            "two projections are named `{name}` with version {version}: give one of them another name or version"
        );
        self.plans.push(plan);
        self
    }

    /// Applies at most so many events in a second while the rows of a projection are built for the first time, so that a new
    /// version leaves the store time for commands. As many as it can unless set.
    pub fn throttle_builds(mut self, events_per_second: u32) -> Self {
        self.build_rate = Some(events_per_second);
        self
    }

    /// Keeps how far [subscriptions](crate::subscription) have come in another store than the events: one that more than this log's
    /// readers may use, as their names are told apart by nothing else. It is yours to close.
    pub fn cursors(mut self, cursors: Arc<dyn CursorStore>) -> Self {
        self.cursors = Some(cursors);
        self
    }

    /// Checks the events of aggregate `A` when the runtime [starts](Self::start): call it once for each aggregate. One that is not
    /// registered is executed, loaded and appended to like any other; an event that cannot be read is then found when it is
    /// met.
    ///
    /// # Panics
    ///
    /// If another aggregate with the same name was registered before.
    #[track_caller]
    pub fn aggregate<A: EventSourced>(mut self) -> Self {
        let registered = Registered::of::<A>();
        let known = self.aggregates.iter().find(|known| known.category == A::NAME);
        match known {
            None => self.aggregates.push(registered),
            Some(known) if known.aggregate == registered.aggregate => {}
            Some(_) => panic!(
                "two aggregates are named `{}`: give one of them another name, `#[es(name = \"…\")]`",
                A::NAME
            ),
        }
        self
    }

    /// Starts even if the store holds events that this build cannot read. To load a stream with such an event is still an
    /// [`UnknownEvent`](crate::UnknownEvent).
    pub fn allow_unreadable_events(mut self) -> Self {
        self.allows_unreadable = true;
        self
    }
}
