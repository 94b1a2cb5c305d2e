#[cfg(feature = "postgres")]
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use es_cli::Es;
#[cfg(feature = "postgres")]
use es_postgres::PostgresStore;
use es_runtime::prelude::*;
use es_runtime::store::ProjectionStore;
use es_runtime::{Builder, Projection, RetryPolicy, StoreError};
use es_sqlite::SqliteStore;

use crate::balances::PATIENCE;
use crate::error::BankError;
use crate::general_ledger::{self, Lines};
use crate::import::Import;
use crate::totals::{self, Totals};
use crate::{Account, Balance};

/// The place of the events of the bank.
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
            Self::Memory => builder(MemoryStore::new()).start().await?,
            Self::Sqlite(path) => on_sqlite(builder(SqliteStore::open(path).await?)).start().await?,
            #[cfg(feature = "postgres")]
            Self::Postgres(Url(url)) => on_postgres(builder(postgres(url).await?)).start().await?,
        };
        visited(&runtime, visit).await
    }

    /// The same, with the read models, which are brought up to date meanwhile.
    pub(crate) async fn open_projecting<T>(
        &self,
        visit: impl AsyncFnOnce(&Runtime) -> Result<T, BankError>,
    ) -> Result<T, BankError> {
        let runtime = match self {
            Self::Memory => projecting(MemoryStore::new()).start().await?,
            Self::Sqlite(path) => on_sqlite(projecting(SqliteStore::open(path).await?)).start().await?,
            #[cfg(feature = "postgres")]
            Self::Postgres(Url(url)) => on_postgres(projecting(postgres(url).await?)).start().await?,
        };
        visited(&runtime, visit).await
    }

    /// Does what an operator asks, with everything that the bank has. The store is opened only when it is needed.
    pub(crate) async fn operate(&self, es: Es) -> ExitCode {
        match self {
            Self::Memory => {
                es.run(async { Ok::<_, StoreError>(projecting(MemoryStore::new())) })
                    .await
            }
            Self::Sqlite(path) => {
                let builder = async { Ok::<_, StoreError>(on_sqlite(projecting(SqliteStore::open(path).await?))) };
                es.run(builder).await
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(Url(url)) => {
                let builder = async { Ok::<_, StoreError>(on_postgres(projecting(postgres(url).await?))) };
                es.run(builder).await
            }
        }
    }

    /// The totals of each day, which are brought up to date first.
    pub(crate) async fn totals(&self) -> Result<Totals, BankError> {
        match self {
            Self::Memory => Err(BankError::NoDatabase),
            Self::Sqlite(path) => {
                let store = SqliteStore::open(path).await?;
                let with_totals = builder(store.clone()).projection::<totals::sqlite::Totals>();
                let read = async |bank: &Runtime| {
                    caught_up::<totals::sqlite::Totals>(bank).await?;
                    Ok(totals::sqlite::read(&store).await?)
                };
                visited(&with_totals.start().await?, read).await
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(Url(url)) => {
                let store = postgres(url).await?;
                let with_totals = builder(store.clone()).projection::<totals::postgres::Totals>();
                let read = async |bank: &Runtime| {
                    caught_up::<totals::postgres::Totals>(bank).await?;
                    Ok(totals::postgres::read(&store).await?)
                };
                visited(&with_totals.start().await?, read).await
            }
        }
    }

    /// The last lines of the general ledger. There is nothing to wait for: they were written with the events.
    pub(crate) async fn ledger(&self, last: u32) -> Result<Lines, BankError> {
        match self {
            Self::Memory => Err(BankError::NoLedger),
            Self::Sqlite(path) => {
                let store = SqliteStore::open(path).await?;
                let read = async |_: &Runtime| Ok(general_ledger::sqlite::read(&store, last).await?);
                visited(&on_sqlite(builder(store.clone())).start().await?, read).await
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(Url(url)) => {
                let store = postgres(url).await?;
                let read = async |_: &Runtime| Ok(general_ledger::postgres::read(&store, last).await?);
                visited(&on_postgres(builder(store.clone())).start().await?, read).await
            }
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

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Result<PostgresStore, StoreError> {
    PostgresStore::options().apply_schema().connect(url).await
}

/// The refusals of an import all go to one stream, and on a slow disk they meet there: rather wait long than give up.
fn builder<S: EventStore>(store: S) -> Builder<S> {
    Runtime::builder(store)
        .aggregate::<Account>()
        .aggregate::<Import>()
        .retry(RetryPolicy::default().attempts(1_000))
}

fn projecting<S: ProjectionStore>(store: S) -> Builder<S> {
    builder(store).projection::<Balance>()
}

/// With the general ledger, which whoever appends to the file takes along.
fn on_sqlite(builder: Builder<SqliteStore>) -> Builder<SqliteStore> {
    builder.projection::<general_ledger::sqlite::GeneralLedger>()
}

/// The same in a database on a server.
#[cfg(feature = "postgres")]
fn on_postgres(builder: Builder<PostgresStore>) -> Builder<PostgresStore> {
    builder.projection::<general_ledger::postgres::GeneralLedger>()
}

/// Waits until everything that has happened is in the tables of `P`.
async fn caught_up<P: Projection>(bank: &Runtime) -> Result<(), BankError> {
    let head = bank.health().await?.head;
    Ok(bank.projection::<P>().wait_for(head, PATIENCE).await?)
}

/// Visits the bank. It is shut down rather than dropped, so that SQLite leaves one file and not its log beside it.
async fn visited<T>(
    runtime: &Runtime,
    visit: impl AsyncFnOnce(&Runtime) -> Result<T, BankError>,
) -> Result<T, BankError> {
    let visited = visit(runtime).await;
    let closed = runtime.shutdown().await;
    let value = visited?;
    closed?;
    Ok(value)
}
