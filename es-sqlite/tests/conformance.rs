//! The suite on the store in a SQLite file.

mod fault;
mod tables;

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use es_conformance::{Capability, Fixture, SqlTables, Transaction, Work};
use es_runtime::store::Append;
use es_runtime::store::ProjectionStore;
use es_runtime::{Clock, EventStore, Position};
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

async fn open(path: PathBuf, clock: Arc<dyn Clock>) -> SqliteStore {
    let store = SqliteStore::options().clock(clock).open(path).await;
    store.expect("the store opens")
}

#[async_trait]
impl Fixture for Sqlite {
    fn capabilities(&self) -> &[Capability] {
        &[
            Capability::Durable,
            Capability::MultiStream,
            Capability::AnyPayload,
            Capability::TxProjections,
            Capability::SqlProjections,
            Capability::States,
            Capability::Archive,
            Capability::ForgetKeys,
            Capability::PushWake,
        ]
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(open(self.path(), clock).await)
    }

    async fn open_sql(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn SqlTables>> {
        Some(Arc::new(tables::Tables(open(self.path(), clock).await)))
    }

    async fn open_projections(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn ProjectionStore>> {
        Some(Arc::new(open(self.path(), clock).await))
    }

    async fn rewind(&self, to: Position) -> bool {
        let connection = Connection::open(self.path()).expect("the file opens");
        for table in ["recorded_events WHERE position", "appends WHERE last_position"] {
            let deleted = connection.execute(&format!("DELETE FROM {table} > ?1"), [to.0.cast_signed()]);
            deleted.expect("events are deleted");
        }
        true
    }

    fn address(&self) -> Option<String> {
        self.path().to_str().map(str::to_owned)
    }

    async fn open_at(&self, address: &str, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(open(address.into(), clock).await)
    }

    fn page(&self) -> Option<usize> {
        Some(512)
    }

    async fn begin(&self, work: Work<'_>) -> Option<Box<dyn Transaction>> {
        let connection = Connection::open(self.path()).expect("the file opens");
        connection.busy_timeout(Duration::from_secs(5)).expect("it waits");
        let work = match work {
            Work::Append(append) => write(&connection, append),
            Work::Unrelated => connection.execute_batch("BEGIN IMMEDIATE; CREATE TABLE unrelated (number INTEGER)"),
        };
        work.expect("the transaction is begun");
        Some(Box::new(Outside(Mutex::new(connection))))
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

    fn failing_flush(&self) -> Option<Vec<(String, String)>> {
        match fault::failing_disk(self.0.path()) {
            Ok(library) => Some(vec![
                ("LD_PRELOAD".to_owned(), library.to_str()?.to_owned()),
                ("DISK_FLUSH_FAILS_ONCE".to_owned(), "40".to_owned()),
            ]),
            Err(reason) => {
                println!("{reason}");
                None
            }
        }
    }
}

/// A transaction of a connection that is not the store's.
struct Outside(Mutex<Connection>);

impl Outside {
    fn end(self, statement: &str) {
        let connection = self.0.into_inner().expect("nothing panicked");
        connection.execute_batch(statement).expect("the transaction ends");
    }
}

#[async_trait]
impl Transaction for Outside {
    async fn commit(self: Box<Self>) {
        self.end("COMMIT");
    }

    async fn roll_back(self: Box<Self>) {
        self.end("ROLLBACK");
    }
}

/// Appends as another process would, without committing.
fn write(connection: &Connection, append: &Append) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let part = &append.streams[0];
    let names = (part.stream.category(), part.stream.id());
    connection.execute(
        "INSERT OR IGNORE INTO streams (category, stream_id) VALUES (?1, ?2)",
        names,
    )?;
    for event in append.events() {
        connection.execute(
            "INSERT INTO recorded_events
             (position, stream, version, event_id, recorded_at, name, shape_version, metadata, payload)
             SELECT coalesce((SELECT max(position) FROM recorded_events), 0) + 1, id,
                    coalesce((SELECT max(version) FROM recorded_events WHERE stream = id), 0) + 1,
                    ?3, coalesce((SELECT max(recorded_at) FROM recorded_events), 0), ?4, ?5, '{}', ?6
             FROM streams WHERE category = ?1 AND stream_id = ?2",
            (
                part.stream.category(),
                part.stream.id(),
                event.id.0.as_bytes(),
                event.name.as_ref(),
                event.shape_version,
                &event.payload[..],
            ),
        )?;
        connection.execute(
            "INSERT OR IGNORE INTO event_types VALUES (?1, ?2, ?3)",
            (part.stream.category(), event.name.as_ref(), event.shape_version),
        )?;
    }
    Ok(())
}

/// Every row of every table.
fn dump(connection: &Connection) -> rusqlite::Result<String> {
    let mut dump = String::new();
    for table in ["streams", "recorded_events", "appends", "event_types", "states"] {
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
