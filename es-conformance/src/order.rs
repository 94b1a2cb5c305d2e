//! C: the order of the log, and that no reader ever misses an event.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use es_runtime::store::{Append, AppendError, Appended, ReadLog};
use es_runtime::{Clock as _, EventId, ExpectedVersion, Position, StoreErrorKind};

use crate::cancellation::polled;
use crate::capability::Capability;
use crate::check::{Among, Checked, holds, same};
use crate::durability::killed_writer;
use crate::fixture::{Transaction, Work};
use crate::random::Random;
use crate::sample::{event, events, stream};
use crate::scale::scaled;
use crate::subject::{Store, Subject, at_once, clock, joined, only};

/// Reads the log from where the last read ended, as a subscription does.
struct Tail {
    store: Store,
    next: Position,
    seen: Vec<EventId>,
}

impl Tail {
    fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            next: Position(1),
            seen: Vec::new(),
        }
    }

    /// Reads on to the head. `page` bounds the single reads.
    async fn read_on(&mut self, page: u64) -> Checked {
        loop {
            let read = self
                .store
                .read_positions(ReadLog::new().from(self.next).limit(page))
                .await?;
            let Some(last) = read.last() else { return Ok(()) };
            self.next = last.position.next();
            self.seen.extend(read.iter().map(|event| event.id));
        }
    }

    /// Reads on; then every event of the log must have been seen, once and in order.
    async fn has_seen_all(mut self) -> Checked {
        self.read_on(u64::MAX).await?;
        let stored: Vec<EventId> = self.store.log().await?.iter().map(|event| event.id).collect();
        let seen: HashSet<&EventId> = self.seen.iter().collect();
        let missed = stored.iter().filter(|id| !seen.contains(id)).count();
        let expected = format!("all {} events of the log", stored.len());
        holds(
            missed == 0,
            "what a reader of the log saw, reading on",
            expected,
            format!("{missed} skipped"),
        )?;
        same("what a reader of the log saw, reading on", self.seen, stored)
    }
}

pub(crate) async fn c01_positions_strictly_increase(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut acknowledged = Position::ZERO;
    for number in 0..100 {
        let own = stream(&format!("s{}", number % 7));
        let appended = store.put(&own, ExpectedVersion::Any, events(0..=number % 3)).await?;
        let position = only(&appended)?.position;
        let expected = format!("above {acknowledged}");
        holds(position > acknowledged, "the position of an append", expected, position)?;
        acknowledged = position;
    }
    same("the head", store.head().await?, acknowledged)?;
    store.check_log().await.map(drop)
}

pub(crate) async fn c02_position_order_extends_stream_order(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let written = at_once((0..8).map(|writer| {
        let store = store.clone();
        async move {
            for number in 0..50 {
                let shared = stream(&format!("s{}", (writer + number) % 4));
                store.put(&shared, ExpectedVersion::Any, events(0..2)).await?;
            }
            Checked::Ok(())
        }
    }))
    .await;
    written.into_iter().collect::<Checked>()?;
    // Reads each stream and compares it with the stream's part of the log, so that versions rise as positions do.
    same(
        "the number of stored events",
        store.check_log().await?.len(),
        8 * 50 * 2,
    )
}

pub(crate) async fn c03_position_order_respects_real_time(subject: &Subject<'_>) -> Checked {
    let handles = [subject.open().await, subject.open().await];
    let acknowledged = Arc::new(AtomicU64::new(0));
    let written = at_once((0..8).map(|writer| {
        let (store, acknowledged) = (handles[writer % 2].clone(), Arc::clone(&acknowledged));
        async move {
            for number in 0..50 {
                let before = acknowledged.load(Ordering::SeqCst);
                let own = stream(&format!("s{writer}"));
                let appended = store.put(&own, ExpectedVersion::Any, vec![event(number)]).await?;
                let position = only(&appended)?.position.0;
                let expected = format!("above {before}, which was acknowledged before it was called");
                holds(position > before, "the position of an append", expected, position)?;
                acknowledged.fetch_max(position, Ordering::SeqCst);
            }
            Checked::Ok(())
        }
    }))
    .await;
    written.into_iter().collect::<Checked>()?;
    store_checked(&handles[0]).await
}

async fn store_checked(store: &Store) -> Checked {
    store.check_log().await.map(drop)
}

fn one(id: &str) -> Append {
    Append::new(stream(id), ExpectedVersion::Any, vec![event(0)])
}

/// Beside an open transaction an append succeeds, or ends by itself as not done. Tells which.
fn settled(result: Result<Appended, AppendError>) -> Checked<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(AppendError::Store(error)) if error.kind() == StoreErrorKind::Unavailable => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Appends, again and again while an open transaction keeps the store from it.
async fn insist(store: &Store, append: Append) -> Checked {
    const TRIES: usize = 1_000;
    for _ in 0..TRIES {
        if settled(store.append(append.clone()).await)? {
            return Ok(());
        }
    }
    holds(
        false,
        "an append",
        format_args!("to be done within {TRIES} tries"),
        "Unavailable",
    )
}

pub(crate) async fn c04_late_commit_is_not_skipped(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store.append(one("before")).await?;
    late_commit(subject, &store, Tail::new(&store), u64::MAX).await
}

pub(crate) async fn c05_late_commit_across_page_boundary(subject: &Subject<'_>) -> Checked {
    let page = subject.fixture.page().unwrap_or(256) as u64;
    let store = subject.open().await;
    let mut stored = 0;
    // The hole is the last event of a page, the first of one, and just above the checkpoint.
    for (name, below) in [("at the end of a page", page - 1), ("at the start of a page", 2 * page)] {
        store
            .put(&stream("a"), ExpectedVersion::Any, events(stored..below))
            .await?;
        late_commit(subject, &store, Tail::new(&store), page)
            .await
            .among(name)?;
        stored = store.log().await?.len() as u64;
    }
    let mut tail = Tail::new(&store);
    tail.read_on(page).await?;
    late_commit(subject, &store, tail, page)
        .await
        .among("at the checkpoint")
}

/// One writer holds its append open, another appends, the reader reads on, the first commits: the reader gets both.
async fn late_commit(subject: &Subject<'_>, store: &Store, mut tail: Tail, page: u64) -> Checked {
    let first = subject.begin(Work::Append(&one("first"))).await?;
    let mut second = pin!(store.append(one("second")));
    // It is done in this time, unless the store makes it wait for the first.
    let done = tokio::time::timeout(Duration::from_millis(250), &mut second).await;
    tail.read_on(page).await?;
    first.commit().await;
    tail.read_on(page).await?;
    let done = match done {
        Ok(done) => done,
        Err(_) => second.await,
    };
    if !settled(done)? {
        insist(store, one("second")).await?;
    }
    tail.has_seen_all().await
}

pub(crate) async fn c06_rolled_back_append_does_not_stall(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut tail = Tail::new(&store);
    for _ in 0..20 {
        let abandoned = subject.begin(Work::Append(&one("abandoned"))).await?;
        abandoned.roll_back().await;
        store.append(one("next")).await?;
        tail.read_on(u64::MAX).await?;
    }
    same("the number of events that the reader got to", tail.seen.len(), 20)?;
    store_checked(&store).await
}

pub(crate) async fn c07_reader_started_inside_gap(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store.append(one("before")).await?;
    let abandoned = subject.begin(Work::Append(&one("abandoned"))).await?;
    let inside = store.head().await?.next();
    abandoned.roll_back().await;
    let appended = store.append(one("next")).await?;
    let read = store.read_positions(ReadLog::new().from(inside)).await?;
    let read: Vec<_> = read.iter().map(|event| event.position).collect();
    same(
        "what a reader inside the gap gets",
        read,
        vec![only(&appended)?.position],
    )
}

pub(crate) async fn c08_bulk_writers_random_hold(subject: &Subject<'_>) -> Checked {
    const WRITERS: u64 = 16;
    let store = subject.open().await;
    let each = scaled(500, 100_000 / WRITERS);
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| tokio::spawn(follow(Tail::new(&store), Arc::clone(&done))))
        .collect();
    let mut random = subject.random();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| bulk_writer(store.clone(), writer, each, random.fork()))
        .collect();
    let (written, outside) = tokio::join!(at_once(writers), outside_writer(subject, random));
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        joined(reader).await?;
    }
    written.into_iter().collect::<Checked>()?;
    let stored = store.check_log().await?.len() as u64;
    same("the number of stored events", stored, WRITERS * each + outside?)
}

/// Appends `total` events in small batches, with pauses of random length between them.
async fn bulk_writer(store: Store, writer: u64, total: u64, mut random: Random) -> Checked {
    let mut left = total;
    while left > 0 {
        let batch = (1 + random.below(10)).min(left);
        left -= batch;
        let target = stream(&format!("s{}", (writer + random.below(2)) % 16));
        insist(&store, Append::new(target, ExpectedVersion::Any, events(0..batch))).await?;
        tokio::time::sleep(Duration::from_micros(random.below(scaled(2_000, 50_000)))).await;
    }
    Ok(())
}

/// Holds transactions open from outside, where the fixture can, and commits or rolls them back; gives the number of its events.
async fn outside_writer(subject: &Subject<'_>, mut random: Random) -> Checked<u64> {
    let mut committed = 0;
    for number in 0..scaled(20, 200) {
        let append = Append::new(stream("outside"), ExpectedVersion::Any, events(0..3));
        let Some(held) = subject.fixture.begin(Work::Append(&append)).await else {
            return Ok(0);
        };
        tokio::time::sleep(Duration::from_micros(random.below(scaled(2_000, 50_000)))).await;
        if number % 4 == 3 {
            held.roll_back().await;
        } else {
            held.commit().await;
            committed += 3;
        }
    }
    Ok(committed)
}

async fn follow(mut tail: Tail, done: Arc<AtomicBool>) -> Checked {
    while !done.load(Ordering::SeqCst) {
        tail.read_on(100).await?;
        tokio::task::yield_now().await;
    }
    tail.has_seen_all().await
}

pub(crate) async fn c09_foreign_writer_does_not_stall(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store.put(&stream("a"), ExpectedVersion::Any, events(0..10)).await?;
    let unrelated = subject.begin(Work::Unrelated).await?;
    reads_go_on(&store, unrelated).await
}

pub(crate) async fn c10_idle_in_transaction_after_allocation(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    store.put(&stream("a"), ExpectedVersion::Any, events(0..10)).await?;
    let idle = subject.begin(Work::Append(&one("idle"))).await?;
    reads_go_on(&store, idle).await
}

/// While `open` is open everything stored is read, and an append comes to an end by itself; then everything goes on.
async fn reads_go_on(store: &Store, open: Box<dyn Transaction>) -> Checked {
    let mut tail = Tail::new(store);
    tail.read_on(3).await?;
    same("what a reader gets beside the open transaction", tail.seen.len(), 10)?;
    same(
        "the number of events of a stream",
        store.events_of(&stream("a")).await?.len(),
        10,
    )?;
    settled(store.append(one("beside")).await)?;
    open.roll_back().await;
    store.append(one("after")).await?;
    tail.has_seen_all().await
}

pub(crate) async fn c11_positions_never_reused(subject: &Subject<'_>) -> Checked {
    let mut shown = Position::ZERO;
    for round in 0..10 {
        let store = subject.open().await;
        let appended = store.append(one("a")).await?;
        let position = only(&appended)?.position;
        let expected = format!("above {shown}, the highest ever shown");
        holds(position > shown, "the position of a new event", expected, position)
            .among(format_args!("round {round}"))?;
        polled(1, store.append(one("abandoned"))).await;
        shown = store.head().await?;
        if subject.offers(Capability::Durable) {
            // Without a handle left it is really opened again.
            drop(store);
            if killed_writer(subject, 5).await?.is_some() {
                shown = shown.max(subject.open().await.head().await?);
            }
        }
    }
    store_checked(&subject.open().await).await
}

/// In microseconds.
const HOUR: i64 = 3_600_000_000;

pub(crate) async fn c12_order_ignores_clocks(subject: &Subject<'_>) -> Checked {
    let mut stores = Vec::new();
    for off in [-HOUR, 0, HOUR] {
        stores.push(subject.open_with(clock(off)).await);
    }
    let mut last = Position::ZERO;
    for number in 0..60_u64 {
        // In neither order of the clocks.
        let store = &stores[[0, 2, 1, 2, 0, 1][(number % 6) as usize]];
        let appended = store
            .put(&stream("a"), ExpectedVersion::Any, vec![event(number)])
            .await?;
        let position = only(&appended)?.position;
        holds(
            position > last,
            "the position of an append",
            format_args!("above {last}"),
            position,
        )?;
        last = position;
    }
    let moved = subject.open().await;
    for off in [HOUR, -2 * HOUR, 0] {
        subject.clock.set(clock(off).now());
        moved.put(&stream("a"), ExpectedVersion::Any, vec![event(0)]).await?;
    }
    // Here is checked that `recorded_at` never goes back.
    let log = stores[1].check_log().await?;
    same("the number of stored events", log.len(), 63)
}

pub(crate) async fn c13_now_is_the_time_of_recording(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    for (number, off) in (0..).zip([0, HOUR, -HOUR, 2 * HOUR, HOUR, 3 * HOUR]) {
        subject.clock.set(clock(off).now());
        let before = store.now().await?;
        let appended = store
            .put(&stream("a"), ExpectedVersion::Any, vec![event(number)])
            .await?;
        let after = store.now().await?;
        holds(
            (before..=after).contains(&appended.recorded_at),
            "the time at which an append was recorded",
            format_args!("between {before} and {after}, which `now` said before and after it"),
            appended.recorded_at,
        )?;
    }
    Ok(())
}
