//! D: idempotency and unknown outcomes.

use es_runtime::store::{Append, AppendError, AppendRef, Appended, IdempotencyKey, KeyRecord, StreamAppend};
use es_runtime::{ExpectedVersion, Version};
use uuid::Uuid;

use crate::check::{Among, Checked, Stop, present, refused, same};
use crate::sample::{event, events, stream};
use crate::subject::{Store, Subject, at_once};

/// The key `key` of a request with the content number `content`.
pub(crate) fn key(key: &str, content: u128) -> IdempotencyKey {
    IdempotencyKey {
        key: key.to_owned(),
        fingerprint: Uuid::from_u128(content),
    }
}

fn batch() -> Append {
    Append::new(stream("a"), ExpectedVersion::NoStream, events(0..3))
}

pub(crate) fn again(first: &Appended) -> Appended {
    Appended {
        repeated: true,
        ..first.clone()
    }
}

#[track_caller]
pub(crate) fn mismatch(what: &str, result: Result<Appended, AppendError>) -> Checked {
    refused(what, result, "IdempotencyMismatch", |error| {
        matches!(error, AppendError::IdempotencyMismatch { .. })
    })
}

pub(crate) async fn d01_same_append_id_same_content(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let append = batch();
    let first = store.append(append.clone()).await?;
    same("whether the first is a repetition", first.repeated, false)?;
    let second = store.append(append.clone()).await?;
    same("the second result", second, again(&first))?;

    // It stays so after others have moved the stream, although the version that it demands is long gone.
    store.put(&stream("a"), ExpectedVersion::Any, events(3..6)).await?;
    let third = store.append(append).await?;
    same("the result after the stream has moved", third, again(&first))?;
    same("the number of stored events", store.check_log().await?.len(), 6)
}

pub(crate) async fn d02_same_append_id_other_content(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let append = batch();
    store.append(append.clone()).await?;
    for (what, change) in CHANGES {
        let mut other = append.clone();
        change(&mut other.streams[0]);
        mismatch(&format!("the same id with {what}"), store.append(other).await)?;
    }
    let mut with_key = append;
    with_key.key = Some(key("request", 1));
    mismatch("the same id with a key", store.append(with_key).await)?;
    same("the number of stored events", store.check_log().await?.len(), 3)
}

/// A change that makes an append a different request.
type Change = (&'static str, fn(&mut StreamAppend));

const CHANGES: [Change; 6] = [
    ("other events", |part| part.events = events(0..3)),
    ("one event more", |part| part.events.push(event(3))),
    ("one event less", |part| part.events.truncate(2)),
    ("another payload", |part| part.events[1].payload = event(9).payload),
    ("another event name", |part| part.events[1].name = "other".into()),
    ("another stream", |part| part.stream = stream("b")),
];

pub(crate) async fn d03_same_append_id_concurrently(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    for round in 0..20_u64 {
        let own = stream(&format!("s{round}"));
        let append = Append::new(own, ExpectedVersion::NoStream, events(0..3));
        one_appends(&store, (0..16).map(|_| append.clone()).collect())
            .await
            .among(format_args!("round {round}"))?;
    }
    same("the number of stored events", store.check_log().await?.len(), 60)
}

/// Sends the same request several times at once: one is appended, and all are told the same.
async fn one_appends(store: &Store, same_request: Vec<Append>) -> Checked {
    let others = same_request.len() - 1;
    let results = at_once(same_request.into_iter().map(|append| {
        let store = store.clone();
        async move { store.append(append).await }
    }))
    .await;
    let results = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (repeated, first): (Vec<_>, Vec<_>) = results.into_iter().partition(|appended| appended.repeated);
    same("the number of calls that appended", first.len(), 1)?;
    same("the results of the others", repeated, vec![again(&first[0]); others])
}

pub(crate) async fn d04_append_id_survives_restart(subject: &Subject<'_>) -> Checked {
    let mut append = batch();
    append.key = Some(key("request", 1));
    let store = subject.open().await;
    let first = store.append(append.clone()).await?;
    drop(store);

    let store = subject.open().await;
    same("the second result", store.append(append.clone()).await?, again(&first))?;
    let resolved = store.resolve(&AppendRef::of(&append)).await?;
    same("the outcome of the append", resolved, Some(again(&first)))?;
    let record = present("what is stored under its key", store.find_key("request").await?)?;
    same("the result stored under its key", record.appended, again(&first))?;
    same("the number of stored events", store.check_log().await?.len(), 3)
}

pub(crate) async fn d13_same_idempotency_key_same_result(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let request = |content| Append {
        key: Some(key("request", content)),
        ..Append::new(stream("a"), ExpectedVersion::Any, events(0..2))
    };
    let first = store.append(request(1)).await?;
    same(
        "the same key with the same content",
        store.append(request(1)).await?,
        again(&first),
    )?;
    mismatch("the same key with another content", store.append(request(2)).await)?;
    let stored = KeyRecord {
        fingerprint: Uuid::from_u128(1),
        appended: again(&first),
    };
    same(
        "what is stored under the key",
        store.find_key("request").await?,
        Some(stored),
    )?;
    for other in ["Request", "request ", "reques"] {
        same("what is stored under another key", store.find_key(other).await?, None).among(other)?;
    }
    let at_once: Vec<_> = (0..16)
        .map(|_| Append {
            key: Some(key("at once", 1)),
            ..Append::new(stream("b"), ExpectedVersion::Any, events(0..2))
        })
        .collect();
    one_appends(&store, at_once).await?;
    same("the number of stored events", store.check_log().await?.len(), 4)
}

pub(crate) async fn d14_key_without_events_is_recorded(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store.append(batch()).await?;
    let request = Append {
        key: Some(key("nothing to do", 1)),
        ..Append::new(stream("a"), ExpectedVersion::Exact(Version(3)), Vec::new())
    };
    let first = store.append(request.clone()).await?;
    same("the version that it tells", first.streams[0].version, Version(3))?;
    same(
        "the result of the same request",
        store.append(request.clone()).await?,
        again(&first),
    )?;
    let resolved = store.resolve(&AppendRef::of(&request)).await?;
    same("the outcome of the append", resolved, Some(again(&first)))?;
    same("the number of stored events", store.check_log().await?.len(), 3)
}

pub(crate) async fn d15_resolve_is_definite(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let stored = [
        batch(),
        Append::new(stream("b"), ExpectedVersion::Any, events(0..2)),
        Append::new(stream("b"), ExpectedVersion::Exact(Version(2)), events(0..1)),
    ];
    let mut results = Vec::new();
    for append in &stored {
        results.push(store.append(append.clone()).await?);
    }
    for (append, result) in stored.iter().zip(&results) {
        let reference = through_json(&AppendRef::of(append))?;
        same(
            "the outcome of a stored append",
            store.resolve(&reference).await?,
            Some(again(result)),
        )?;
    }
    for like in stored {
        let absent = Append::new(like.streams[0].stream.clone(), like.streams[0].expected, events(0..3));
        same(
            "the outcome of an absent append",
            store.resolve(&AppendRef::of(&absent)).await?,
            None,
        )?;
    }
    same("the number of stored events", store.check_log().await?.len(), 6)
}

fn through_json(reference: &AppendRef) -> Checked<AppendRef> {
    serde_json::to_string(reference)
        .and_then(|json| serde_json::from_str(&json))
        .map_err(|error| Stop::broken("a reference to an append, through JSON", "itself", error))
}
