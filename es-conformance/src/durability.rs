//! M: durability, and what a killed process leaves behind.

use std::collections::HashMap;
use std::io;

use es_runtime::store::{Append, AppendRef, Appended, EventKind, KeyRecord, ListStreams, StreamInfo};
use es_runtime::{ExpectedVersion, RecordedEvent, StreamId};
use serde::Deserialize;

use crate::check::{Among, Checked, Stop, holds, same};
use crate::idempotency::key;
use crate::process::{Said, shared};
use crate::random::Random;
use crate::sample::{events, stream};
use crate::subject::{Store, Subject, only};

pub(crate) async fn m01_reopen_keeps_everything(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut appends = Vec::new();
    for number in 0..20 {
        let target = stream(&format!("s{}", number % 3));
        let mut append = Append::new(target, ExpectedVersion::Any, events(0..=number));
        append.key = Some(key(&number.to_string(), 7));
        append.streams[0].events[0].metadata.set_actor("user:42");
        store.append(append.clone()).await?;
        appends.push(append);
    }
    let before = Contents::of(&store, &appends).await?;
    drop(store);
    let store = subject.open().await;
    same(
        "everything, opened again",
        Contents::of(&store, &appends).await?,
        before,
    )?;

    let shown = store.head().await?;
    let next = store.put(&stream("s0"), ExpectedVersion::Exists, events(0..1)).await?;
    let position = only(&next)?.position;
    holds(
        position > shown,
        "the position of the next append",
        format_args!("above {shown}"),
        position,
    )?;
    store.check_log().await.map(drop)
}

/// Everything that the store tells.
#[derive(Debug, PartialEq)]
struct Contents {
    log: Vec<RecordedEvent>,
    streams: Vec<StreamInfo>,
    outcomes: Vec<Option<Appended>>,
    keys: Vec<Option<KeyRecord>>,
    kinds: Vec<EventKind>,
}

impl Contents {
    async fn of(store: &Store, appends: &[Append]) -> Checked<Self> {
        let mut contents = Self {
            log: store.check_log().await?,
            streams: store.list(ListStreams::new("conformance")).await?,
            outcomes: Vec::new(),
            keys: Vec::new(),
            kinds: store.stored_events().await?,
        };
        for append in appends {
            contents.outcomes.push(store.resolve(&AppendRef::of(append)).await?);
            let key = append.key.as_ref().map_or("", |key| &key.key);
            contents.keys.push(store.find_key(key).await?);
        }
        Ok(contents)
    }
}

/// How often a writing process is killed.
const KILLS: usize = 50;

pub(crate) async fn m02_acked_survive_client_kill(subject: &Subject<'_>) -> Checked {
    let mut random = subject.random();
    let mut acknowledged = 0;
    for round in 0..KILLS {
        let said = killed(subject, &format!("w{round}"), &mut random).await?;
        acknowledged += said
            .iter()
            .filter(|said| matches!(said, Said::Acknowledged { .. }))
            .count();
        let store = subject.open().await;
        let log = store.check_log().await?;
        check_said(&log, &said)
            .and_then(|()| check_whole(&log))
            .and_then(|()| no_failure(&said))
            .among(format_args!("kill {round} of {KILLS}"))?;
    }
    let expected = "more than the number of kills: else nothing was tried";
    holds(
        acknowledged > KILLS,
        "the number of acknowledged appends",
        expected,
        acknowledged,
    )
}

pub(crate) async fn m04_unacked_are_whole_or_absent(subject: &Subject<'_>) -> Checked {
    let mut random = subject.random();
    for round in 0..10 {
        // Two at once, so that one dies while the other is at work.
        let (one, other) = (format!("a{round}"), format!("b{round}"));
        let mut forked = random.fork();
        let said = tokio::try_join!(killed(subject, &one, &mut random), killed(subject, &other, &mut forked))?;
        let log = subject.open().await.check_log().await?;
        check_whole(&log).among(format_args!("round {round}"))?;
        for said in [said.0, said.1] {
            check_said(&log, &said).among(format_args!("round {round}"))?;
        }
    }
    Ok(())
}

/// Kills writers, which append by chains too, if the fixture has any. Each of their tasks does one append after the other, and none
/// fails: those that are stored are the first ones.
pub(crate) async fn killed_chains(subject: &Subject<'_>) -> Checked {
    let mut random = subject.random();
    for round in 0..10 {
        match killed(subject, &format!("q{round}"), &mut random).await {
            Ok(said) => no_failure(&said)?,
            Err(Stop::Skipped(_)) => return Ok(()),
            Err(broken) => return Err(broken),
        }
        let log = subject.open().await.check_log().await?;
        check_whole(&log)
            .and_then(|()| check_first(&log))
            .among(format_args!("kill {round}"))?;
    }
    Ok(())
}

/// Of each task of a writer process the first appends are there, in their order.
fn check_first(log: &[RecordedEvent]) -> Checked {
    let mut tasks: HashMap<String, Vec<u64>> = HashMap::new();
    for mark in log.iter().filter_map(Mark::of).filter(|mark| mark.index == 0) {
        if let Some((task, number)) = mark.append.rsplit_once('.') {
            tasks.entry(task.to_owned()).or_default().extend(number.parse::<u64>());
        }
    }
    for (task, numbers) in tasks {
        let first: Vec<u64> = (0..numbers.len() as u64).collect();
        same(format_args!("the appends of task {task}"), numbers, first)?;
    }
    Ok(())
}

/// Starts a writer and kills it at a random moment.
async fn killed(subject: &Subject<'_>, name: &str, random: &mut Random) -> Checked<Vec<Said>> {
    let writer = subject.writer(name, 100_000, &[])?;
    let (things, moment) = (random.below(60), random.below(200_000));
    heard(move || writer.killed_after(usize::try_from(things).unwrap_or(0), moment)).await
}

/// Waits for what a process says without blocking the others.
pub(crate) async fn heard(hear: impl FnOnce() -> io::Result<Vec<Said>> + Send + 'static) -> Checked<Vec<Said>> {
    tokio::task::spawn_blocking(hear)
        .await
        .map_err(io::Error::other)
        .and_then(|said| said)
        .map_err(|error| Stop::broken("a writer process", "to be heard", error))
}

pub(crate) async fn m09_two_processes_one_embedded_store(subject: &Subject<'_>) -> Checked {
    const APPENDS: u64 = 50;
    let store = subject.open().await;
    let writers = [
        subject.writer("one", APPENDS, &[])?,
        subject.writer("other", APPENDS, &[])?,
    ];
    let mut here = 0;
    let [one, other] = writers.map(|writer| heard(move || writer.heard_out()));
    let this = async {
        for number in 0..APPENDS {
            let batch = events(number..number + 2);
            match store.put(&shared(), ExpectedVersion::Any, batch).await {
                Ok(_) => here += 2,
                Err(error) => unavailable(&format!("{error:?}"))?,
            }
        }
        Checked::Ok(())
    };
    let (one, other, ()) = tokio::try_join!(one, other, this)?;
    let log = store.check_log().await?;
    let own = log.iter().filter(|event| Mark::of(event).is_none()).count();
    same("the events that this process appended", own, here)?;
    for said in [one, other] {
        holds(
            !said.is_empty(),
            "a writer process",
            "to say what became of its appends",
            &said,
        )?;
        check_said(&log, &said)?;
        for said in said {
            if let Said::Failed(why) = said {
                unavailable(&why)?;
            }
        }
    }
    check_whole(&log)
}

/// A second writer may be told to come again later, but nothing worse.
#[track_caller]
fn unavailable(error: &str) -> Checked {
    holds(
        error.contains("Unavailable"),
        "a failure beside another process",
        "Unavailable",
        error,
    )
}

pub(crate) async fn m06_embedded_syncs_before_ack(subject: &Subject<'_>) -> Checked {
    match subject.fixture.flushes_before_ack().await {
        None => Err(Stop::Skipped("the fixture does not read its settings back")),
        Some(Ok(_)) => Ok(()),
        Some(Err(wrong)) => Err(Stop::broken(
            "the settings that the open store reads back",
            "flush before ack",
            wrong,
        )),
    }
}

pub(crate) async fn m07_flush_error_poisons_the_handle(subject: &Subject<'_>) -> Checked {
    let Some(environment) = subject.fixture.failing_flush() else {
        return Err(Stop::Skipped("the fixture fails no flush"));
    };
    let writer = subject.writer("w", 200, &environment)?;
    let said = heard(move || writer.heard_out()).await?;
    let failed = said.iter().any(|said| matches!(said, Said::Failed(_)));
    holds(
        failed,
        "a process of which one flush fails",
        "an append that fails",
        &said,
    )?;
    let later = |said: &&Said| {
        matches!(
            said,
            Said::Acknowledged {
                after_failure: true,
                ..
            }
        )
    };
    let later = said.iter().find(later);
    holds(
        later.is_none(),
        "the handle after a failed flush",
        "no acknowledgement any more",
        later,
    )?;

    let store = subject.open().await;
    let log = store.check_log().await?;
    check_said(&log, &said)?;
    check_whole(&log)?;
    store
        .put(&stream("after"), ExpectedVersion::NoStream, events(0..1))
        .await
        .map(drop)?;
    Ok(())
}

/// Kills a writer after so many acknowledgements, if the fixture has one.
pub(crate) async fn killed_writer(subject: &Subject<'_>, acknowledged: usize) -> Checked<Option<Vec<Said>>> {
    match subject.writer("killed", 100_000, &[]) {
        Ok(writer) => heard(move || writer.killed_after(acknowledged, 0)).await.map(Some),
        Err(Stop::Skipped(_)) => Ok(None),
        Err(broken) => Err(broken),
    }
}

/// What a writer process writes into its events.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
struct Mark {
    append: String,
    of: u64,
    index: u64,
}

impl Mark {
    fn of(event: &RecordedEvent) -> Option<Self> {
        serde_json::from_slice(&event.payload).ok()
    }
}

/// Every append of a writer process is in the log as a whole, in order, and once.
fn check_whole(log: &[RecordedEvent]) -> Checked {
    let mut found: HashMap<String, (u64, Vec<u64>)> = HashMap::new();
    for mark in log.iter().filter_map(Mark::of) {
        let (_, indexes) = found.entry(mark.append).or_insert((mark.of, Vec::new()));
        indexes.push(mark.index);
    }
    for (append, (of, indexes)) in found {
        let whole: Vec<u64> = (0..of).collect();
        same(format_args!("the events of append {append}"), indexes, whole)?;
    }
    Ok(())
}

/// Every append that a writer process said to be acknowledged is there, as a whole.
fn check_said(log: &[RecordedEvent], said: &[Said]) -> Checked {
    let mut streams: HashMap<&StreamId, Vec<&RecordedEvent>> = HashMap::new();
    for event in log {
        streams.entry(&event.stream).or_default().push(event);
    }
    for said in said {
        let Said::Acknowledged {
            stream,
            version,
            events,
            ..
        } = said
        else {
            continue;
        };
        let stored = streams.get(stream).map_or(&[][..], Vec::as_slice);
        let reached = stored.len() as u64;
        let what = format!("the events of `{stream}`, whose version {version} was acknowledged");
        holds(reached >= version.0, &what, format_args!("at least {version}"), reached)?;
        let batch = stored
            .iter()
            .filter(|event| event.version.0 > version.0 - events && event.version <= *version);
        let marks: Vec<_> = batch.filter_map(|event| Mark::of(event)).collect();
        let whole = marks.len() as u64 == *events
            && marks
                .iter()
                .zip(0..)
                .all(|(mark, index)| mark.append == marks[0].append && mark.index == index);
        holds(
            whole,
            &what,
            format_args!("the {events} events of one append below it"),
            marks,
        )?;
    }
    Ok(())
}

/// A writer that is alone has no reason to fail.
fn no_failure(said: &[Said]) -> Checked {
    let failed = said.iter().find(|said| matches!(said, Said::Failed(_)));
    holds(failed.is_none(), "the appends of the only writer", "no failure", failed)
}
