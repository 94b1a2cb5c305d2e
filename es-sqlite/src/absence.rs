//! Checks that what is not found really is not there.
//!
//! A checksum tells nothing of an event that the index does not lead to any more. But an entry of an index that was changed is still
//! between its neighbours, and a search for what stood there ends beside it. So it is enough to go from one neighbour to the other: the
//! entries must be in order, each must be what its row says, and none may be between those that the search ended at.

use es_runtime::StreamId;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Rows};

use crate::error::Problem;
use crate::rows;
use crate::statement::Prepared;

pub(crate) struct Absence<'c> {
    find_stream: Prepared<'c>,
    events_before: Prepared<'c>,
    events_from: Prepared<'c>,
    names_before: Prepared<'c>,
    names_from: Prepared<'c>,
    count: Prepared<'c>,
    /// The id up to which the rows of streams were counted last; none was if it is not there.
    counted: Option<i64>,
}

/// The number of stream rows counted at a time, once all of them have been counted.
const COUNTED_AT_ONCE: i64 = 1000;

/// Entries of the index of events near a place, with what their rows say.
macro_rules! events {
    ($part:literal) => {
        concat!(
            "SELECT entry.stream, entry.version, e.stream, e.version
             FROM (SELECT position, stream, version FROM recorded_events WHERE (stream, version) ",
            $part,
            ") AS entry LEFT JOIN recorded_events AS e ON e.position = entry.position"
        )
    };
}

/// Entries of the index of names near a place, with what their rows say.
macro_rules! names {
    ($part:literal) => {
        concat!(
            "SELECT entry.category, entry.stream_id, s.category, s.stream_id
             FROM (SELECT id, category, stream_id FROM streams WHERE (category, stream_id) ",
            $part,
            ") AS entry LEFT JOIN streams AS s ON s.id = entry.id"
        )
    };
}

/// A stream and a version.
type EventKey = (i64, i64);

/// A category and an id, as they stand in the file.
type NameKey = (Vec<u8>, Vec<u8>);

impl<'c> Absence<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        let prepared = |sql| Prepared::new(connection, sql);
        Self {
            find_stream: prepared("SELECT id FROM streams WHERE category = ?1 AND stream_id = ?2"),
            events_before: prepared(events!("< (?1, ?2) ORDER BY stream DESC, version DESC LIMIT 1")),
            events_from: prepared(events!(">= (?1, ?2) ORDER BY stream, version LIMIT 3")),
            names_before: prepared(names!("< (?1, ?2) ORDER BY category DESC, stream_id DESC LIMIT 1")),
            names_from: prepared(names!(">= (?1, ?2) ORDER BY category, stream_id LIMIT 3")),
            // Ids are given out as 1, 2, 3 …, and no row is ever removed.
            count: prepared(
                "SELECT (SELECT count(*) FROM streams WHERE id > ?1 AND id <= ?2), (SELECT coalesce(max(id), 0) FROM streams),
                        (SELECT coalesce(max(stream), 0) FROM recorded_events)",
            ),
            counted: None,
        }
    }

    /// Returns whether it is certain that a stream has no event in the range from version `from` to `to`, except those
    /// up to `last`. It is not if another process has appended one in the meantime.
    pub(crate) fn is_sure(
        &mut self,
        stream: &StreamId,
        last: Option<u64>,
        (from, to): (u64, u64),
    ) -> Result<bool, Problem> {
        let name = (stream.category(), stream.id());
        let id: Option<i64> = self.find_stream.get()?.query_row(name, |row| row.get(0)).optional()?;
        let Some(id) = id else {
            return Ok(self.is_no_name(name)? && self.has_all_names()?);
        };
        if last.is_none() && from <= 1 && to >= 1 {
            // It has a name because it has a first event.
            return Ok(false);
        }
        let (from, to) = (rows::column(from), rows::column(to));
        let before = match last {
            Some(last) => Some((id, rows::column(last))),
            None => match entries(self.events_before.get()?.query((id, from))?, event_key)? {
                Some(before) => before.into_iter().next(),
                None => return Ok(false),
            },
        };
        let following = self.events_from.get()?.query(before.unwrap_or((i64::MIN, i64::MIN)))?;
        Ok(next_to(before, entries(following, event_key)?)
            .is_some_and(|next| next.is_none_or(|(stream, version)| stream != id || version > to)))
    }

    fn is_no_name(&mut self, name: (&str, &str)) -> Result<bool, Problem> {
        let Some(before) = entries(self.names_before.get()?.query(name)?, name_key)? else {
            return Ok(false);
        };
        let before = before.into_iter().next();
        let start = before.clone().unwrap_or_default();
        let start = (String::from_utf8_lossy(&start.0), String::from_utf8_lossy(&start.1));
        let following = self.names_from.get()?.query((&*start.0, &*start.1))?;
        let place = (name.0.as_bytes().to_vec(), name.1.as_bytes().to_vec());
        Ok(next_to(before, entries(following, name_key)?).is_some_and(|next| next.is_none_or(|next| next > place)))
    }

    /// Returns whether no stream's row is missing, since that could be the one looked for. Checks all of them at first,
    /// and then some.
    fn has_all_names(&mut self) -> Result<bool, Problem> {
        let (after, up_to) = match self.counted {
            None => (0, i64::MAX),
            Some(counted) => (counted, counted + COUNTED_AT_ONCE),
        };
        let (count, last, used): (i64, i64, i64) = self
            .count
            .get()?
            .query_row((after, up_to), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        self.counted = Some(if up_to < last { up_to } else { 0 });
        Ok(count == up_to.min(last) - after.min(last) && used <= last)
    }
}

fn event_key(row: &Row<'_>, at: usize) -> rusqlite::Result<EventKey> {
    Ok((row.get(at)?, row.get(at + 1)?))
}

fn name_key(row: &Row<'_>, at: usize) -> rusqlite::Result<NameKey> {
    Ok((rows::bytes(row, at)?.to_vec(), rows::bytes(row, at + 1)?.to_vec()))
}

/// Entries of an index, unless one is not what its row says, or is out of order.
fn entries<T: PartialOrd>(
    mut found: Rows<'_>,
    key: impl Fn(&Row<'_>, usize) -> rusqlite::Result<T>,
) -> Result<Option<Vec<T>>, Problem> {
    let mut entries: Vec<T> = Vec::with_capacity(3);
    while let Some(row) = found.next()? {
        if matches!(row.get_ref(2)?, ValueRef::Null) {
            return Ok(None);
        }
        let entry = key(row, 0)?;
        if entry != key(row, 2)? || entries.last().is_some_and(|last| *last >= entry) {
            return Ok(None);
        }
        entries.push(entry);
    }
    Ok(Some(entries))
}

/// The entry that follows `before`, or the first of all, among those from there on; `None` if that does not begin with it.
#[expect(clippy::option_option, reason = "there may be no next one")]
fn next_to<T: PartialEq>(before: Option<T>, following: Option<Vec<T>>) -> Option<Option<T>> {
    let mut following = following?.into_iter();
    match before {
        Some(before) if following.next()? != before => None,
        _ => Some(following.next()),
    }
}
