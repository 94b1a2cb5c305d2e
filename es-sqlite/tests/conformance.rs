//! The suite on the store in a SQLite file.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use es_conformance::{Capability, Fixture};
use es_runtime::{Clock, EventStore};
use es_sqlite::{Durability, SqliteStore};
use rusqlite::Connection;

struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("bank.db")
    }
}

async fn open(path: PathBuf, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
    let store = SqliteStore::options().clock(clock).open(path).await;
    Arc::new(store.expect("the store opens"))
}

#[async_trait]
impl Fixture for Sqlite {
    fn capabilities(&self) -> &[Capability] {
        &[Capability::Durable, Capability::MultiStream]
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        open(self.path(), clock).await
    }

    fn address(&self) -> Option<String> {
        self.path().to_str().map(str::to_owned)
    }

    async fn open_at(&self, address: &str, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        open(address.into(), clock).await
    }

    fn page(&self) -> Option<usize> {
        Some(512)
    }

    async fn dump(&self) -> Option<String> {
        Some(dump(&Connection::open(self.path()).expect("the file opens")).expect("the tables are read"))
    }

    async fn flushes_before_ack(&self) -> Option<Result<String, String>> {
        let store = SqliteStore::open(self.path()).await.expect("the store opens");
        Some(match store.durability() {
            Durability::Full => Ok("journal_mode = wal, synchronous = full".to_owned()),
            Durability::Normal => Err("synchronous = normal".to_owned()),
        })
    }
}

/// Every row of every table.
fn dump(connection: &Connection) -> rusqlite::Result<String> {
    let mut dump = String::new();
    for table in ["streams", "recorded_events", "appends"] {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1"))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                write!(dump, "{:?} ", row.get_ref(column)?).expect("a string takes it");
            }
            writeln!(dump, "in {table}").expect("a string takes it");
        }
    }
    Ok(dump)
}

es_conformance::suite!(Sqlite::new());
