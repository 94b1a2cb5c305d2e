//! G: rows that appends to several streams change at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use es_runtime::projection::ApplyError;
use es_runtime::store::{
    Advance, Append, AppendError, InlineError, InlineFold, InlineReader, InlineRows, Lease, ReadLog, RowChange,
    RowQuery, RowTable,
};
use es_runtime::{EventId, ExpectedVersion, NewEvent, Position, StreamId, Version};
use futures_util::future::join_all;

use crate::check::{Checked, Stop, holds, present, same};
use crate::projections::{LONG, moves};
use crate::sample::event;
use crate::scale::scaled;
use crate::subject::{Projections, Subject, at_once, joined};

const CATEGORY: &str = "conformance";
const WRITERS: u64 = 8;

fn table() -> RowTable {
    RowTable {
        projection: "shared".into(),
        version: 1,
        indexes: Vec::new().into(),
        beside: false,
    }
}

fn reader() -> InlineReader {
    InlineReader {
        reader: "shared@1".to_owned(),
        mark: "shared@1 ready".to_owned(),
        categories: vec![CATEGORY.to_owned()],
    }
}

/// The rows that an event of this round changes: one that all change, and one that the first of the round makes.
fn keys(round: u64) -> Vec<String> {
    vec!["all".to_owned(), format!("round {round}")]
}

/// The next number of a row: another one for each order of the events.
fn next(row: u64, number: u64) -> u64 {
    (row * 31 + number + 1) % 1_000_003
}

fn number_of(data: Option<&Bytes>) -> u64 {
    let text = data.map(|data| String::from_utf8_lossy(data).into_owned());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn fold(number: u64, round: u64) -> InlineFold {
    InlineFold::new(keys(round), move |rows| {
        let changed = keys(round).into_iter().zip(rows).map(|(key, row)| RowChange {
            key,
            data: Some(next(number_of(row.as_ref()), number).to_string().into()),
            position: Position(1),
        });
        Ok(changed.collect())
    })
}

async fn write(store: Projections, writer: u64, events: Vec<NewEvent>) -> Checked {
    let stream = StreamId::new(CATEGORY, writer.to_string());
    for (round, event) in (0..).zip(events) {
        let expected = ExpectedVersion::Exact(Version(round));
        let rows = InlineRows {
            projection: Arc::new(reader()),
            table: table(),
            fold: fold(writer, round),
        };
        let appended = store
            .append_rows(Append::new(stream.clone(), expected, vec![event]), vec![rows])
            .await;
        appended.map_err(|error| {
            let expected = "to be stored, whatever other appends do to its rows";
            Stop::broken("an append that is in order", expected, format_args!("{error:?}"))
        })?;
    }
    Ok(())
}

/// Says of the projection that it is as new as the log.
async fn mark(store: &Projections, lease: &Lease) -> Checked {
    let mark = Advance {
        reader: reader().mark,
        ..moves(lease, 0, 0)
    };
    Ok(store.advance(mark).await?)
}

async fn leased(store: &Projections) -> Checked<Lease> {
    let lease = store.acquire("shared", "case", LONG).await?;
    present("a free lease", lease)
}

/// A reader that begins again takes the mark away, and then the rows: no append that was under way leaves one behind.
pub(crate) async fn g44_cleared_rows_stay_cleared(subject: &Subject<'_>) -> Checked {
    let store = subject.projections().await?;
    store.create_table(&table()).await?;
    let lease = leased(&store).await?;
    for round in 0..scaled(15, 150) {
        // As if it had applied all that is there.
        let head = store.head().await?;
        let last = store
            .events()
            .read_positions(ReadLog::new().from(head).to(head))
            .await?;
        let stands = Advance {
            event: last.last().map(|event| event.id),
            ..moves(&lease, 0, head)
        };
        store
            .advance(Advance {
                reader: reader().reader,
                ..stands
            })
            .await?;
        mark(&store, &lease).await?;
        let mut appending = Vec::new();
        for writer in 0..4 {
            let store = subject.projections().await?;
            appending.push(tokio::spawn(async move {
                for number in 0.. {
                    let stream = StreamId::new(CATEGORY, format!("{round} {writer} {number}"));
                    let rows = InlineRows {
                        projection: Arc::new(reader()),
                        table: table(),
                        fold: InlineFold::new(vec![stream.to_string()], {
                            let key = stream.to_string();
                            move |_| {
                                Ok(vec![RowChange {
                                    key: key.clone(),
                                    data: Some("1".into()),
                                    position: Position(1),
                                }])
                            }
                        }),
                    };
                    let append = Append::new(stream, ExpectedVersion::NoStream, vec![event(number)]);
                    match store.append_rows(append, vec![rows]).await {
                        Ok(_) => {}
                        Err(InlineError::Behind { .. }) => return Ok(()),
                        Err(error) => {
                            let expected = "to be stored, or Behind";
                            return Err(Stop::broken("an append", expected, format_args!("{error:?}")));
                        }
                    }
                }
                Ok(())
            }));
        }
        while store.head().await?.0 < head.0 + 5 {
            tokio::task::yield_now().await;
        }
        store.forget(&reader().mark, &lease).await?;
        store.clear(&table(), &reader().reader, &lease).await?;
        for appending in appending {
            joined(appending).await?;
        }
        let rows = store.list_rows(&table(), &RowQuery::default()).await?;
        same("the rows", rows, Vec::new())?;
        let checkpoint = store.checkpoint(&reader().reader).await?;
        same("the checkpoint", checkpoint.map(|checkpoint| checkpoint.position), None)?;
    }
    Ok(())
}

pub(crate) async fn g43_appends_that_meet_in_a_row_lose_nothing(subject: &Subject<'_>) -> Checked {
    let rounds = scaled(20, 200);
    let store = subject.projections().await?;
    store.create_table(&table()).await?;
    let lease = leased(&store).await?;
    mark(&store, &lease).await?;
    let mut writers = BTreeMap::<EventId, (u64, u64)>::new();
    let mut writing = Vec::new();
    for writer in 0..WRITERS {
        let events: Vec<NewEvent> = (0..rounds).map(event).collect();
        writers.extend(events.iter().zip(0..).map(|(event, round)| (event.id, (writer, round))));
        writing.push(write(subject.projections().await?, writer, events));
    }
    for written in at_once(writing).await {
        written?;
    }
    are_the_fold(&store, writers).await
}

/// Checks that the rows are the fold of the log, in its order, and that it has the events of these writers and rounds.
async fn are_the_fold(store: &Projections, mut writers: BTreeMap<EventId, (u64, u64)>) -> Checked {
    let mut wanted = BTreeMap::<String, (u64, Position)>::new();
    for event in store.events().check_log().await? {
        let Some((writer, round)) = writers.remove(&event.id) else {
            continue;
        };
        for key in keys(round) {
            let row = wanted.entry(key).or_default();
            *row = (next(row.0, writer), event.position);
        }
    }
    same("how many events were lost", writers.len(), 0)?;
    let rows = store.list_rows(&table(), &RowQuery::default()).await?;
    let rows = rows
        .into_iter()
        .map(|row| (row.key, (number_of(Some(&row.data)), row.position)));
    same(
        "the rows, each with the position of its last event",
        rows.collect::<BTreeMap<_, _>>(),
        wanted,
    )
}

/// An append that is sent together with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    WithRows,
    /// Its event cannot be applied.
    Poison,
    /// It expects another version.
    Late,
    /// It was stored before.
    Again,
    /// It changes no row, and is of another category.
    Elsewhere,
}

/// A store may write them together: then a refusal of one undoes none of the others, and each folds what those before it have left.
pub(crate) async fn g45_appends_with_rows_sent_together_are_answered_alone(subject: &Subject<'_>) -> Checked {
    const SENT: [Sent; 9] = [
        Sent::WithRows,
        Sent::WithRows,
        Sent::Poison,
        Sent::WithRows,
        Sent::Late,
        Sent::Elsewhere,
        Sent::WithRows,
        Sent::Again,
        Sent::Poison,
    ];
    let store = subject.projections().await?;
    store.create_table(&table()).await?;
    let lease = leased(&store).await?;
    mark(&store, &lease).await?;
    let mut writers = BTreeMap::<EventId, (u64, u64)>::new();
    let mut before: Option<Append> = None;
    let mut kinds = SENT;
    for round in 0..scaled(12, 120) {
        kinds.rotate_left(1);
        let mut sending = Vec::new();
        let mut stored = None;
        for (kind, writer) in kinds.into_iter().zip(0..) {
            let category = if kind == Sent::Elsewhere { "elsewhere" } else { CATEGORY };
            let stream = StreamId::new(category, format!("{round} {writer}"));
            let expected = match kind {
                Sent::Late => ExpectedVersion::Exact(Version(3)),
                _ => ExpectedVersion::NoStream,
            };
            let append = Append::new(stream, expected, vec![event(writer)]);
            let append = match (kind, &before) {
                (Sent::Again, Some(before)) => before.clone(),
                _ => append,
            };
            let is_new = kind == Sent::WithRows || kind == Sent::Again && before.is_none();
            if is_new {
                writers.insert(append.streams[0].events[0].id, (writer, round));
                stored = Some(append.clone());
            }
            let fold = match kind {
                Sent::Poison => InlineFold::new(keys(round), |_| Err((0, ApplyError::Panicked("no".to_owned())))),
                _ => fold(writer, round),
            };
            let rows = InlineRows {
                projection: Arc::new(reader()),
                table: table(),
                fold,
            };
            let rows = if kind == Sent::Elsewhere {
                Vec::new()
            } else {
                vec![rows]
            };
            let is_again = before.is_some();
            let store = &store;
            sending.push(async move { (kind, is_again, store.append_rows(append, rows).await) });
        }
        for (kind, is_again, answer) in join_all(sending).await {
            let is_answered = match (kind, &answer) {
                (Sent::WithRows | Sent::Elsewhere, Ok(appended)) => !appended.repeated,
                (Sent::Again, Ok(appended)) => appended.repeated == is_again,
                (Sent::Late, Err(InlineError::Append(AppendError::Conflict { actual, .. }))) => {
                    *actual == Version::ZERO
                }
                (
                    Sent::Poison,
                    Err(InlineError::Poison {
                        projection: 0,
                        event: Some(0),
                        ..
                    }),
                ) => true,
                _ => false,
            };
            let what = format!("the answer to an append `{kind:?}` that is sent together with others");
            holds(is_answered, what, "the one that it gets alone", answer)?;
        }
        before = stored.or(before);
    }
    are_the_fold(&store, writers).await?;
    none_is_passed_over(&store).await
}

/// Of the events that are appended without their rows, no checkpoint is moved over one.
async fn none_is_passed_over(store: &Projections) -> Checked {
    let sent = (0..12).map(async |writer| {
        let stream = StreamId::new(CATEGORY, format!("last {writer}"));
        let rows = InlineRows {
            projection: Arc::new(reader()),
            table: table(),
            fold: fold(writer, 0),
        };
        let is_without = writer % 4 == 2;
        let rows = if is_without { Vec::new() } else { vec![rows] };
        let append = Append::new(stream, ExpectedVersion::NoStream, vec![event(writer)]);
        (is_without, store.append_rows(append, rows).await)
    });
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for (is_without, answer) in join_all(sent).await {
        match answer {
            Ok(appended) if is_without => without.extend(appended.head()),
            Ok(appended) => with.extend(appended.head()),
            Err(InlineError::Behind { projection: 0 }) if !is_without => {}
            Err(error) => {
                let expected = "to be stored, or Behind if it is to change rows";
                return Err(Stop::broken("an append", expected, format_args!("{error:?}")));
            }
        }
    }
    same("how many were stored without rows", without.len(), 3)?;
    let (last, first) = (with.into_iter().max(), without.into_iter().min());
    let is_whole = last < first;
    let expected = "of positions below those of appends without rows";
    holds(is_whole, "appends with rows", expected, (last, first))
}
