//! G: what a store keeps for projections changes together, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use es_runtime::store::{Advance, Commit, CommitError, Lease, ParkReason, Parked, Row, RowChange, RowQuery, RowTable};
use es_runtime::{EventId, ExpectedVersion, Position, StoreErrorKind};
use serde::Deserialize;

use crate::cancellation::polled;
use crate::check::{Among, Checked, Stop, holds, present, same};
use crate::sample::{events, stream};
use crate::scale::scaled;
use crate::subject::{Projections, Subject, at_once, joined};

/// The reader that the cases use, and the name of its lease.
pub(crate) const READER: &str = "counts";
/// Longer than any case takes.
pub(crate) const LONG: Duration = Duration::from_secs(3600);
/// The rows that each commit of [`step`] changes.
const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The table that the cases use.
pub(crate) fn table() -> RowTable {
    RowTable {
        projection: READER.into(),
        version: 1,
        indexes: vec!["count".into()].into(),
        beside: false,
    }
}

/// A store with so many events, a table, and nothing else.
pub(crate) async fn filled(subject: &Subject<'_>, length: u64) -> Checked<Projections> {
    let store = subject.projections().await?;
    store.create_table(&table()).await?;
    append(&store, length).await?;
    Ok(store)
}

pub(crate) async fn append(store: &Projections, length: u64) -> Checked {
    store
        .events()
        .put(&stream("a"), ExpectedVersion::Any, events(0..length))
        .await?;
    Ok(())
}

/// The lease of [`READER`], which is free.
pub(crate) async fn leased(store: &Projections, owner: &str) -> Checked<Lease> {
    let lease = store.acquire(READER, owner, LONG).await?;
    present(format_args!("the free lease for `{owner}`"), lease)
}

pub(crate) fn commit(
    lease: &Lease,
    from: impl Into<Position>,
    to: impl Into<Position>,
    rows: Vec<RowChange>,
) -> Commit {
    Commit {
        advance: moves(lease, from, to),
        table: table(),
        rows,
    }
}

/// Moves the checkpoint, and nothing else.
pub(crate) fn moves(lease: &Lease, from: impl Into<Position>, to: impl Into<Position>) -> Advance {
    Advance::new(READER, lease, from.into(), to.into())
}

/// The same of another reader, with a table of its own.
pub(crate) fn of(reader: &str, table: RowTable, commit: Commit) -> Commit {
    let advance = Advance {
        reader: reader.to_owned(),
        ..commit.advance
    };
    Commit {
        advance,
        table,
        ..commit
    }
}

pub(crate) fn change(key: &str, data: impl Into<Bytes>, position: impl Into<Position>) -> RowChange {
    RowChange {
        key: key.to_owned(),
        data: Some(data.into()),
        position: position.into(),
    }
}

/// Where the checkpoint of [`READER`] stands.
pub(crate) async fn checkpoint(store: &Projections) -> Checked<Position> {
    let checkpoint = store.checkpoint(READER).await?;
    Ok(checkpoint.map_or(Position::ZERO, |checkpoint| checkpoint.position))
}

pub(crate) async fn all_rows(store: &Projections) -> Checked<Vec<Row>> {
    Ok(store.list_rows(&table(), &RowQuery::default()).await?)
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

/// Reads how often [`step`] has counted so far. Its rows are always equal.
async fn counted(store: &Projections) -> Checked<u64> {
    let rows = store.rows(&table(), &KEYS.map(str::to_owned)).await?;
    let data: Vec<Option<&Bytes>> = rows.iter().map(|row| row.as_ref().map(|row| &row.data)).collect();
    holds(
        data.windows(2).all(|pair| pair[0] == pair[1]),
        "the rows that every commit changes alike",
        "to be equal, as of one moment",
        &data,
    )?;
    let Some(Some(data)) = data.first() else { return Ok(0) };
    let count: Result<Count, _> = serde_json::from_slice(data);
    count
        .map(|count| count.count)
        .map_err(|error| Stop::broken("a row", "the JSON that was written", error))
}

/// Counts the events after the checkpoint up to `to` in each row: what it does twice or not at all shows in the count.
async fn step(store: &Projections, lease: &Lease, from: Position, to: Position) -> Checked<Commit> {
    let count = counted(store).await? + to.0 - from.0;
    let rows = KEYS.map(|key| change(key, format!(r#"{{"count":{count}}}"#), to));
    Ok(commit(lease, from, to, rows.into()))
}

/// Checks that the count equals the checkpoint, at a moment when the checkpoint did not move.
async fn count_is_checkpoint(store: &Projections) -> Checked<Position> {
    loop {
        let before = checkpoint(store).await?;
        let count = counted(store).await?;
        if checkpoint(store).await? == before {
            same("what was counted, beside the checkpoint", Position(count), before)?;
            return Ok(before);
        }
    }
}

pub(crate) async fn g01_state_and_checkpoint_commit_together(subject: &Subject<'_>) -> Checked {
    let length = scaled(200, 2_000);
    let store = filled(subject, length).await?;
    let other = subject.projections().await?;
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, done) = (store.clone(), Arc::clone(&done));
        async move {
            let lease = leased(&store, "writer").await?;
            for position in 0..length {
                let step = step(&store, &lease, Position(position), Position(position + 1)).await?;
                store.commit(step).await?;
            }
            done.store(true, Ordering::SeqCst);
            Checked::Ok(())
        }
    });
    let mut seen = Position::ZERO;
    while !done.load(Ordering::SeqCst) && !writer.is_finished() {
        for store in [&store, &other] {
            let now = count_is_checkpoint(store).await?;
            holds(
                now >= seen,
                "the checkpoint",
                format_args!("not to go back from {seen}"),
                now,
            )?;
            seen = now;
        }
    }
    joined(writer).await?;
    same(
        "the checkpoint at the end",
        count_is_checkpoint(&other).await?,
        Position(length),
    )
}

pub(crate) async fn g04_checkpoint_write_failure_rolls_back_state(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 5).await?;
    let lease = leased(&store, "owner").await?;
    store.commit(step(&store, &lease, 0.into(), 2.into()).await?).await?;

    let refused = async |what: &str, commit: Commit| {
        let mut commit = commit;
        commit.advance.park = vec![parked(3, "held", 1)];
        let result = store.commit(commit).await;
        same("what was counted", counted(&store).await.among(what)?, 2).among(what)?;
        same("the checkpoint", checkpoint(&store).await?, Position(2)).among(what)?;
        same(
            "the parked events",
            store.parked(READER, Position::ZERO, 10).await?,
            vec![],
        )
        .among(what)?;
        Checked::Ok(result)
    };

    for from in [0, 1, 3] {
        let what = format!("a commit from {from} at checkpoint 2");
        let result = refused(&what, step(&store, &lease, Position(from), 5.into()).await?).await?;
        let is_moved = matches!(&result, Err(CommitError::Moved { reader, expected, actual })
            if reader == READER && *expected == from && *actual == 2);
        holds(
            is_moved,
            what,
            format_args!("Moved {{ expected: {from}, actual: 2 }}"),
            result,
        )?;
    }
    let rejected = |what: &str, result: Result<(), CommitError>| {
        let is = matches!(&result, Err(CommitError::Store(error)) if error.kind() == StoreErrorKind::Rejected);
        holds(is, what, "a Store error of kind Rejected", result)
    };
    let what = "a commit that goes back";
    rejected(
        what,
        refused(what, commit(&lease, 2, 1, vec![change("a", "{}", 1)])).await?,
    )?;
    let what = "a commit with a row that is not JSON behind others that are";
    let mut broken = step(&store, &lease, 2.into(), 5.into()).await?;
    broken.rows.push(change("f", "{", 5));
    rejected(what, refused(what, broken).await?)?;
    let what = "a commit to a table that is not there";
    let mut elsewhere = step(&store, &lease, 2.into(), 5.into()).await?;
    elsewhere.table = RowTable { version: 2, ..table() };
    rejected(what, refused(what, elsewhere).await?)?;

    store.commit(step(&store, &lease, 2.into(), 5.into()).await?).await?;
    same(
        "the checkpoint after all that",
        count_is_checkpoint(&store).await?,
        Position(5),
    )
}

/// Drops commits at random polls, as a process does that loses the answer, and goes on from where the checkpoint stands.
pub(crate) async fn g05_commit_reply_lost_in_projection(subject: &Subject<'_>) -> Checked {
    let length = scaled(100, 1_000);
    let store = filled(subject, length).await?;
    let lease = leased(&store, "owner").await?;
    let mut random = subject.random();
    // Of five commits at least one is not dropped.
    for attempt in 0..5 * length {
        let from = checkpoint(&store).await?;
        if from == length {
            break;
        }
        let step = step(&store, &lease, from, from.next()).await?;
        let polls = if attempt % 5 == 4 {
            usize::MAX
        } else {
            usize::try_from(random.below(4)).unwrap_or(0)
        };
        match polled(polls, store.commit(step)).await {
            // One that was dropped may have been done behind our back, after the checkpoint was read.
            None | Some(Ok(()) | Err(CommitError::Moved { .. } | CommitError::Indeterminate(_))) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
    same(
        "the checkpoint at the end",
        count_is_checkpoint(&store).await?,
        Position(length),
    )
}

pub(crate) async fn l13_drop_commit_at_every_poll(subject: &Subject<'_>) -> Checked {
    const POLLS: usize = 10_000;
    let store = filled(subject, 1).await?;
    let lease = leased(&store, "owner").await?;
    for _ in 0..scaled(10, 100) {
        for polls in 0..POLLS {
            append(&store, 1).await?;
            let from = checkpoint(&store).await?;
            let step = step(&store, &lease, from, from.next()).await?;
            let result = polled(polls, store.commit(step)).await;
            count_is_checkpoint(&store)
                .await
                .among(format_args!("dropped after {polls} polls"))?;
            match result {
                None | Some(Err(CommitError::Moved { .. })) => {}
                Some(result) => {
                    result?;
                    break;
                }
            }
        }
    }
    count_is_checkpoint(&store).await.map(drop)
}

fn parked(position: u64, error: &str, attempts: u32) -> Parked {
    Parked {
        position: Position(position),
        event: EventId(uuid::Uuid::from_u128(position.into())),
        reason: match attempts {
            0 => ParkReason::Behind,
            u32::MAX => ParkReason::EndedProcesses,
            _ => ParkReason::Failed,
        },
        error: error.to_owned(),
        attempts,
    }
}

pub(crate) async fn g09_parked_event_can_be_replayed(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 10).await?;
    let lease = leased(&store, "owner").await?;
    let list = async |after: u64, limit: u32| store.parked(READER, Position(after), limit).await;

    let mut parking = moves(&lease, 0, 10);
    parking.park = vec![
        parked(7, "no `ü`", 0),
        parked(2, "", 1),
        parked(9, "late\n\"quoted\"", u32::MAX),
    ];
    store.advance(parking).await?;
    let all = vec![
        parked(2, "", 1),
        parked(7, "no `ü`", 0),
        parked(9, "late\n\"quoted\"", u32::MAX),
    ];
    same("the parked events", list(0, 10).await?, all.clone())?;
    same("two of them", list(0, 2).await?, all[..2].to_vec())?;
    same("those above 7", list(7, 10).await?, all[2..].to_vec())?;
    same("none of them", list(0, 0).await?, vec![])?;
    same(
        "those of another reader",
        store.parked("other", Position::ZERO, 10).await?,
        vec![],
    )?;

    let mut again = moves(&lease, 10, 10);
    again.park = vec![parked(7, "still", 4)];
    store.advance(again).await?;
    let mut done = commit(&lease, 10, 10, vec![change("a", r#"{"count":1}"#, 2)]);
    done.advance.unpark = vec![Position(2), Position(9)];
    store.commit(done.clone()).await?;
    // Whoever has the same event in hand comes too late.
    done.advance.unpark = vec![Position(7), Position(9)];
    done.rows = vec![change("a", r#"{"count":2}"#, 2)];
    let late = store.commit(done).await;
    let is_late =
        matches!(&late, Err(CommitError::NotParked { reader, position }) if reader == READER && *position == 9);
    holds(
        is_late,
        "a commit of an event that is not parked any more",
        "NotParked { position: 9 }",
        late,
    )?;
    same("what is left parked", list(0, 10).await?, vec![parked(7, "still", 4)])?;
    same("the checkpoint", checkpoint(&store).await?, Position(10))?;
    let data: Vec<Bytes> = all_rows(&store).await?.into_iter().map(|row| row.data).collect();
    same("the rows", data, vec![Bytes::from(r#"{"count":1}"#)])
}

/// Attempts are recorded far above the reader's checkpoint, by a commit that moves nothing.
pub(crate) async fn g36_events_are_parked_wherever_they_stand(subject: &Subject<'_>) -> Checked {
    let length = scaled(1_000, 10_000);
    let store = filled(subject, length).await?;
    let lease = leased(&store, "owner").await?;
    let asides = |at: u64, park: Vec<Parked>, unpark: Vec<Position>| Advance {
        park,
        unpark,
        ..moves(&lease, at, at)
    };
    let (far, last) = (parked(length / 2, "far above", 1), parked(length, "at the end", 2));
    // The reader may have begun or not.
    for at in [0, 1] {
        let what = format!("with the checkpoint at {at}");
        let stands = async |wanted: Vec<Parked>| {
            let is = store.parked(READER, Position::ZERO, 10).await?;
            same("the parked events", is, wanted).among(&what)?;
            same("the checkpoint", checkpoint(&store).await?, Position(at)).among(&what)
        };
        store.advance(asides(at, vec![far.clone()], vec![])).await?;
        stands(vec![far.clone()]).await?;
        // One in the place of the other.
        store
            .advance(asides(at, vec![last.clone()], vec![far.position]))
            .await?;
        stands(vec![last.clone()]).await?;
        store.advance(asides(at, vec![far.clone()], vec![])).await?;
        stands(vec![far.clone(), last.clone()]).await?;
        store
            .advance(asides(at, vec![], vec![far.position, last.position]))
            .await?;
        stands(vec![]).await?;
        if at == 0 {
            store.commit(step(&store, &lease, 0.into(), 1.into()).await?).await?;
        }
    }
    // They stay when the checkpoint comes to them, and passes them.
    store
        .advance(asides(1, vec![far.clone(), last.clone()], vec![]))
        .await?;
    store
        .commit(step(&store, &lease, 1.into(), Position(length)).await?)
        .await?;
    same(
        "the parked events behind the checkpoint",
        store.parked(READER, Position::ZERO, 10).await?,
        vec![far, last],
    )?;
    count_is_checkpoint(&store).await.map(drop)
}

async fn rewound(subject: &Subject<'_>, to: u64) -> Checked {
    if subject.fixture.rewind(Position(to)).await {
        return Ok(());
    }
    Err(Stop::Skipped("the fixture cannot take events back"))
}

/// The record that shows the reader to be ahead of the log survives when the log is restored to an earlier point.
pub(crate) async fn g12_checkpoint_ahead_of_store_halts(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 5).await?;
    let lease = leased(&store, "owner").await?;
    let last = store.events().log().await?[4].id;
    let mut all = step(&store, &lease, 0.into(), 5.into()).await?;
    all.advance.event = Some(last);
    store.commit(all).await?;
    rewound(subject, 3).await?;
    let store = subject.projections().await?;
    let checkpoint = present("the checkpoint", store.checkpoint(READER).await?)?;
    same(
        "its position and its event",
        (checkpoint.position, checkpoint.event),
        (Position(5), Some(last)),
    )?;
    same("the head of the log", store.events().head().await?, Position(3))
}

/// The event that stood at a checkpoint is kept with it, however the checkpoint was moved.
pub(crate) async fn g13_checkpoint_identity_is_checked(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 5).await?;
    let lease = leased(&store, "owner").await?;
    let log = store.events().log().await?;
    let stands = async |position: u64, event: Option<EventId>| {
        let checkpoint = present("the checkpoint", store.checkpoint(READER).await?)?;
        let (at, is) = (checkpoint.position, checkpoint.event);
        same("its position and its event", (at, is), (Position(position), event))
    };
    store.advance(moves(&lease, 0, 0)).await?;
    stands(0, None).await?;
    let mut first = step(&store, &lease, 0.into(), 2.into()).await?;
    first.advance.event = Some(log[1].id);
    store.commit(first).await?;
    stands(2, Some(log[1].id)).await?;
    let mut on = moves(&lease, 2, 4);
    on.event = Some(log[3].id);
    store.advance(on).await?;
    stands(4, Some(log[3].id)).await?;
    store.clear(&table(), READER, &lease).await?;
    same("a reader that was forgotten", store.checkpoint(READER).await?, None)
}

pub(crate) async fn g15_rebuild_equals_incremental(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 6).await?;
    let lease = leased(&store, "owner").await?;
    same("a reader that never began", store.checkpoint(READER).await?, None)?;
    for position in 0..6 {
        let mut step = step(&store, &lease, Position(position), Position(position + 1)).await?;
        step.rows.push(change("gone", "{}", position));
        step.advance.park = vec![parked(position, "bad", 1)];
        store.commit(step).await?;
    }
    let gone = RowChange {
        data: None,
        ..change("gone", "", 6)
    };
    store.commit(commit(&lease, 6, 6, vec![gone.clone()])).await?;
    let rows = all_rows(&store).await?;

    store.clear(&table(), READER, &lease).await?;
    same(
        "the checkpoint of a forgotten reader",
        store.checkpoint(READER).await?,
        None,
    )?;
    same("its rows", all_rows(&store).await?, vec![])?;
    same(
        "its parked events",
        store.parked(READER, Position::ZERO, 10).await?,
        vec![],
    )?;

    store.advance(moves(&lease, 0, 0)).await?;
    same(
        "a reader that stands at the beginning",
        checkpoint(&store).await?,
        Position::ZERO,
    )?;
    let mut at_once = step(&store, &lease, 0.into(), 6.into()).await?;
    at_once.rows.push(gone);
    store.commit(at_once).await?;
    same(
        "the rows, built at once, beside those built bit by bit",
        all_rows(&store).await?,
        rows,
    )
}

pub(crate) async fn g17_two_runners_one_writer(subject: &Subject<'_>) -> Checked {
    let length = scaled(60, 600);
    let store = filled(subject, length).await?;
    let runners = ["one", "two", "three"];
    let mut handles = Vec::new();
    for owner in runners {
        handles.push((owner, subject.projections().await?));
    }
    let work = handles.into_iter().map(|(owner, store)| async move {
        // Bounded by far more than any of them needs, also if it asks in vain all the time.
        for round in 0..1_000 * length {
            if checkpoint(&store).await? == length {
                return Ok(());
            }
            // None of them keeps it long, and some forget to give it back.
            let ttl = if round % 3 == 0 { Duration::ZERO } else { LONG };
            let Some(lease) = store.acquire(READER, owner, ttl).await? else {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            for _ in 0..3 {
                let from = checkpoint(&store).await?;
                let to = Position(length.min(from.0 + 1));
                match store.commit(step(&store, &lease, from, to).await?).await {
                    Ok(()) => {}
                    Err(CommitError::LeaseLost { .. } | CommitError::Moved { .. }) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            if ttl > Duration::ZERO {
                store.release(&lease).await?;
            }
        }
        Err(Stop::broken(
            "three runners",
            "to come to the end",
            "a reader that stands still",
        ))
    });
    for result in at_once(work).await {
        result?;
    }
    same(
        "the checkpoint at the end",
        count_is_checkpoint(&store).await?,
        Position(length),
    )
}

pub(crate) async fn m15_reopen_keeps_projections(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 6).await?;
    let lease = leased(&store, "owner").await?;
    let mut first = step(&store, &lease, 0.into(), 6.into()).await?;
    first.advance.park = vec![parked(3, "bad", 1)];
    store.commit(first).await?;
    same("that the owner reported", store.report(&lease, "well").await?, true)?;
    let (rows, before) = (all_rows(&store).await?, store.checkpoint(READER).await?);
    let reported = store.lease(READER).await?;
    store.close().await?;

    let store = subject.projections().await?;
    store.create_table(&table()).await?;
    same("the rows", all_rows(&store).await?, rows)?;
    same("the checkpoint", store.checkpoint(READER).await?, before)?;
    same(
        "the parked events",
        store.parked(READER, Position::ZERO, 10).await?,
        vec![parked(3, "bad", 1)],
    )?;
    same(
        "the lease for another owner",
        store.acquire(READER, "other", LONG).await?,
        None,
    )?;
    same("the lease and its report", store.lease(READER).await?, reported)?;
    same(
        "the lease for its owner",
        store.acquire(READER, "owner", LONG).await?,
        Some(lease.clone()),
    )?;
    append(&store, 1).await?;
    store.commit(step(&store, &lease, 6.into(), 7.into()).await?).await?;
    count_is_checkpoint(&store).await.map(drop)
}
