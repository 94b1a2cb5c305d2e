use es_runtime::store::{Append, Appended, IdempotencyKey, KeyRecord, RecordedAppend, StoredKey, StreamAppended};
use es_runtime::{AppendId, Position, RecordedEvent, Timestamp, Version};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Rows};

use crate::error::Problem;
use crate::rows;
use crate::statement::Prepared;

/// The appends that were done.
pub(crate) struct Appends<'c> {
    find: Prepared<'c>,
    find_key: Prepared<'c>,
    streams: Prepared<'c>,
    events: Prepared<'c>,
    insert: Prepared<'c>,
}

/// A row of `appends`.
pub(crate) struct Done {
    id: AppendId,
    recorded_at: Timestamp,
    positions: Option<(i64, i64)>,
    streams: Option<String>,
    key: Option<StoredKey>,
}

/// The columns that [`Done::read`] reads, in its order.
macro_rules! append_columns {
    () => {
        "append_id, recorded_at, first_position, last_position, streams, idempotency_key, fingerprint"
    };
}

impl Done {
    /// The positions of its events, if it has any.
    pub(crate) fn positions(&self) -> Option<(u64, u64)> {
        self.positions
            .map(|(first, last)| (rows::number(first), rows::number(last)))
    }

    fn read(row: &Row<'_>) -> Result<Self, Problem> {
        let first: Option<i64> = row.get(2)?;
        let last: Option<i64> = row.get(3)?;
        Ok(Self {
            id: AppendId(rows::uuid(row, 0)?),
            recorded_at: rows::time(row, 1)?,
            positions: first.zip(last),
            streams: row.get(4)?,
            // A key that was forgotten has left its fingerprint.
            key: match row.get_ref(6)? {
                ValueRef::Null => None,
                _ => Some(StoredKey {
                    key: row.get(5)?,
                    fingerprint: rows::uuid(row, 6)?,
                }),
            },
        })
    }
}

impl<'c> Appends<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        let prepared = |sql| Prepared::new(connection, sql);
        Self {
            find: prepared(concat!(
                "SELECT ",
                append_columns!(),
                " FROM appends WHERE append_id = ?1"
            )),
            find_key: prepared(concat!(
                "SELECT ",
                append_columns!(),
                " FROM appends WHERE idempotency_key = ?1"
            )),
            streams: prepared(
                "SELECT s.category, s.stream_id, count(*), max(e.version), max(e.position)
                 FROM recorded_events AS e LEFT JOIN streams AS s ON s.id = e.stream
                 WHERE e.position BETWEEN ?1 AND ?2 GROUP BY e.stream ORDER BY max(e.position)",
            ),
            events: prepared(
                "SELECT s.category, s.stream_id, e.event_id, e.name, e.shape_version, e.metadata, e.payload
                 FROM recorded_events AS e LEFT JOIN streams AS s ON s.id = e.stream
                 WHERE e.position BETWEEN ?1 AND ?2 ORDER BY e.position",
            ),
            insert: prepared(concat!(
                "INSERT INTO appends (",
                append_columns!(),
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
            )),
        }
    }

    /// The append with this id.
    pub(crate) fn find(&mut self, id: AppendId) -> Result<Option<Done>, Problem> {
        first(self.find.get()?.query([id.0.as_bytes()])?)
    }

    /// Returns the first answer to the append, to be given again.
    pub(crate) fn result(&mut self, done: &Done) -> Result<Appended, Problem> {
        let streams = match (&done.streams, done.positions) {
            (Some(json), _) => serde_json::from_str(json)
                .map_err(|error| Problem::Damaged(format!("the result of append {}: {error}", done.id)))?,
            (None, Some(positions)) => self.streams(positions)?,
            (None, None) => return Err(Problem::Damaged(format!("append {} has no result", done.id))),
        };
        Ok(Appended {
            id: done.id,
            repeated: true,
            recorded_at: done.recorded_at,
            streams,
        })
    }

    /// The append with its events.
    pub(crate) fn recorded(&mut self, done: Done, events: Vec<RecordedEvent>) -> Result<RecordedAppend, Problem> {
        let appended = self.result(&done)?;
        RecordedAppend::new(appended, done.key.and_then(StoredKey::known), events)
            .map_err(|error| Problem::Damaged(error.to_string()))
    }

    /// Finds what is stored under a key.
    pub(crate) fn find_key(&mut self, key: &str) -> Result<Option<KeyRecord>, Problem> {
        let Some(done) = first(self.find_key.get()?.query([key])?)? else {
            return Ok(None);
        };
        let appended = self.result(&done)?;
        Ok(done.key.map(|key| KeyRecord {
            fingerprint: key.fingerprint,
            appended,
        }))
    }

    /// Returns whether `append` is the one that is stored under its id.
    pub(crate) fn is_same(
        &mut self,
        append: &Append,
        metadata: &[impl AsRef<str>],
        stored: &Appended,
        done: &Done,
    ) -> Result<bool, Problem> {
        let given = append.streams.iter().map(|part| (&part.stream, part.events.len()));
        let same_streams = given.eq(stored.streams.iter().map(|part| (&part.stream, part.events)));
        if !same_streams || !StoredKey::is_same(done.key.as_ref(), append.key.as_ref()) {
            return Ok(false);
        }
        // Positions start at 1, so that this range holds none.
        let (first, last) = done.positions.unwrap_or((0, 0));
        let mut rows = self.events.get()?.query([first, last])?;
        let events = append
            .streams
            .iter()
            .flat_map(|part| part.events.iter().map(move |event| (&part.stream, event)));
        for ((stream, event), metadata) in events.zip(metadata) {
            let Some(row) = rows.next()? else {
                return Ok(false);
            };
            let same = rows::bytes(row, 0)? == stream.category().as_bytes()
                && rows::bytes(row, 1)? == stream.id().as_bytes()
                && rows::bytes(row, 2)? == event.id.0.as_bytes()
                && rows::bytes(row, 3)? == event.name.as_bytes()
                && row.get::<_, u32>(4)? == event.shape_version
                && rows::bytes(row, 5)? == metadata.as_ref().as_bytes()
                && rows::bytes(row, 6)? == &event.payload[..];
            if !same {
                return Ok(false);
            }
        }
        Ok(rows.next()?.is_none())
    }

    /// Notes that an append was done, with events at these positions.
    pub(crate) fn insert(
        &mut self,
        appended: &Appended,
        positions: Option<(Position, Position)>,
        key: Option<&IdempotencyKey>,
    ) -> Result<(), Problem> {
        let (first, last) = positions
            .map(|(first, last)| (rows::column(first.0), rows::column(last.0)))
            .unzip();
        let streams = needs_result(&appended.streams).then(|| json(&appended.streams));
        self.insert.get()?.execute((
            appended.id.0.as_bytes(),
            appended.recorded_at.as_micros(),
            first,
            last,
            streams,
            key.map(|key| &key.key),
            key.map(|key| key.fingerprint.as_bytes()),
        ))?;
        Ok(())
    }

    fn streams(&mut self, (first, last): (i64, i64)) -> Result<Vec<StreamAppended>, Problem> {
        let mut streams = Vec::new();
        let mut rows = self.streams.get()?.query([first, last])?;
        while let Some(row) = rows.next()? {
            streams.push(StreamAppended {
                stream: rows::stream(row, 0, 1)?,
                events: row.get::<_, u32>(2)? as usize,
                version: Version(rows::number(row.get(3)?)),
                position: Position(rows::number(row.get(4)?)),
            });
        }
        Ok(streams)
    }
}

fn first(mut rows: Rows<'_>) -> Result<Option<Done>, Problem> {
    rows.next()?.map(Done::read).transpose()
}

/// A stream without events cannot be told from the events.
fn needs_result(streams: &[StreamAppended]) -> bool {
    streams.iter().any(|part| part.events == 0)
}

fn json(streams: &[StreamAppended]) -> String {
    serde_json::to_string(streams).unwrap_or_else(|_| unreachable!("names and numbers have a JSON form"))
}
