use std::fmt;
use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};

use super::ArchiveError;
use crate::store::{
    ArchiveStore, Checked, EventStore, RecordedAppend, StateChange, StateKey, StateStore, has_archived, is_archived,
};
use crate::{Position, Runtime, StoreError, StoreErrorKind};

/// The part of a store that an archive keeps: its log, and the latest state of its entities.
///
/// Made from a store, or from a [`Runtime`], whose states may lie in another store.
#[derive(Clone)]
pub struct Contents {
    events: Arc<dyn EventStore>,
    states: Option<Arc<dyn StateStore>>,
}

impl<S: EventStore> From<S> for Contents {
    fn from(store: S) -> Self {
        let events: Arc<dyn EventStore> = Arc::new(Checked::new(Arc::new(store)));
        let states = Arc::clone(&events).state_store();
        Self { events, states }
    }
}

impl From<&Runtime> for Contents {
    fn from(runtime: &Runtime) -> Self {
        Self {
            events: Arc::clone(runtime.store()),
            states: runtime.all_states(),
        }
    }
}

impl Contents {
    /// Takes the states from another store than that of the events.
    #[must_use]
    pub fn with_states(self, states: Arc<dyn StateStore>) -> Self {
        Self {
            states: Some(Arc::new(Checked::new(states))),
            ..self
        }
    }

    pub(super) fn archive(&self) -> Result<Arc<dyn ArchiveStore>, ArchiveError> {
        let archive = Arc::clone(&self.events).archive_store();
        archive.ok_or(ArchiveError::Unsupported {
            what: "gives out no whole appends",
        })
    }

    pub(super) fn states(&self) -> Result<&dyn StateStore, ArchiveError> {
        self.states.as_deref().ok_or(ArchiveError::Unsupported {
            what: "keeps no states",
        })
    }

    /// Reads everything: the appends in the order of the log, then the states in the order of their keys.
    pub(super) fn records<'a>(&'a self, archive: &'a dyn ArchiveStore) -> BoxStream<'a, Result<Record, StoreError>> {
        let mut position = Position::ZERO;
        let appends = archive.appends().map_ok(move |mut append| {
            // The positions of an archive have no gaps.
            position.0 += append.events();
            append.position = position;
            Record::Append(append)
        });
        let Some(states) = self.states.as_deref() else {
            return appends.boxed();
        };
        appends.chain(all_states(states).map_ok(Record::State)).boxed()
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}

/// An append or a state.
#[derive(Debug, Clone)]
pub(super) enum Record {
    Append(RecordedAppend),
    State(StateChange),
}

impl Record {
    /// Counts it.
    pub(super) fn count(&self, archived: &mut super::Archived) {
        match self {
            Self::Append(append) => {
                archived.appends += 1;
                archived.events += append.events();
            }
            Self::State(_) => archived.states += 1,
        }
    }
}

/// Reads all states that are no caches of the framework.
pub(super) fn all_states(states: &dyn StateStore) -> BoxStream<'_, Result<StateChange, StoreError>> {
    let namespaces = stream::once(async { states.namespaces().await })
        .map_ok(|mut namespaces| {
            namespaces.retain(|namespace| has_archived(namespace));
            stream::iter(namespaces.into_iter().map(Ok))
        })
        .try_flatten();
    let changes = namespaces
        .map_ok(|namespace: String| {
            let mut last: Option<StateKey> = None;
            states.load(&namespace).map(move |change| {
                let change = change?;
                if last.as_ref().is_some_and(|last| *last >= change.key) {
                    return Err(unordered(&change.key));
                }
                last = Some(change.key.clone());
                Ok(change)
            })
        })
        .try_flatten();
    changes
        .try_filter(|change| future::ready(is_archived(&change.key)))
        .boxed()
}

fn unordered(key: &StateKey) -> StoreError {
    StoreError::new(
        StoreErrorKind::Rejected,
        format!(
            "the store gives `{key}` twice, or out of order, as one does that compacts late: it cannot be archived"
        ),
    )
}
