//! A save whose outcome is learnt.

use super::PersistError;
use crate::RetryPolicy;
use crate::StoreError;
use crate::store::{Demand, SaveError, StateChange, StateStore};

/// Saves the changes. If it is not known whether they were saved, the same are saved again: a store takes what it has
/// already, so that whatever still arrives of the first try is done as well, or refused.
pub(super) async fn save(store: &dyn StateStore, changes: &[StateChange]) -> Result<(), PersistError> {
    let retry = RetryPolicy::default();
    let mut doubt: Option<StoreError> = None;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match store.save(changes.to_vec(), Demand::Next).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let in_doubt = doubt.is_some();
        match error {
            // In doubt, another change in the place of one of these says that none of them is saved. A later one may follow on it.
            SaveError::Conflict { key, kept, given } if !in_doubt || kept == given => {
                return Err(PersistError::Conflict {
                    entity: key,
                    kept,
                    given,
                });
            }
            SaveError::Conflict { .. } => attempts = u32::MAX,
            SaveError::Indeterminate(error) => doubt = doubt.or(Some(error)),
            SaveError::LimitExceeded(error) if !in_doubt => return Err(error.into()),
            SaveError::Rejected(error) if !in_doubt => return Err(PersistError::Rejected(error)),
            SaveError::Store(error) if !in_doubt => return Err(error.into()),
            // Says nothing of the first try.
            SaveError::LimitExceeded(_) | SaveError::Rejected(_) | SaveError::Store(_) => {}
        }
        if !retry.allows_another(attempts)
            && let Some(error) = doubt
        {
            return Err(PersistError::Indeterminate(error));
        }
        retry.pause(attempts).await;
    }
}
