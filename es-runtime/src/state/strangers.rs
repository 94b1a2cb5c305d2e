//! Entities of kinds for which there is no repository.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{RestoreError, Restored};
use crate::store::{StateChange, StateKey};

/// The latest change of each: its sequence, and the version of its shape unless it is deleted.
#[derive(Default)]
pub(super) struct Strangers(BTreeMap<StateKey, (u64, Option<u64>)>);

impl Strangers {
    pub(super) fn take(&mut self, changes: Vec<StateChange>, restored: &mut Restored) {
        for change in changes {
            self.take_one(change, restored);
        }
    }

    fn take_one(&mut self, change: StateChange, restored: &mut Restored) {
        let latest = (change.sequence, change.payload.map(|_| change.shape));
        match self.0.entry(change.key) {
            Entry::Vacant(vacant) => {
                vacant.insert(latest);
            }
            Entry::Occupied(mut kept) => {
                restored.outdated += 1;
                if kept.get().0 < change.sequence {
                    kept.insert(latest);
                }
            }
        }
    }

    /// Counts them. One that is deleted is nobody's loss.
    pub(super) fn count(self, leave_unknown: bool, restored: &mut Restored) -> Result<(), RestoreError> {
        for (entity, (_, version)) in self.0 {
            match version {
                None => restored.deleted += 1,
                Some(_) if leave_unknown => restored.unknown += 1,
                Some(version) => return Err(RestoreError::UnknownEntity { entity, version }),
            }
        }
        Ok(())
    }
}
