//! Faults in what is kept of states.

use std::sync::Arc;

use async_trait::async_trait;
use es_runtime::store::{Change, Demand, Purge, SaveError, StateChange, StateKey, StateStore};
use es_runtime::{Clock, EventStore, MemoryStore, StoreError};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future};

use crate::{Capability, Fixture};

/// A layer in front of a store of states: passes every call on, except those that it overrides.
#[async_trait]
trait Fault: Send + Sync + 'static {
    async fn save(&self, store: &MemoryStore, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        store.save(changes, demand).await
    }

    async fn get(&self, store: &MemoryStore, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        store.get(key).await
    }

    fn load<'a>(&self, store: &'a MemoryStore, namespace: &str) -> BoxStream<'a, Result<StateChange, StoreError>> {
        store.load(namespace)
    }

    async fn namespaces(&self, store: &MemoryStore) -> Result<Vec<String>, StoreError> {
        store.namespaces().await
    }

    async fn purge(&self, store: &MemoryStore, purge: Purge) -> Result<u64, StoreError> {
        store.purge(purge).await
    }
}

#[derive(Clone)]
struct Faulty<F> {
    store: MemoryStore,
    fault: F,
}

#[async_trait]
impl<F: Fault> StateStore for Faulty<F> {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        self.fault.save(&self.store, changes, demand).await
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        self.fault.get(&self.store, key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        self.fault.load(&self.store, namespace)
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.fault.namespaces(&self.store).await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        self.fault.purge(&self.store, purge).await
    }
}

#[async_trait]
impl<F: Fault + Clone> Fixture for Faulty<F> {
    fn capabilities(&self) -> &[Capability] {
        &[Capability::MultiStream, Capability::AnyPayload, Capability::States]
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(self.store.clone().with_clock(clock))
    }

    async fn open_states(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn StateStore>> {
        let store = self.store.clone().with_clock(clock);
        let fault = self.fault.clone();
        Some(Arc::new(Self { store, fault }))
    }
}

/// A store with one method of [`Fault`] that is wrong.
macro_rules! fault {
    ($name:ident, $($method:tt)+) => {
        pub(super) fn $name() -> Box<dyn Fixture> {
            #[derive(Clone)]
            struct Wrong;

            #[async_trait]
            impl Fault for Wrong {
                $($method)+
            }

            Box::new(Faulty {
                store: MemoryStore::new(),
                fault: Wrong,
            })
        }
    };
}

/// Puts the changes in the place of what is kept, whatever that is.
async fn overwrite(store: &MemoryStore, changes: Vec<StateChange>) -> Result<(), SaveError> {
    let keys = changes.iter().map(|change| change.key.clone());
    store.purge(Purge::entities(keys)).await?;
    store.save(changes, Demand::Newer).await
}

fault!(
    takes_older_states,
    async fn save(&self, store: &MemoryStore, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        match demand {
            Demand::Newer => overwrite(store, changes).await,
            Demand::Next => store.save(changes, demand).await,
        }
    }
);

fault!(
    overwrites_states,
    async fn save(&self, store: &MemoryStore, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        match demand {
            Demand::Next => overwrite(store, changes).await,
            Demand::Newer => store.save(changes, demand).await,
        }
    }
);

fault!(
    keeps_the_states_that_fit,
    async fn save(&self, store: &MemoryStore, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        for change in changes {
            store.save(vec![change], demand).await?;
        }
        Ok(())
    }
);

fault!(
    tears_dropped_saves,
    async fn save(&self, store: &MemoryStore, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        for change in &changes {
            change.fits(store.get(&change.key).await?.as_ref(), demand)?;
        }
        for change in changes {
            store.save(vec![change], demand).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
);

fault!(
    compares_states_then_saves,
    async fn save(&self, store: &MemoryStore, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        let mut fitting = Vec::new();
        for change in changes {
            if change.fits(store.get(&change.key).await?.as_ref(), demand)? {
                fitting.push(change);
            }
        }
        tokio::task::yield_now().await;
        overwrite(store, fitting).await
    }
);

fault!(
    refuses_what_is_done,
    async fn save(&self, store: &MemoryStore, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        for change in &changes {
            if demand == Demand::Next && store.get(&change.key).await?.as_ref() == Some(change) {
                return Err(SaveError::Conflict {
                    key: change.key.clone(),
                    kept: change.sequence,
                    given: change.sequence,
                });
            }
        }
        store.save(changes, demand).await
    }
);

fault!(
    forgets_tombstones,
    async fn save(&self, store: &MemoryStore, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        let deleted = changes.iter().filter(|change| change.change == Change::Delete);
        let deleted = Purge::entities(deleted.map(|change| change.key.clone()));
        store.save(changes, demand).await?;
        store.purge(deleted).await?;
        Ok(())
    }
);

fault!(
    loads_no_tombstones,
    fn load<'a>(&self, store: &'a MemoryStore, namespace: &str) -> BoxStream<'a, Result<StateChange, StoreError>> {
        let living = store.load(namespace);
        living
            .try_filter(|change| future::ready(change.change != Change::Delete))
            .boxed()
    }
);

fault!(
    loads_one_page,
    fn load<'a>(&self, store: &'a MemoryStore, namespace: &str) -> BoxStream<'a, Result<StateChange, StoreError>> {
        store.load(namespace).take(1_000).boxed()
    }
);

fault!(
    loads_a_neighbour,
    fn load<'a>(&self, store: &'a MemoryStore, namespace: &str) -> BoxStream<'a, Result<StateChange, StoreError>> {
        let longer = format!("{namespace} ");
        store.load(namespace).chain(store.load(&longer)).boxed()
    }
);

fault!(
    purges_what_lives,
    async fn purge(&self, store: &MemoryStore, purge: Purge) -> Result<u64, StoreError> {
        let Purge::Tombstones { namespace, .. } = &purge else {
            return store.purge(purge).await;
        };
        let all: Vec<StateChange> = store.load(namespace).try_collect().await?;
        store
            .purge(Purge::entities(all.into_iter().map(|change| change.key)))
            .await
    }
);

fault!(
    tells_no_namespace_of_tombstones,
    async fn namespaces(&self, store: &MemoryStore) -> Result<Vec<String>, StoreError> {
        let mut living = Vec::new();
        for namespace in store.namespaces().await? {
            let all: Vec<StateChange> = store.load(&namespace).try_collect().await?;
            if all.iter().any(|change| change.change != Change::Delete) {
                living.push(namespace);
            }
        }
        Ok(living)
    }
);

fault!(
    trims_payloads,
    async fn save(&self, store: &MemoryStore, mut changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        for payload in changes.iter_mut().filter_map(|change| change.payload.as_mut()) {
            *payload = payload.trim_ascii().to_vec().into();
        }
        store.save(changes, demand).await
    }
);

/// The store without a fault, for comparison.
pub(super) fn honest() -> Box<dyn Fixture> {
    #[derive(Clone)]
    struct Right;

    impl Fault for Right {}

    Box::new(Faulty {
        store: MemoryStore::new(),
        fault: Right,
    })
}
