//! B: reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use es_runtime::store::{ListStreams, ReadLog, ReadStream};
use es_runtime::{ExpectedVersion, Position, RecordedEvent, StoredEvent, StreamId, Version};
use futures_util::TryStreamExt;

use crate::check::{Among, Checked, holds, same};
use crate::sample::{event, events, stream};
use crate::subject::{Store, Subject, at_once, check_versions, joined, only};

/// A stream of `length` events, with others of another stream between them.
async fn filled(subject: &Subject<'_>, length: u64) -> Checked<(Store, Vec<RecordedEvent>)> {
    let store = subject.open().await;
    for number in 0..length {
        store
            .put(&stream("a"), ExpectedVersion::Any, vec![event(number)])
            .await?;
        store
            .put(&stream("other"), ExpectedVersion::Any, vec![event(number)])
            .await?;
    }
    let log = store.log().await?;
    Ok((store, log))
}

fn of_a() -> ReadStream {
    ReadStream::new(stream("a"))
}

fn versions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.version.0).collect()
}

fn positions(events: &[RecordedEvent]) -> Vec<Position> {
    events.iter().map(|event| event.position).collect()
}

pub(crate) async fn b01_read_from_start_in_order(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut sent = Vec::new();
    for number in 0..50 {
        let batch = events(number * 3..number * 3 + 3);
        sent.extend(batch.iter().map(|event| event.payload.clone()));
        store.put(&stream("a"), ExpectedVersion::Any, batch).await?;
    }
    let stored = store.events_of(&stream("a")).await?;
    check_versions(&stream("a"), &stored)?;
    let payloads: Vec<_> = stored.into_iter().map(|event| event.payload).collect();
    same("the payloads, in order", payloads, sent)
}

pub(crate) async fn b02_read_range_inclusive_bounds(subject: &Subject<'_>) -> Checked {
    let (store, log) = filled(subject, 7).await?;
    let stored = store.read(of_a().from(3).to(5)).await?;
    same("the versions from 3 to 5", versions(&stored), vec![3, 4, 5])?;
    let stored = store.read(of_a().from(0).to(1)).await?;
    same("the versions from 0 to 1", versions(&stored), vec![1])?;
    let stored = store.read(of_a().from(7)).await?;
    same("the versions from the last on", versions(&stored), vec![7])?;
    let stored = store.read(of_a().from(4).to(4)).await?;
    same("the versions from 4 to 4", versions(&stored), vec![4])?;

    let (from, to) = (log[2].position, log[4].position);
    let read = store.read_positions(ReadLog::new().from(from).to(to)).await?;
    same(
        "the positions from the third to the fifth",
        positions(&read),
        positions(&log[2..=4]),
    )?;
    let read = store.read_positions(ReadLog::new().from(log[13].position)).await?;
    same(
        "the positions from the last on",
        positions(&read),
        positions(&log[13..]),
    )
}

pub(crate) async fn b03_read_limit_zero_is_empty(subject: &Subject<'_>) -> Checked {
    let (store, _) = filled(subject, 2).await?;
    same("a stream with limit 0", store.read(of_a().limit(0)).await?, Vec::new())?;
    let backwards = of_a().backwards().limit(0);
    same(
        "a stream backwards with limit 0",
        store.read(backwards).await?,
        Vec::new(),
    )?;
    same(
        "the log with limit 0",
        store.read_positions(ReadLog::new().limit(0)).await?,
        Vec::new(),
    )?;
    let none = ListStreams::new("conformance").limit(0);
    same("a listing with limit 0", store.list(none).await?, Vec::new())
}

pub(crate) async fn b04_read_from_beyond_head_is_empty(subject: &Subject<'_>) -> Checked {
    let (store, log) = filled(subject, 3).await?;
    let head = log[5].position;
    same("the head", store.head().await?, head)?;
    for beyond in [Version(4), Version(1_000), Version::MAX] {
        same(
            "a stream from beyond its end",
            store.read(of_a().from(beyond)).await?,
            Vec::new(),
        )?;
    }
    for beyond in [head.next(), Position(head.0 + 1_000), Position::MAX] {
        let read = store.read_positions(ReadLog::new().from(beyond)).await?;
        same("the log from beyond its head", read, Vec::new())?;
    }
    Ok(())
}

pub(crate) async fn b05_read_inverted_range_is_empty(subject: &Subject<'_>) -> Checked {
    let (store, log) = filled(subject, 7).await?;
    same("versions 5 to 3", store.read(of_a().from(5).to(3)).await?, Vec::new())?;
    let backwards = of_a().from(5).to(3).backwards();
    same("versions 5 to 3 backwards", store.read(backwards).await?, Vec::new())?;
    let inverted = ReadLog::new().from(log[4].position).to(log[2].position);
    same(
        "the log's fifth to third",
        store.read_positions(inverted.clone()).await?,
        Vec::new(),
    )?;
    let backwards = store.read_positions(inverted.backwards()).await?;
    same("the log's fifth to third backwards", backwards, Vec::new())
}

pub(crate) async fn b06_read_missing_stream_says_so(subject: &Subject<'_>) -> Checked {
    let (store, _) = filled(subject, 2).await?;
    for missing in [stream("missing"), StreamId::new("missing", "a"), stream("a ")] {
        same(
            "the version of a missing stream",
            store.version(&missing).await?,
            Version::ZERO,
        )?;
        same("its events", store.events_of(&missing).await?, Vec::new())?;
    }
    let listed = store.list(ListStreams::new("missing")).await?;
    same("the streams of a missing category", listed, Vec::new())
}

pub(crate) async fn b07_read_backwards_mirrors_forwards(subject: &Subject<'_>) -> Checked {
    let (store, log) = filled(subject, 20).await?;
    let stored = store.read(of_a().backwards()).await?;
    same("all versions backwards", versions(&stored), (1..=20).rev().collect())?;
    let stored = store.read(of_a().from(5).to(15).backwards().limit(4)).await?;
    same(
        "the last four versions from 5 to 15",
        versions(&stored),
        vec![15, 14, 13, 12],
    )?;
    let stored = store.read(of_a().backwards().limit(1)).await?;
    same("the last version", versions(&stored), vec![20])?;

    let mirrored: Vec<_> = log.iter().rev().cloned().collect();
    let read = store.read_positions(ReadLog::new().backwards()).await?;
    same("the log backwards", read, mirrored.clone())?;
    let read = store.read_positions(ReadLog::new().backwards().limit(3)).await?;
    same("the last three of the log", read, mirrored[..3].to_vec())
}

pub(crate) async fn b08_paging_crosses_chunk_seam(subject: &Subject<'_>) -> Checked {
    let page = subject.fixture.page().unwrap_or(256) as u64;
    let store = subject.open().await;
    let mut length = 0;
    for seams in 1..=5 {
        for target in [seams * page - 1, seams * page, seams * page + 1] {
            let batch = events(length..target);
            length = target;
            store.put(&stream("a"), ExpectedVersion::Any, batch).await?;
            whole_and_paged(&store, length)
                .await
                .among(format_args!("{length} events"))?;
        }
    }
    Ok(())
}

/// The first `length` events come once each: in one read, in reads of a few, forwards and backwards, of the stream and of the log.
async fn whole_and_paged(store: &Store, length: u64) -> Checked {
    let upwards: Vec<u64> = (1..=length).collect();
    let downwards: Vec<u64> = (1..=length).rev().collect();
    let stored = store.read(of_a()).await?;
    same("the versions in one read", versions(&stored), upwards.clone())?;
    let log = store.log().await?;
    same("the log in one read", log, stored)?;
    let stored = store.read(of_a().backwards()).await?;
    same(
        "the versions in one read backwards",
        versions(&stored),
        downwards.clone(),
    )?;
    let log = store.read_positions(ReadLog::new().backwards()).await?;
    same("the log in one read backwards", log, stored)?;

    let step = length / 3 + 1;
    let (mut by_version, mut by_position) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let next = by_version
            .last()
            .map_or(Version(1), |event: &RecordedEvent| event.version.next());
        by_version.extend(store.read(of_a().from(next).limit(step)).await?);
        let next = by_position
            .last()
            .map_or(Position(1), |event: &RecordedEvent| event.position.next());
        by_position.extend(store.read_positions(ReadLog::new().from(next).limit(step)).await?);
    }
    same("the versions in three reads", versions(&by_version), upwards.clone())?;
    same("the log in three reads", versions(&by_position), upwards)
}

pub(crate) async fn b09_read_is_a_prefix_under_writers(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(prefixes(store.clone(), Arc::clone(&done))))
        .collect();
    let written = at_once((0..4).map(|_| {
        let store = store.clone();
        async move {
            for number in 0..100 {
                store
                    .put(&stream("a"), ExpectedVersion::Any, events(number..number + 3))
                    .await?;
            }
            Checked::Ok(())
        }
    }))
    .await;
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        same("the length of the last read", joined(reader).await?, 1_200)?;
    }
    written.into_iter().collect()
}

/// Reads until `done`: every read is 1, 2, 3 … and not shorter than the one before.
async fn prefixes(store: Store, done: Arc<AtomicBool>) -> Checked<usize> {
    let mut seen = 0;
    loop {
        let last = done.load(Ordering::SeqCst);
        let stored = store.events_of(&stream("a")).await?;
        check_versions(&stream("a"), &stored)?;
        let expected = format!("at least the {seen} events of the read before");
        holds(stored.len() >= seen, "the length of a read", expected, stored.len())?;
        seen = stored.len();
        if last {
            return Ok(seen);
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn b10_read_your_append(subject: &Subject<'_>) -> Checked {
    let (writer, reader) = (subject.open().await, subject.open().await);
    for number in 0..100 {
        let appended = writer
            .put(&stream("a"), ExpectedVersion::Any, vec![event(number)])
            .await?;
        let part = only(&appended)?;
        for (name, store) in [("the same", &writer), ("another", &reader)] {
            let version = store.version(&stream("a")).await?;
            same("the version", version, part.version).among(format_args!("{name} handle"))?;
            same("the head", store.head().await?, part.position).among(format_args!("{name} handle"))?;
            let tail = store.read(of_a().from(part.version)).await?;
            same("the stream's tail", versions(&tail), vec![part.version.0]).among(format_args!("{name} handle"))?;
            let tail = store.read_positions(ReadLog::new().from(part.position)).await?;
            same("the log's tail", positions(&tail), vec![part.position]).among(format_args!("{name} handle"))?;
        }
    }
    Ok(())
}

pub(crate) async fn b17_load_is_read_without_the_envelope(subject: &Subject<'_>) -> Checked {
    let (store, _) = filled(subject, 7).await?;
    let long = stream("long");
    let length = subject.fixture.page().unwrap_or(256) as u64 * 2 + 3;
    let mut start = 0;
    while start < length {
        let end = length.min(start + 100);
        let batch = events(start..end);
        start = end;
        store.put(&long, ExpectedVersion::Any, batch).await?;
    }
    let queries = [
        of_a(),
        of_a().from(3).to(5),
        of_a().from(5).to(3),
        of_a().limit(2),
        of_a().limit(0),
        of_a().backwards(),
        of_a().backwards().from(2).limit(3),
        of_a().from(8),
        ReadStream::new(stream("missing")),
        ReadStream::new(long.clone()),
        ReadStream::new(long).backwards(),
    ];
    for query in queries {
        let read: Vec<StoredEvent> = store
            .read(query.clone())
            .await?
            .into_iter()
            .map(StoredEvent::from)
            .collect();
        let loaded: Vec<StoredEvent> = store.load_stream(query.clone()).try_collect().await?;
        same(format!("a load of {query:?}"), loaded, read)?;
    }
    Ok(())
}

pub(crate) async fn b13_streams_are_listed_by_category(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    // In the order of their bytes, which is neither the order of appending nor that of any language.
    let ids = [
        "A",
        "Z",
        "a",
        "a ",
        "a!",
        "aa",
        "b",
        "z",
        "\u{e9}",
        "\u{ff5e}",
        "\u{1f600}",
    ];
    for (index, id) in ids.iter().enumerate().rev() {
        store
            .put(&stream(id), ExpectedVersion::NoStream, events(0..=index as u64))
            .await?;
    }
    store
        .put(&StreamId::new("other", "c"), ExpectedVersion::NoStream, vec![event(0)])
        .await?;

    let listed = store.list(ListStreams::new("conformance")).await?;
    let listed: Vec<_> = listed.iter().map(|info| (info.stream.id(), info.version.0)).collect();
    let expected: Vec<_> = ids.into_iter().zip(1..).collect();
    same("the streams of the category", listed, expected)?;

    let mut paged: Vec<String> = Vec::new();
    for _ in 0..=ids.len() / 2 {
        let mut query = ListStreams::new("conformance").limit(2);
        query.after = paged.last().cloned();
        let page = store.list(query).await?;
        paged.extend(page.into_iter().map(|info| info.stream.id().to_owned()));
    }
    same("the streams in pages of two", paged, ids.map(str::to_owned).to_vec())
}
