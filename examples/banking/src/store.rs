#[cfg(feature = "postgres")]
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

#[cfg(feature = "postgres")]
use es_postgres::PostgresStore;
use es_runtime::prelude::*;
use es_runtime::{RetryPolicy, StartError};
use es_sqlite::SqliteStore;

use crate::error::BankError;

/// Where the bank keeps its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Url),
}

/// The URL of a database. It may hold a password, so it is never shown.
#[cfg(feature = "postgres")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url(String);

#[cfg(feature = "postgres")]
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The text does not name a store.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseStoreError {
    #[error("`{0}` is not a store: write `memory`, `sqlite:PATH` or `postgres://…`")]
    Unknown(String),
    #[cfg(not(feature = "postgres"))]
    #[error("this bank was built without PostgreSQL: run it with `cargo run -p banking --features postgres`")]
    NotBuilt,
}

impl FromStr for Store {
    type Err = ParseStoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(Url(text.to_owned()))),
            #[cfg(not(feature = "postgres"))]
            Some(("postgres" | "postgresql", _)) => Err(ParseStoreError::NotBuilt),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(ParseStoreError::Unknown(text.to_owned())),
        }
    }
}

impl Store {
    /// Opens the store for `visit`, and closes it again.
    pub(crate) async fn open<T>(
        &self,
        visit: impl AsyncFnOnce(&Runtime) -> Result<T, BankError>,
    ) -> Result<T, BankError> {
        let runtime = match self {
            Self::Memory => start(MemoryStore::new()).await?,
            Self::Sqlite(path) => start(SqliteStore::open(path).await?).await?,
            #[cfg(feature = "postgres")]
            Self::Postgres(Url(url)) => start(PostgresStore::options().apply_schema().connect(url).await?).await?,
        };
        let visited = visit(&runtime).await;
        // Closed rather than dropped, so that SQLite leaves one file and not its log beside it.
        let closed = runtime.close().await;
        let value = visited?;
        closed?;
        Ok(value)
    }

    /// The file that would have to be there, and is not.
    pub(crate) fn missing(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) if !path.exists() => Some(path),
            _ => None,
        }
    }
}

/// The refusals of an import all go to one stream, and on a slow disk they meet there: rather wait long than give up.
async fn start(store: impl EventStore) -> Result<Runtime, StartError> {
    let patient = RetryPolicy::default().attempts(1_000);
    Runtime::builder(store).retry(patient).start().await
}
