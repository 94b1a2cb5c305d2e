//! Values as they stand in the tables.

use std::borrow::Cow;
use std::error::Error;

use bytes::{BufMut, Bytes, BytesMut};
use es_runtime::{EventId, Metadata, Position, RecordedEvent, StoredEvent, StreamId, Timestamp, Version};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::error::Problem;

/// A number for a column. Above what a column can hold there is nothing, so that a bound may as well be lower.
pub(crate) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from a column. None of ours is negative.
pub(crate) fn number(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// JSON text, which goes to its column and comes from it as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a>(pub(crate) &'a [u8]);

impl ToSql for Json<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Json<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON
    }
}

/// A `timestamptz`: microseconds since 2000.
pub(crate) struct Time(pub(crate) Timestamp);

impl FromSql<'_> for Time {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        const YEAR_2000: i64 = 946_684_800_000_000;
        let micros = i64::from_be_bytes(raw.try_into()?);
        let time = micros.checked_add(YEAR_2000).and_then(Timestamp::from_micros);
        time.map(Self)
            .ok_or_else(|| "a time outside the years 1 to 9999".into())
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

/// The columns that [`event`] reads, in its order, of `recorded_events AS e`.
pub(crate) const EVENT_COLUMNS: &str =
    "e.position, e.version, e.event_id, e.recorded_at, e.name, e.shape_version, e.metadata, e.payload, e.stream";

/// The columns that [`stored_event`] reads, in its order, of `recorded_events AS e`.
pub(crate) const STORED_COLUMNS: &str = "e.position, e.version, e.recorded_at, e.name, e.shape_version, e.payload";

/// What folding takes of a row that starts with [`STORED_COLUMNS`].
pub(crate) fn stored_event(row: &Row) -> Result<StoredEvent, Problem> {
    let shape_version: i32 = row.try_get(4)?;
    Ok(StoredEvent {
        position: Position(number(row.try_get(0)?)),
        version: Version(number(row.try_get(1)?)),
        recorded_at: row.try_get::<_, Time>(2)?.0,
        name: Cow::Owned(row.try_get(3)?),
        shape_version: shape_version.cast_unsigned(),
        payload: Bytes::copy_from_slice(row.try_get::<_, Json<'_>>(5)?.0),
    })
}

/// The number of the stream's row, for which the name is found in the cache.
pub(crate) fn stream_number(row: &Row) -> Result<i64, Problem> {
    Ok(row.try_get(8)?)
}

/// The event of a row that starts with [`EVENT_COLUMNS`].
pub(crate) fn event(row: &Row, stream: StreamId) -> Result<RecordedEvent, Problem> {
    let position = number(row.try_get(0)?);
    let shape_version: i32 = row.try_get(5)?;
    Ok(RecordedEvent {
        position: Position(position),
        version: Version(number(row.try_get(1)?)),
        id: EventId(row.try_get(2)?),
        recorded_at: row.try_get::<_, Time>(3)?.0,
        name: Cow::Owned(row.try_get(4)?),
        shape_version: shape_version.cast_unsigned(),
        metadata: Metadata::from_json(row.try_get::<_, Json<'_>>(6)?.0)
            .map_err(|error| Problem::Damaged(format!("the metadata at position {position}: {error}")))?,
        payload: Bytes::copy_from_slice(row.try_get::<_, Json<'_>>(7)?.0),
        stream,
    })
}
