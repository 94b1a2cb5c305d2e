//! In which shape events may be written while builds run that do not read the newest: kept as states of the framework.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use super::states::{OwnState, RESERVED};
use super::{StateChange, StateKey, StateStore, StoreError, StoreErrorKind};

/// The write caps of all aggregates' events, kept in a store of states. Writers obey them, as the
/// [`Runtime`](crate::Runtime) does; the store of the events knows nothing about them.
pub struct WriteCaps(Arc<dyn StateStore>);

/// The highest version of its shape in which an event may be written, while builds run that read no higher one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WriteCap {
    /// The category of its streams: the aggregate's name.
    pub category: String,
    /// The event's name.
    pub name: String,
    /// The highest version that may be written.
    pub highest: u32,
}

impl WriteCap {
    /// The event `name` of `category` may be written in version `highest` or below.
    pub fn new(category: impl Into<String>, name: impl Into<String>, highest: u32) -> Self {
        Self {
            category: category.into(),
            name: name.into(),
            highest,
        }
    }
}

/// The kind of entity that a cap is.
pub(super) const KIND: &str = "write_cap";

/// The number of times that a cap is saved again after another process has changed it meanwhile.
const ATTEMPTS: u32 = 100;

impl WriteCaps {
    /// Returns the caps that `states` keeps.
    pub fn new(states: Arc<dyn StateStore>) -> Self {
        Self(states)
    }

    /// Returns every cap, in the order of category and name.
    pub async fn all(&self) -> Result<Vec<WriteCap>, StoreError> {
        let mut latest: BTreeMap<StateKey, StateChange> = BTreeMap::new();
        let mut changes = self.0.load(RESERVED);
        while let Some(change) = changes.try_next().await? {
            let is_newer = |known: &StateChange| known.sequence < change.sequence;
            if *change.key.kind == *KIND && latest.get(&change.key).is_none_or(is_newer) {
                latest.insert(change.key.clone(), change);
            }
        }
        let kept = latest.into_values().filter_map(|change| change.payload);
        let caps = kept.map(|payload| {
            serde_json::from_slice::<WriteCap>(&payload).map_err(|error| {
                StoreError::new(StoreErrorKind::Corrupt, "a write cap cannot be read").caused_by(error)
            })
        });
        let mut caps: Vec<WriteCap> = caps.collect::<Result<_, _>>()?;
        caps.sort_unstable();
        Ok(caps)
    }

    /// Sets the cap of an event, replacing any earlier one.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, or fails, the cap may be set or not: set it again.
    pub async fn set(&self, cap: WriteCap) -> Result<(), StoreError> {
        self.save(&cap.category, &cap.name, Some(&cap)).await
    }

    /// Lifts the cap of an event. Does nothing if it has none.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, or fails, the cap may be lifted or not: lift it again.
    pub async fn lift(&self, category: &str, name: &str) -> Result<(), StoreError> {
        self.save(category, name, None).await
    }

    async fn save(&self, category: &str, name: &str, cap: Option<&WriteCap>) -> Result<(), StoreError> {
        // Two names that no others are taken for.
        let id = serde_json::to_string(&(category, name)).unwrap_or_else(|_| unreachable!("text has a JSON form"));
        let state = OwnState::new(&self.0, KIND, id);
        state.key().check()?;
        for _ in 0..ATTEMPTS {
            let kept = state.get().await?;
            if (cap.is_none() && kept.value.is_none()) || state.save(&kept, cap).await? {
                return Ok(());
            }
        }
        let message = format!("the cap of event `{name}` of `{category}` is changed by others again and again");
        Err(StoreError::new(StoreErrorKind::Unavailable, message))
    }
}

impl std::fmt::Debug for WriteCaps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteCaps").finish_non_exhaustive()
    }
}
