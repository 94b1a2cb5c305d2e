//! An append that may be stored is never reported as not stored, wherever the answer is lost.

mod support;

use std::time::{Duration, Instant};

use es_runtime::projection::sql::SqlStore as _;
use es_runtime::store::{Append, AppendError, AppendRef, IdempotencyKey, InlineError};
use es_runtime::{AppendId, EventStore, StoreErrorKind};
use futures_util::FutureExt;
use support::{Database, append, scaled};
use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tokio_postgres::Client;
use uuid::Uuid;

fn current_thread() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

/// The session of appends, as `column`: it is the only one that appends.
async fn of_appends(client: &Client, column: &str) -> Vec<String> {
    let sql = format!(
        "SELECT coalesce({column}, '') FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%\"es\".append(%'"
    );
    let rows = client.query(&sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn until(client: &Client, column: &str, done: impl Fn(&[String]) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done(&of_appends(client, column).await) {
        assert!(Instant::now() < deadline, "the session of appends does not get there");
        yield_now().await;
    }
}

#[test]
fn what_was_sent_when_the_runtime_ends_is_indeterminate_and_can_be_resolved() {
    let (theirs, ours) = (current_thread(), current_thread());
    let database = ours.block_on(Database::new());
    let store = theirs.block_on(database.open());
    let client = ours.block_on(database.client());
    ours.block_on(client.batch_execute("BEGIN; SELECT es.lock_log()"))
        .unwrap();

    let sent = append("a", 0..2);
    let reference = AppendRef::of(&sent);
    let waiting = ours.spawn({
        let store = store.clone();
        async move { store.append(sent).await }
    });
    // The server has it, and waits for the lock.
    let observer = ours.block_on(database.client());
    while ours.block_on(of_appends(&observer, "wait_event_type")) != ["Lock"] {
        theirs.block_on(yield_now());
    }
    drop(theirs);
    let error = ours.block_on(waiting).unwrap().unwrap_err();
    match &error {
        AppendError::Indeterminate { append, source } => {
            assert_eq!(**append, reference);
            assert_eq!(source.kind(), StoreErrorKind::Closed);
        }
        other => panic!("it may be stored: {other}"),
    }
    ours.block_on(client.batch_execute("COMMIT")).unwrap();
    let resolved = ours.block_on(store.resolve(&reference)).expect("an answer");
    let stored = ours.block_on(store.version(&reference.stream)).unwrap();
    assert_eq!(resolved.is_some(), stored == 2, "resolve tells what is stored");
    match ours.block_on(store.append(append("a", 0..1))).unwrap_err() {
        AppendError::Store(error) => assert_eq!(error.kind(), StoreErrorKind::Closed),
        other => panic!("nothing was sent: {other}"),
    }
}

/// Drives the runtime of the store a little further each time, up to the answer.
#[test]
fn a_runtime_that_ends_at_any_moment_of_an_append_says_nothing_wrong() {
    let ours = current_thread();
    let database = ours.block_on(Database::new());
    let client = ours.block_on(database.client());
    let events = "SELECT count(*) FROM es.recorded_events";
    let (mut before, mut answers) = (0, [0; 3]);
    let mut turns = 0;
    while answers[0] < 10 {
        let theirs = current_thread();
        let store = theirs.block_on(database.open());
        let sent = append("a", 0..1);
        let reference = AppendRef::of(&sent);
        let mut appending = store.append(sent);
        assert!(appending.as_mut().now_or_never().is_none(), "the other runtime does it");
        theirs.block_on(async {
            for _ in 0..turns {
                yield_now().await;
            }
        });
        drop(theirs);
        let result = ours.block_on(appending);
        let resolved = match &result {
            Err(AppendError::Indeterminate { .. }) => {
                let resolved = ours.block_on(store.resolve(&reference));
                Some(resolved.expect("it can be resolved without the runtime").is_some())
            }
            _ => None,
        };
        ours.block_on(until(&client, "state", <[_]>::is_empty));
        let stored: i64 = ours.block_on(client.query_one(events, &[])).unwrap().get(0);
        let is_stored = stored == before + 1;
        match &result {
            Ok(_) => assert!(is_stored, "{turns} turns: acknowledged"),
            Err(AppendError::Indeterminate { .. }) => {}
            Err(error) => assert!(!is_stored, "{turns} turns: {error}"),
        }
        assert!(
            resolved.is_none_or(|resolved| resolved == is_stored),
            "{turns} turns: resolved as {resolved:?}"
        );
        answers[match result {
            Ok(_) => 0,
            Err(AppendError::Indeterminate { .. }) => 1,
            Err(_) => 2,
        }] += 1;
        before = stored;
        turns += 1 + turns / scaled(8, 64);
    }
    println!(
        "{} acknowledged, {} indeterminate, {} not stored",
        answers[0], answers[1], answers[2]
    );
    assert!(answers[1] > 0 && answers[2] > 0, "each kind of answer is met");
}

/// Makes each commit that appends wait for a lock, which the client holds.
async fn hold_commits(client: &Client) {
    client
        .batch_execute(
            "CREATE FUNCTION es.hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$; \
             CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON es.recorded_events DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION es.hold(); SELECT pg_advisory_lock(7)",
        )
        .await
        .unwrap();
}

/// The connection of an append with inline projections lives on the runtime on which it was first needed.
#[test]
fn a_commit_of_an_inline_append_whose_runtime_ends_is_indeterminate_and_can_be_resolved() {
    let (theirs, ours) = (current_thread(), current_thread());
    let database = ours.block_on(Database::new());
    let store = ours.block_on(database.open());
    theirs
        .block_on(store.append_with(append("a", 0..1), Vec::new(), Vec::new()))
        .unwrap();
    let client = ours.block_on(database.client());
    ours.block_on(hold_commits(&client));

    let sent = append("a", 1..2);
    let reference = AppendRef::of(&sent);
    let appending = ours.spawn({
        let store = store.clone();
        async move { store.append_with(sent, Vec::new(), Vec::new()).await }
    });
    let commits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND state = 'active'";
    let observer = ours.block_on(database.client());
    while ours
        .block_on(observer.query_one(commits, &[]))
        .unwrap()
        .get::<_, i64>(0)
        == 0
    {
        theirs.block_on(yield_now());
    }
    drop(theirs);
    match ours.block_on(appending).unwrap().unwrap_err() {
        InlineError::Append(AppendError::Indeterminate { append, .. }) => assert_eq!(*append, reference),
        other => panic!("it may be stored: {other}"),
    }
    ours.block_on(client.batch_execute("SELECT pg_advisory_unlock(7)"))
        .unwrap();
    let resolved = ours.block_on(store.resolve(&reference)).expect("an answer");
    let stored = ours.block_on(store.version(&reference.stream)).unwrap();
    assert_eq!(resolved.is_some(), stored == 2, "resolve tells what is stored");
}

#[tokio::test]
async fn an_inline_append_that_is_dropped_at_its_commit_can_be_resolved() {
    let database = Database::new().await;
    let store = database.open().await;
    let (client, observer) = (database.client().await, database.client().await);
    hold_commits(&client).await;
    let sent = append("a", 0..1);
    let reference = AppendRef::of(&sent);
    let commits = async {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND state = 'active'";
        while observer.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
    };
    tokio::select! {
        _ = store.append_with(sent, Vec::new(), Vec::new()) => panic!("its commit is held up"),
        () = commits => {}
    }
    let unlock = client.batch_execute("SELECT pg_advisory_unlock(7)");
    let (resolved, unlocked) = tokio::join!(store.resolve(&reference), unlock);
    unlocked.unwrap();
    let stored = store.version(&reference.stream).await.unwrap();
    assert_eq!(resolved.unwrap().is_some(), stored == 1, "resolve tells what is stored");
}

/// The request is stored, by its first attempt.
#[tokio::test]
async fn a_repetition_whose_result_cannot_be_read_is_not_told_as_not_stored() {
    let database = Database::new().await;
    let store = database.open().await;
    let mut first = append("a", 0..1);
    first.key = Some(IdempotencyKey {
        key: "once".to_owned(),
        fingerprint: Uuid::nil(),
    });
    store.append(first.clone()).await.unwrap();
    let client = database.client().await;
    client
        .batch_execute("ALTER FUNCTION es.stored RENAME TO hidden")
        .await
        .unwrap();
    let again = Append {
        id: AppendId::new(),
        ..first.clone()
    };
    for repeated in [first, again] {
        let reference = AppendRef::of(&repeated);
        match store.append(repeated).await.unwrap_err() {
            AppendError::Indeterminate { append, source } => {
                assert_eq!(*append, reference);
                assert!(source.to_string().contains("repeated"), "{source}");
            }
            other => panic!("it was done: {other}"),
        }
    }
    client
        .batch_execute("ALTER FUNCTION es.hidden RENAME TO stored")
        .await
        .unwrap();
}
