//! Failures of a store.

use crate::error::chain;

/// The kind of a [`StoreError`], by what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached, or is busy: the same call may succeed later.
    Unavailable,
    /// The store has no room left.
    Full,
    /// The handle was closed, or does not trust itself after a failed flush: open the store again.
    Closed,
    /// The store refuses the call, and will refuse it again: permissions, a schema of another version, a setting.
    Rejected,
    /// The stored data cannot be right: stop and investigate.
    Corrupt,
}

/// A failure of a store, which is not the caller's to avoid.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// Creates an error; `message` says what was tried, what failed and what to do.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the error that caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns an error that says the same, for another call that failed with this one. Its causes are told as text.
    pub(crate) fn copy(&self) -> Self {
        Self::new(self.kind, chain(self))
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}
