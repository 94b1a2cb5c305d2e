//! The runtime, and what its methods give: requests that are awaited, their options and their results.

mod any;
mod append;
mod atomically;
mod builder;
mod cache;
mod caps;
mod catalog;
mod decide;
mod dry_run;
mod enclosing;
mod event_check;
mod execute;
mod execute_within;
mod handle_events;
mod history;
mod import;
mod joint;
mod list;
mod live;
mod load;
mod newest;
mod preload;
mod projections;
mod read;
mod receipt;
mod request;
mod results;
mod retry;
mod slot;
mod snapshot;
mod start;
mod state;
mod subscribe;
mod transaction;
mod write;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::Cursors;
use crate::process::{self, AnyProcessManager, ProcessManager, ProcessManagerHandle};
use crate::projection::Projections;
use crate::publication::{self, Publication, PublicationHandle};
use crate::store::{AppendRef, Appended, ListStreams, StateStore, Unreserved};
use crate::subscription::{Kind, Subscriptions};
use crate::{
    Aggregate, Clock, CommandOf, EventSourced, EventStore, IntoEvents, Key, StoreError, StoreErrorKind, Timestamp,
    Version,
};

pub use any::{AnyAggregate, AnyEvent, AnyInstance, AnyRequest, AnyState, AnyStep, At};
pub use append::AppendEvents;
pub use atomically::Atomically;
use atomically::Commands;
pub use builder::Builder;
use cache::Cache;
use caps::Caps;
pub use caps::{CapError, UnwritableEvent};
pub use catalog::{AggregateInfo, Catalog, ProjectionInfo};
pub use dry_run::DryRun;
use event_check::Registered;
pub use event_check::{EventReport, Readable, StoredKind};
pub use execute::Execute;
pub use execute_within::ExecuteWithin;
pub use handle_events::HandleEvents;
pub use history::{History, Recorded};
pub use import::{AnyPast, Import, ImportError, ImportItem, Imported, Past};
pub(crate) use joint::{Joint, NotJoint, WeakRuntime};
pub use list::{Count, GroupBy, List, Page};
pub use live::FoldLive;
pub use load::{Load, Loaded};
pub use projections::{ProjectionHandle, RebuildProjection, RunUntil, Shutdown};
pub use read::{Get, ProjectionRow};
pub use receipt::Receipt;
pub use results::Results;
pub use retry::RetryPolicy;
use snapshot::Snapshots;
pub use snapshot::{
    SnapshotDifference, SnapshotError, SnapshotPolicy, SnapshotState, SnapshotsHealth, VerifiedSnapshots,
    VerifySnapshots,
};
pub use start::StartError;
pub use subscribe::Subscribe;
pub use transaction::Transaction;
pub(crate) use write::WriteError;

/// The function that runs a builder when it is awaited.
///
/// A builder is a future whatever it is about, and keeps the function that runs it: then a command that is not the aggregate's, say, is
/// reported where it is named, and not where it is awaited as well.
type Start<'a, Builder, T> = fn(Builder) -> Started<'a, T>;

/// The time that snapshots which wait to be written have before the store is closed.
const CLOSING: Duration = Duration::from_secs(10);

/// The running future of a builder.
type Started<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Executes commands, loads aggregates, and reads their history. Clones share everything, so give each task a
/// clone. Needs a tokio runtime with its timer enabled, which should live as long: projections and subscriptions end
/// with it.
///
/// ```
/// # use es_runtime::{MemoryStore, Runtime};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> es_runtime::Result<()> {
/// let runtime = Runtime::builder(MemoryStore::new()).start().await?;
/// # let _ = runtime;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

struct Inner {
    store: Arc<dyn EventStore>,
    /// The cursors of subscriptions; `None` if no store keeps them.
    cursors: Option<Cursors>,
    /// The latest state of entities; `None` if no store keeps that.
    states: Option<Arc<dyn StateStore>>,
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
    /// The most writes that wait for one instance.
    queue: usize,
    cache: Cache,
    snapshots: Snapshots,
    caps: Caps,
    aggregates: Vec<Registered>,
    catalog: Catalog,
    projections: Projections,
    subscriptions: Subscriptions,
    processes: Vec<process::Registered>,
    /// The names of the cursors of its publications.
    publications: Vec<String>,
}

impl Runtime {
    /// Returns a builder for a runtime over `store`.
    pub fn builder<S: EventStore>(store: S) -> Builder<S> {
        Builder::new(store)
    }

    /// Sends `command` to the aggregate instance `key`: loads it, decides, appends the events. Await the result, or set
    /// options first.
    pub fn execute<K: Key, C: CommandOf<K::Aggregate>>(
        &self,
        key: K,
        command: C,
    ) -> Execute<'_, K::Aggregate, C, C::Refusal>
    where
        K::Aggregate: EventSourced,
    {
        Execute::new(self, key.stream_id(), command)
    }

    /// Decides `command` as [`execute`](Self::execute) would, and stores nothing. Await the result, or choose the version
    /// first.
    pub fn dry_run<K: Key, C: CommandOf<K::Aggregate>>(
        &self,
        key: K,
        command: C,
    ) -> DryRun<'_, K::Aggregate, C, C::Refusal>
    where
        K::Aggregate: EventSourced,
    {
        DryRun::new(self, key.stream_id(), command)
    }

    /// Appends events without a command: imports and migrations. They must fold onto the state.
    pub fn append<K: Key>(&self, key: K, events: impl IntoEvents<K::Aggregate>) -> AppendEvents<'_, K::Aggregate>
    where
        K::Aggregate: EventSourced,
    {
        AppendEvents::new(self, key.stream_id(), events)
    }

    /// Runs several commands to several aggregates as one: their events are appended together or not at all.
    ///
    /// `commands` runs again on a conflict, like a handler, so it should only send commands. Write it as `async |tx|
    /// …`; an `async move` closure would move its captures out at the first run. `?` ends it with the refusal of any
    /// command, or with an error of your own; either is then a [refusal](crate::ExecuteError::Refused), whose
    /// [`AnyRefusal`](crate::AnyRefusal) gives it back. Any other failure (a missing aggregate, a failing store) ends
    /// the closure at once, and is the error of the whole.
    pub fn atomically<'a, F, R>(&'a self, commands: F) -> Atomically<'a, F>
    where
        F: Fn(Transaction) -> R + Send + Sync + 'a,
        R: Commands + 'a,
    {
        Atomically::new(self, commands)
    }

    /// Loads the aggregate instance `key`. Await the result, or choose the point in time first.
    pub fn load<K: Key>(&self, key: K) -> Load<'_, K::Aggregate>
    where
        K::Aggregate: EventSourced,
    {
        Load::new(self, key.stream_id())
    }

    /// Returns each event of the aggregate instance `key`, from the first on, with the state after it.
    pub fn history<K: Key>(&self, key: K) -> History<'_, K::Aggregate>
    where
        K::Aggregate: EventSourced<Event: Clone> + Clone,
    {
        History::new(self, key.stream_id())
    }

    /// Returns the instances of aggregate `A`, with the version of each, in the order of their ids' text.
    pub fn streams<A: Aggregate>(&self) -> Results<'_, (A::Id, Version), StoreError> {
        use futures_util::StreamExt as _;

        Results::new(self.0.store.streams(ListStreams::new(A::NAME)).map(|info| {
            let info = info?;
            let id = info.stream.id().parse().map_err(|_| {
                StoreError::new(
                    StoreErrorKind::Corrupt,
                    format!("the id of stream `{}` cannot be read", info.stream),
                )
            })?;
            Ok((id, info.version))
        }))
    }

    /// Returns whether the append of an [`Indeterminate`](crate::ExecuteError::Indeterminate) error is stored:
    /// definitely.
    pub async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        self.0.store.resolve(append).await
    }

    /// Forgets the idempotency keys of requests that the store recorded longer ago than this, and returns how many it forgot. Such a key
    /// is as good as one that was never used: a request that is sent again with it is done again. So keep keys for longer than any client
    /// repeats a request. Everything else stays, and [`resolve`](Self::resolve) knows all appends as before.
    ///
    /// May be called while commands run, as often as it suits you: it takes a few keys at a time.
    ///
    /// # Errors
    ///
    /// [`Rejected`](StoreErrorKind::Rejected) if the store cannot forget keys. After another error some may be forgotten:
    /// call it again.
    pub async fn purge_keys(&self, older_than: Duration) -> Result<u64, StoreError> {
        let store = &self.0.store;
        let age = i64::try_from(older_than.as_micros()).unwrap_or(i64::MAX);
        let before = store.now().await?.as_micros().saturating_sub(age);
        store
            .purge_keys(Timestamp::from_micros(before).unwrap_or(Timestamp::MIN))
            .await
    }

    /// Finishes pending requests, then closes the store, for every clone of this runtime. An embedded store then
    /// consists of one file. Not needed to keep events: every answered append is stored. [Shut down](Self::shutdown) a
    /// runtime with projections or subscriptions instead, so that they release their leases.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.0.snapshots.close(Instant::now() + CLOSING).await;
        self.0.store.close().await
    }

    /// Returns a handle to publication `P`, if this runtime runs it.
    pub fn publication<P: Publication>(&self) -> Option<PublicationHandle> {
        let handle = self
            .0
            .subscriptions
            .handle(Kind::Publication, &publication::cursor_of::<P>())?;
        Some(PublicationHandle::new::<P>(handle, self.all_states()))
    }

    /// Returns a handle to a process manager of this runtime.
    ///
    /// # Panics
    ///
    /// If `P` was not given to the builder of the runtime.
    #[track_caller]
    pub fn process_manager<P: ProcessManager>(&self) -> ProcessManagerHandle<'_, P> {
        let reactions = self.0.processes.iter().find_map(process::Registered::reactions::<P>);
        let handle = self.0.subscriptions.handle(Kind::Process, P::NAME);
        match reactions {
            Some(reactions) => ProcessManagerHandle::new(self, reactions, handle),
            None => panic!(
                "process manager `{}` was not given to the builder of the runtime: `.process_manager::<…>(Beginning::…)`",
                P::NAME
            ),
        }
    }

    /// Returns a handle to each process manager of this runtime, in the order in which they were given to its builder.
    pub fn process_managers(&self) -> impl Iterator<Item = AnyProcessManager<'_>> {
        let registered = self.0.processes.iter();
        registered.map(|registered| AnyProcessManager::new(self, registered))
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.0.projections.is_stopped()
    }

    /// The cursors of readers of the log.
    pub(crate) fn cursors(&self) -> Option<Cursors> {
        self.0.cursors.clone()
    }

    /// The time by the clock of the runtime.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Returns the store, for operations that the runtime has no method for.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.0.store
    }

    /// The store of states with what the runtime itself keeps there.
    pub(crate) fn all_states(&self) -> Option<Arc<dyn StateStore>> {
        self.0.states.clone()
    }

    /// Returns the store of the latest state of entities: the one that was [given](Builder::states), or else that of the events. `None` if
    /// that keeps no states. The namespace `es` is the runtime's own.
    pub fn states(&self) -> Option<Arc<dyn StateStore>> {
        let states = Arc::clone(self.0.states.as_ref()?);
        Some(Arc::new(Unreserved(states)))
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("retry", &self.0.retry)
            .finish_non_exhaustive()
    }
}
