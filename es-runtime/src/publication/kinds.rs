//! The kinds of events that some build publishes, so that an older one passes over none of them while both run.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::StoreError;
use crate::store::{OwnState, StateStore};

/// The kind of state in which they are noted.
const KIND: &str = "publication";

/// The kinds of events that this build publishes, and the note of all that any build does.
pub(super) struct Kinds {
    own: BTreeSet<String>,
    note: OwnState<BTreeSet<String>>,
}

impl Kinds {
    pub(super) fn new(own: BTreeSet<String>, states: &Arc<dyn StateStore>, publication: &str) -> Self {
        Self {
            own,
            note: OwnState::new(states, KIND, publication),
        }
    }

    /// Notes those of this build, before it starts: whatever it appends itself comes later.
    pub(super) async fn add(&self) -> Result<(), StoreError> {
        loop {
            let kept = self.note.get().await?;
            let mut all = kept.value.clone().unwrap_or_default();
            all.extend(self.own.iter().cloned());
            if kept.value.as_ref() == Some(&all) || self.note.save(&kept, Some(&all)).await? {
                return Ok(());
            }
        }
    }

    /// Returns the kinds that another build publishes and this one does not. Asked for after an event was read, it knows every build that may
    /// have appended that.
    pub(super) async fn of_others(&self) -> Result<BTreeSet<String>, StoreError> {
        let mut all = self.note.get().await?.value.unwrap_or_default();
        all.retain(|kind| !self.own.contains(kind));
        Ok(all)
    }
}
