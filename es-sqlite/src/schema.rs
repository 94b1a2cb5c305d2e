use std::path::Path;

use es_runtime::{StoreError, StoreErrorKind};
use rusqlite::{Connection, ErrorCode};

use crate::error::Problem;

/// Marks the file as ours: `sqlite3 bank.db 'pragma application_id'`. The letters "esrs".
pub(crate) const APPLICATION_ID: i32 = 0x6573_7273;

/// The steps that lead from an empty file to the present schema. Its version is how many of them were taken. Each can be taken
/// again: a writer that was open since before it may set the version back.
const STEPS: [Step; 5] = [
    Step::Statements(include_str!("../sql/001_create.sql")),
    Step::Statements(include_str!("../sql/002_event_types.sql")),
    Step::Statements(include_str!("../sql/003_projections.sql")),
    Step::Statements(include_str!("../sql/004_reports.sql")),
    Step::Columns(&[
        // Of all columns and the name of the stream: two CRC-32. NULL if another program wrote the event, or an older build.
        ("recorded_events", "checksum", "INTEGER"),
        // In microseconds. A lease that ends further ahead was given before the clock was set back.
        ("leases", "length", "INTEGER NOT NULL DEFAULT 0"),
    ]),
];

enum Step {
    Statements(&'static str),
    /// Columns that are added where they are missing: table, name and type.
    Columns(&'static [(&'static str, &'static str, &'static str)]),
}

impl Step {
    fn take(&self, connection: &Connection) -> rusqlite::Result<()> {
        match self {
            Self::Statements(statements) => connection.execute_batch(statements),
            Self::Columns(columns) => columns.iter().try_for_each(|(table, column, definition)| {
                let find = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)";
                if connection.query_row(find, (table, column), |row| row.get(0))? {
                    return Ok(());
                }
                connection.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {definition}"))
            }),
        }
    }
}

/// The version that this build reads and writes.
pub(crate) const VERSION: usize = STEPS.len();

/// What a file is, before anything is written to it.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Empty,
    Store { version: i64 },
    Foreign,
}

/// Fails unless the file is empty, or a store that this build can read. Writes nothing.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    taken_steps(connection, path).map(drop)
}

/// Takes the steps that are missing, in one transaction: of several processes that start at once, one does it.
pub(crate) fn migrate(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    if taken_steps(connection, path)? == VERSION {
        return Ok(());
    }
    let failed = |error: rusqlite::Error| Problem::from(error).while_doing("set up the tables of", path);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
    let migrated = taken_steps(connection, path)
        .and_then(|taken| take_steps(connection, taken).map_err(failed))
        .and_then(|()| connection.execute_batch("COMMIT").map_err(failed));
    if migrated.is_err() && !connection.is_autocommit() {
        // The first error is the one to tell.
        let _ = connection.execute_batch("ROLLBACK");
    }
    migrated
}

fn take_steps(connection: &Connection, taken: usize) -> rusqlite::Result<()> {
    for step in STEPS.iter().skip(taken) {
        step.take(connection)?;
    }
    connection.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}"
    ))
}

fn taken_steps(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let path_text = path.display();
    let rejected = |message| StoreError::new(StoreErrorKind::Rejected, message);
    match content(connection) {
        Ok(Content::Empty) => Ok(0),
        Ok(Content::Foreign) => Err(rejected(format!(
            "`{path_text}` is a SQLite database of another program: choose another file"
        ))),
        Ok(Content::Store { version }) => match usize::try_from(version) {
            Ok(version @ 1..=VERSION) => Ok(version),
            _ => Err(rejected(format!(
                "`{path_text}` has schema version {version}, this build knows versions 1 to {VERSION}: use a newer es-sqlite"
            ))),
        },
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            Err(rejected(format!("`{path_text}` is not a SQLite database: choose another file")).caused_by(error))
        }
        Err(error) => Err(Problem::from(error).while_doing("open", path)),
    }
}

fn content(connection: &Connection) -> rusqlite::Result<Content> {
    // One statement, so that all three are of one moment: another process may be creating the tables.
    let content: (i64, i64, i64) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), count(*)
         FROM sqlite_schema",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    Ok(match content {
        (0, 0, 0) => Content::Empty,
        (id, version, _) if id == i64::from(APPLICATION_ID) => Content::Store { version },
        _ => Content::Foreign,
    })
}
