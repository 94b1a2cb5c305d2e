//! Stores that let the tests look at snapshots from outside.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use es_conformance::wrap::{Wrap, Wrapped};
use es_runtime::prelude::*;
use es_runtime::runtime::SnapshotsHealth;
use es_runtime::store::{
    Append, AppendError, AppendRef, Appended, Demand, ProjectionStore, Purge, ReadStream, SaveError, StateChange,
    StateKey, StateStore,
};
use es_runtime::{EventStore, StoreError, StoreErrorKind, StoredEvent};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::Semaphore;

pub(crate) type Store = Arc<dyn ProjectionStore>;

/// A runtime that has nothing in memory.
pub(crate) async fn cold(store: &Store) -> Runtime {
    Runtime::builder(Arc::clone(store)).start().await.unwrap()
}

/// The same, with the snapshots behind a spy.
pub(crate) async fn watched(store: &Store, spy: &Arc<Spy>) -> Runtime {
    let builder = Runtime::builder(Arc::clone(store)).states(Arc::clone(spy) as Arc<dyn StateStore>);
    builder.start().await.unwrap()
}

pub(crate) async fn health(runtime: &Runtime) -> SnapshotsHealth {
    runtime.health().await.unwrap().snapshots
}

/// Waits until the snapshots are so, and none waits to be written.
pub(crate) async fn until(runtime: &Runtime, is_so: impl Fn(&SnapshotsHealth) -> bool) -> SnapshotsHealth {
    for _ in 0..12_000 {
        let health = health(runtime).await;
        if health.queued == 0 && is_so(&health) {
            return health;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {:?}", health(runtime).await);
}

/// Waits until no snapshot waits to be written.
pub(crate) async fn settled(runtime: &Runtime) {
    let health = until(runtime, |_| true).await;
    assert_eq!((health.skipped, health.failed), (0, 0), "{health:?}");
}

/// Stands in front of a store of states: notes what is saved, and waits or fails when told to.
pub(crate) struct Spy {
    pub states: Arc<dyn StateStore>,
    saved: Mutex<Vec<StateChange>>,
    fails: AtomicBool,
    may_save: Semaphore,
    may_purge: Semaphore,
    /// The number of purges that have begun.
    purges: Semaphore,
}

impl Spy {
    /// In front of the states of `store`.
    pub(crate) fn of(store: &Store) -> Arc<Self> {
        Arc::new(Self {
            states: Arc::clone(store).state_store().unwrap(),
            saved: Mutex::default(),
            fails: AtomicBool::new(false),
            may_save: Semaphore::new(Semaphore::MAX_PERMITS),
            may_purge: Semaphore::new(Semaphore::MAX_PERMITS),
            purges: Semaphore::new(0),
        })
    }

    /// Saves wait until they are let go.
    pub(crate) fn hold(&self) {
        self.may_save.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn let_go(&self) {
        self.may_save.add_permits(Semaphore::MAX_PERMITS);
    }

    /// Purges wait until they are let go.
    pub(crate) fn hold_purges(&self) {
        self.may_purge.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Waits for a purge to begin.
    pub(crate) async fn purge_begins(&self) {
        self.purges.acquire().await.unwrap().forget();
    }

    pub(crate) fn let_purges_go(&self) {
        self.may_purge.add_permits(Semaphore::MAX_PERMITS);
    }

    /// Everything fails, or nothing any more.
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// The snapshots that were saved, in order.
    pub(crate) fn saved(&self) -> Vec<StateChange> {
        let is_snapshot = |change: &&StateChange| change.key.namespace.starts_with("es/snapshot/");
        self.saved.lock().unwrap().iter().filter(is_snapshot).cloned().collect()
    }

    /// The versions of the snapshots that were saved, in order.
    pub(crate) fn versions(&self) -> Vec<u64> {
        self.saved().iter().map(|change| change.sequence).collect()
    }

    /// Puts something else in the place of a snapshot.
    pub(crate) async fn replace(&self, key: &StateKey, by: StateChange) {
        self.states.purge(Purge::entities([key.clone()])).await.unwrap();
        self.states.save(vec![by], Demand::Newer).await.unwrap();
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "the states are away"));
        }
        Ok(())
    }
}

#[async_trait]
impl StateStore for Spy {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        self.check()?;
        let _may = self.may_save.acquire().await.unwrap();
        self.saved.lock().unwrap().extend(changes.clone());
        self.states.save(changes, demand).await
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        self.check()?;
        self.states.get(key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        self.states.load(namespace)
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.states.namespaces().await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        self.purges.add_permits(1);
        let _may = self.may_purge.acquire().await.unwrap();
        self.check()?;
        self.states.purge(purge).await
    }
}

/// Counts the events that are loaded.
pub(crate) struct Counting {
    store: Store,
    loaded: Arc<AtomicU64>,
}

impl Counting {
    pub(crate) fn new(store: &Store) -> (Wrapped<Self>, Arc<AtomicU64>) {
        let loaded = Arc::new(AtomicU64::new(0));
        let counting = Self {
            store: Arc::clone(store),
            loaded: Arc::clone(&loaded),
        };
        (Wrapped(Arc::new(counting)), loaded)
    }
}

#[async_trait]
impl Wrap for Counting {
    fn inner(&self) -> &dyn EventStore {
        &*self.store
    }

    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        let count = |_: &StoredEvent| {
            self.loaded.fetch_add(1, Ordering::Relaxed);
        };
        self.store.load_stream(query).inspect_ok(count).boxed()
    }

    fn state_store(&self) -> Option<Arc<dyn StateStore>> {
        Arc::clone(&self.store).state_store()
    }
}

/// A store that takes its time before it loads a stream.
pub(crate) struct Slow {
    store: Store,
    pause: Duration,
}

impl Slow {
    pub(crate) fn new(store: &Store, pause: Duration) -> Wrapped<Self> {
        let store = Arc::clone(store);
        Wrapped(Arc::new(Self { store, pause }))
    }
}

impl Wrap for Slow {
    fn inner(&self) -> &dyn EventStore {
        &*self.store
    }

    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        let load = async move {
            tokio::time::sleep(self.pause).await;
            self.store.load_stream(query)
        };
        stream::once(load).flatten().boxed()
    }

    fn state_store(&self) -> Option<Arc<dyn StateStore>> {
        Arc::clone(&self.store).state_store()
    }
}

/// A store that keeps events and nothing else.
pub(crate) struct Stateless(Store);

impl Stateless {
    pub(crate) fn new(store: &Store) -> Wrapped<Self> {
        Wrapped(Arc::new(Self(Arc::clone(store))))
    }
}

impl Wrap for Stateless {
    fn inner(&self) -> &dyn EventStore {
        &*self.0
    }
}

/// A store whose appends fail when told to: nothing is stored.
pub(crate) struct Refusing {
    store: Store,
    next: Mutex<Option<bool>>,
}

impl Refusing {
    pub(crate) fn new(store: &Store) -> Wrapped<Self> {
        Wrapped(Arc::new(Self {
            store: Arc::clone(store),
            next: Mutex::default(),
        }))
    }

    /// The next append fails, and it is known or not that nothing is stored.
    pub(crate) fn refuse(&self, outcome_is_known: bool) {
        *self.next.lock().unwrap() = Some(outcome_is_known);
    }
}

#[async_trait]
impl Wrap for Refusing {
    fn inner(&self) -> &dyn EventStore {
        &*self.store
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let lost = || StoreError::new(StoreErrorKind::Unavailable, "the store is away");
        let next = self.next.lock().unwrap().take();
        match next {
            None => self.store.append(append).await,
            Some(true) => Err(lost().into()),
            Some(false) => Err(AppendError::Indeterminate {
                append: Box::new(AppendRef::of(&append)),
                source: lost(),
            }),
        }
    }

    async fn resolve(&self, _: &AppendRef) -> Result<Option<Appended>, StoreError> {
        Err(StoreError::new(StoreErrorKind::Unavailable, "the store is away"))
    }
}
