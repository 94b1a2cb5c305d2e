//! E: appends over several streams.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use es_runtime::store::{Append, StreamAppend};
use es_runtime::{ExpectedVersion, NewEvent, Position, Version};

use crate::append::across;
use crate::check::{Among, Checked, conflict, holds, same};
use crate::sample::{event, events, stream, with_payload};
use crate::subject::{Store, Subject, at_once, joined};

const STREAMS: [&str; 3] = ["a", "b", "c"];

fn exact(version: u64) -> ExpectedVersion {
    ExpectedVersion::Exact(Version(version))
}

fn part(id: &str, expected: ExpectedVersion, events: Vec<NewEvent>) -> StreamAppend {
    StreamAppend {
        stream: stream(id),
        expected,
        last: None,
        events,
    }
}

fn of(streams: Vec<StreamAppend>) -> Append {
    Append {
        streams,
        ..Append::new(stream("a"), ExpectedVersion::Any, Vec::new())
    }
}

pub(crate) async fn e01_multi_stream_commits_all(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(all_or_none(store.clone(), Arc::clone(&done))))
        .collect();
    let written = at_once((0..4).map(|_| {
        let store = store.clone();
        async move {
            for _ in 0..50 {
                store.append(across(&STREAMS, ExpectedVersion::Any)).await?;
            }
            Checked::Ok(())
        }
    }))
    .await;
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        joined(reader).await?;
    }
    written.into_iter().collect::<Checked>()?;
    for _ in 0..10 {
        watched(&store).await?;
    }

    let appended = store.append(across(&STREAMS, exact(210))).await?;
    let told: Vec<_> = appended.streams.iter().map(|part| part.stream.id()).collect();
    same("the streams of the receipt, in the order given", told, STREAMS.to_vec())?;
    let versions: Vec<_> = appended.streams.iter().map(|part| part.version.0).collect();
    same("their versions", versions, vec![211; 3])?;
    let log = store.check_log().await?;
    let positions: Vec<Position> = log[630..].iter().map(|event| event.position).collect();
    let told: Vec<_> = appended.streams.iter().map(|part| part.position).collect();
    same("their positions, beside those of the log", told, positions)
}

/// Looks at the log each time the append pauses.
async fn watched(store: &Store) -> Checked {
    const LOOKS: usize = 1_000;
    let mut append = pin!(store.append(across(&STREAMS, ExpectedVersion::Any)));
    for _ in 0..LOOKS {
        tokio::select! {
            biased;
            result = &mut append => return Ok(result.map(drop)?),
            () = tokio::task::yield_now() => whole_appends(store).await?,
        }
    }
    Ok(append.await.map(drop)?)
}

async fn whole_appends(store: &Store) -> Checked {
    let log = store.log().await?;
    same(
        "the events of the log that belong to no whole append",
        log.len() % STREAMS.len(),
        0,
    )
}

/// Reads until `done`: every read of the log ends with a whole append, and a stream read later is not shorter.
async fn all_or_none(store: Store, done: Arc<AtomicBool>) -> Checked {
    loop {
        let last = done.load(Ordering::SeqCst);
        let log = store.log().await?;
        same(
            "the events of the log that belong to no whole append",
            log.len() % STREAMS.len(),
            0,
        )?;
        let mut lowest = 0;
        for id in STREAMS {
            let length = store.version(&stream(id)).await?.0;
            let expected = format!("at least {lowest}, as the stream read before it");
            holds(
                length >= lowest,
                format_args!("the version of `{id}`"),
                expected,
                length,
            )?;
            lowest = length;
        }
        if last {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn e02_multi_stream_conflict_aborts_all(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store.put(&stream("b"), ExpectedVersion::NoStream, events(0..2)).await?;
    let before = store.check_log().await?;
    for place in 0..4 {
        let mut parts: Vec<_> = ["a", "c", "d"]
            .into_iter()
            .map(|id| part(id, ExpectedVersion::NoStream, events(0..2)))
            .collect();
        parts.insert(place, part("b", exact(1), events(2..4)));
        let result = store.append(of(parts)).await;
        let which = format!("the conflict is on stream {place} of 4");
        conflict(result, &stream("b"), exact(1), 2).among(&which)?;
        same("the log after it", store.check_log().await?, before.clone()).among(&which)?;
        for id in ["a", "c", "d"] {
            let version = store.version(&stream(id)).await?;
            same("the version of another stream", version, Version::ZERO).among(&which)?;
        }
    }
    Ok(())
}

pub(crate) async fn e03_read_only_participant_guards(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store
        .put(&stream("read"), ExpectedVersion::NoStream, events(0..2))
        .await?;
    let guarded = |written, read| {
        of(vec![
            part("read", read, Vec::new()),
            part("written", written, vec![event(0)]),
        ])
    };
    let appended = store.append(guarded(exact(0), exact(2))).await?;
    same(
        "the version of the stream that was only read",
        appended.streams[0].version,
        Version(2),
    )?;
    same("the number of its new events", appended.streams[0].events, 0)?;

    store.put(&stream("read"), ExpectedVersion::Any, vec![event(2)]).await?;
    let before = store.check_log().await?;
    for stale in [exact(2), exact(4), ExpectedVersion::NoStream] {
        let result = store.append(guarded(exact(1), stale)).await;
        conflict(result, &stream("read"), stale, 3)?;
    }
    let on_missing = of(vec![
        part("written", exact(1), vec![event(1)]),
        part("missing", ExpectedVersion::Exists, Vec::new()),
    ]);
    conflict(
        store.append(on_missing).await,
        &stream("missing"),
        ExpectedVersion::Exists,
        0,
    )?;
    same("the log after it", store.check_log().await?, before)?;
    same(
        "whether `missing` exists",
        store.version(&stream("missing")).await?,
        Version::ZERO,
    )
}

pub(crate) async fn e05_write_skew_is_refused(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let (mut a, mut b) = (0, 0);
    for round in 0..100 {
        let writes_a = of(vec![
            part("a", exact(a), vec![event(0)]),
            part("b", exact(b), Vec::new()),
        ]);
        let writes_b = of(vec![
            part("a", exact(a), Vec::new()),
            part("b", exact(b), vec![event(0)]),
        ]);
        let results = at_once([writes_a, writes_b].map(|append| {
            let store = store.clone();
            async move { store.append(append).await }
        }))
        .await;
        let won = results.iter().filter(|result| result.is_ok()).count();
        let what = format!("round {round}: two writers that read both streams and write one each");
        holds(won == 1, what, "that one succeeds", results)?;
        (a, b) = (
            store.version(&stream("a")).await?.0,
            store.version(&stream("b")).await?.0,
        );
    }
    same("the number of stored events", store.check_log().await?.len(), 100)
}

pub(crate) async fn e06_batch_positions_are_consecutive_per_transaction(subject: &Subject<'_>) -> Checked {
    const EACH: u64 = 40;
    let store = subject.open().await;
    let written = at_once((0..8).map(|writer| {
        let store = store.clone();
        async move {
            for number in 0..EACH {
                let marked = |count| {
                    (0..count)
                        .map(|_| with_payload((writer * EACH + number).to_string()))
                        .collect()
                };
                let append = of(vec![
                    part("shared", ExpectedVersion::Any, marked(3)),
                    part(&format!("s{writer}"), exact(2 * number), marked(2)),
                ]);
                store.append(append).await?;
            }
            Checked::Ok(())
        }
    }))
    .await;
    written.into_iter().collect::<Checked>()?;
    let log = store.check_log().await?;
    same("the number of stored events", log.len() as u64, 8 * EACH * 5)?;
    for events in log.chunks(5) {
        let payloads: Vec<_> = events.iter().map(|event| &event.payload).collect();
        let whole = payloads.iter().all(|payload| *payload == payloads[0]);
        holds(whole, "five events in a row", "the five of one append", payloads)?;
    }
    Ok(())
}
