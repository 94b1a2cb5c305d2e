//! Moving the write-ahead log into the database file, beside the writer.
//!
//! SQLite's own checkpoint runs on the writer's commit and holds up everybody behind it for milliseconds. Here another
//! connection does the bulk of it while the writer goes on; then the writer moves the small rest, because only a log that was
//! moved whole starts over at its beginning. A log that starts over does not grow, and a commit to a file that does not grow
//! costs half of one to a file that does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::{Connection, ErrorCode};

use crate::health::Health;

/// About how many pages may be written before the log is moved. SQLite's own default.
const PAGES: usize = 1000;
/// About how many pages a transaction writes beside those of its events.
const PAGES_PER_COMMIT: usize = 4;
/// Bytes of a page, as SQLite chooses for a new file.
const PAGE_SIZE: i64 = 4096;
/// A log of so many bytes is reported: somebody reads without end, and it cannot start over.
const LARGE_LOG: i64 = 64 << 20;

/// The writer's end: when to move the log.
pub(crate) struct Checkpoints {
    written: usize,
    due: SyncSender<()>,
    bulk_moved: Arc<AtomicBool>,
}

/// The other end, with the connection that moves the bulk.
pub(crate) struct Checkpointer {
    connection: Connection,
    due: Receiver<()>,
    bulk_moved: Arc<AtomicBool>,
    health: Arc<Health>,
}

pub(crate) fn checkpoints(connection: Connection, health: Arc<Health>) -> (Checkpoints, Checkpointer) {
    let (sender, receiver) = sync_channel(1);
    let bulk_moved = Arc::new(AtomicBool::new(false));
    let checkpoints = Checkpoints {
        written: 0,
        due: sender,
        bulk_moved: Arc::clone(&bulk_moved),
    };
    let checkpointer = Checkpointer {
        connection,
        due: receiver,
        bulk_moved,
        health,
    };
    (checkpoints, checkpointer)
}

impl Checkpoints {
    /// The writer has committed so many events or rows, and answered. `connection` is its own.
    pub(crate) fn committed(&mut self, written: usize, connection: &Connection, health: &Health) {
        if self.bulk_moved.swap(false, Ordering::Relaxed) {
            move_log(connection, health);
        }
        self.written += written + PAGES_PER_COMMIT;
        if self.written >= PAGES {
            self.written = 0;
            // If it is busy, the next one will do.
            let _ = self.due.try_send(());
        }
    }
}

impl Checkpointer {
    /// Runs until the writer has gone.
    pub(crate) fn run(self) -> Connection {
        while self.due.recv().is_ok() {
            move_log(&self.connection, &self.health);
            self.bulk_moved.store(true, Ordering::Relaxed);
        }
        self.connection
    }
}

/// Moves what can be moved without waiting for anybody.
fn move_log(connection: &Connection, health: &Health) {
    let pages = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1));
    match pages {
        Ok(pages) if pages * PAGE_SIZE > LARGE_LOG => tracing::warn!(
            path = %health.path().display(),
            pages,
            "a long read keeps the write-ahead log from starting over"
        ),
        Ok(_) => {}
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
        // The events are safe in the log, there is only no room to move them.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {}
        Err(error) => health.fail(format!("a checkpoint failed ({error})")),
    }
}
