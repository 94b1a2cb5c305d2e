//! Puts appends together from three reads in the order of the log: of the events, of what is known of each append that has events, and of
//! the appends that have none.

use std::pin::Pin;
use std::sync::Arc;

use es_runtime::store::{Appended, IdempotencyKey, ReadLog, RecordedAppend, StreamAppended};
use es_runtime::{AppendId, Position, RecordedEvent, StoreError, StreamId, Timestamp, Version};
use futures_core::stream::BoxStream;
use futures_util::stream::{self, Peekable, StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Problem;
use crate::log::read_log;
use crate::reader::Reader;
use crate::rows::{Cells, Json, Time, column};
use crate::schema::Schema;
use crate::sql::WINDOW;

/// The number of positions, or of appends, on a page.
const PAGE: u64 = 1_000;

/// Statements for a schema called `es`. Bounds are hidden from the planner and near to each other, and keys are looked up one by one: so
/// no plan reads much in vain, whatever the server knows of the tables.
const WITH_EVENTS: &str = "SELECT e.append_id, e.position, e.recorded_at, e.append_size, k.key, k.fingerprint, a.streams \
     FROM (SELECT * FROM \"es\".recorded_events AS e \
     WHERE e.position BETWEEN (SELECT $1::bigint) AND (SELECT $2::bigint) ORDER BY e.position LIMIT 1000) AS e \
     LEFT JOIN LATERAL (SELECT * FROM \"es\".idempotency_keys AS k WHERE k.append_id = e.append_id LIMIT 1) AS k ON true \
     LEFT JOIN LATERAL (SELECT * FROM \"es\".appends AS a WHERE a.append_id = e.append_id LIMIT 1) AS a ON true \
     WHERE e.append_size > 0 ORDER BY e.position";
const TOLD_APART: &str = "SELECT a.append_id, a.position, a.recorded_at, \
     (SELECT e.append_size FROM \"es\".recorded_events AS e WHERE e.append_id = a.append_id AND e.append_size > 0 LIMIT 1), \
     k.key, k.fingerprint, a.streams \
     FROM (SELECT *, (a.streams -> 0 ->> 'position')::bigint AS position FROM \"es\".appends AS a \
     WHERE (a.streams -> 0 ->> 'position')::bigint BETWEEN (SELECT $1::bigint) AND (SELECT $2::bigint) \
     AND ((a.streams -> 0 ->> 'position')::bigint, a.append_id) >= ((SELECT $1::bigint), (SELECT $3::uuid)) \
     ORDER BY (a.streams -> 0 ->> 'position')::bigint, a.append_id LIMIT 1000) AS a \
     LEFT JOIN LATERAL (SELECT * FROM \"es\".idempotency_keys AS k WHERE k.append_id = a.append_id LIMIT 1) AS k ON true \
     ORDER BY a.position, a.append_id";

/// Reads every append up to the head at the time.
pub(super) fn appends(reader: &Arc<Reader>, schema: &Schema) -> BoxStream<'static, Result<RecordedAppend, StoreError>> {
    let (reader, schema) = (Arc::clone(reader), schema.clone());
    let found = async move {
        let head = reader.rows(&reader.sql.head, &[]).await?[0].number(0)?;
        Ok::<_, Problem>(Merge::new(&reader, &schema, head).appends())
    };
    stream::once(found)
        .map_err(|problem| problem.while_doing(DOING))
        .try_flatten()
        .boxed()
}

/// The three reads.
struct Merge {
    events: BoxStream<'static, Result<RecordedEvent, StoreError>>,
    with_events: Peeked,
    without: Peeked,
}

type Peeked = Pin<Box<Peekable<BoxStream<'static, Result<Known, StoreError>>>>>;

/// The operation, in the words of an error.
const DOING: &str = "read appends";

impl Merge {
    fn new(reader: &Arc<Reader>, schema: &Schema, head: u64) -> Self {
        Self {
            events: read_log(reader, schema, ReadLog::new().to(head)),
            with_events: peeked(with_events(Arc::clone(reader), schema.render(WITH_EVENTS), head)),
            without: peeked(without_events(Arc::clone(reader), schema.render(TOLD_APART), head)),
        }
    }

    fn appends(self) -> BoxStream<'static, Result<RecordedAppend, StoreError>> {
        stream::try_unfold(self, async |mut merge| match merge.next().await? {
            Some((known, events)) => Ok(Some((known.recorded(events)?, merge))),
            None => Ok(None),
        })
        .boxed()
    }

    /// The next append with its events.
    async fn next(&mut self) -> Result<Option<(Known, Vec<RecordedEvent>)>, StoreError> {
        let first = position(&mut self.with_events).await;
        let before = position(&mut self.without).await;
        if before.is_some_and(|before| first.is_none_or(|first| before < first)) {
            let known = self.without.as_mut().try_next().await?;
            return Ok(known.map(|known| (known, Vec::new())));
        }
        let Some(known) = self.with_events.as_mut().try_next().await? else {
            return match self.events.try_next().await? {
                Some(event) => Err(damaged(format!(
                    "the event at position {} belongs to no append",
                    event.position
                ))),
                None => Ok(None),
            };
        };
        let mut events = Vec::new();
        while events.len() < known.events
            && let Some(event) = self.events.try_next().await?
        {
            events.push(event);
        }
        let is_whole =
            events.len() == known.events && events.first().is_some_and(|first| first.position == known.position);
        if !is_whole {
            return Err(damaged(format!(
                "append {} has {} events from position {} on, which are not there",
                known.id, known.events, known.position
            )));
        }
        Ok(Some((known, events)))
    }
}

/// The position of the next one; 0 before an error, which then comes first.
async fn position(known: &mut Peeked) -> Option<u64> {
    let next = known.as_mut().peek().await?;
    Some(next.as_ref().map_or(0, |known| known.position.0))
}

fn peeked(known: impl futures_core::Stream<Item = Result<Known, Problem>> + Send + 'static) -> Peeked {
    Box::pin(known.map_err(|problem| problem.while_doing(DOING)).boxed().peekable())
}

fn damaged(what: String) -> StoreError {
    Problem::Damaged(what).while_doing(DOING)
}

/// Reads the rows about the appends that begin at the positions up to `head`.
fn with_events(
    reader: Arc<Reader>,
    sql: String,
    head: u64,
) -> impl futures_core::Stream<Item = Result<Known, Problem>> + Send {
    let pages = stream::try_unfold((reader, sql, 1), move |(reader, sql, from)| async move {
        if from > head {
            return Ok(None);
        }
        let to = from.saturating_add(PAGE - 1).min(head);
        let rows = reader.rows(&sql, &[&column(from), &column(to)]).await?;
        let known = rows.iter().map(Known::read).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, Problem>(Some((stream::iter(known.into_iter().map(Ok)), (reader, sql, to + 1))))
    });
    pages.try_flatten()
}

/// Reads the rows about the appends without events that were stored when the log was no longer than `head`.
fn without_events(
    reader: Arc<Reader>,
    sql: String,
    head: u64,
) -> impl futures_core::Stream<Item = Result<Known, Problem>> + Send {
    // From a position on, and there from an id on.
    let start = (0, Uuid::nil());
    let pages = stream::try_unfold((reader, sql, start), move |(reader, sql, (from, first))| async move {
        if from > head {
            return Ok(None);
        }
        let to = from.saturating_add(WINDOW - 1).min(head);
        let rows = reader.rows(&sql, &[&column(from), &column(to), &first]).await?;
        let mut known = rows.iter().map(Known::read).collect::<Result<Vec<_>, _>>()?;
        let last = known.last().filter(|_| known.len() as u64 == PAGE);
        let next = match last.map(|last| (last.position.0, last.id.0.as_u128().checked_add(1))) {
            Some((position, Some(next))) => (position, Uuid::from_u128(next)),
            Some((position, None)) => (position + 1, Uuid::nil()),
            None => (to + 1, Uuid::nil()),
        };
        known.retain(|known| known.events == 0);
        Ok::<_, Problem>(Some((stream::iter(known.into_iter().map(Ok)), (reader, sql, next))))
    });
    pages.try_flatten()
}

/// A row about an append: everything but its events.
struct Known {
    id: AppendId,
    /// That of its first event, or of the head if it has none.
    position: Position,
    recorded_at: Timestamp,
    events: usize,
    key: Option<IdempotencyKey>,
    /// Its result, where the events do not tell it.
    streams: Option<Vec<StreamAppended>>,
}

/// A stream in the result of an append, as the function that appends notes it.
#[derive(Deserialize)]
struct Noted {
    category: String,
    stream_id: String,
    events: usize,
    version: u64,
    position: u64,
}

impl Known {
    fn read(row: &Row) -> Result<Self, Problem> {
        let id = AppendId(row.read(0)?);
        let key = match row.read(4)? {
            Some(key) => Some(IdempotencyKey {
                key,
                fingerprint: row.read(5)?,
            }),
            None => None,
        };
        let damaged = |error| Problem::Damaged(format!("the result of append {id}: {error}"));
        let noted = row.read::<Option<Json<'_>>>(6)?;
        let noted = noted.map(|noted| serde_json::from_slice::<Vec<Noted>>(noted.0).map_err(damaged));
        let size: Option<i32> = row.read(3)?;
        Ok(Self {
            position: Position(row.number(1)?),
            recorded_at: row.read::<Time>(2)?.0,
            events: usize::try_from(size.unwrap_or(0)).unwrap_or(0),
            streams: noted
                .transpose()?
                .map(|noted| noted.into_iter().map(StreamAppended::from).collect()),
            id,
            key,
        })
    }

    fn recorded(self, events: Vec<RecordedEvent>) -> Result<RecordedAppend, StoreError> {
        let streams = self.streams.unwrap_or_else(|| parts(&events));
        RecordedAppend::new(Appended::new(self.id, self.recorded_at, streams), self.key, events)
    }
}

impl From<Noted> for StreamAppended {
    fn from(noted: Noted) -> Self {
        Self {
            stream: StreamId::new(noted.category, noted.stream_id),
            events: noted.events,
            version: Version(noted.version),
            position: Position(noted.position),
        }
    }
}

/// The result of an append that its events tell.
fn parts(events: &[RecordedEvent]) -> Vec<StreamAppended> {
    let of_each = events.chunk_by(|one, next| one.stream == next.stream);
    of_each
        .filter_map(|events| {
            let last = events.last()?;
            Some(StreamAppended {
                stream: last.stream.clone(),
                events: events.len(),
                version: last.version,
                position: last.position,
            })
        })
        .collect()
}
