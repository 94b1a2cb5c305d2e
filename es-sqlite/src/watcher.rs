//! Hints at what other processes append.

use std::sync::Arc;
use std::thread::{park, park_timeout};
use std::time::Duration;

use es_runtime::Position;
use es_runtime::store::AppendSignalSource;
use rusqlite::Connection;

use crate::error::Problem;
use crate::health::Health;
use crate::rows::number;
use crate::statement::Prepared;

/// The first pause between two looks after a change, and below it the longest, if nothing changes.
const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_millis(50);

/// Looks whether the file has changed, for as long as somebody wants hints.
pub(crate) struct Watcher {
    pub(crate) wakes: AppendSignalSource,
    pub(crate) health: Arc<Health>,
}

impl Watcher {
    /// Runs the thread until the handle ends. Unpark it when somebody asks for hints, and at the end. It has a
    /// connection of its own, because SQLite counts only the changes made by others.
    pub(crate) fn run(&self, connection: &Connection) {
        let mut changes = Prepared::new(connection, "PRAGMA data_version");
        let mut head = Prepared::new(connection, "SELECT coalesce(max(position), 0) FROM recorded_events");
        let (mut seen, mut pause) = (None, SHORTEST);
        while self.health.check().is_ok() {
            if !self.wakes.is_watched() {
                park();
                continue;
            }
            match look(&mut changes, &mut head, seen) {
                Ok((version, Some(head))) => {
                    self.wakes.wake(head);
                    (seen, pause) = (Some(version), SHORTEST);
                }
                Ok((_, None)) => pause = (pause * 2).min(LONGEST),
                Err(problem) => {
                    // It is only a hint: who reads looks without one, too.
                    tracing::debug!("could not look for changes of the file: {problem}");
                    pause = LONGEST;
                }
            }
            park_timeout(pause);
        }
    }
}

/// The number of the changes so far, with the head if it is another one than was seen.
fn look(
    changes: &mut Prepared<'_>,
    head: &mut Prepared<'_>,
    seen: Option<i64>,
) -> Result<(i64, Option<Position>), Problem> {
    let version: i64 = changes.get()?.query_row([], |row| row.get(0))?;
    if seen == Some(version) {
        return Ok((version, None));
    }
    let head: i64 = head.get()?.query_row([], |row| row.get(0))?;
    Ok((version, Some(Position(number(head)))))
}
