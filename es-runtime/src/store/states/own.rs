//! States of the framework itself.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Change, Demand, Purge, RESERVED, SaveError, StateChange, StateKey, StateStore};
use crate::{StoreError, StoreErrorKind};

/// A value of the framework's own, which changes only if nobody else has changed it meanwhile.
pub(crate) struct OwnState<T> {
    states: Arc<dyn StateStore>,
    key: StateKey,
    value: PhantomData<fn() -> T>,
}

/// A value as a store keeps it.
pub(crate) struct Kept<T> {
    /// Rises with each change; 0 if there never was one.
    pub(crate) sequence: u64,
    pub(crate) value: Option<T>,
}

impl<T: Serialize + DeserializeOwned> OwnState<T> {
    pub(crate) fn new(states: &Arc<dyn StateStore>, kind: &'static str, id: impl Into<String>) -> Self {
        Self {
            states: Arc::clone(states),
            key: StateKey::new(RESERVED, kind, id),
            value: PhantomData,
        }
    }

    pub(crate) fn key(&self) -> &StateKey {
        &self.key
    }

    pub(crate) async fn get(&self) -> Result<Kept<T>, StoreError> {
        let kept = self.states.get(&self.key).await?;
        let sequence = kept.as_ref().map_or(0, |kept| kept.sequence);
        let payload = kept.and_then(|kept| kept.payload);
        let value = payload.map(|payload| serde_json::from_slice(&payload)).transpose();
        let value = value.map_err(|error| {
            let message = format!("the state `{}` cannot be read", self.key);
            StoreError::new(StoreErrorKind::Corrupt, message).caused_by(error)
        })?;
        Ok(Kept { sequence, value })
    }

    /// Removes the value for good, whatever it is now.
    pub(crate) async fn remove(&self) -> Result<(), StoreError> {
        self.states.purge(Purge::entities([self.key.clone()])).await.map(drop)
    }

    /// Puts `value` in the place of what is kept; `None` deletes it. Returns `false`, and does nothing, if something else is kept now.
    ///
    /// After an error the value may be saved or not.
    pub(crate) async fn save(&self, kept: &Kept<T>, value: Option<&T>) -> Result<bool, StoreError> {
        let change = match value {
            None => Change::Delete,
            Some(_) if kept.value.is_none() => Change::Create,
            Some(_) => Change::Update,
        };
        let json = |value| serde_json::to_vec(value).unwrap_or_else(|_| unreachable!("its parts have a JSON form"));
        let change = StateChange {
            key: self.key.clone(),
            sequence: kept.sequence + 1,
            change,
            shape: 1,
            payload: value.map(|value| json(value).into()),
        };
        match self.states.save(vec![change], Demand::Next).await {
            Ok(()) => Ok(true),
            Err(SaveError::Conflict { .. }) => Ok(false),
            Err(SaveError::Store(error) | SaveError::Rejected(error) | SaveError::Indeterminate(error)) => Err(error),
            Err(error) => {
                let message = format!("the state `{}` is not kept", self.key);
                Err(StoreError::new(StoreErrorKind::Rejected, message).caused_by(error))
            }
        }
    }
}
