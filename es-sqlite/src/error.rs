use std::path::Path;
use std::sync::Arc;

use es_runtime::{StoreError, StoreErrorKind};
use rusqlite::ErrorCode;

/// What went wrong in the file, before it is known what was being done. Cheap to clone: one failed commit answers many
/// callers.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Sqlite(Arc<rusqlite::Error>),
    #[error("{0}")]
    Damaged(String),
    #[error("the transaction is over")]
    Ended,
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl Problem {
    /// SQLite's word for it.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Damaged(_) | Self::Ended => None,
        }
    }

    /// The error for a caller: `doing` says what was tried, such as "append to".
    pub(crate) fn while_doing(self, doing: &str, path: &Path) -> StoreError {
        let (kind, what) = match &self {
            Self::Sqlite(_) => describe(self.code()),
            Self::Damaged(_) => (StoreErrorKind::Corrupt, "what is stored cannot be right; stop and look"),
            Self::Ended => (
                StoreErrorKind::Rejected,
                "its transaction was ended by a method or the schema of a projection; remove the `COMMIT` or `ROLLBACK`",
            ),
        };
        StoreError::new(kind, format!("cannot {doing} `{}`: {what}", path.display())).caused_by(self)
    }
}

fn describe(code: Option<ErrorCode>) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Corrupt, Full, Rejected, Unavailable};

    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Unavailable,
            "another process holds its lock; try again, or allow a longer busy timeout",
        ),
        Some(ErrorCode::DiskFull) => (Full, "the disk is full; make room and try again"),
        Some(ErrorCode::SystemIoFailure) => (Unavailable, "reading or writing it failed; check the disk"),
        Some(ErrorCode::OutOfMemory) => (Unavailable, "there is not enough memory"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation) => (
            Corrupt,
            "it is damaged; stop, keep a copy, and look at it with `pragma integrity_check`",
        ),
        Some(ErrorCode::CannotOpen) => (
            Rejected,
            "it cannot be opened; check that its directory exists and may be written to",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            (Rejected, "it may not be written to; check the permissions")
        }
        _ => (Rejected, "SQLite refused it"),
    }
}
