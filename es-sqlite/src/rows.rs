//! Values as they stand in the tables.

use std::borrow::Cow;

use bytes::Bytes;
use es_runtime::store::StreamInfo;
use es_runtime::{EventId, Metadata, Position, RecordedEvent, StoredEvent, StreamId, Timestamp, Version};
use rusqlite::Row;
use rusqlite::types::{ToSqlOutput, ValueRef};
use uuid::Uuid;

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

pub(crate) fn uuid(row: &Row<'_>, index: usize) -> Result<Uuid, Problem> {
    let bytes = bytes(row, index)?;
    Uuid::from_slice(bytes).map_err(|error| Problem::Damaged(format!("an id of {} bytes: {error}", bytes.len())))
}

pub(crate) fn time(row: &Row<'_>, index: usize) -> Result<Timestamp, Problem> {
    let micros = row.get(index)?;
    Timestamp::from_micros(micros)
        .ok_or_else(|| Problem::Damaged(format!("recorded_at is {micros} µs, which is no time")))
}

pub(crate) fn stream(row: &Row<'_>, category: usize, id: usize) -> rusqlite::Result<StreamId> {
    Ok(StreamId::new(
        row.get::<_, String>(category)?,
        row.get_ref(id)?.as_str()?,
    ))
}

/// The columns that [`event`] reads, in its order, of `recorded_events AS e`.
macro_rules! event_columns {
    () => {
        "e.position, e.version, e.event_id, e.recorded_at, e.name, e.shape_version, e.metadata, e.payload"
    };
}
pub(crate) use event_columns;

/// The event of a row that starts with [`event_columns`].
pub(crate) fn event(row: &Row<'_>, stream: StreamId) -> Result<RecordedEvent, Problem> {
    let position = number(row.get(0)?);
    Ok(RecordedEvent {
        position: Position(position),
        version: Version(number(row.get(1)?)),
        id: EventId(uuid(row, 2)?),
        recorded_at: time(row, 3)?,
        name: Cow::Owned(row.get(4)?),
        shape_version: row.get(5)?,
        metadata: Metadata::from_json(bytes(row, 6)?)
            .map_err(|error| Problem::Damaged(format!("the metadata at position {position}: {error}")))?,
        payload: Bytes::copy_from_slice(bytes(row, 7)?),
        stream,
    })
}

/// The columns that [`stored_event`] reads, in its order, of `recorded_events AS e`.
macro_rules! stored_columns {
    () => {
        "e.position, e.version, e.recorded_at, e.name, e.shape_version, e.payload"
    };
}
pub(crate) use stored_columns;

/// What folding takes of a row that starts with [`stored_columns`].
pub(crate) fn stored_event(row: &Row<'_>) -> Result<StoredEvent, Problem> {
    Ok(StoredEvent {
        position: Position(number(row.get(0)?)),
        version: Version(number(row.get(1)?)),
        recorded_at: time(row, 2)?,
        name: Cow::Owned(row.get(3)?),
        shape_version: row.get(4)?,
        payload: Bytes::copy_from_slice(bytes(row, 5)?),
    })
}

pub(crate) fn stream_info(category: &str, row: &Row<'_>) -> rusqlite::Result<StreamInfo> {
    Ok(StreamInfo {
        stream: StreamId::new(category.to_owned(), row.get_ref(0)?.as_str()?),
        version: Version(number(row.get(1)?)),
    })
}
