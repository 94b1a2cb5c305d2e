//! What becomes of appends when the disk fails. Each test runs its child, a test that is ignored otherwise, in a process of its
//! own on a disk that can be made to fail.

mod common;
mod fault;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use common::{append, log};
use es_runtime::store::{Append, AppendError, AppendRef, CursorStore, EventStore};
use es_runtime::{ExpectedVersion, StoreErrorKind};
use es_sqlite::SqliteStore;

/// Where a child finds its directory.
const DIRECTORY: &str = "ES_SQLITE_TEST_DIRECTORY";

/// The files that a child works with.
struct Files(PathBuf);

impl Files {
    fn of_child() -> Option<Self> {
        std::env::var_os(DIRECTORY).map(|directory| Self(directory.into()))
    }

    fn store(&self) -> PathBuf {
        self.0.join("bank.db")
    }

    /// While it is there, the disk fails.
    fn fault(&self) -> PathBuf {
        self.0.join("fault")
    }

    fn break_disk(&self) {
        std::fs::write(self.fault(), "").unwrap();
    }

    fn repair_disk(&self) {
        std::fs::remove_file(self.fault()).unwrap();
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.store()).await.unwrap()
    }
}

/// Runs a child whose disk fails as `variable` says. `None` if no disk can be made to fail here.
fn run(directory: &Path, child: &str, variable: &str) -> Option<Output> {
    let files = Files(directory.to_owned());
    let library = match fault::failing_disk(directory) {
        Ok(library) => library,
        Err(reason) => {
            println!("skipped: {reason}");
            return None;
        }
    };
    let output = child_process(directory, child)
        .env("LD_PRELOAD", library)
        .env(variable, files.fault())
        .output()
        .unwrap();
    Some(output)
}

fn child_process(directory: &Path, child: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([child, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory);
    command
}

fn ended_well(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("as expected"), "{text}\n{errors}");
}

/// Ends the process as a crash would: nothing is closed.
fn crash_as_expected() -> ! {
    println!("as expected");
    std::process::abort()
}

fn account() -> Append {
    append("a", ExpectedVersion::Any, 1)
}

#[tokio::test]
async fn a_failed_flush_leaves_the_append_in_doubt_and_ends_the_handle() {
    let directory = tempfile::tempdir().unwrap();
    let Some(output) = run(directory.path(), "child_whose_flush_fails", "DISK_FLUSH_FAILS") else {
        return;
    };
    ended_well(&output);
    let store = Files(directory.path().to_owned()).open().await;
    let events = log(&store).await.len();
    assert!(
        (1..=2).contains(&events),
        "{events} events: one was acknowledged, one is in doubt"
    );
}

#[tokio::test]
#[ignore = "started by another test"]
async fn child_whose_flush_fails() {
    let Some(files) = Files::of_child() else { return };
    let store = files.open().await;
    store.append(account()).await.unwrap();
    files.break_disk();
    let doubtful = store.append(account()).await.unwrap_err();
    assert!(matches!(doubtful, AppendError::Indeterminate { .. }), "{doubtful:?}");
    files.repair_disk();
    let later = store.append(account()).await.unwrap_err();
    assert!(matches!(later, AppendError::Store(error) if error.kind() == StoreErrorKind::Closed));
    assert_eq!(store.head().await.unwrap_err().kind(), StoreErrorKind::Closed);
    assert_eq!(store.close().await.unwrap_err().kind(), StoreErrorKind::Closed);
    crash_as_expected();
}

/// The frames of the append lie behind the end of the write-ahead log. Without care they would come back to life when the
/// log is recovered after the crash.
#[tokio::test]
async fn what_was_resolved_as_not_stored_stays_so_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let Some(output) = run(directory.path(), "child_that_resolves", "DISK_FLUSH_FAILS") else {
        return;
    };
    ended_well(&output);
    let store = Files(directory.path().to_owned()).open().await;
    assert_eq!(log(&store).await.len(), 1);
}

#[tokio::test]
#[ignore = "started by another test"]
async fn child_that_resolves() {
    let Some(files) = Files::of_child() else { return };
    let store = files.open().await;
    store.append(account()).await.unwrap();
    // Another handle keeps the log from being tidied up.
    let other = files.open().await;
    files.break_disk();
    let doubtful = account();
    let error = store.append(doubtful.clone()).await.unwrap_err();
    assert!(matches!(error, AppendError::Indeterminate { .. }), "{error:?}");
    files.repair_disk();
    assert_eq!(other.resolve(&AppendRef::of(&doubtful)).await.unwrap(), None);
    crash_as_expected();
}

#[tokio::test]
async fn a_chain_whose_flush_fails_is_in_doubt_and_resolved_append_by_append() {
    let directory = tempfile::tempdir().unwrap();
    let Some(output) = run(directory.path(), "child_whose_chain_is_in_doubt", "DISK_FLUSH_FAILS") else {
        return;
    };
    ended_well(&output);
    let store = Files(directory.path().to_owned()).open().await;
    assert_eq!(log(&store).await.len(), 3);
}

#[tokio::test]
#[ignore = "started by another test"]
async fn child_whose_chain_is_in_doubt() {
    let Some(files) = Files::of_child() else { return };
    let store = files.open().await;
    let chain = || vec![account(), account(), account()];
    assert!(store.append_chain(chain()).await.iter().all(Result::is_ok));
    let other = files.open().await;
    files.break_disk();
    let doubtful = chain();
    let answers = store.append_chain(doubtful.clone()).await;
    let first = AppendRef::of(&doubtful[0]);
    assert!(
        matches!(&answers[..], [Err(AppendError::Indeterminate { append, .. })] if **append == first),
        "{answers:?}"
    );
    files.repair_disk();
    for append in &doubtful {
        assert_eq!(other.resolve(&AppendRef::of(append)).await.unwrap(), None);
    }
    crash_as_expected();
}

/// An idle process renews its leases again and again. That need not last, and an append behind it must all the same.
#[tokio::test]
async fn a_renewed_lease_waits_for_no_flush_and_the_append_behind_it_does() {
    let directory = tempfile::tempdir().unwrap();
    let Some(output) = run(directory.path(), "child_that_renews", "DISK_FLUSH_FAILS") else {
        return;
    };
    ended_well(&output);
}

#[tokio::test]
#[ignore = "started by another test"]
async fn child_that_renews() {
    let Some(files) = Files::of_child() else { return };
    let store = files.open().await;
    let long = Duration::from_secs(3600);
    let lease = store.acquire("lease", "owner", long).await.unwrap().unwrap();
    files.break_disk();
    for _ in 0..3 {
        assert!(store.renew(&lease, long).await.unwrap());
    }
    let doubtful = store.append(account()).await.unwrap_err();
    assert!(matches!(doubtful, AppendError::Indeterminate { .. }), "{doubtful:?}");
    crash_as_expected();
}

#[tokio::test]
async fn a_full_disk_stores_nothing_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let Some(output) = run(directory.path(), "child_whose_disk_is_full", "DISK_FULL") else {
        return;
    };
    ended_well(&output);
    let store = Files(directory.path().to_owned()).open().await;
    assert_eq!(log(&store).await.len(), 2);
}

#[tokio::test]
#[ignore = "started by another test"]
async fn child_whose_disk_is_full() {
    let Some(files) = Files::of_child() else { return };
    let store = files.open().await;
    store.append(account()).await.unwrap();
    files.break_disk();
    let refused = [store.append(account()), store.append(account())];
    for outcome in futures_util::future::join_all(refused).await {
        let error = outcome.unwrap_err();
        assert!(
            matches!(&error, AppendError::Store(error) if error.kind() == StoreErrorKind::Full),
            "{error:?}"
        );
    }
    files.repair_disk();
    store.append(account()).await.unwrap();
    crash_as_expected();
}

/// A quota or a limit on the size of a file is not told from other failures of a write: the append is in doubt.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_may_not_grow_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let child = child_process(directory.path(), "child_whose_file_may_not_grow");
    let program = child.get_program().to_str().unwrap();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\"", program])
        .args(child.get_args())
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    ended_well(&output);
    let text = String::from_utf8_lossy(&output.stdout);
    let acknowledged = text.lines().filter(|line| *line == "acknowledged").count();
    let store = Files(directory.path().to_owned()).open().await;
    let stored = log(&store).await.len();
    assert!(
        (acknowledged..=acknowledged + 1).contains(&stored),
        "{acknowledged} {stored}"
    );
    store.append(account()).await.unwrap();
}

#[tokio::test]
#[ignore = "started by another test"]
async fn child_whose_file_may_not_grow() {
    let Some(files) = Files::of_child() else { return };
    let store = files.open().await;
    println!();
    loop {
        let large = Append::new(
            common::stream("a"),
            ExpectedVersion::Any,
            vec![common::event(vec![b'x'; 100_000])],
        );
        match store.append(large).await {
            Ok(_) => println!("acknowledged"),
            Err(AppendError::Indeterminate { .. }) => break,
            Err(AppendError::Store(error)) if error.kind() == StoreErrorKind::Full => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    crash_as_expected();
}
