//! A: appends and optimistic concurrency.

use es_runtime::store::{Append, AppendError, Appended, StreamAppend};
use es_runtime::{ExpectedVersion, NewEvent, StreamId, Version};
use std::collections::HashSet;

use crate::Capability;
use crate::cancellation::polled;
use crate::check::{Among, Checked, conflict, holds, present, refused, same};
use crate::sample::{event, events, given, stream, with_payload};
use crate::scale::scaled;
use crate::subject::{Store, Subject, at_once, only};

pub(crate) async fn a01_append_first_event_to_new_stream(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut sent = with_payload(r#"{ "b":1.0, "a" : [ ] }"#);
    sent.shape_version = 7;
    sent.metadata.set_actor("user:42");
    sent.metadata.set("tried", true);

    let appended = store
        .put(&stream("a"), ExpectedVersion::NoStream, vec![sent.clone()])
        .await?;
    let part = only(&appended)?;
    same("the version after the append", part.version, Version(1))?;
    same("the number of appended events", part.events, 1)?;
    same("whether the append was a repetition", appended.repeated, false)?;

    let stored = store.events_of(&stream("a")).await?;
    same("the number of stored events", stored.len(), 1)?;
    same("the event", given(&stored[0]), sent)?;
    same("its stream", &stored[0].stream, &stream("a"))?;
    same("its version", stored[0].version, Version(1))?;
    same(
        "its position, beside that of the receipt",
        stored[0].position,
        part.position,
    )?;
    same(
        "its time, beside that of the receipt",
        stored[0].recorded_at,
        appended.recorded_at,
    )
}

pub(crate) async fn a02_append_batch_is_contiguous(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store.put(&stream("a"), ExpectedVersion::NoStream, events(0..3)).await?;
    store.put(&stream("b"), ExpectedVersion::NoStream, events(0..2)).await?;
    let batch = events(3..40);
    let appended = store
        .put(&stream("a"), ExpectedVersion::Exact(Version(3)), batch.clone())
        .await?;
    same("the version after the batch", only(&appended)?.version, Version(40))?;

    let log = store.check_log().await?;
    let tail = log[5..].iter().map(given).collect::<Vec<_>>();
    same("the events of the batch, in the order given", tail, batch)
}

pub(crate) async fn a03_append_empty_batch_is_rejected(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let empty = store.put(&stream("a"), ExpectedVersion::Any, Vec::new()).await;
    invalid("an append without events", empty)?;
    let without_stream = Append {
        streams: Vec::new(),
        ..Append::new(stream("a"), ExpectedVersion::Any, Vec::new())
    };
    invalid("an append without streams", store.append(without_stream).await)?;
    nothing_stored(&store).await?;

    let appended = store.put(&stream("b"), ExpectedVersion::Any, vec![event(1)]).await?;
    same(
        "the version of the first event after it",
        only(&appended)?.version,
        Version(1),
    )
}

pub(crate) async fn a04_append_is_atomic_on_middle_failure(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store.put(&stream("a"), ExpectedVersion::NoStream, events(0..2)).await?;
    let before = store.check_log().await?;
    for spoil in [without_name as fn(&mut NewEvent), name_too_long] {
        for middle in [0, 5, 9] {
            let mut batch = events(2..12);
            spoil(&mut batch[middle]);
            let result = store.put(&stream("a"), ExpectedVersion::Any, batch).await;
            refused("a batch with one bad event", result, "an error", |_| true)
                .among(format_args!("event {middle}"))?;
            same("the log after it", store.check_log().await?, before.clone()).among(format_args!("event {middle}"))?;
        }
    }
    Ok(())
}

fn without_name(event: &mut NewEvent) {
    event.name = "".into();
}

fn name_too_long(event: &mut NewEvent) {
    event.name = "n".repeat(1 << 20).into();
}

pub(crate) async fn a05_versions_stay_gapless_after_conflicts(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut random = subject.random();
    let mut version = 0;
    for number in 0..1_000 {
        let demanded = version + random.below(2);
        let expected = ExpectedVersion::Exact(Version(demanded));
        let result = store.put(&stream("a"), expected, vec![event(number)]).await;
        if demanded == version {
            version += 1;
            same("the version after an append", only(&result?)?.version, Version(version))?;
        } else {
            conflict(result, &stream("a"), expected, version)?;
        }
    }
    let log = store.check_log().await?;
    same("the number of stored events", log.len() as u64, version)
}

pub(crate) async fn a06_versions_stay_gapless_after_rollbacks(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut stored = 0;
    for number in 0..100 {
        let abandoned = Append::new(stream("a"), ExpectedVersion::Any, vec![event(number)]);
        let reference = es_runtime::store::AppendRef::of(&abandoned);
        polled(1, store.append(abandoned)).await;
        stored += u64::from(store.resolve(&reference).await?.is_some());

        let appended = store
            .put(&stream("a"), ExpectedVersion::Any, vec![event(number)])
            .await?;
        stored += 1;
        same(
            "the version after the append that follows",
            only(&appended)?.version,
            Version(stored),
        )?;
    }
    let log = store.check_log().await?;
    same("the number of stored events", log.len() as u64, stored)
}

pub(crate) async fn a07_expect_no_stream_on_existing_conflicts(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store.put(&stream("a"), ExpectedVersion::NoStream, events(0..3)).await?;
    let result = store.put(&stream("a"), ExpectedVersion::NoStream, vec![event(3)]).await;
    conflict(result, &stream("a"), ExpectedVersion::NoStream, 3)?;
    same("the number of stored events", store.check_log().await?.len(), 3)
}

pub(crate) async fn a08_expect_exists_on_missing_conflicts(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let result = store.put(&stream("a"), ExpectedVersion::Exists, vec![event(0)]).await;
    conflict(result, &stream("a"), ExpectedVersion::Exists, 0)?;
    nothing_stored(&store).await?;

    store
        .put(&stream("a"), ExpectedVersion::NoStream, vec![event(0)])
        .await?;
    let appended = store.put(&stream("a"), ExpectedVersion::Exists, vec![event(1)]).await?;
    same(
        "the version of the stream that exists",
        only(&appended)?.version,
        Version(2),
    )
}

pub(crate) async fn a09_expect_exact_mismatch_reports_actual(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store.put(&stream("a"), ExpectedVersion::NoStream, events(0..5)).await?;
    for wrong in [0, 1, 4, 6, 1_000_000] {
        let expected = ExpectedVersion::Exact(Version(wrong));
        let result = store.put(&stream("a"), expected, vec![event(5)]).await;
        conflict(result, &stream("a"), expected, 5)?;
    }
    let on_missing = ExpectedVersion::Exact(Version(1));
    let result = store.put(&stream("b"), on_missing, vec![event(0)]).await;
    conflict(result, &stream("b"), on_missing, 0)?;
    same("the number of stored events", store.check_log().await?.len(), 5)
}

pub(crate) async fn a10_expect_exact_zero_equals_no_stream(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let zero = ExpectedVersion::Exact(Version::ZERO);
    let appended = store.put(&stream("a"), zero, vec![event(0)]).await?;
    same("the version of the new stream", only(&appended)?.version, Version(1))?;
    let again = store.put(&stream("a"), zero, vec![event(1)]).await;
    conflict(again, &stream("a"), zero, 1)
}

pub(crate) async fn a11_expect_any_never_conflicts(subject: &Subject<'_>) -> Checked {
    const WRITERS: u64 = 8;
    const EACH: u64 = 200;
    let store = subject.open().await;
    let results = at_once((0..WRITERS).map(|_| {
        let store = store.clone();
        async move {
            for number in 0..EACH {
                store
                    .put(&stream("a"), ExpectedVersion::Any, vec![event(number)])
                    .await?;
            }
            Ok::<_, AppendError>(())
        }
    }))
    .await;
    for result in results {
        result?;
    }
    let log = store.check_log().await?;
    same("the number of stored events", log.len() as u64, WRITERS * EACH)
}

pub(crate) async fn a12_concurrent_exact_single_winner(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    for version in 0..200 {
        let expected = ExpectedVersion::Exact(Version(version));
        one_winner(&store, &stream("a"), expected, version + 1)
            .await
            .among(format_args!("round {version}"))?;
    }
    same("the number of stored events", store.check_log().await?.len(), 200)
}

pub(crate) async fn a13_concurrent_create_single_winner(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let rounds = scaled(50, 500);
    for round in 0..rounds {
        one_winner(&store, &stream(&format!("s{round}")), ExpectedVersion::NoStream, 1)
            .await
            .among(format_args!("round {round}"))?;
    }
    same("the number of stored events", store.check_log().await?.len(), rounds)
}

/// 16 writers demand the same: one gets it, and the others are told the version that it made.
async fn one_winner(store: &Store, on: &StreamId, expected: ExpectedVersion, made: u64) -> Checked {
    let results = at_once((0..16).map(|number| {
        let (store, on) = (store.clone(), on.clone());
        async move { store.put(&on, expected, vec![event(number)]).await }
    }))
    .await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    same("the number of writers that won", won.len(), 1)?;
    for result in lost {
        conflict(result, on, expected, made)?;
    }
    Ok(())
}

pub(crate) async fn a14_distinct_streams_do_not_conflict(subject: &Subject<'_>) -> Checked {
    const EACH: u64 = 50;
    let store = subject.open().await;
    let results = at_once((0..16).map(|writer| {
        let store = store.clone();
        async move {
            let own = stream(&format!("s{writer}"));
            for version in 0..EACH {
                let expected = ExpectedVersion::Exact(Version(version));
                store.put(&own, expected, vec![event(version)]).await?;
            }
            Ok::<_, AppendError>(())
        }
    }))
    .await;
    for result in results {
        result?;
    }
    same(
        "the number of stored events",
        store.check_log().await?.len() as u64,
        16 * EACH,
    )
}

pub(crate) async fn a15_opposite_order_multi_stream_no_deadlock_leak(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut stored = 0;
    for round in 0..scaled(100, 500) {
        let expected = ExpectedVersion::Exact(store.version(&stream("a")).await?);
        let results = at_once([["a", "b"], ["b", "a"]].map(|order| {
            let (store, append) = (store.clone(), across(&order, expected));
            async move { store.append(append).await }
        }))
        .await;
        let won = results.iter().filter(|result| result.is_ok()).count();
        let lost = results
            .iter()
            .filter(|result| matches!(result, Err(AppendError::Conflict { .. })))
            .count();
        let right = won == 1 && lost == 1;
        holds(
            right,
            format_args!("round {round}"),
            "one success and one conflict",
            results,
        )?;
        stored += 2;
    }
    same("the number of stored events", store.check_log().await?.len(), stored)
}

/// One event for each of the streams, which are to be as `expected`.
pub(crate) fn across(streams: &[&str], expected: ExpectedVersion) -> Append {
    Append {
        streams: streams
            .iter()
            .map(|id| StreamAppend {
                stream: stream(id),
                expected,
                last: None,
                events: vec![event(0)],
            })
            .collect(),
        ..Append::new(stream("a"), expected, Vec::new())
    }
}

pub(crate) async fn a16_conflict_leaves_no_trace(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store.put(&stream("a"), ExpectedVersion::NoStream, events(0..3)).await?;
    let log = store.check_log().await?;
    let dump = subject.fixture.dump().await;

    let mut refused = Append::new(stream("new"), ExpectedVersion::Exists, vec![event(9)]);
    refused.key = Some(crate::idempotency::key("request", 1));
    let reference = es_runtime::store::AppendRef::of(&refused);
    conflict(
        store.append(refused.clone()).await,
        &stream("new"),
        ExpectedVersion::Exists,
        0,
    )?;
    let stale = ExpectedVersion::Exact(Version(1));
    conflict(
        store.put(&stream("a"), stale, events(9..12)).await,
        &stream("a"),
        stale,
        3,
    )?;

    same("a dump of the store", subject.fixture.dump().await, dump)?;
    same("the log", store.check_log().await?, log)?;
    same("the outcome of the append", store.resolve(&reference).await?, None)?;
    same("what is stored under its key", store.find_key("request").await?, None)?;
    let listed = store.list(es_runtime::store::ListStreams::new("conformance")).await?;
    same("the number of streams", listed.len(), 1)?;

    // Neither the append's id nor its key may be burnt: the same request is fine once the stream is as it demands.
    store
        .put(&stream("new"), ExpectedVersion::NoStream, vec![event(0)])
        .await?;
    let appended = store.append(refused).await?;
    same(
        "whether the append was taken for a repetition",
        appended.repeated,
        false,
    )
}

pub(crate) async fn a17_duplicate_event_id_in_batch_rejected(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut batch = events(0..5);
    batch[4].id = batch[1].id;
    let id = batch[1].id;
    let result = store.put(&stream("a"), ExpectedVersion::Any, batch).await;
    refused(
        "a batch with one id twice",
        result,
        format_args!("DuplicateEventId({id})"),
        |error| matches!(error, AppendError::DuplicateEventId(named) if *named == id),
    )?;
    nothing_stored(&store).await
}

pub(crate) async fn a23_stream_ids_are_exact(subject: &Subject<'_>) -> Checked {
    // The last but one is `é` in one code point, the last in two.
    let ids = [
        "id", "ID", "Id", "id ", " id", "id\t", "i", "idd", "id%", "id_", "\u{e9}", "e\u{301}",
    ];
    let store = subject.open().await;
    for (number, id) in (0..).zip(ids) {
        let appended = store
            .put(&stream(id), ExpectedVersion::NoStream, vec![event(number)])
            .await;
        same("the version of a new stream", only(&appended?)?.version, Version(1)).among(format_args!("id {id:?}"))?;
    }
    let other_category = StreamId::new("Conformance", "id");
    store
        .put(&other_category, ExpectedVersion::NoStream, vec![event(99)])
        .await?;
    for (number, id) in (0..).zip(ids) {
        let stored = store.events_of(&stream(id)).await?;
        same("the events of the stream", stored.len(), 1).among(format_args!("id {id:?}"))?;
        same("its id", stored[0].stream.id(), id)?;
        same("its payload", &stored[0].payload, &event(number).payload).among(format_args!("id {id:?}"))?;
    }
    let distinct: HashSet<_> = store.check_log().await?.into_iter().map(|event| event.stream).collect();
    same("the number of streams", distinct.len(), ids.len() + 1)
}

#[track_caller]
fn invalid(what: &str, result: Result<Appended, AppendError>) -> Checked {
    refused(what, result, "Invalid", |error| {
        matches!(error, AppendError::Invalid { .. })
    })
}

/// As after opening: no event, no stream, no position used.
pub(crate) async fn nothing_stored(store: &Store) -> Checked {
    same("the log", store.check_log().await?, Vec::new())?;
    let listed = store.list(es_runtime::store::ListStreams::new("conformance")).await?;
    same("the streams", listed, Vec::new())
}

/// As after a restore: the version is the one that is expected, and the event in its place is another one.
pub(crate) async fn a25_expect_last_event_mismatch_conflicts(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let (first, other) = (events(0..3), events(0..3));
    let (ours, theirs) = (Some(first[2].id), Some(other[2].id));
    store.put(&stream("a"), ExpectedVersion::NoStream, first).await?;
    let append = |id: &str, expected, last, count: u64| {
        let mut append = Append::new(stream(id), expected, events(3..3 + count));
        append.streams[0].last = last;
        append
    };
    let exactly = |version| ExpectedVersion::Exact(Version(version));
    for count in [1, 2] {
        for expected in [exactly(3), ExpectedVersion::Exists, ExpectedVersion::Any] {
            let result = store.0.append(append("a", expected, theirs, count)).await;
            conflict(result, &stream("a"), expected, 3).among(format_args!("{count} events at {expected:?}"))?;
        }
        let result = store
            .0
            .append(append("new", ExpectedVersion::NoStream, theirs, count))
            .await;
        conflict(result, &stream("new"), ExpectedVersion::NoStream, 0).among("a new stream")?;
    }
    // Several streams, and one of them only read.
    let both = |last| {
        let mut both = append("b", ExpectedVersion::NoStream, None, 1);
        both.streams.extend(append("a", exactly(3), last, 0).streams);
        both
    };
    let may_span = subject.offers(Capability::MultiStream);
    if may_span {
        let result = store.0.append(both(theirs)).await;
        conflict(result, &stream("a"), exactly(3), 3).among("a stream that is only read")?;
    }
    // Many at once, which a store may write together.
    let many = (0..8).map(|number| {
        let last = if number % 2 == 0 { theirs } else { None };
        let expected = if number == 0 {
            exactly(3)
        } else {
            ExpectedVersion::NoStream
        };
        let id = if number == 0 {
            "a".to_owned()
        } else {
            format!("many {number}")
        };
        store.0.append(append(&id, expected, last, 1))
    });
    let results = futures_util::future::join_all(many).await;
    for (number, result) in results.iter().enumerate() {
        same("whether one of many is stored", result.is_ok(), number % 2 == 1)?;
    }
    same("the number of stored events", store.check_log().await?.len(), 7)?;

    if may_span {
        store.0.append(both(ours)).await?;
    }
    let chain = |second| {
        let first = append("a", exactly(3), ours, 2);
        let last = first.streams[0].events.last().map(|event| event.id);
        vec![first, append("a", exactly(5), if second { last } else { ours }, 1)]
    };
    let mut answers = store.0.append_chain(chain(false)).await;
    let ended = present("the last answer to a chain", answers.pop())?;
    conflict(ended, &stream("a"), exactly(5), 5).among("the second of a chain")?;
    let [first] = &answers[..] else {
        return holds(
            false,
            "a chain that ends at its second append",
            "two answers",
            answers.len(),
        );
    };
    holds(first.is_ok(), "the first of the chain", "stored", first)?;
    let last = store.events_of(&stream("a")).await?.last().map(|event| event.id);
    let mut again = chain(true);
    let (mut version, mut before) = (5, last);
    for append in &mut again {
        append.streams[0].expected = exactly(version);
        append.streams[0].last = before;
        version += append.streams[0].events.len() as u64;
        before = append.streams[0].events.last().map(|event| event.id);
    }
    for answer in store.0.append_chain(again).await {
        answer?;
    }
    same(
        "the version in the end",
        store.0.version(&stream("a")).await?,
        Version(8),
    )
}
