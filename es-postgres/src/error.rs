use std::sync::Arc;

use deadpool_postgres::PoolError;
use es_runtime::{StoreError, StoreErrorKind};
use tokio_postgres::error::SqlState;

/// A failure in the server or on the way to it, before it is known which operation failed. Cheap to clone: one failed
/// batch answers many callers.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{}", postgres_text(.0))]
    Postgres(Arc<tokio_postgres::Error>),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Silent(String),
    #[error("the store was closed; open it again")]
    Closed,
    #[error("{0}")]
    Damaged(String),
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(Arc::new(error))
    }
}

impl From<PoolError> for Problem {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(_) => Self::Silent(
                "no connection of the pool came free in time; allow more of them, or look for readers that hold theirs"
                    .to_owned(),
            ),
            PoolError::Closed => Self::Closed,
            other => Self::Silent(other.to_string()),
        }
    }
}

impl Problem {
    /// The server's word for it.
    pub(crate) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Postgres(error) => error.code(),
            _ => None,
        }
    }

    /// Returns whether the connection is gone, so that another attempt on a new one may succeed.
    pub(crate) fn is_disconnect(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.is_closed())
    }

    pub(crate) fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Postgres(error) => kind_of(error.code()),
            Self::Refused(_) => StoreErrorKind::Rejected,
            Self::Silent(_) => StoreErrorKind::Unavailable,
            Self::Closed => StoreErrorKind::Closed,
            Self::Damaged(_) => StoreErrorKind::Corrupt,
        }
    }

    /// The error for a caller: `doing` says what was tried, such as "append".
    pub(crate) fn while_doing(self, doing: &str) -> StoreError {
        let advice = match &self {
            Self::Postgres(_) => advice(self.code()),
            _ => "",
        };
        StoreError::new(self.kind(), format!("cannot {doing}: {self}{advice}")).caused_by(self)
    }
}

/// tokio-postgres keeps the server's sentence in the source and says "db error" itself.
pub(crate) fn postgres_text(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => match db.hint() {
            Some(hint) => format!("{} ({}); {hint}", db.message(), db.code().code()),
            None => format!("{} ({})", db.message(), db.code().code()),
        },
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// Returns what a caller can do about an error with this SQLSTATE, or about a lost connection if there is none.
pub(crate) fn kind_of(code: Option<&SqlState>) -> StoreErrorKind {
    use StoreErrorKind::{Corrupt, Full, Rejected, Unavailable};

    let Some(code) = code.map(SqlState::code) else {
        return Unavailable;
    };
    match (code, code.get(..2).unwrap_or_default()) {
        ("53100", _) => Full,
        // Insufficient resources, a lost connection, a rolled back transaction, an administrator, a failing disk, a
        // lock that does not come free: all of these pass.
        (_, "53" | "08" | "40" | "57" | "58") | ("55P03" | "25P03" | "55006", _) => Unavailable,
        ("XX001" | "XX002", _) => Corrupt,
        _ => Rejected,
    }
}

/// Returns whether the server refuses every write, not just this statement: that may pass, or the operator must fix it.
pub(crate) fn is_of_the_server(code: Option<&SqlState>) -> bool {
    kind_of(code) != StoreErrorKind::Rejected || code == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// Returns advice about it.
pub(crate) fn advice(code: Option<&SqlState>) -> &'static str {
    let Some(code) = code else {
        return "; check that the server runs and can be reached";
    };
    match code.code() {
        "53100" => "; make room on the server's disk and try again",
        "53300" => "; the server allows no more connections: raise max_connections, or make the pools smaller",
        "25006" => "; the server is a standby or read-only: connect to the primary",
        "42501" => "; grant the role what it needs: see \"Roles\" in the documentation of es-postgres",
        "28000" | "28P01" => "; check user, password and pg_hba.conf",
        "3D000" => "; create the database first",
        "3F000" | "42P01" | "42883" => "; the schema is not set up: run es_postgres::schema::apply",
        _ => "",
    }
}
