use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use es_postgres::PostgresStore;
use es_runtime::prelude::*;
use es_runtime::{RetryPolicy, StoreError};
use es_sqlite::SqliteStore;

use crate::error::BankError;

/// Where the bank keeps its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    Sqlite(PathBuf),
    Postgres(Url),
}

/// The URL of a database. It may hold a password, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url(String);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The text does not name a store.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a store: write `memory`, `sqlite:PATH` or `postgres://…`")]
pub(crate) struct ParseStoreError(String);

impl FromStr for Store {
    type Err = ParseStoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(Url(text.to_owned()))),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(ParseStoreError(text.to_owned())),
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
async fn start(store: impl EventStore) -> Result<Runtime, StoreError> {
    let patient = RetryPolicy::default().attempts(1_000);
    Runtime::builder(store).retry(patient).start().await
}
