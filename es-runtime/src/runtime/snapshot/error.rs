use crate::store::SaveError;
use crate::{LoadError, StoreError, StreamId};

/// Why a snapshot was not [written](crate::Runtime::snapshot), or snapshots were not [verified](crate::Runtime::verify_snapshots).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The instance does not exist.
    #[error("`{stream}` does not exist")]
    NotFound {
        /// Its stream.
        stream: StreamId,
    },
    /// No store of the runtime keeps states: give it one with [`Builder::states`](crate::Builder::states).
    #[error("nothing keeps snapshots: give the runtime a store that keeps states, with `Builder::states`")]
    Unsupported,
    /// The state has no stored form from which it could be read again.
    #[error("the state of `{stream}` has no stored form that is read as the same state")]
    State {
        /// Its stream.
        stream: StreamId,
        /// The reason, and the field.
        source: serde_json::Error,
    },
    /// The events could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It could not be saved.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
