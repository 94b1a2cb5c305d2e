//! Connections with the settings that the promises rest on.

use std::path::Path;
use std::time::{Duration, Instant};

use es_runtime::{StoreError, StoreErrorKind};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::Problem;
use crate::options::{Durability, SqliteOptions};
use crate::schema;

/// The connections of one handle.
pub(crate) struct Connections {
    pub(crate) writer: Connection,
    pub(crate) checkpointer: Connection,
    pub(crate) readers: Vec<Connection>,
    pub(crate) watcher: Connection,
    /// As it was read back from the writer.
    pub(crate) durability: Durability,
}

impl Connections {
    /// Opens the file, creates what is missing in it, and makes sure that it is as durable as demanded.
    pub(crate) fn open(path: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        let writer = open(path, OpenFlags::SQLITE_OPEN_CREATE, options)?;
        schema::check(&writer, path)?;
        let durability = write_ahead(&writer, path, options)?;
        schema::migrate(&writer, path)?;
        configure(&writer, path, "PRAGMA cache_size = -65536; PRAGMA foreign_keys = OFF")?;

        let checkpointer = open(path, OpenFlags::empty(), options)?;
        synchronous(&checkpointer, path, options.durability)?;

        let readers = (0..options.readers)
            .map(|_| reader(path, options))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            writer,
            checkpointer,
            readers,
            watcher: reader(path, options)?,
            durability,
        })
    }
}

/// A connection for an archive, which keeps the order of all appends beside the file.
pub(crate) fn archive(path: &Path) -> Result<Connection, StoreError> {
    open(path, OpenFlags::empty(), &SqliteOptions::new())
}

/// A connection that cannot write. It is not opened read-only: such a one could not take part in recovering the file
/// after a crash.
fn reader(path: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    let connection = open(path, OpenFlags::empty(), options)?;
    configure(
        &connection,
        path,
        "PRAGMA query_only = ON; PRAGMA cache_size = -16384; PRAGMA mmap_size = 268435456",
    )?;
    Ok(connection)
}

fn open(path: &Path, create: OpenFlags, options: &SqliteOptions) -> Result<Connection, StoreError> {
    // One thread at a time uses a connection, SQLite needs no mutex of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
    Connection::open_with_flags(path, flags)
        .and_then(|connection| connection.busy_timeout(options.busy_timeout).map(|()| connection))
        .map_err(|error| Problem::from(error).while_doing("open", path))
}

fn configure(connection: &Connection, path: &Path, pragmas: &str) -> Result<(), StoreError> {
    connection
        .execute_batch(pragmas)
        .map_err(|error| Problem::from(error).while_doing("set up", path))
}

/// Turns the write-ahead log on, and reads back that it is.
fn write_ahead(connection: &Connection, path: &Path, options: &SqliteOptions) -> Result<Durability, StoreError> {
    let mode = patiently(options.busy_timeout, || {
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
    })
    .map_err(|error| Problem::from(error).while_doing("set up", path))?;
    if mode != "wal" {
        return Err(refused(path, &format!("journal_mode = {mode}")));
    }
    // Checkpoints are made beside the writer: see `checkpoint.rs`.
    configure(connection, path, "PRAGMA wal_autocheckpoint = 0")?;
    synchronous(connection, path, options.durability)
}

/// Sets how far a commit goes, and reads back that it was taken.
fn synchronous(connection: &Connection, path: &Path, wanted: Durability) -> Result<Durability, StoreError> {
    configure(connection, path, &format!("PRAGMA synchronous = {}", wanted.pragma()))?;
    let number: i64 = connection
        .query_row("PRAGMA synchronous", [], |row| row.get(0))
        .map_err(|error| Problem::from(error).while_doing("set up", path))?;
    let taken = match number {
        2 => Some(Durability::Full),
        1 => Some(Durability::Normal),
        _ => None,
    };
    taken
        .filter(|taken| *taken == wanted)
        .ok_or_else(|| refused(path, &format!("synchronous = {number}")))
}

fn refused(path: &Path, answer: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Rejected,
        format!(
            "`{}` cannot be made as durable as demanded: SQLite answered {answer}",
            path.display()
        ),
    )
}

/// Repeats what is answered "busy": SQLite does not wait when two connections turn the write-ahead log on at once.
fn patiently<T>(timeout: Duration, mut attempt: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && start.elapsed() < timeout => {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome,
        }
    }
}
