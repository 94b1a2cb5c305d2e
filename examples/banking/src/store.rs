use std::path::{Path, PathBuf};
use std::str::FromStr;

use es_runtime::StoreError;
use es_runtime::prelude::*;
use es_sqlite::SqliteStore;

/// Where the bank keeps its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    Sqlite(PathBuf),
}

/// The text does not name a store.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a store: write `memory` or `sqlite:PATH`")]
pub(crate) struct ParseStoreError(String);

impl FromStr for Store {
    type Err = ParseStoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(ParseStoreError(text.to_owned())),
        }
    }
}

impl Store {
    pub(crate) async fn open(&self) -> Result<Runtime, StoreError> {
        match self {
            Self::Memory => Runtime::builder(MemoryStore::new()).start().await,
            Self::Sqlite(path) => Runtime::builder(SqliteStore::open(path).await?).start().await,
        }
    }

    /// The file that would have to be there, and is not.
    pub(crate) fn missing(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) if !path.exists() => Some(path),
            _ => None,
        }
    }
}
