//! L: futures that are dropped before they are done.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use es_runtime::store::{Append, AppendRef, ListStreams, ReadLog, ReadStream};
use es_runtime::{ExpectedVersion, StreamId};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};

use crate::check::{Among, Checked, Stop, holds, same};
use crate::sample::{events, given, stream};
use crate::scale::scaled;
use crate::subject::{Store, Subject, only};

/// Polls `future` up to `times` times, each time when it asks for it, and drops it then. `None` if it was not done.
pub(crate) async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// More polls than any call should need.
const POLLS: usize = 10_000;

pub(crate) async fn l01_drop_append_at_every_poll(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    for round in 0..scaled(10, 100) {
        let mut polls = 0;
        while !dropped_append(&store, polls)
            .await
            .among(format_args!("dropped after {polls} polls"))?
        {
            polls += 1;
            holds(
                polls < POLLS,
                "an append",
                format_args!("to be done within {POLLS} polls"),
                round,
            )?;
        }
    }
    store.check_log().await.map(drop)
}

/// Drops an append after so many polls. It must be stored whole or not at all, and the store must go on. Tells whether the
/// append was done before it was dropped.
async fn dropped_append(store: &Store, polls: usize) -> Checked<bool> {
    let before = store.events_of(&stream("a")).await?;
    let append = Append::new(stream("a"), ExpectedVersion::Any, events(0..3));
    let reference = AppendRef::of(&append);
    let result = polled(polls, store.append(append.clone())).await;
    let resolved = store.resolve(&reference).await?;
    let mut expected: Vec<_> = before.iter().map(given).collect();
    if resolved.is_some() {
        expected.extend(append.streams[0].events.iter().cloned());
    }
    let after: Vec<_> = store.events_of(&stream("a")).await?.iter().map(given).collect();
    same("the stream, beside what `resolve` told", after, expected)?;

    let next = store.put(&stream("b"), ExpectedVersion::Any, events(0..1)).await?;
    same(
        "the number of events that the next append tells",
        only(&next)?.events,
        1,
    )?;
    match result {
        None => Ok(false),
        Some(result) => {
            result?;
            holds(
                resolved.is_some(),
                "an append that succeeded",
                "to be stored",
                &resolved,
            )?;
            Ok(true)
        }
    }
}

pub(crate) async fn l02_drop_read_at_every_poll(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let page = subject.fixture.page().unwrap_or(256);
    let length = 2 * page + 1;
    store
        .put(&stream("a"), ExpectedVersion::NoStream, events(0..length as u64))
        .await?;
    let a = stream("a");
    every_poll("version", || store.version(&a)).await?;
    every_poll("head", || store.head()).await?;
    every_poll("find_key", || store.find_key("none")).await?;
    every_poll("read_stream", || store.read(ReadStream::new(a.clone()))).await?;
    every_poll("read_log", || store.read_positions(ReadLog::new())).await?;
    every_poll("streams", || store.list(ListStreams::new("conformance"))).await?;
    let absent = AppendRef::of(&Append::new(a.clone(), ExpectedVersion::Any, events(0..1)));
    every_poll("resolve", || store.resolve(&absent)).await?;

    for read in [0, 1, 2, page - 1, page, page + 1, 2 * page, length] {
        for _ in 0..20 {
            dropped_after(read, store.read_stream(ReadStream::new(a.clone()))).await?;
            dropped_after(read, store.read_log(ReadLog::new().backwards())).await?;
        }
    }
    usable(&store, &a, length).await
}

/// Drops the future of `call` after 0, 1, 2 … polls, until it is done before.
async fn every_poll<T, E, F>(name: &str, call: impl Fn() -> F) -> Checked
where
    F: Future<Output = Result<T, E>>,
    Stop: From<E>,
{
    for polls in 0..POLLS {
        if let Some(result) = polled(polls, call()).await {
            result?;
            return Ok(());
        }
    }
    holds(false, name, format_args!("to be done within {POLLS} polls"), "no end")
}

/// Reads so many items and drops the rest.
async fn dropped_after<T: Send, E>(items: usize, stream: BoxStream<'_, Result<T, E>>) -> Checked
where
    Stop: From<E>,
{
    let read: Vec<T> = stream.take(items).try_collect().await?;
    same("the number of items read", read.len(), items)
}

async fn usable(store: &Store, on: &StreamId, length: usize) -> Checked {
    same(
        "the events of a read after all that",
        store.events_of(on).await?.len(),
        length,
    )?;
    store.put(on, ExpectedVersion::Any, events(0..1)).await?;
    same("the log after all that", store.check_log().await?.len(), length + 1)
}

pub(crate) async fn l05_timeout_wrapper_gives_indeterminate(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut random = subject.random();
    let mut stored = 0;
    for _ in 0..scaled(50, 500) {
        let append = Append::new(stream("a"), ExpectedVersion::Any, events(0..2));
        let reference = AppendRef::of(&append);
        let patience = Duration::from_micros(random.below(500));
        let in_time = tokio::time::timeout(patience, store.append(append)).await;
        let resolved = store.resolve(&reference).await?;
        if let Ok(result) = in_time {
            result?;
            holds(
                resolved.is_some(),
                "an append that succeeded",
                "to be stored",
                &resolved,
            )?;
        }
        stored += resolved.map_or(0, |appended| appended.streams[0].events);
        let told = store.version(&stream("a")).await?.0;
        same("the version, beside what `resolve` told", told, stored as u64)?;
    }
    store.check_log().await.map(drop)
}
