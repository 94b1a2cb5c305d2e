//! Stores whose answers are lost, callers that go away, and repositories that panic.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use es_runtime::prelude::*;
use es_runtime::state::{Changes, Entities, PersistError, Repository, RestoreError, StateManager};
use es_runtime::store::{Demand, Purge, SaveError, StateChange, StateKey, StateStore};
use es_runtime::{StoreError, StoreErrorKind};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::Semaphore;

use super::domain::{Deployment, DeploymentId, NAMESPACE, Workspace, deployment};

/// The fate of a save.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// It is done, and nobody hears of it.
    Lost,
    /// It is not done, and nobody can tell.
    Unknown,
    /// It is done, nobody hears of it, and another manager follows on it.
    Overtaken,
    /// It is not done, nobody can tell, and another manager takes its place.
    Replaced,
    /// It is not done, and says so.
    Refused,
}

/// A store in memory, with faults for the next saves.
#[derive(Clone, Default)]
struct Faulty {
    store: MemoryStore,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    loads_fail: Arc<AtomicBool>,
}

fn gone() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the connection is gone")
}

/// The change as another manager would make it.
fn by_another(change: &StateChange, sequence: u64) -> StateChange {
    StateChange {
        sequence,
        payload: Some(r#"{"id":1,"name":"another"}"#.into()),
        ..change.clone()
    }
}

#[async_trait]
impl StateStore for Faulty {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        let fault = self.faults.lock().unwrap().pop_front();
        let first = changes[0].clone();
        match fault {
            None => return self.store.save(changes, demand).await,
            Some(Fault::Lost) => self.store.save(changes, demand).await?,
            Some(Fault::Unknown) => {}
            Some(Fault::Overtaken) => {
                self.store.save(changes, demand).await?;
                self.store
                    .save(vec![by_another(&first, first.sequence + 1)], demand)
                    .await?;
            }
            Some(Fault::Replaced) => {
                self.store
                    .save(vec![by_another(&first, first.sequence)], demand)
                    .await?;
            }
            Some(Fault::Refused) => return Err(SaveError::Store(gone())),
        }
        Err(SaveError::Indeterminate(gone()))
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        self.store.get(key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        let failing = self.loads_fail.load(Ordering::SeqCst).then(|| Err(gone()));
        self.store.load(namespace).chain(stream::iter(failing)).boxed()
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.store.namespaces().await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        self.store.purge(purge).await
    }
}

/// A workspace with one deployment, whose store will have these faults.
async fn with_faults(faults: impl IntoIterator<Item = Fault>) -> (Faulty, Workspace) {
    let store = Faulty::default();
    let workspace = Workspace::restored(&(Arc::new(store.clone()) as Arc<dyn StateStore>)).await;
    workspace
        .manager
        .persist(Changes::of(NAMESPACE).create(&deployment(1, "a")))
        .await
        .unwrap();
    store.faults.lock().unwrap().extend(faults);
    (store, workspace)
}

fn update(name: &str) -> Changes {
    Changes::of(NAMESPACE).update(&deployment(1, name))
}

#[tokio::test(start_paused = true)]
async fn a_save_whose_answer_is_lost_is_done_once() {
    let faults: [&[Fault]; 4] = [
        &[Fault::Lost],
        &[Fault::Unknown],
        &[Fault::Lost, Fault::Refused, Fault::Unknown],
        &[Fault::Unknown, Fault::Refused, Fault::Refused, Fault::Lost],
    ];
    for faults in faults {
        let (store, workspace) = with_faults(faults.iter().copied()).await;
        workspace.manager.persist(update("b")).await.unwrap();
        assert_eq!(workspace.all().0, [deployment(1, "b")], "{faults:?}");
        let kept = store
            .get(&StateKey::new(NAMESPACE, "deployment", "d1"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(kept.sequence, 2, "{faults:?}");
        workspace.manager.persist(update("c")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_not_learnt_is_neither_success_nor_failure() {
    let lasting = std::iter::once(Fault::Lost).chain(std::iter::repeat_n(Fault::Refused, 100));
    for faults in [vec![Fault::Overtaken], lasting.collect()] {
        let (store, workspace) = with_faults(faults).await;
        let unknown = workspace.manager.persist(update("b")).await.unwrap_err();
        assert!(matches!(unknown, PersistError::Indeterminate(_)), "{unknown:?}");
        assert_eq!(workspace.all().0, [deployment(1, "a")]);
        store.faults.lock().unwrap().clear();
        // The namespace has to be restored first.
        let refused = workspace.manager.persist(update("c")).await.unwrap_err();
        assert!(matches!(refused, PersistError::NotRestored { .. }), "{refused:?}");
        workspace.manager.restore(NAMESPACE).await.unwrap();
        assert_ne!(workspace.all().0, [deployment(1, "a")]);
        workspace.manager.persist(update("c")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_save_that_lost_its_place_is_a_conflict() {
    let (_, workspace) = with_faults([Fault::Replaced]).await;
    let refused = workspace.manager.persist(update("b")).await.unwrap_err();
    assert!(
        matches!(refused, PersistError::Conflict { kept: 2, given: 2, .. }),
        "{refused:?}"
    );
    workspace.manager.restore(NAMESPACE).await.unwrap();
    assert_eq!(workspace.all().0, [deployment(1, "another")]);
}

#[tokio::test]
async fn a_failure_is_told_and_changes_nothing() {
    let (store, workspace) = with_faults([Fault::Refused]).await;
    let refused = workspace.manager.persist(update("b")).await.unwrap_err();
    assert!(
        matches!(&refused, PersistError::Store(error) if error.kind() == StoreErrorKind::Unavailable),
        "{refused:?}"
    );
    assert!(refused.is_retryable());
    assert_eq!(workspace.all().0, [deployment(1, "a")]);
    store.loads_fail.store(true, Ordering::SeqCst);
    let refused = workspace.manager.restore(NAMESPACE).await.unwrap_err();
    assert!(matches!(refused, RestoreError::Store(_)), "{refused:?}");
    assert_eq!(workspace.all().0, [deployment(1, "a")]);
    workspace.manager.persist(update("c")).await.unwrap();
}

/// A store that is slow: each save and each load waits for a permit, after it has said that it is there.
#[derive(Clone)]
struct Slow {
    store: MemoryStore,
    arrived: Arc<Semaphore>,
    permits: Arc<Semaphore>,
}

#[async_trait]
impl StateStore for Slow {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        self.arrived.add_permits(1);
        self.permits.acquire().await.unwrap().forget();
        self.store.save(changes, demand).await
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        self.store.get(key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        let changes = self.store.load(namespace);
        let waiting = async move {
            self.arrived.add_permits(1);
            self.permits.acquire().await.unwrap().forget();
            changes
        };
        stream::once(waiting).flatten().boxed()
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.store.namespaces().await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        self.store.purge(purge).await
    }
}

impl Slow {
    fn new() -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self {
            store: MemoryStore::new(),
            arrived: none(),
            permits: none(),
        }
    }

    /// Waits until something has arrived.
    async fn has_begun(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }
}

#[tokio::test]
async fn changes_whose_caller_has_gone_are_in_the_repositories_too() {
    let slow = Slow::new();
    let workspace = Workspace::new(&(Arc::new(slow.clone()) as Arc<dyn StateStore>));
    slow.permits.add_permits(1);
    workspace.manager.restore(NAMESPACE).await.unwrap();
    slow.has_begun().await;
    {
        let mut persisting = std::pin::pin!(
            workspace
                .manager
                .persist(Changes::of(NAMESPACE).create(&deployment(1, "a")))
        );
        tokio::select! {
            biased;
            _ = &mut persisting => panic!("it has no permit"),
            () = slow.has_begun() => {}
        }
    }
    slow.permits.add_permits(2);
    // Behind the one that goes on.
    workspace.manager.persist(update("b")).await.unwrap();
    assert_eq!(workspace.all().0, [deployment(1, "b")]);
}

#[tokio::test]
async fn readers_see_what_was_there_until_all_is_restored() {
    let slow = Slow::new();
    let workspace = Workspace::new(&(Arc::new(slow.clone()) as Arc<dyn StateStore>));
    slow.permits.add_permits(2);
    workspace.manager.restore(NAMESPACE).await.unwrap();
    workspace
        .manager
        .persist(Changes::of(NAMESPACE).create(&deployment(1, "a")))
        .await
        .unwrap();
    slow.has_begun().await;
    slow.has_begun().await;
    let key = StateKey::new(NAMESPACE, "deployment", "d1");
    let kept = slow.store.get(&key).await.unwrap().unwrap();
    slow.store.save(vec![by_another(&kept, 2)], Demand::Next).await.unwrap();
    {
        let mut restoring = std::pin::pin!(workspace.manager.restore(NAMESPACE));
        tokio::select! {
            biased;
            _ = &mut restoring => panic!("it has no permit"),
            () = slow.has_begun() => {}
        }
        assert_eq!(workspace.all().0, [deployment(1, "a")]);
    }
    // Dropped half-way, it has changed nothing, and the manager goes on with what it knew.
    slow.permits.add_permits(1);
    let refused = workspace.manager.persist(update("b")).await.unwrap_err();
    assert!(matches!(refused, PersistError::Conflict { .. }), "{refused:?}");
    slow.permits.add_permits(1);
    workspace.manager.restore(NAMESPACE).await.unwrap();
    assert_eq!(workspace.all().0, [deployment(1, "another")]);
}

/// A repository that panics when it is told to.
#[derive(Clone)]
struct Fragile {
    entities: Entities<Deployment>,
    panics: Arc<AtomicBool>,
}

impl Fragile {
    fn check(&self) {
        assert!(!self.panics.load(Ordering::SeqCst), "the index is broken");
    }
}

impl Repository<Deployment> for Fragile {
    fn replace(&self, entities: Vec<Arc<Deployment>>) {
        self.check();
        self.entities.replace(entities);
    }

    fn put(&self, entity: Arc<Deployment>) {
        self.check();
        self.entities.put(entity);
    }

    fn remove(&self, id: &DeploymentId) {
        self.check();
        self.entities.remove(id);
    }
}

#[tokio::test]
async fn a_repository_that_panicked_is_restored_before_anything_else() {
    let fragile = Fragile {
        entities: Entities::new(),
        panics: Arc::default(),
    };
    let manager = StateManager::builder(MemoryStore::new())
        .repository(fragile.clone())
        .build();
    manager.restore(NAMESPACE).await.unwrap();
    let panics = |panics| fragile.panics.store(panics, Ordering::SeqCst);
    panics(true);
    for restores in [false, true] {
        let again = manager.clone();
        let panicked = tokio::spawn(async move {
            if restores {
                drop(again.restore(NAMESPACE).await);
            } else {
                drop(again.persist(Changes::of(NAMESPACE).create(&deployment(1, "a"))).await);
            }
        });
        let panic = panicked.await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the index is broken"));
        let refused = manager.persist(update("b")).await.unwrap_err();
        assert!(matches!(refused, PersistError::NotRestored { .. }), "{refused:?}");
    }
    panics(false);
    manager.restore(NAMESPACE).await.unwrap();
    // It was saved before the repository got it.
    assert_eq!(fragile.entities.len(), 1);
    manager.persist(update("b")).await.unwrap();
}
