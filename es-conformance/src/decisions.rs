//! A18 to A22 and L10: the runtime over the store. What it decides again after a conflict, and what it never does twice.

use std::fmt::Debug;
use std::time::Duration;

use es_runtime::{
    AppendError, ExecuteError, ExpectedVersion, KeyOf, LoadError, NewEvent, Receipt, RetryPolicy, Runtime,
    StoreErrorKind, StreamId,
};

use crate::check::{Among, Checked, Stop, holds, present, same};
use crate::domain::{Count, Counted, Keeper, keeper};
use crate::intercept::{Act, Intercept};
use crate::sample::{event, stream, with_payload};
use crate::scale::scaled;
use crate::subject::{Store, Subject};
use crate::wrap::Wrapped;

type Outcome = Result<Receipt, ExecuteError<std::convert::Infallible>>;

fn counter() -> KeyOf<Keeper<Counted>> {
    keeper("k")
}

fn counter_stream() -> StreamId {
    StreamId::new("keeper", "k")
}

/// A runtime that pauses hardly at all between its attempts.
async fn runtime_over(store: &Wrapped<Intercept>, attempts: u32) -> Checked<Runtime> {
    let retry = RetryPolicy::default().attempts(attempts).first_pause(Duration::ZERO);
    Ok(Runtime::builder(store.clone()).retry(retry).start().await?)
}

/// Returns the event that another writer appends to the counter.
fn foreign() -> NewEvent {
    let mut event = with_payload(r#"{"events":0,"note":"foreign"}"#);
    event.name = "next".into();
    event
}

/// A counter with one event.
async fn created(subject: &Subject<'_>) -> Checked<Store> {
    let store = subject.open().await;
    let mut first = foreign();
    first.name = "first".into();
    store
        .put(&counter_stream(), ExpectedVersion::NoStream, vec![first])
        .await?;
    Ok(store)
}

#[track_caller]
fn done<T, E: Debug>(what: &str, result: Result<T, E>) -> Checked<T> {
    result.map_err(|error| Stop::broken(what, "success", format_args!("{error:?}")))
}

/// Reads the events of the counter from the store.
async fn kept(store: &Store) -> Checked<Vec<Counted>> {
    let events = store.events_of(&counter_stream()).await?;
    let counted = events.iter().map(|event| serde_json::from_slice(&event.payload));
    done("the stored events", counted.collect())
}

fn counted(events: u64, note: &str) -> Counted {
    Counted {
        events,
        note: note.to_owned(),
    }
}

pub(crate) async fn a18_retry_redecides_on_fresh_state(subject: &Subject<'_>) -> Checked {
    let store = created(subject).await?;
    let intercept = Intercept::planned(&store, [Act::Precede(foreign()), Act::Precede(foreign())]);
    let runtime = runtime_over(&intercept, 10).await?;
    let command = Count::default();
    let receipt = done(
        "a command that met two conflicts",
        runtime.execute(counter(), command.clone()).await,
    )?;
    same(
        "the states that the handler was called with",
        command.seen(),
        vec![1, 2, 3],
    )?;
    same("the version of the receipt", receipt.version.0, 4)?;
    same("the last event", kept(&store).await?.pop(), Some(counted(3, "")))
}

pub(crate) async fn a19_retry_never_resends_decided_events(subject: &Subject<'_>) -> Checked {
    let store = created(subject).await?;
    let intercept = Intercept::planned(&store, [Act::Precede(foreign()), Act::Precede(foreign())]);
    let runtime = runtime_over(&intercept, 10).await?;
    let command = Count::noting("mine");
    done(
        "a command that met two conflicts",
        runtime.execute(counter(), command).await,
    )?;

    let appends = intercept.0.appends();
    let sent: Vec<&[u8]> = appends
        .iter()
        .map(|append| &*append.streams[0].events[0].payload)
        .collect();
    let decided: Vec<String> = (1..=3)
        .map(|events| format!(r#"{{"events":{events},"note":"mine"}}"#))
        .collect();
    let decided: Vec<&[u8]> = decided.iter().map(String::as_bytes).collect();
    same("the events of the three appends", sent, decided)?;
    let mut mine = kept(&store).await?;
    mine.retain(|counted| counted.note == "mine");
    same(
        "the events of the command that are stored",
        mine,
        vec![counted(3, "mine")],
    )
}

pub(crate) async fn a20_retry_budget_exhausted_returns_conflict(subject: &Subject<'_>) -> Checked {
    let store = created(subject).await?;
    let intercept = Intercept::planned(&store, (0..10).map(|_| Act::Precede(foreign())));
    let runtime = runtime_over(&intercept, 4).await?;
    let command = Count::default();
    let result = runtime.execute(counter(), command.clone()).await;
    let right = matches!(&result, Err(error @ ExecuteError::Conflict { attempts: 4, actual, .. })
        if *actual == 5 && error.is_retryable());
    let expected = "Conflict { actual: 5, attempts: 4 }, which is retryable";
    holds(
        right,
        "a command that meets a conflict at each of 4 attempts",
        expected,
        result,
    )?;
    same("the number of appends", intercept.0.appends().len(), 4)?;
    same(
        "the states that the handler was called with",
        command.seen(),
        vec![1, 2, 3, 4],
    )
}

pub(crate) async fn a21_only_conflicts_are_retried(subject: &Subject<'_>) -> Checked {
    let store = created(subject).await?;
    for kind in [
        StoreErrorKind::Unavailable,
        StoreErrorKind::Rejected,
        StoreErrorKind::Closed,
    ] {
        let intercept = Intercept::planned(&store, [Act::Fail(kind)]);
        let result = one_attempt(&intercept, String::new(), 1)
            .await
            .among(format_args!("{kind:?}"))?;
        let right = matches!(&result, Err(ExecuteError::Append(AppendError::Store(error))) if error.kind() == kind);
        holds(
            right,
            "a command whose append fails",
            format_args!("Store({kind:?})"),
            result,
        )?;
    }

    let intercept = Intercept::planned(&store, []);
    let too_long = "x".repeat(store.limits().payload);
    let result = one_attempt(&intercept, too_long, 0)
        .await
        .among("an event above the limit")?;
    let right = matches!(result, Err(ExecuteError::Append(AppendError::LimitExceeded(_))));
    holds(
        right,
        "a command whose event is above the limit",
        "LimitExceeded",
        result,
    )?;

    let mut unknown = event(0);
    unknown.name = "unknown".into();
    store
        .put(&counter_stream(), ExpectedVersion::Any, vec![unknown])
        .await?;
    let runtime = runtime_over(&intercept, 10).await?;
    let command = Count::default();
    let result = runtime.execute(counter(), command.clone()).await;
    let right =
        matches!(&result, Err(ExecuteError::Load(LoadError::UnknownEvent(unknown))) if unknown.name == "unknown");
    holds(
        right,
        "a command to a stream with an event of unknown name",
        "UnknownEvent",
        result,
    )?;
    same(
        "the states that the handler was called with",
        command.seen(),
        Vec::new(),
    )?;
    same(
        "the number of events after it all",
        store.events_of(&counter_stream()).await?.len(),
        2,
    )
}

/// Executes a command, which must end after one attempt, in which so many appends come to the store.
async fn one_attempt(intercept: &Wrapped<Intercept>, note: String, appends: usize) -> Checked<Outcome> {
    let runtime = runtime_over(intercept, 10).await?;
    let command = Count::noting(note);
    let result = runtime.execute(counter(), command.clone()).await;
    same("the states that the handler was called with", command.seen(), vec![1])?;
    same("the number of appends", intercept.0.appends().len(), appends)?;
    Ok(result)
}

pub(crate) async fn a22_own_write_is_recognised_on_retry(subject: &Subject<'_>) -> Checked {
    let store = created(subject).await?;
    cut_after_commit(&store)
        .await
        .among("the answer to the append is lost")?;
    cut_before_commit(&store).await.among("the append is lost")?;
    cut_for_good(&store)
        .await
        .among("the answers to the append and to `resolve` are lost")
}

async fn cut_after_commit(store: &Store) -> Checked {
    let intercept = Intercept::planned(store, [Act::CutAfterCommit]);
    let runtime = runtime_over(&intercept, 10).await?;
    let command = Count::default();
    let receipt = done("the command", runtime.execute(counter(), command.clone()).await)?;
    same("the states that the handler was called with", command.seen(), vec![1])?;
    same("the version of the receipt", receipt.version.0, 2)?;
    same("what is stored", kept(store).await?.len(), 2)
}

async fn cut_before_commit(store: &Store) -> Checked {
    let intercept = Intercept::planned(store, [Act::CutBeforeCommit]);
    let runtime = runtime_over(&intercept, 10).await?;
    let receipt = done("the command", runtime.execute(counter(), Count::default()).await)?;
    same("the version of the receipt", receipt.version.0, 3)?;
    same("what is stored", kept(store).await?.len(), 3)
}

/// The caller is told what to resolve, and the same request again is answered with the first result.
async fn cut_for_good(store: &Store) -> Checked {
    let intercept = Intercept::planned(store, [Act::CutAfterCommit]);
    intercept.0.fail_resolves(1);
    let runtime = runtime_over(&intercept, 10).await?;
    let request = || runtime.execute(counter(), Count::default()).idempotency_key("request");
    let append = match request().await {
        Err(ExecuteError::Indeterminate {
            append, keyed: true, ..
        }) => append,
        other => {
            return Err(Stop::broken(
                "the command",
                "Indeterminate of a request with a key",
                format_args!("{other:?}"),
            ));
        }
    };
    let appended = present("the append that the error names", runtime.resolve(&append).await?)?;
    same("its version", appended.streams[0].version.0, 4)?;
    let receipt = done("the same request again", request().await)?;
    same("its version", (receipt.version.0, receipt.repeated), (4, true))?;
    same("what is stored", kept(store).await?.len(), 4)?;

    let intercept = Intercept::planned(store, [Act::CutAfterCommit]);
    intercept.0.fail_resolves(1);
    let runtime = runtime_over(&intercept, 10).await?;
    let result = runtime.execute(counter(), Count::default()).await;
    let right =
        matches!(&result, Err(error @ ExecuteError::Indeterminate { keyed: false, .. }) if !error.is_retryable());
    let expected = "Indeterminate, which is not retryable: the same again would be a second command";
    holds(right, "a command without an idempotency key", expected, result)
}

pub(crate) async fn l10_runtime_dropped_without_shutdown(subject: &Subject<'_>) -> Checked {
    for round in 0..scaled(10, 100) {
        let id = format!("k{round}");
        hung_command(subject, &id).await?;
        let fixture = subject.open().await;
        executor_dropped(fixture, stream(&format!("s{round}"))).await?;
    }
    let store = subject.open().await;
    let log = store.check_log().await?;
    let whole = log
        .chunks(3)
        .all(|events| events.iter().all(|event| event.stream == events[0].stream));
    holds(whole, "the appends in flight", "all or nothing of each", log.len())?;
    let after = Runtime::builder(Intercept::planned(&store, [])).start().await?;
    done(
        "a command after all that",
        after.execute(counter(), Count::default()).await,
    )
    .map(drop)
}

/// Drops a runtime while one of its commands waits for the store.
async fn hung_command(subject: &Subject<'_>, id: &str) -> Checked {
    let intercept = Intercept::planned(&subject.open().await, [Act::Hang]);
    let runtime = Runtime::builder(intercept.clone()).start().await?;
    let (clone, key) = (runtime.clone(), keeper::<Counted>(id));
    let task = tokio::spawn(async move { clone.execute(key, Count::default()).await });
    while intercept.0.appends().is_empty() {
        tokio::task::yield_now().await;
    }
    drop((runtime, intercept));
    task.abort();
    let aborted = task.await.is_err_and(|error| error.is_cancelled());
    holds(aborted, "a command that was aborted", "to end without a panic", aborted)
}

/// Drops the executor while appends are in flight.
async fn executor_dropped(store: Store, target: StreamId) -> Checked {
    let dropped = tokio::task::spawn_blocking(move || {
        let executor = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        for _ in 0..8 {
            let (store, target) = (store.clone(), target.clone());
            executor.spawn(async move {
                store
                    .put(&target, ExpectedVersion::Any, vec![event(0), event(1), event(2)])
                    .await
            });
        }
        drop(executor);
        std::io::Result::Ok(())
    });
    done("a thread that drops an executor", dropped.await).and_then(|dropped| done("an executor", dropped))
}
