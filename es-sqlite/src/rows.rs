//! Values as they stand in the tables.

use std::borrow::Cow;

use bytes::Bytes;
use es_runtime::store::StreamInfo;
use es_runtime::{EventId, Metadata, Position, RecordedEvent, StoredEvent, StreamId, Timestamp, Version};
use rusqlite::Row;
use rusqlite::types::{ToSqlOutput, ValueRef};
use uuid::Uuid;

use crate::checksum::{Checksum, Checksums};
use crate::error::Problem;

/// A number for a column. Above what a column can hold there is nothing, so that a bound may as well be lower.
pub(crate) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from a column. None of ours is negative.
pub(crate) fn number(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// A payload for its column: text where it is UTF-8, so that the JSON functions of SQLite take it.
pub(crate) fn payload(bytes: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match std::str::from_utf8(bytes) {
        Ok(_) => ValueRef::Text(bytes),
        Err(_) => ValueRef::Blob(bytes),
    })
}

/// The bytes of a text or blob column, whatever they are.
pub(crate) fn bytes<'r>(row: &'r Row<'_>, index: usize) -> rusqlite::Result<&'r [u8]> {
    match row.get_ref(index)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(bytes),
        other => Err(rusqlite::Error::InvalidColumnType(
            index,
            "text or blob".to_owned(),
            other.data_type(),
        )),
    }
}

/// The text of a column.
pub(crate) fn text<'r>(row: &'r Row<'_>, index: usize) -> rusqlite::Result<&'r str> {
    Ok(row.get_ref(index)?.as_str()?)
}

pub(crate) fn uuid(row: &Row<'_>, index: usize) -> Result<Uuid, Problem> {
    let bytes = bytes(row, index)?;
    Uuid::from_slice(bytes).map_err(|error| Problem::Damaged(format!("an id of {} bytes: {error}", bytes.len())))
}

pub(crate) fn time(row: &Row<'_>, index: usize) -> Result<Timestamp, Problem> {
    let micros = row.get(index)?;
    Timestamp::from_micros(micros)
        .ok_or_else(|| Problem::Damaged(format!("recorded_at is {micros} µs, which is no time")))
}

/// The name of an event's stream, from a join that gives none if its row is gone.
pub(crate) fn stream(row: &Row<'_>, category: usize, id: usize) -> Result<StreamId, Problem> {
    if matches!(row.get_ref(category)?, ValueRef::Null) {
        return Err(Problem::Damaged("events whose stream has no name any more".to_owned()));
    }
    Ok(StreamId::new(text(row, category)?.to_owned(), text(row, id)?))
}

/// The columns that [`event`] reads, in its order, of `recorded_events AS e`.
macro_rules! event_columns {
    () => {
        "e.position, e.version, e.event_id, e.recorded_at, e.name, e.shape_version, e.metadata, e.payload, e.checksum"
    };
}
pub(crate) use event_columns;

/// Where the category and the id of the stream stand in a row that has them behind [`event_columns`].
pub(crate) const STREAM: (usize, usize) = (9, 10);

/// The event of a row that starts with [`event_columns`], if it is as it was stored.
pub(crate) fn event(row: &Row<'_>, stream: StreamId) -> Result<RecordedEvent, Problem> {
    let position = number(row.get(0)?);
    let metadata = bytes(row, 6)?;
    let event = RecordedEvent {
        position: Position(position),
        version: Version(number(row.get(1)?)),
        id: EventId(uuid(row, 2)?),
        recorded_at: time(row, 3)?,
        name: Cow::Owned(text(row, 4)?.to_owned()),
        shape_version: row.get(5)?,
        metadata: Metadata::from_json(metadata)
            .map_err(|error| Problem::Damaged(format!("the metadata at position {position}: {error}")))?,
        payload: Bytes::copy_from_slice(bytes(row, 7)?),
        stream,
    };
    match stored_checksum(row, 8)? {
        Some(stored) if !Checksums::of(&event.stream).is_of(&event, metadata, stored) => Err(changed(position)),
        _ => Ok(event),
    }
}

/// The columns that [`stored_event`] reads, in its order, of `recorded_events AS e`.
macro_rules! stored_columns {
    () => {
        "e.position, e.version, e.event_id, e.recorded_at, e.name, e.shape_version, e.payload, e.checksum"
    };
}
pub(crate) use stored_columns;

/// Reads the part that folding needs from a row that starts with [`stored_columns`], if it is as it was stored.
pub(crate) fn stored_event(row: &Row<'_>, of_stream: Checksums) -> Result<StoredEvent, Problem> {
    let position = number(row.get(0)?);
    let event = StoredEvent {
        position: Position(position),
        version: Version(number(row.get(1)?)),
        id: EventId(uuid(row, 2)?),
        recorded_at: time(row, 3)?,
        name: Cow::Owned(text(row, 4)?.to_owned()),
        shape_version: row.get(5)?,
        payload: Bytes::copy_from_slice(bytes(row, 6)?),
    };
    match stored_checksum(row, 7)? {
        Some(stored) if !of_stream.is_of_folded(&event, stored) => Err(changed(position)),
        _ => Ok(event),
    }
}

/// None if another program wrote the event.
fn stored_checksum(row: &Row<'_>, index: usize) -> Result<Option<Checksum>, Problem> {
    Ok(row.get::<_, Option<i64>>(index)?.map(Checksum::from_column))
}

fn changed(position: u64) -> Problem {
    Problem::Damaged(format!(
        "the event at position {position} is not as it was stored: its checksum differs"
    ))
}

pub(crate) fn stream_info(category: &str, row: &Row<'_>) -> Result<StreamInfo, Problem> {
    Ok(StreamInfo {
        stream: StreamId::new(category.to_owned(), text(row, 0)?),
        version: Version(number(row.get(1)?)),
    })
}
