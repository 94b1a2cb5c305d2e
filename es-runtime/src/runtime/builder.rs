use std::sync::Arc;

use super::RetryPolicy;
use super::cache::CacheBound;
use super::event_check::Registered;
use super::preload::{Preload, preload};
use crate::process::{self, Beginning, ProcessManager};
use crate::projection::{InStore, Plan, Project, RowProjection};
use crate::publication::{self, Publication, Sink};
use crate::store::{CursorStore, StateStore};
use crate::{Clock, Commanded, EventSourced, EventStore, SystemClock};

/// Settings of a [`Runtime`](super::Runtime).
#[must_use = "a builder does nothing until `start` is called"]
pub struct Builder<S> {
    pub(super) store: S,
    pub(super) states: Option<Arc<dyn StateStore>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) retry: RetryPolicy,
    pub(super) cache: CacheBound,
    pub(super) queue: usize,
    pub(super) preloads: Vec<Preload>,
    pub(super) aggregates: Vec<Registered>,
    pub(super) allows_unreadable: bool,
    pub(super) plans: Vec<Plan<S>>,
    pub(super) build_rate: Option<u32>,
    pub(super) cursors: Option<Arc<dyn CursorStore>>,
    pub(super) processes: Vec<process::Plan>,
    pub(super) publications: Vec<publication::Plan>,
}

impl<S: EventStore> Builder<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store,
            states: None,
            clock: Arc::new(SystemClock),
            retry: RetryPolicy::default(),
            cache: CacheBound::default(),
            queue: 10_000,
            preloads: Vec::new(),
            aggregates: Vec::new(),
            allows_unreadable: false,
            plans: Vec::new(),
            build_rate: None,
            cursors: None,
            processes: Vec::new(),
            publications: Vec::new(),
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

    /// Sets how often, and after which pauses, a command that met a conflict is decided again.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the largest number of aggregate instances whose state is cached in memory: 0 for none. Unlimited unless set, within the
    /// [bytes](Self::cache_bytes). The state used least recently goes first.
    ///
    /// A cached state saves reading the stream. It never causes a wrong decision, because the append checks its
    /// version, and the runtime reads the newest events before it returns a refusal.
    pub fn cache(mut self, instances: usize) -> Self {
        self.cache.instances = instances;
        self
    }

    /// Sets the largest size of the [cached](Self::cache) states: 256 MiB unless set, 0 for no cache. An estimate: the stored size of
    /// the events that were folded, and 512 bytes for each instance. A state that is a sum of its events takes less. An instance that
    /// is above the bound by itself is cached until another one is used.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache.bytes = bytes;
        self
    }

    /// Loads every instance of aggregate `A` into the [cache](Self::cache) before [`start`](Self::start) returns, so that no command
    /// reads its stream first: from their [snapshots](crate::docs::snapshots) if `A` has them, or else by one reading of all events of
    /// `A`. `tracing` events report the progress every five seconds.
    ///
    /// Stops with a warning where the bounds of the cache are reached. An instance that cannot be read is left out with a warning.
    pub fn preload<A: EventSourced>(mut self) -> Self {
        self.preloads.push(preload::<A>);
        self
    }

    /// Sets the largest number of commands that wait for one aggregate instance in this process: 10,000 unless set. One more fails with
    /// [`Busy`](crate::ExecuteError::Busy).
    ///
    /// Commands to one instance are done one after the other, as many in one write as wait. The bound is there for what never ends: more
    /// commands than the store can take. Ten thousand is some seconds of work for a store on a disk, which a burst may well be.
    pub fn queue(mut self, commands: usize) -> Self {
        self.queue = commands;
        self
    }

    /// Runs projection `P` from [`start`](Self::start) on: in this process, unless another process on the same store
    /// already runs it; then this one takes over when that one ends.
    ///
    /// # Panics
    ///
    /// If another projection of this name and version was given before.
    #[track_caller]
    pub fn projection<P: Project<S>>(self) -> Self {
        self.plan(P::plan())
    }

    /// Reads the rows of projection `P`, which another process runs: for applications that only query. It takes no lease and
    /// creates no table.
    ///
    /// # Panics
    ///
    /// If another projection of this name and version was given before.
    #[track_caller]
    pub fn reads<P: Project<S> + RowProjection<Rows = InStore>>(self) -> Self {
        let mut plan = P::plan();
        plan.runs = false;
        self.plan(plan)
    }

    #[track_caller]
    fn plan(mut self, plan: Plan<S>) -> Self {
        let (name, version) = plan.id();
        assert!(
            !self.plans.iter().any(|other| other.id() == (name, version)),
            "two projections are named `{name}` with version {version}: give one of them another name or version"
        );
        self.plans.push(plan);
        self
    }

    /// Runs process manager `P` from [`start`](Self::start) on: in this process, unless another process on the same store
    /// already runs it; then this one takes over when that one ends. It begins there when it is started for the first
    /// time, and goes on where it was from then on.
    ///
    /// # Panics
    ///
    /// If another process manager has its name, or an aggregate that it knows of; or if `P` lists a reaction twice.
    #[track_caller]
    pub fn process_manager<P: ProcessManager>(mut self, beginning: Beginning) -> Self {
        let plan = process::Plan::of::<P>(beginning);
        let name = plan.registered.name;
        assert!(
            !self.processes.iter().any(|other| other.registered.name == name),
            "two process managers are named `{name}`: give one of them another name"
        );
        let registered = self.aggregates.iter().map(|known| known.category);
        assert!(
            !registered
                .chain(plan.aggregates.iter().copied())
                .any(|aggregate| aggregate == name),
            "process manager and aggregate are both named `{name}`, so that their streams would be the same: give one of them another \
             name"
        );
        self.processes.push(plan);
        self
    }

    /// Runs publication `P` from [`start`](Self::start) on, which publishes to `sink`: in this process, unless another process on the
    /// same store already runs it; then this one takes over when that one ends. It begins there when this version of it is started
    /// for the first time, and goes on where it was from then on.
    ///
    /// # Panics
    ///
    /// If this version of another publication with its name was given before, or if `P` lists an event twice.
    #[track_caller]
    pub fn publication<P: Publication>(mut self, sink: impl Sink, beginning: Beginning) -> Self {
        let plan = publication::Plan::of::<P>(Arc::new(sink), beginning);
        let is_same = |other: &publication::Plan| (other.name, other.version) == (plan.name, plan.version);
        assert!(
            !self.publications.iter().any(is_same),
            "two publications are named `{}` in version {}: give one of them another name",
            plan.name,
            plan.version
        );
        self.publications.push(plan);
        self
    }

    /// Applies at most `events_per_second` while the rows of a projection are built for the first time, so that a new
    /// version leaves the store time for commands. Unlimited unless set.
    pub fn throttle_builds(mut self, events_per_second: u32) -> Self {
        self.build_rate = Some(events_per_second);
        self
    }

    /// Keeps the cursors of [subscriptions](crate::subscription) in another store than the events. Only readers of this
    /// log may use that store, because cursors are distinguished by their names alone. It is yours to close.
    pub fn cursors(mut self, cursors: Arc<dyn CursorStore>) -> Self {
        self.cursors = Some(cursors);
        self
    }

    /// Checks the events of aggregate `A` when the runtime [starts](Self::start), and lists it in the
    /// [catalog](super::Runtime::catalog): call it once for each aggregate. An aggregate that is not registered works like any
    /// other, but an unreadable event is found only when it is read.
    ///
    /// # Panics
    ///
    /// If another aggregate with the same name was registered before.
    #[track_caller]
    pub fn aggregate<A: Commanded>(mut self) -> Self {
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

    /// Starts even if the store holds events that this build cannot read. Loading a stream with such an event still
    /// fails with [`UnknownEvent`](crate::UnknownEvent).
    pub fn allow_unreadable_events(mut self) -> Self {
        self.allows_unreadable = true;
        self
    }
}
