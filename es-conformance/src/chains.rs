//! Q: appends of which each rests on the one before.

use es_runtime::store::{Append, AppendError, AppendRef, Appended, StreamAppend};
use es_runtime::{AppendId, ExpectedVersion, NewEvent, Position, Version};

use crate::cancellation::polled;
use crate::check::{Among, Checked, Stop, conflict, holds, present, refused, same};
use crate::durability;
use crate::idempotency::key;
use crate::mixed::part;
use crate::sample::{event, events, given, stream, with_payload};
use crate::scale::scaled;
use crate::subject::{Store, Subject, at_once};

type Answers = Vec<Result<Appended, AppendError>>;

/// More than any store writes at once.
const LONG: usize = 2_500;

/// Appends of one event and of two in turn to the stream `id`, each of which expects what the one before leaves behind `version`.
fn linked(id: &str, mut version: u64, length: usize) -> Vec<Append> {
    let link = |number: usize| {
        let expected = ExpectedVersion::Exact(Version(version));
        let events = events((0..).take(1 + number % 2));
        version += events.len() as u64;
        Append::new(stream(id), expected, events)
    };
    (0..length).map(link).collect()
}

/// All of these appends were stored, in this order, as one after the other behind `before`.
async fn stored(store: &Store, appends: &[Append], answers: &Answers, before: Position) -> Checked {
    let mut head = before;
    for (append, answer) in appends.iter().zip(answers) {
        let told = answer.as_ref().map_err(|error| broken_by(append, error))?;
        same("the id that a receipt tells", told.id, append.id)?;
        same("whether an append was done before", told.repeated, false)?;
        for (part, told) in append.streams.iter().zip(&told.streams) {
            head.0 += part.events.len() as u64;
            same("the stream that a receipt tells", &told.stream, &part.stream)?;
            same("the position that a receipt tells", told.position, head)?;
        }
        let again = Appended {
            repeated: true,
            ..told.clone()
        };
        same(
            "the outcome of an append",
            store.resolve(&AppendRef::of(append)).await?,
            Some(again),
        )?;
    }
    let sent: Vec<NewEvent> = appends.iter().flat_map(Append::events).cloned().collect();
    let log = store.check_log().await?;
    let behind = log.iter().filter(|event| event.position > before);
    same("the events that were stored", behind.map(given).collect(), sent)
}

#[track_caller]
fn broken_by(append: &Append, error: &AppendError) -> Stop {
    Stop::broken(format_args!("{append:?}, a part of a chain"), "success", error)
}

/// The first `length` of these appends were stored and answered, then one more was answered, and nothing else happened. Gives the
/// last answer.
async fn ended(
    store: &Store,
    appends: &[Append],
    length: usize,
    mut answers: Answers,
) -> Checked<Result<Appended, AppendError>> {
    same("the number of answers", answers.len(), length + 1)?;
    let last = answers.pop();
    let before = store.head().await?.0 - appends[..length].iter().flat_map(Append::events).count() as u64;
    stored(store, &appends[..length], &answers, Position(before)).await?;
    for append in &appends[length + 1..] {
        let outcome = store.resolve(&AppendRef::of(append)).await?;
        same("the outcome of an append behind the end", outcome, None)?;
        if let Some(key) = &append.key {
            same("what is stored under its key", store.find_key(&key.key).await?, None)?;
        }
    }
    present("the last answer", last)
}

pub(crate) async fn q01_a_chain_stores_in_order(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    same(
        "the answers to no append",
        store.append_chain(Vec::new()).await.len(),
        0,
    )?;
    for (number, length) in [1, 2, 3, 16, LONG].into_iter().enumerate() {
        let before = store.head().await?;
        // To a stream that is new to each of them, and then once more.
        for version in [0, (length + length / 2) as u64] {
            let before = store.head().await?;
            let mut appends = linked(&format!("s{number}"), version, length);
            appends[length / 2].key = Some(key(&format!("{number} {version}"), 1));
            let answers = store.append_chain(appends.clone()).await;
            same("the number of answers", answers.len(), length)?;
            stored(&store, &appends, &answers, before)
                .await
                .among(format_args!("{length} appends"))?;
        }
        let written = store.head().await?.0 - before.0;
        let reached = store.version(&stream(&format!("s{number}"))).await?;
        same("the version of the stream", reached, Version(written))?;
    }
    Ok(())
}

/// What is wrong with an append, and which error tells it.
type Fault = (&'static str, fn(&Store, &mut Append), fn(&AppendError) -> bool);

const FAULTS: [Fault; 6] = [
    (
        "another version",
        |_, append| append.streams[0].expected = ExpectedVersion::Exact(Version(1_000_000)),
        |error| matches!(error, AppendError::Conflict { .. }),
    ),
    (
        "a payload above the limit",
        |store, append| append.streams[0].events[0] = too_large(store),
        |error| matches!(error, AppendError::LimitExceeded(_)),
    ),
    (
        "no event",
        |_, append| {
            append.streams[0].events.clear();
            append.key = None;
        },
        |error| matches!(error, AppendError::Invalid { .. }),
    ),
    (
        "one event twice",
        |_, append| {
            let again = append.streams[0].events[0].clone();
            append.streams[0].events.push(again);
        },
        |error| matches!(error, AppendError::DuplicateEventId(_)),
    ),
    (
        "a key of another request",
        |_, append| append.key = Some(key("taken", 2)),
        |error| matches!(error, AppendError::IdempotencyMismatch { .. }),
    ),
    (
        "the id of another append",
        |_, append| append.id = AppendId(uuid::Uuid::from_u128(7)),
        |error| matches!(error, AppendError::IdempotencyMismatch { .. }),
    ),
];

fn too_large(store: &Store) -> NewEvent {
    with_payload(format!("\"{}\"", "x".repeat(store.limits().payload)))
}

pub(crate) async fn q02_a_chain_ends_at_the_first_that_fails(subject: &Subject<'_>) -> Checked {
    const LENGTH: usize = 5;
    let store = subject.open().await;
    let taken = Append {
        id: AppendId(uuid::Uuid::from_u128(7)),
        key: Some(key("taken", 1)),
        ..Append::new(stream("taken"), ExpectedVersion::NoStream, events(0..1))
    };
    store.append(taken).await?;
    for (number, (what, spoil, is)) in FAULTS.into_iter().enumerate() {
        for (length, at) in (0..LENGTH).map(|at| (LENGTH, at)).chain(seams(number)) {
            let mut appends = linked(&format!("{number}-{length}-{at}"), 0, length);
            appends[length - 1].key = Some(key(&format!("{number}-{length}-{at}"), 1));
            spoil(&store, &mut appends[at]);
            // What comes behind fits whether it was stored or not.
            for append in &mut appends[at + 1..] {
                append.streams[0].expected = ExpectedVersion::Any;
            }
            let answers = store.append_chain(appends.clone()).await;
            let which = format!("append {at} of {length} has {what}");
            let last = ended(&store, &appends, at, answers).await.among(&which)?;
            refused(&which, last, "an error that tells it", is)?;
        }
    }
    Ok(())
}

/// Where a long chain is likely to be cut into batches: there one fault is tried at each.
fn seams(number: usize) -> impl Iterator<Item = (usize, usize)> {
    [511, 512, 513, 1_023, 1_024, 1_025]
        .into_iter()
        .skip(number)
        .take(1)
        .map(|at| (LONG, at))
}

pub(crate) async fn q03_a_stranger_between_ends_it(subject: &Subject<'_>) -> Checked {
    const LENGTH: usize = 4;
    let store = subject.open().await;
    for at in 0..LENGTH {
        let (own, met) = (format!("own-{at}"), format!("met-{at}"));
        store
            .put(&stream(&met), ExpectedVersion::NoStream, events(0..1))
            .await?;
        // The stranger's event has the number of the chain's first one in this stream, so that the next one would fit.
        let behind =
            (0..).map(|version| Append::new(stream(&met), ExpectedVersion::Exact(Version(version)), events(0..1)));
        let chain: Vec<Append> = linked(&own, 0, at).into_iter().chain(behind).take(LENGTH).collect();
        let answers = store.append_chain(chain.clone()).await;
        let last = ended(&store, &chain, at, answers)
            .await
            .among(format_args!("at {at}"))?;
        conflict(last, &stream(&met), ExpectedVersion::Exact(Version(0)), 1)?;
    }
    raced(&store).await
}

/// Chains and strangers that append to one stream at the same time. What follows on a stranger's event is of no chain.
async fn raced(store: &Store) -> Checked {
    for round in 0..scaled(20, 500) {
        let id = format!("race-{round}");
        let chains = (0..4).map(|_| linked(&id, 0, 3));
        let strangers = (0..2).map(|_| vec![Append::new(stream(&id), ExpectedVersion::Any, events(0..1))]);
        let sent: Vec<Vec<Append>> = chains.chain(strangers).collect();
        let answers = at_once(sent.into_iter().map(|appends| {
            let store = store.clone();
            async move { (appends.clone(), store.append_chain(appends).await) }
        }));
        for (appends, answers) in answers.await {
            let done = answers.iter().filter(|answer| answer.is_ok()).count();
            let all_but_one = answers.iter().take(done).all(Result::is_ok) && answers.len() <= done + 1;
            holds(
                all_but_one,
                "the answers to a chain",
                "successes, and one failure at most behind them",
                &answers,
            )?;
            for (number, append) in appends.iter().enumerate() {
                let outcome = store.resolve(&AppendRef::of(append)).await?;
                same(
                    "whether an append of a chain is stored",
                    outcome.is_some(),
                    number < done,
                )
                .among(format_args!("append {number} in round {round}"))?;
            }
        }
    }
    store.check_log().await.map(drop)
}

pub(crate) async fn q04_a_repetition_ends_it(subject: &Subject<'_>) -> Checked {
    const LENGTH: usize = 4;
    let store = subject.open().await;
    for at in 0..LENGTH {
        for by_key in [false, true] {
            let id = format!("s{at}-{by_key}");
            let before = Append {
                key: by_key.then(|| key(&id, 1)),
                ..Append::new(stream(&id), ExpectedVersion::NoStream, events(0..1))
            };
            let first = store.append(before.clone()).await?;
            let mut appends = linked(&id, 1, LENGTH);
            let again = if by_key { AppendId::new() } else { before.id };
            appends[at] = Append { id: again, ..before };
            // What is behind the repetition fits, as if it had added an event.
            for (number, append) in (0..).zip(&mut appends[..]).skip(at + 1) {
                append.streams[0].expected = ExpectedVersion::Exact(Version(1 + number));
            }
            let answers = store.append_chain(appends.clone()).await;
            let which = format!(
                "append {at} was done before, as its {} tells",
                if by_key { "key" } else { "id" }
            );
            let last = ended(&store, &appends, at, answers).await.among(&which)?;
            let repeated = Appended {
                repeated: true,
                ..first
            };
            same("the answer to a repetition", last?, repeated).among(&which)?;
        }
    }
    repeated_within(&store).await
}

/// An append that stands in a chain twice is a repetition of itself.
async fn repeated_within(store: &Store) -> Checked {
    for by_key in [false, true] {
        let mut appends = linked(&format!("twice-{by_key}"), 0, 4);
        appends[1].key = Some(key(&format!("twice-{by_key}"), 1));
        let again = if by_key { AppendId::new() } else { appends[1].id };
        appends[2] = Append {
            id: again,
            ..appends[1].clone()
        };
        let answers = store.append_chain(appends.clone()).await;
        let last = ended(store, &appends, 2, answers).await?;
        same("the id that the answer to a repetition tells", last?.id, appends[1].id)?;
    }
    Ok(())
}

pub(crate) async fn q05_a_cut_chain_is_a_prefix(subject: &Subject<'_>) -> Checked {
    const POLLS: usize = 10_000;
    let store = subject.open().await;
    for round in 0..scaled(10, 100) {
        let mut polls = 0;
        while !dropped(&store, polls, &format!("s{round}-{polls}"))
            .await
            .among(format_args!("dropped after {polls} polls"))?
        {
            polls += 1;
            holds(
                polls < POLLS,
                "a chain",
                format_args!("to be done within {POLLS} polls"),
                round,
            )?;
        }
    }
    store.check_log().await?;
    durability::killed_chains(subject).await
}

/// Drops a chain after so many polls: its first appends are stored, each as a whole. Tells whether it was done before.
async fn dropped(store: &Store, polls: usize, id: &str) -> Checked<bool> {
    let appends = linked(id, 0, 6);
    let answers = polled(polls, store.append_chain(appends.clone())).await;
    let mut outcomes = Vec::new();
    for append in &appends {
        outcomes.push(store.resolve(&AppendRef::of(append)).await?.is_some());
    }
    let done = outcomes.iter().take_while(|stored| **stored).count();
    let is_prefix = !outcomes[done..].contains(&true);
    holds(
        is_prefix,
        "the outcomes of a chain",
        "those that are stored first",
        &outcomes,
    )?;
    let expected: Vec<NewEvent> = appends[..done].iter().flat_map(Append::events).cloned().collect();
    let came: Vec<NewEvent> = store.events_of(&stream(id)).await?.iter().map(given).collect();
    same("the stream, beside what `resolve` told", came, expected)?;
    let Some(answers) = answers else { return Ok(false) };
    same("the number of appends that are stored", done, appends.len())?;
    same("the number of answers", answers.len(), appends.len())?;
    Ok(true)
}

pub(crate) async fn q07_chains_over_several_streams(subject: &Subject<'_>) -> Checked {
    use ExpectedVersion::{Any, Exact, Exists, NoStream};
    let store = subject.open().await;
    let at = |version: u64| Exact(Version(version));
    let of = |streams: Vec<StreamAppend>| Append {
        streams,
        ..Append::new(stream("a"), Any, Vec::new())
    };
    let first = vec![
        of(vec![part("a", NoStream, 2), part("b", NoStream, 1)]),
        of(vec![part("b", at(1), 2)]),
        of(vec![part("c", NoStream, 1), part("a", at(2), 0)]),
        of(vec![part("c", Exists, 1), part("b", at(3), 1), part("a", Any, 1)]),
    ];
    let answers = store.append_chain(first.clone()).await;
    same("the number of answers", answers.len(), first.len())?;
    stored(&store, &first, &answers, Position::ZERO).await?;

    // The second stream of the second append conflicts, with events or without: nothing of it and nothing behind it is stored.
    for count in [1, 0] {
        let [a, b, c] = ["a", "b", "c"].map(stream);
        let versions = [
            store.version(&a).await?,
            store.version(&b).await?,
            store.version(&c).await?,
        ];
        let next = vec![
            of(vec![part("a", Exact(versions[0]), 1), part("b", Exact(versions[1]), 1)]),
            of(vec![
                part("c", Exact(versions[2]), 1),
                part("b", Exact(versions[1]), count),
            ]),
            of(vec![part("a", Any, 1)]),
        ];
        let answers = store.append_chain(next.clone()).await;
        let last = ended(&store, &next, 1, answers).await?;
        conflict(last, &b, Exact(versions[1]), versions[1].0 + 1)?;
        same("the version of the other stream", store.version(&c).await?, versions[2])?;
    }
    store.put(&stream("c"), Any, vec![event(1)]).await.map(drop)?;
    store.check_log().await.map(drop)
}
