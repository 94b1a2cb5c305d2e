//! J10 to J14: the limits that the store itself tells, at their edges.

use es_runtime::store::{Append, AppendError, StreamAppend};
use es_runtime::{EventEnum as _, ExecuteError, ExpectedVersion, LimitExceeded, NewEvent, Runtime, StreamId};

use serde_json::Value;

use crate::Capability;
use crate::append::nothing_stored;
use crate::check::{Among, Checked, Stop, holds, refused, same};
use crate::domain::{Entry, keeper};
use crate::idempotency::key;
use crate::sample::{event, events, given, stream, with_payload};
use crate::subject::{Store, Subject};

/// The append must be refused, naming the limit and what there was.
async fn too_large(store: &Store, append: Append, limit: usize, actual: usize) -> Checked {
    let expected = format!("LimitExceeded {{ limit: {limit}, actual: {actual} }}");
    refused(
        "an append above the limit",
        store.append(append).await,
        expected,
        |error| {
            matches!(error, AppendError::LimitExceeded(LimitExceeded { limit: told, actual: counted, .. })
            if *told == limit && *counted == actual)
        },
    )
}

/// The append is stored, and comes back as it was given.
async fn fits(store: &Store, append: Append) -> Checked {
    let (target, sent) = (append.streams[0].stream.clone(), append.streams[0].events.clone());
    store.append(append).await?;
    let stored: Vec<NewEvent> = store.events_of(&target).await?.iter().map(given).collect();
    holds(
        stored == sent,
        "an append within the limit",
        "to come back as it was given",
        stored.len(),
    )
}

fn one(id: &str, event: NewEvent) -> Append {
    Append::new(stream(id), ExpectedVersion::NoStream, vec![event])
}

/// A JSON string of so many bytes.
fn text(bytes: usize) -> NewEvent {
    with_payload(format!("\"{}\"", "x".repeat(bytes - 2)))
}

pub(crate) async fn j10_payload_limit_edges(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let limit = store.limits().payload;
    too_large(&store, one("a", text(limit + 1)), limit, limit + 1).await?;
    nothing_stored(&store).await?;
    fits(&store, one("below", text(limit - 1))).await.among("limit - 1")?;
    fits(&store, one("edge", text(limit))).await.among("the limit")
}

pub(crate) async fn j11_metadata_limit_edges(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let limit = store.limits().metadata;
    let of = |bytes: usize| {
        let mut event = event(0);
        event.metadata.set_actor("");
        let rest = bytes - event.metadata.to_json().len();
        event.metadata.set_actor("x".repeat(rest));
        event
    };
    too_large(&store, one("a", of(limit + 1)), limit, limit + 1).await?;
    nothing_stored(&store).await?;
    fits(&store, one("below", of(limit - 1))).await.among("limit - 1")?;
    fits(&store, one("edge", of(limit))).await.among("the limit")
}

pub(crate) async fn j12_batch_limits_by_count_and_bytes(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let limits = store.limits().clone();
    let of = |id: &str, count: usize| Append::new(stream(id), ExpectedVersion::NoStream, events(0..count as u64));
    too_large(&store, of("a", limits.events + 1), limits.events, limits.events + 1).await?;
    nothing_stored(&store).await?;
    fits(&store, of("below", limits.events - 1))
        .await
        .among("one event below the limit")?;
    fits(&store, of("edge", limits.events))
        .await
        .among("as many events as the limit")?;

    if subject.offers(Capability::MultiStream) {
        // Those that are only read count as the others do.
        for events in [1, 0] {
            let above = limits.streams + 1;
            too_large(&store, over_streams(above, events), limits.streams, above).await?;
            fits(&store, over_streams(limits.streams, events))
                .await
                .among(format_args!(
                    "as many streams as the limit, with {events} events in each"
                ))?;
        }
    }

    too_large(
        &store,
        bytes_in_all(&store, limits.bytes + 1),
        limits.bytes,
        limits.bytes + 1,
    )
    .await?;
    fits(&store, bytes_in_all(&store, limits.bytes))
        .await
        .among("as many bytes as the limit")
}

/// An append with one event for a stream of its own, and `events` for each of the others.
fn over_streams(streams: usize, events: usize) -> Append {
    let parts = (0..streams).map(|number| StreamAppend {
        stream: stream(&format!("{events}-{number}")),
        expected: ExpectedVersion::NoStream,
        last: None,
        events: (0..if number == 0 { 1 } else { events }).map(|_| event(0)).collect(),
    });
    Append {
        streams: parts.collect(),
        ..Append::new(stream("over"), ExpectedVersion::NoStream, Vec::new())
    }
}

/// A batch of so many bytes, in events as large as may be.
fn bytes_in_all(store: &Store, bytes: usize) -> Append {
    let mut left = bytes;
    let mut batch = Vec::new();
    while left > 0 {
        // A JSON string has at least two bytes, so the last but one leaves that many.
        let next = left.min(store.limits().payload);
        let next = if left - next == 1 { next - 1 } else { next };
        batch.push(text(next));
        left -= next;
    }
    Append::new(stream("bytes"), ExpectedVersion::NoStream, batch)
}

pub(crate) async fn j13_stream_id_limits(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let limits = store.limits().clone();
    let of = |category: String, id: String| {
        Append::new(StreamId::new(category, id), ExpectedVersion::NoStream, vec![event(0)])
    };
    let bytes = |count: usize| "x".repeat(count);
    for empty in [of(bytes(0), bytes(1)), of(bytes(1), bytes(0))] {
        refused(
            "an append to a stream without a name",
            store.append(empty).await,
            "Invalid",
            |error| matches!(error, AppendError::Invalid { .. }),
        )?;
    }
    too_large(
        &store,
        of(bytes(1), bytes(limits.stream_id + 1)),
        limits.stream_id,
        limits.stream_id + 1,
    )
    .await?;
    too_large(
        &store,
        of(bytes(limits.category + 1), bytes(1)),
        limits.category,
        limits.category + 1,
    )
    .await?;
    let mut named = of(bytes(1), bytes(1));
    named.streams[0].events[0].name = bytes(limits.event_name + 1).into();
    too_large(&store, named, limits.event_name, limits.event_name + 1).await?;
    let mut keyed = of(bytes(1), bytes(1));
    keyed.key = Some(key(&bytes(limits.idempotency_key + 1), 1));
    too_large(&store, keyed, limits.idempotency_key, limits.idempotency_key + 1).await?;
    same("the log after it", store.check_log().await?, Vec::new())?;

    let mut edge = of(bytes(limits.category), bytes(limits.stream_id));
    edge.streams[0].events[0].name = bytes(limits.event_name).into();
    edge.key = Some(key(&bytes(limits.idempotency_key), 1));
    fits(&store, edge).await.among("everything as long as may be")?;
    // The limit counts bytes, of which this has two a character.
    let wide = "\u{e9}".repeat(limits.stream_id / 2 + 1);
    let length = wide.len();
    too_large(&store, of(bytes(1), wide), limits.stream_id, length).await
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

pub(crate) async fn j14_deep_json_is_refused(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let limit = store.limits().payload_depth;
    too_large(&store, one("a", with_payload(nested(limit + 1))), limit, limit + 1).await?;
    let deepest = store.limits().payload / 2;
    too_large(&store, one("a", with_payload(nested(deepest))), limit, deepest).await?;
    nothing_stored(&store).await?;
    fits(&store, one("edge", with_payload(nested(limit))))
        .await
        .among("the limit")?;
    // Brackets in strings nest nothing.
    let in_text = serde_json::to_string(&format!("\"\\{}", nested(limit + 1))).unwrap_or_default();
    fits(&store, one("text", with_payload(in_text)))
        .await
        .among("brackets in a string")?;

    let payload = nested(limit);
    let decoded = Entry::<Value>::decode("first", 1, payload.as_bytes());
    decoded.map_err(|error| Stop::broken("a payload as deep as may be", "to be read", format_args!("{error:?}")))?;
    for levels in [limit + 1, 1_000] {
        deep_value_refused(&store, levels).await?;
    }
    deep_metadata_refused(&store).await
}

/// Levels that recursion would not survive on a thread of 2 MiB.
const DEEP: usize = 8_000;

fn deep_value(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}

/// Metadata that would not be read back is refused: the limits hold for it too.
async fn deep_metadata_refused(store: &Store) -> Checked {
    let limit = store.limits().metadata_depth;
    // The object of the metadata and that of the entries are around the value.
    let of = |levels: usize| {
        let mut event = event(0);
        event.metadata.set("flat", 1);
        event.metadata.set("deep", deep_value(levels - 2));
        event
    };
    let before = store.check_log().await?.len();
    for levels in [limit + 1, DEEP] {
        too_large(store, one("metadata", of(levels)), limit, levels).await?;
    }
    same("how many events are stored", store.check_log().await?.len(), before)?;
    fits(store, one("metadata", of(limit)))
        .await
        .among("metadata as deep as the limit")?;
    store.check_log().await.map(drop)
}

/// The same through the runtime, which tells it as its own error.
async fn deep_value_refused(store: &Store, levels: usize) -> Checked {
    let runtime = Runtime::builder(store.0.clone()).start().await?;
    let result = runtime
        .append(keeper::<Value>("deep"), Entry::First(deep_value(levels)))
        .await;
    let right = matches!(result, Err(ExecuteError::Append(AppendError::LimitExceeded(_))));
    holds(right, "an event that is too deep", "LimitExceeded", result)
}
