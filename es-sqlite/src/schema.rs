use std::path::Path;

use es_runtime::{StoreError, StoreErrorKind};
use rusqlite::{Connection, ErrorCode};

use crate::error::Problem;

/// Marks the file as ours: `sqlite3 bank.db 'pragma application_id'`. The letters "esrs".
pub(crate) const APPLICATION_ID: i32 = 0x6573_7273;

/// The steps that lead from an empty file to the present schema.
const STEPS: [&str; 1] = [include_str!("../sql/create.sql")];

/// The version after the first step; each further one adds one to it. Lower versions were made before the first release, and are
/// refused. Until then, raise it with a change to the first step that a file which is there would miss.
const FIRST: usize = 7;

/// The version that this build reads and writes.
const VERSION: usize = FIRST + STEPS.len() - 1;

/// What a file is, before anything is written to it.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Empty,
    Store { version: i64 },
    Foreign,
}

/// Fails unless the file is empty, or a store that this build can read. Writes nothing.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    missing_steps(connection, path).map(drop)
}

/// Takes the steps that are missing, in one transaction: of several processes that start at once, one does it.
pub(crate) fn migrate(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    if missing_steps(connection, path)?.is_empty() {
        return Ok(());
    }
    let failed = |error: rusqlite::Error| Problem::from(error).while_doing("set up the tables of", path);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
    let migrated = missing_steps(connection, path)
        .and_then(|steps| take(connection, steps).map_err(failed))
        .and_then(|()| connection.execute_batch("COMMIT").map_err(failed));
    if migrated.is_err() && !connection.is_autocommit() {
        // The first error is the one to tell.
        let _ = connection.execute_batch("ROLLBACK");
    }
    migrated
}

fn take(connection: &Connection, steps: &[&str]) -> rusqlite::Result<()> {
    for step in steps {
        connection.execute_batch(step)?;
    }
    connection.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}"
    ))
}

fn missing_steps(connection: &Connection, path: &Path) -> Result<&'static [&'static str], StoreError> {
    let path_text = path.display();
    let rejected = |message| StoreError::new(StoreErrorKind::Rejected, message);
    match content(connection) {
        Ok(Content::Empty) => Ok(&STEPS),
        Ok(Content::Foreign) => Err(rejected(format!(
            "`{path_text}` is a SQLite database of another program: choose another file"
        ))),
        Ok(Content::Store { version }) => match usize::try_from(version) {
            Ok(version @ FIRST..=VERSION) => Ok(&STEPS[version + 1 - FIRST..]),
            Ok(1..FIRST) => Err(rejected(format!(
                "`{path_text}` has schema version {version}, which a build before the first release made: choose another file, or delete \
                 it if its events are not needed"
            ))),
            _ => Err(rejected(format!(
                "`{path_text}` has schema version {version}, this build knows no version above {VERSION}: use a newer es-sqlite"
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
