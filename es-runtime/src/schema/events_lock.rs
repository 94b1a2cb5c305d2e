use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::aggregates::Aggregates;
use super::check::{Addition, Findings, Problem, check};
use super::golden::{Golden, GoldenProblem};
use super::lock::{self, Entry, Key, Lock};
use super::today::Today;

/// Decides whether additions are written to the lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Additions {
    /// They are reported.
    Refuse,
    /// They are written, if there is nothing else to report.
    Accept,
}

/// The lock file and the events of this build differ. The message says where, and what to write.
pub struct EventsLockError {
    pub(super) file: PathBuf,
    pub(super) cause: Cause,
}

pub(super) enum Cause {
    Io {
        path: PathBuf,
        source: io::Error,
    },
    Malformed(String),
    Missing,
    Findings {
        findings: Findings,
        golden: Vec<GoldenProblem>,
    },
}

impl fmt::Debug for EventsLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for EventsLockError {}

/// Compares the lock file `file`, and its golden payloads, with the events of the aggregates `S`.
/// [`testing::events_lock`](crate::testing::events_lock) does it in a test.
///
/// # Errors
///
/// If they differ, or a file cannot be read or written. Nothing is written then, unless writing fails half-way; then a
/// repetition goes on.
pub fn check_events_lock<S: Aggregates>(file: impl AsRef<Path>, additions: Additions) -> Result<(), EventsLockError> {
    let file = file.as_ref();
    let fail = |cause| EventsLockError {
        file: file.to_owned(),
        cause,
    };
    let io = |path: &Path, source| {
        fail(Cause::Io {
            path: path.to_owned(),
            source,
        })
    };
    let accept = additions == Additions::Accept;
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && accept => String::new(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(fail(Cause::Missing)),
        Err(error) => return Err(io(file, error)),
    };
    let today = Today::of::<S>();
    let locked = lock::read(&text).map_err(|error| fail(Cause::Malformed(error)))?;
    let findings = check(&locked, &today);
    let accepted = accept && findings.problems.is_empty();
    let lock = if accepted {
        locked_anew(&locked, &today, &findings)
    } else {
        locked
    };
    let folder = file.with_extension("golden");
    let mut golden = Golden {
        folder: &folder,
        today: &today,
        additions: &findings.additions,
        accept: accepted,
        problems: Vec::new(),
        writes: std::collections::BTreeMap::new(),
    };
    let unread = |key: &Key| findings.problems.iter().any(|problem| problem.concerns(key));
    golden.check(&lock, unread).map_err(|error| io(&folder, error))?;
    let Golden { problems, writes, .. } = golden;
    let open = if accepted { &[][..] } else { &findings.additions };
    if !(findings.problems.is_empty() && problems.is_empty() && open.is_empty()) {
        let golden = problems;
        return Err(fail(Cause::Findings { findings, golden }));
    }
    if accepted {
        let lock = lock::write(&lock);
        let lock = (lock != text).then(|| (file.to_owned(), lock));
        // The lock file goes last: without it, the golden payloads are checked again.
        for (path, text) in writes.into_iter().chain(lock) {
            write(&path, &text).map_err(|error| io(&path, error))?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// The lock file with the additions.
fn locked_anew(locked: &Lock, today: &Today, findings: &Findings) -> Lock {
    let added = |key: &Key| {
        let shape = |addition: &Addition| matches!(addition, Addition::Shape(added) if added == key);
        locked.contains_key(key) || findings.additions.iter().any(shape)
    };
    let entries = today
        .shapes
        .iter()
        .filter(|(key, _)| added(key))
        .map(|(key, readable)| {
            let entry = Entry {
                role: readable.role.clone(),
                definition: readable.definition.clone(),
            };
            (key.clone(), entry)
        });
    entries.collect()
}

impl Problem {
    /// Returns whether it makes stored events of this key unreadable.
    fn concerns(&self, of: &Key) -> bool {
        match self {
            Self::AggregateVanished { category, .. } => of.category == *category,
            Self::Changed { key, .. }
            | Self::Vanished { key, .. }
            | Self::WentDown { key, .. }
            | Self::VersionVanished { key, .. }
            | Self::Reused { key, .. }
            | Self::Unknown { key, .. } => of == key,
        }
    }
}
