//! G: rows that appends to several streams change at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use es_runtime::store::{Advance, Append, InlineFold, InlineReader, InlineRows, RowChange, RowQuery, RowTable};
use es_runtime::{EventId, ExpectedVersion, NewEvent, Position, StreamId, Version};

use crate::check::{Checked, Stop, present, same};
use crate::projections::{LONG, moves};
use crate::sample::event;
use crate::scale::scaled;
use crate::subject::{Projections, Subject, at_once};

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

/// What a row becomes: another number for each order of the events.
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

pub(crate) async fn g43_appends_that_meet_in_a_row_lose_nothing(subject: &Subject<'_>) -> Checked {
    let rounds = scaled(20, 200);
    let store = subject.projections().await?;
    store.create_table(&table()).await?;
    let lease = store.acquire("shared", "case", LONG).await?;
    let mark = Advance {
        reader: reader().mark,
        ..moves(&present("a free lease", lease)?, 0, 0)
    };
    store.advance(mark).await?;
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
    // The rows are the fold of the log, in its order.
    let mut wanted = BTreeMap::<String, (u64, Position)>::new();
    for event in store.events().check_log().await? {
        let (writer, round) = writers.remove(&event.id).unwrap_or_default();
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
