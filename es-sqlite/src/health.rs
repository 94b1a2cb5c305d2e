use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use es_runtime::{StoreError, StoreErrorKind};

/// The state of a handle: usable until it is closed, or until it can no longer trust what it wrote.
pub(crate) struct Health {
    path: PathBuf,
    end: OnceLock<End>,
}

#[derive(Debug, Clone)]
enum End {
    Closed,
    Failed(String),
}

impl Health {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            end: OnceLock::new(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Fails with the reason why the handle may not be used any more.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.end.get() {
            None => Ok(()),
            Some(end) => Err(self.ended(end)),
        }
    }

    /// Fails with the reason if it ended by a failure.
    pub(crate) fn check_trust(&self) -> Result<(), StoreError> {
        if self.has_failed() { self.check() } else { Ok(()) }
    }

    /// Why nothing more is done. For a handle that has not ended, that is a thread that died.
    pub(crate) fn error(&self) -> StoreError {
        match self.end.get() {
            Some(end) => self.ended(end),
            None => self.ended(&End::Failed("a thread of the store has died".to_owned())),
        }
    }

    /// Returns whether a failure ended it.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.end.get(), Some(End::Failed(_)))
    }

    /// The handle was closed by its owner.
    pub(crate) fn close(&self) {
        let _ = self.end.set(End::Closed);
    }

    /// The handle must not say `Ok` again: what it believes to be stored may not be. The first reason counts.
    pub(crate) fn fail(&self, reason: String) {
        tracing::error!(path = %self.path.display(), reason, "the store does not trust itself any more");
        let _ = self.end.set(End::Failed(reason));
    }

    fn ended(&self, end: &End) -> StoreError {
        let path = self.path.display();
        StoreError::new(
            StoreErrorKind::Closed,
            match end {
                End::Closed => format!("the store `{path}` was closed: open it again"),
                End::Failed(reason) => {
                    format!("the store `{path}` stopped because {reason}: check the disk, then open it again")
                }
            },
        )
    }
}
