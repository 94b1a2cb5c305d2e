use std::fmt;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};
use futures_util::TryStreamExt as _;
use tokio::sync::Mutex;

use super::record::{Record, Rows};
use super::save::save;
use super::strangers::Strangers;
use super::{Changes, Entity, PersistError, Repository, RestoreError};
use crate::store::{Checked, StateStore, Unreserved};
use crate::{StoreError, StoreErrorKind};

/// Restores the entities of a namespace into repositories, and persists changes of them. Clones share one state.
///
/// It is for one namespace at a time: restoring another one puts that in the place of the first.
#[derive(Clone)]
pub struct StateManager(Arc<Inner>);

struct Inner {
    store: Arc<dyn StateStore>,
    kinds: Vec<Kind>,
    /// The place among `kinds`, by the entity's name and its aliases.
    names: HashMap<&'static str, usize>,
    leave_unknown: bool,
    current: Mutex<Option<Current>>,
}

/// A type of entities, of which it makes an empty record.
type Kind = Box<dyn Fn() -> Box<dyn Record> + Send + Sync>;

/// The namespace that was restored.
struct Current {
    namespace: String,
    records: Vec<Box<dyn Record>>,
}

/// The result of [`restore`](StateManager::restore).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Restored {
    /// The entities that are in the repositories now.
    pub entities: u64,
    /// Those that were deleted, and are remembered as such.
    pub deleted: u64,
    /// Changes that were given although a later one of the same entity was, as stores do that compact late.
    pub outdated: u64,
    /// Entities that this build does not know: left out, by [`leave_unknown`](StateManagerBuilder::leave_unknown).
    pub unknown: u64,
}

impl StateManager {
    /// Begins a manager of what `store` keeps: a [`MemoryStore`](crate::MemoryStore), `SqliteStore` or `PostgresStore`, or
    /// any other [`StateStore`].
    pub fn builder(store: impl StateStore) -> StateManagerBuilder {
        StateManagerBuilder(Inner {
            store: Arc::new(Unreserved(Arc::new(Checked::new(Arc::new(store))))),
            kinds: Vec::new(),
            names: HashMap::new(),
            leave_unknown: false,
            current: Mutex::default(),
        })
    }

    /// Reads all entities of a namespace, then puts them in the place of what the repositories hold: readers see the one
    /// or the other of each repository. Waits for changes that are being persisted, and those that come meanwhile wait.
    ///
    /// # Errors
    ///
    /// If an entity is not known to this build or cannot be read, or if the store fails. Repositories are as before then,
    /// and the namespace that was restored before is so still.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves everything as it was.
    pub async fn restore(&self, namespace: &str) -> Result<Restored, RestoreError> {
        let inner = &*self.0;
        let mut current = inner.current.lock().await;
        let mut restored = Restored::default();
        let mut records: Vec<_> = inner.kinds.iter().map(|record| record()).collect();
        let mut strangers = Strangers::default();
        let mut changes = inner.store.load(namespace);
        while let Some(change) = changes.try_next().await? {
            match inner.names.get(&*change.key.kind) {
                Some(&kind) => records[kind].take(change, &mut restored),
                None => strangers.take(change, &mut restored),
            }
        }
        strangers.count(inner.leave_unknown, &mut restored)?;
        for record in &mut records {
            record.count(namespace, inner.leave_unknown, &mut restored)?;
        }
        // A repository may panic. Then nothing is known of what it holds.
        *current = None;
        for record in &mut records {
            record.publish();
        }
        *current = Some(Current {
            namespace: namespace.to_owned(),
            records,
        });
        Ok(restored)
    }

    /// Saves all changes or none, then gives them to the repositories, one after the other.
    ///
    /// # Errors
    ///
    /// See [`PersistError`]. Repositories are as before then.
    ///
    /// # Panics
    ///
    /// If a repository does. The changes are saved, and the namespace has to be restored.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it was polled does nothing. Later, it is done as if it were not dropped.
    pub async fn persist(&self, changes: Changes) -> Result<(), PersistError> {
        let inner = Arc::clone(&self.0);
        // In a task of its own: otherwise what a caller no longer waits for would be saved, and not be in the repositories.
        let task = tokio::spawn(async move { inner.persist(changes).await });
        match task.await {
            Ok(persisted) => persisted,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(PersistError::Indeterminate(StoreError::new(
                    StoreErrorKind::Closed,
                    "the tokio runtime has ended",
                ))),
            },
        }
    }
}

impl Inner {
    async fn persist(&self, changes: Changes) -> Result<(), PersistError> {
        let Changes {
            namespace,
            staged,
            mistake,
            ..
        } = changes;
        if let Some(mistake) = mistake {
            return Err(mistake);
        }
        let mut guard = self.current.lock().await;
        let Some(current) = guard.as_mut().filter(|current| *current.namespace == *namespace) else {
            let namespace = namespace.to_string();
            return Err(PersistError::NotRestored { namespace });
        };
        let (mut all, mut parts) = (Vec::with_capacity(staged.len()), Vec::with_capacity(staged.len()));
        for (key, staged) in staged {
            let kind = staged.kind;
            let index = *self.names.get(kind).ok_or(PersistError::NoRepository { kind })?;
            let changes = current.records[index].changes(&key, &staged)?;
            parts.push((index, all.len()..all.len() + changes.len(), staged.content));
            all.extend(changes);
        }
        match save(&*self.store, &all).await {
            Ok(()) => {}
            Err(error) => {
                if matches!(error, PersistError::Indeterminate(_)) {
                    *guard = None;
                }
                return Err(error);
            }
        }
        // A repository may panic. Then nothing is known of what it holds.
        let Some(mut current) = guard.take() else { return Ok(()) };
        for (index, changes, content) in parts {
            if !changes.is_empty() {
                current.records[index].saved(&all[changes], &*content);
            }
        }
        *guard = Some(current);
        Ok(())
    }
}

impl fmt::Debug for StateManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.0.names.keys().collect();
        names.sort_unstable();
        f.debug_struct("StateManager")
            .field("names", &names)
            .finish_non_exhaustive()
    }
}

/// Sets up a [`StateManager`].
#[must_use = "ends with `build`"]
pub struct StateManagerBuilder(Inner);

impl StateManagerBuilder {
    /// Has the entities of one type put into `repository`.
    ///
    /// # Panics
    ///
    /// If there is a repository for an entity of the same name, or alias.
    #[track_caller]
    pub fn repository<E: Entity>(mut self, repository: impl Repository<E>) -> Self {
        for name in [E::NAME].iter().chain(E::ALIASES) {
            let taken = self.0.names.insert(name, self.0.kinds.len());
            assert!(
                taken.is_none(),
                "two repositories are for entities named `{name}`: give each entity a name of its own, and one repository"
            );
        }
        let repository: Arc<dyn Repository<E>> = Arc::new(repository);
        let record = move || -> Box<dyn Record> { Box::new(Rows::new(Arc::clone(&repository))) };
        self.0.kinds.push(Box::new(record));
        self
    }

    /// Leaves entities out of the repositories that this build does not know, or not in the version of their shape. They
    /// stay in the store, and cannot be changed. Otherwise [`restore`](StateManager::restore) fails if there are any.
    pub fn leave_unknown(mut self) -> Self {
        self.0.leave_unknown = true;
        self
    }

    /// Builds the manager. Its repositories are not touched before [`restore`](StateManager::restore).
    pub fn build(self) -> StateManager {
        StateManager(Arc::new(self.0))
    }
}

impl fmt::Debug for StateManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateManagerBuilder").finish_non_exhaustive()
    }
}
