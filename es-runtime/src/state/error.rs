use crate::store::StateKey;
use crate::{DecodeError, EncodeError, LimitExceeded, StoreError};

/// Why changes were not persisted, or are not known to be. The repositories are as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersistError {
    /// An entity is to be created that is there: update it, or use another id.
    #[error("`{entity}` cannot be created: it is there")]
    Exists {
        /// The entity.
        entity: StateKey,
    },
    /// An entity is to be updated or deleted that is not there: create it.
    #[error("`{entity}` cannot be changed: it is not there")]
    Missing {
        /// The entity.
        entity: StateKey,
    },
    /// Another manager has changed the entity since this one restored: restore, and decide again.
    #[error("`{entity}` is kept at sequence {kept}, so that {given} cannot be saved: restore, and decide again")]
    Conflict {
        /// The entity.
        entity: StateKey,
        /// The sequence that is kept; 0 if nothing is.
        kept: u64,
        /// The sequence that was to be saved. The kept change is another one if both are equal.
        given: u64,
    },
    /// The namespace is not the one that was restored last, or what is kept of it is not known any more, after
    /// [`Indeterminate`](Self::Indeterminate) or a panic of a repository: restore it.
    #[error("the namespace `{namespace}` has to be restored before changes of it are persisted")]
    NotRestored {
        /// The namespace.
        namespace: String,
    },
    /// The manager has no repository for entities of this type: give it one, with `repository`.
    #[error("there is no repository for entity `{kind}`, of the type that is to be persisted")]
    NoRepository {
        /// The entity's name.
        kind: &'static str,
    },
    /// The entity was left out when it was restored, because this build does not know its shape: only the build that
    /// does can change it.
    #[error("`{entity}` cannot be changed: it is stored in a shape that this build does not know")]
    LeftUnknown {
        /// The entity.
        entity: StateKey,
    },
    /// The changes are too many or too large for one save: persist them in parts.
    #[error(transparent)]
    LimitExceeded(#[from] LimitExceeded),
    /// An entity cannot be stored, or its id is not read back from its text.
    #[error("`{entity}` cannot be persisted")]
    Encode {
        /// The entity.
        entity: StateKey,
        /// Why.
        #[source]
        source: Box<EncodeError>,
    },
    /// It is not known whether the changes were saved: restore, and look.
    #[error("it is not known whether the changes were persisted: restore, and look")]
    Indeterminate(#[source] StoreError),
    /// The text of an id, or the namespace, cannot be kept by every store: it is empty, too long or holds a NUL.
    #[error(transparent)]
    Rejected(StoreError),
    /// The store failed; nothing was saved.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a namespace was not restored. The repositories are as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// This build does not know entities of that kind, or not in that version of their shape: give the manager a
    /// repository for them, run the build that knows them, or leave them out with
    /// [`leave_unknown`](super::StateManagerBuilder::leave_unknown).
    #[error(
        "this build does not know `{entity}`, of kind `{}` in version {version} of its shape: add its repository or an upcaster, or say `leave_unknown()`",
        entity.kind
    )]
    UnknownEntity {
        /// The first such entity.
        entity: StateKey,
        /// The version of its shape.
        version: u64,
    },
    /// An entity of a known shape cannot be read.
    #[error("`{entity}`, stored in version {version} of its shape, cannot be read")]
    Unreadable {
        /// The first such entity.
        entity: StateKey,
        /// The version of its shape.
        version: u64,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// An entity is kept under its name and under an alias, by two builds that did not know of each other: delete one.
    #[error("`{entity}` is also kept under the name `{also}`: delete one of them")]
    Twice {
        /// The entity.
        entity: StateKey,
        /// Its other name.
        also: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
