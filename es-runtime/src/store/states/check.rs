//! Refuses changes that some database could not keep as they are, before any store sees them.

use bytes::Bytes;
use foldhash::{HashSet, HashSetExt};
use serde::de::IgnoredAny;

use super::{Change, Purge, SaveError, StateChange, StateKey};
use crate::store::{DEPTH, LimitExceeded, check_name, depth_above};
use crate::{StoreError, StoreErrorKind};

impl StateKey {
    /// Checks that every database can keep an entity of that name.
    ///
    /// # Errors
    ///
    /// [`Rejected`](StoreErrorKind::Rejected) with the part that is empty, too long or holds a NUL.
    pub fn check(&self) -> Result<(), StoreError> {
        check_name("namespace", &self.namespace)?;
        check_name("kind of entity", &self.kind)?;
        check_name("entity", &self.id)
    }
}

impl StateChange {
    /// Checks that every database can keep the change, and give it back as it is.
    ///
    /// # Errors
    ///
    /// [`SaveError::Rejected`] or [`SaveError::LimitExceeded`], for the first thing found.
    pub fn check(&self) -> Result<(), SaveError> {
        self.key.check().map_err(SaveError::Rejected)?;
        let Self { key, sequence, .. } = self;
        if *sequence == 0 || i64::try_from(*sequence).is_err() {
            return Err(rejected(format!(
                "{sequence} cannot be the sequence of `{key}`: changes are numbered from 1 to {}",
                i64::MAX
            )));
        }
        match (self.change, &self.payload) {
            (Change::Delete, None) => Ok(()),
            (Change::Delete, Some(_)) => Err(rejected(format!("`{key}` is deleted, and cannot have a payload"))),
            (Change::Create | Change::Update, None) => Err(rejected(format!(
                "`{key}` needs a payload: without one it can only be deleted"
            ))),
            (Change::Create | Change::Update, Some(payload)) => check_payload(key, payload),
        }
    }

    /// Checks changes that are to be saved together.
    ///
    /// # Errors
    ///
    /// As for [`check`](Self::check); also if there are too many, or if one entity is changed twice.
    pub fn check_all(changes: &[Self]) -> Result<(), SaveError> {
        within("changes", Self::MOST_CHANGES, changes.len())?;
        let bytes = changes.iter().filter_map(|change| change.payload.as_ref());
        within("bytes", Self::MOST_BYTES, bytes.map(Bytes::len).sum())?;
        changes.iter().try_for_each(Self::check)?;
        // In order, as most are, no two are of one entity.
        if changes.is_sorted_by(|one, next| one.key < next.key) {
            return Ok(());
        }
        let mut keys = HashSet::with_capacity(changes.len());
        match changes.iter().find(|change| !keys.insert(&change.key)) {
            None => Ok(()),
            Some(Self { key, .. }) => Err(rejected(format!(
                "`{key}` is changed twice in one save: save its last change only"
            ))),
        }
    }
}

impl Purge {
    /// Checks that every database can look for what is to be removed.
    ///
    /// # Errors
    ///
    /// [`Rejected`](StoreErrorKind::Rejected) with what is wrong.
    pub fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Entities(keys) if keys.len() > StateChange::MOST_CHANGES => Err(StoreError::new(
                StoreErrorKind::Rejected,
                format!(
                    "one purge names at most {} entities, this one names {}: purge them in parts",
                    StateChange::MOST_CHANGES,
                    keys.len()
                ),
            )),
            Self::Entities(keys) => keys.iter().try_for_each(StateKey::check),
            Self::Tombstones { namespace, .. } => check_name("namespace", namespace),
        }
    }

    /// The namespaces of which it removes something.
    pub(super) fn namespaces(&self) -> Vec<&str> {
        match self {
            Self::Entities(keys) => keys.iter().map(|key| &*key.namespace).collect(),
            Self::Tombstones { namespace, .. } => vec![namespace],
        }
    }
}

fn check_payload(key: &StateKey, payload: &[u8]) -> Result<(), SaveError> {
    let no_json = |error: Box<dyn std::error::Error + Send + Sync>| {
        let message = format!("the payload of `{key}` is not JSON: {error}");
        SaveError::Rejected(StoreError::new(StoreErrorKind::Rejected, message).caused_by(error))
    };
    // Parsing alone does not look into strings.
    let text = std::str::from_utf8(payload).map_err(|error| no_json(Box::new(error)))?;
    let _: IgnoredAny = serde_json::from_str(text).map_err(|error| no_json(Box::new(error)))?;
    let depth = depth_above(payload, DEPTH);
    if depth > DEPTH {
        return Err(SaveError::LimitExceeded(LimitExceeded {
            what: format!("the payload of `{key}`"),
            unit: "levels",
            limit: DEPTH,
            actual: depth,
        }));
    }
    Ok(())
}

fn within(unit: &'static str, limit: usize, actual: usize) -> Result<(), SaveError> {
    if actual <= limit {
        return Ok(());
    }
    Err(SaveError::LimitExceeded(LimitExceeded {
        what: "the save".to_owned(),
        unit,
        limit,
        actual,
    }))
}

fn rejected(message: String) -> SaveError {
    SaveError::Rejected(StoreError::new(StoreErrorKind::Rejected, message))
}
