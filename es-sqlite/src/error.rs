use std::path::Path;
use std::sync::Arc;

use es_runtime::{StoreError, StoreErrorKind};
use rusqlite::ErrorCode;

/// A failure in the file, before it is known which operation failed. Cheap to clone: one failed commit answers many
/// callers.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Sqlite(Arc<rusqlite::Error>),
    /// In a statement of the caller's own.
    #[error(transparent)]
    Asked(Arc<rusqlite::Error>),
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
    /// The failure of a statement that the caller wrote: its types are the caller's.
    pub(crate) fn asked(error: rusqlite::Error) -> Self {
        Self::Asked(Arc::new(error))
    }

    /// A statement of ours could not be prepared: if SQLite does not find what it names, the schema is not as it was created.
    pub(crate) fn unpreparable(error: rusqlite::Error) -> Self {
        const SQLITE_ERROR: i32 = 1;
        match &error {
            rusqlite::Error::SqliteFailure(failure, _) if failure.extended_code == SQLITE_ERROR => {
                Self::Damaged(format!("the tables are not as they were created: {error}"))
            }
            rusqlite::Error::SqlInputError { .. } => {
                Self::Damaged(format!("the tables are not as they were created: {error}"))
            }
            _ => error.into(),
        }
    }

    /// SQLite's word for it.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) | Self::Asked(error) => error.sqlite_error_code(),
            Self::Damaged(_) | Self::Ended => None,
        }
    }

    /// The error for a caller: `doing` says what was tried, such as "append to".
    pub(crate) fn while_doing(self, doing: &str, path: &Path) -> StoreError {
        let damaged = (StoreErrorKind::Corrupt, "what is stored cannot be right; stop and look");
        let (kind, what) = match &self {
            Self::Sqlite(error) if is_of_another_type(error) => damaged,
            Self::Sqlite(_) | Self::Asked(_) => describe(self.code()),
            Self::Damaged(_) => damaged,
            Self::Ended => (
                StoreErrorKind::Rejected,
                "its transaction was ended by a method or the schema of a projection; remove the `COMMIT` or `ROLLBACK`",
            ),
        };
        StoreError::new(kind, format!("cannot {doing} `{}`: {what}", path.display())).caused_by(self)
    }
}

/// Returns whether a value has another type than its column. SQLite prevents that unless the file is damaged.
fn is_of_another_type(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};

    matches!(
        error,
        InvalidColumnType(..) | FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | Utf8Error(..)
    )
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
