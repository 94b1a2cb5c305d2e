//! Values as they stand in the tables.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use es_runtime::{EventId, Metadata, Position, RecordedEvent, StoredEvent, StreamId, Timestamp, Version};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::error::{Problem, postgres_text};

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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Time {
    const YEAR_2000: i64 = 946_684_800_000_000;
}

impl FromSql<'_> for Time {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        let time = micros.checked_add(Self::YEAR_2000).and_then(Timestamp::from_micros);
        time.map(Self)
            .ok_or_else(|| "a time outside the years 1 to 9999".into())
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

impl ToSql for Time {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(self.0.as_micros() - Self::YEAR_2000);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

/// Reads columns of what is stored. What cannot be read was not written by this store.
pub(crate) trait Cells {
    fn read<'a, T: FromSql<'a>>(&'a self, column: usize) -> Result<T, Problem>;

    /// A number. None of ours is negative.
    fn number(&self, column: usize) -> Result<u64, Problem>;

    /// A position or a version of an event, which are 1, 2, 3 …
    fn ordinal(&self, column: usize) -> Result<u64, Problem>;
}

impl Cells for Row {
    fn read<'a, T: FromSql<'a>>(&'a self, column: usize) -> Result<T, Problem> {
        self.try_get(column)
            .map_err(|error| wrong(self, column, &postgres_text(&error)))
    }

    fn number(&self, column: usize) -> Result<u64, Problem> {
        let number: i64 = self.read(column)?;
        u64::try_from(number).map_err(|_| wrong(self, column, &number))
    }

    fn ordinal(&self, column: usize) -> Result<u64, Problem> {
        match self.number(column)? {
            0 => Err(wrong(self, column, &0)),
            ordinal => Ok(ordinal),
        }
    }
}

fn wrong(row: &Row, column: usize, found: &dyn fmt::Display) -> Problem {
    let name = row.columns().get(column).map_or("", |column| column.name());
    Problem::Damaged(format!("column `{name}` holds what it cannot: {found}"))
}

/// Says where it was found that something is damaged.
fn at(position: u64) -> impl Fn(Problem) -> Problem {
    move |problem| match problem {
        Problem::Damaged(what) => Problem::Damaged(format!("the event at position {position}: {what}")),
        problem => problem,
    }
}

/// The columns that [`event`] reads, in its order, of `recorded_events AS e`.
pub(crate) const EVENT_COLUMNS: &str =
    "e.position, e.version, e.event_id, e.recorded_at, e.name, e.shape_version, e.metadata, e.payload, e.stream";

/// The columns that [`stored_event`] reads, in its order, of `recorded_events AS e`.
pub(crate) const STORED_COLUMNS: &str =
    "e.position, e.version, e.event_id, e.recorded_at, e.name, e.shape_version, e.payload";

/// Reads the part that folding needs from a row that starts with [`STORED_COLUMNS`].
pub(crate) fn stored_event(row: &Row) -> Result<StoredEvent, Problem> {
    let position = row.ordinal(0)?;
    let read = || {
        let shape_version: i32 = row.read(5)?;
        Ok(StoredEvent {
            position: Position(position),
            version: Version(row.ordinal(1)?),
            id: EventId(row.read(2)?),
            recorded_at: row.read::<Time>(3)?.0,
            name: Cow::Owned(row.read(4)?),
            shape_version: shape_version.cast_unsigned(),
            payload: Bytes::copy_from_slice(row.read::<Json<'_>>(6)?.0),
        })
    };
    read().map_err(at(position))
}

/// The number of the stream's row, for which the name is found in the cache.
pub(crate) fn stream_number(row: &Row) -> Result<i64, Problem> {
    row.read(8)
}

/// The event of a row that starts with [`EVENT_COLUMNS`].
pub(crate) fn event(row: &Row, stream: StreamId) -> Result<RecordedEvent, Problem> {
    let position = row.ordinal(0)?;
    let read = || {
        let shape_version: i32 = row.read(5)?;
        let metadata = row.read::<Json<'_>>(6)?.0;
        let bad_metadata = |error| Problem::Damaged(format!("its metadata: {error}"));
        Ok(RecordedEvent {
            position: Position(position),
            version: Version(row.ordinal(1)?),
            id: EventId(row.read(2)?),
            recorded_at: row.read::<Time>(3)?.0,
            name: Cow::Owned(row.read(4)?),
            shape_version: shape_version.cast_unsigned(),
            metadata: Metadata::from_json(metadata).map_err(bad_metadata)?,
            payload: Bytes::copy_from_slice(row.read::<Json<'_>>(7)?.0),
            stream,
        })
    };
    read().map_err(at(position))
}
