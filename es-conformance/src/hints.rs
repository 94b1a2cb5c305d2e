//! Hints at appends.

use std::time::Duration;

use es_runtime::store::AppendSignal;
use es_runtime::store::ReadLog;
use es_runtime::{ExpectedVersion, NewEvent, Position};
use futures_util::FutureExt as _;
use tokio::time::timeout;

use crate::check::{Among, Checked, Stop, holds, same};
use crate::sample::{event, events, stream};
use crate::scale::scaled;
use crate::subject::{Store, Subject};

/// Only so that a case ends that waits for a hint in vain.
const LONG: Duration = Duration::from_secs(20);

/// The next hint beyond `position`.
async fn hint(wakes: &mut AppendSignal, position: Position) -> Checked<Position> {
    let hint = timeout(LONG, wakes.beyond(position)).await;
    hint.map_err(|_| {
        Stop::broken(
            format_args!("the wait for a hint beyond position {position}"),
            "a hint",
            "none",
        )
    })
}

async fn put(store: &Store, count: u64) -> Checked<Position> {
    store.put(&stream("a"), ExpectedVersion::Any, events(0..count)).await?;
    Ok(store.head().await?)
}

pub(crate) async fn f07_notify_between_read_and_listen(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut wakes = store.wakes();
    let mut read = Position::ZERO;
    for round in 0..scaled(100, 1_000) {
        let rest = store.read_positions(ReadLog::new().from(read.next())).await?;
        read = rest.last().map_or(read, |event| event.position);
        let head = put(&store, 1).await?;
        let hinted = hint(&mut wakes, read).await.among(format_args!("round {round}"))?;
        holds(
            hinted <= head,
            "the hinted head",
            format_args!("at most {head}"),
            hinted,
        )?;
    }
    Ok(())
}

pub(crate) async fn f09_wake_not_before_readable(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut wakes = store.wakes();
    let appends = scaled(200, 5_000);
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..appends {
                put(&store, 2).await?;
            }
            Ok(())
        })
    };
    let (mut seen, end) = (Position::ZERO, Position(appends * 2));
    while seen < end {
        let hinted = hint(&mut wakes, seen).await?;
        let there = store.read_positions(ReadLog::new().from(hinted).to(hinted)).await?;
        same(
            "how many events stand at the position that was hinted at",
            there.len(),
            1,
        )
        .among(format_args!("position {hinted}"))?;
        seen = hinted;
    }
    writer
        .await
        .map_err(|error| Stop::broken("a writer", "to end", error))?
}

pub(crate) async fn f11_long_ids_do_not_break_append(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut wakes = store.wakes();
    let limits = store.limits();
    let longest = stream(&"i".repeat(limits.stream_id));
    let named = NewEvent {
        name: "n".repeat(limits.event_name).into(),
        ..event(1)
    };
    store.put(&longest, ExpectedVersion::NoStream, vec![named]).await?;
    let hinted = hint(&mut wakes, Position::ZERO).await?;
    same(
        "the hint at an event with the longest id and name",
        hinted,
        store.head().await?,
    )
}

pub(crate) async fn f17_hints_rise_to_the_head(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut wakes = store.wakes();
    let appends = scaled(100, 1_000);
    let mut head = Position::ZERO;
    for _ in 0..appends {
        head = put(&store, 3).await?;
    }
    // Whoever was not there meanwhile is told of the newest, and not of each.
    let mut hinted = Position::ZERO;
    while hinted < head {
        let next = hint(&mut wakes, Position::ZERO).await?;
        holds(
            next > hinted,
            "a hint behind that at the head",
            format_args!("above {hinted}"),
            next,
        )?;
        hinted = next;
    }
    same("the last hint", hinted, head)?;
    same(
        "a hint behind that at the head",
        wakes.beyond(Position::ZERO).now_or_never(),
        None,
    )
}
