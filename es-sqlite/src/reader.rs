use es_runtime::store::{
    CategoryFilter, Direction, EventKind, KeyRecord, ListStreams, Placed, ReadLog, ReadStream, StreamInfo,
};
use es_runtime::{Position, RecordedEvent, StoredEvent, StreamId, Version};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, Rows, params_from_iter};

use crate::absence::Absence;
use crate::appends::Appends;
use crate::checksum::Checksums;
use crate::error::Problem;
use crate::projections::ProjectionReader;
use crate::rows::{self, event_columns, stored_columns};
use crate::statement::Prepared;
use crate::statements::Statements;
use crate::states::States;

/// A page ends after the event that brings it to so many bytes of payload.
const PAGE_BYTES: usize = 1 << 20;

/// Reads page by page. No page leaves a transaction open: a slow consumer holds up nothing.
pub(crate) struct Reader<'c> {
    stream_forwards: Prepared<'c>,
    stream_backwards: Prepared<'c>,
    load_forwards: Prepared<'c>,
    load_backwards: Prepared<'c>,
    log_forwards: Prepared<'c>,
    log_backwards: Prepared<'c>,
    list: Prepared<'c>,
    head: Prepared<'c>,
    kinds: Prepared<'c>,
    count: Prepared<'c>,
    filtered: Statements<'c>,
    appends: Appends<'c>,
    absence: Absence<'c>,
    pub(crate) projections: ProjectionReader<'c>,
    pub(crate) states: States<'c>,
}

/// A part of what is read, in the order asked for.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// True if it is the last page.
    pub(crate) is_last: bool,
}

impl<'c> Reader<'c> {
    /// The connection, which cannot write.
    pub(crate) fn connection(&self) -> &'c Connection {
        self.filtered.connection()
    }

    pub(crate) fn new(connection: &'c Connection) -> Self {
        let prepared = |sql| Prepared::new(connection, sql);
        Self {
            stream_forwards: prepared(concat!(
                "SELECT ",
                event_columns!(),
                " FROM recorded_events AS e
                 WHERE e.stream = (SELECT id FROM streams WHERE category = ?1 AND stream_id = ?2)
                 AND e.version BETWEEN ?3 AND ?4 ORDER BY e.version LIMIT ?5"
            )),
            stream_backwards: prepared(concat!(
                "SELECT ",
                event_columns!(),
                " FROM recorded_events AS e
                 WHERE e.stream = (SELECT id FROM streams WHERE category = ?1 AND stream_id = ?2)
                 AND e.version BETWEEN ?3 AND ?4 ORDER BY e.version DESC LIMIT ?5"
            )),
            load_forwards: prepared(concat!(
                "SELECT ",
                stored_columns!(),
                " FROM recorded_events AS e
                 WHERE e.stream = (SELECT id FROM streams WHERE category = ?1 AND stream_id = ?2)
                 AND e.version BETWEEN ?3 AND ?4 ORDER BY e.version LIMIT ?5"
            )),
            load_backwards: prepared(concat!(
                "SELECT ",
                stored_columns!(),
                " FROM recorded_events AS e
                 WHERE e.stream = (SELECT id FROM streams WHERE category = ?1 AND stream_id = ?2)
                 AND e.version BETWEEN ?3 AND ?4 ORDER BY e.version DESC LIMIT ?5"
            )),
            log_forwards: prepared(concat!(
                "SELECT ",
                event_columns!(),
                ", s.category, s.stream_id
                 FROM recorded_events AS e LEFT JOIN streams AS s ON s.id = e.stream
                 WHERE e.position BETWEEN ?1 AND ?2 ORDER BY e.position LIMIT ?3"
            )),
            log_backwards: prepared(concat!(
                "SELECT ",
                event_columns!(),
                ", s.category, s.stream_id
                 FROM recorded_events AS e LEFT JOIN streams AS s ON s.id = e.stream
                 WHERE e.position BETWEEN ?1 AND ?2 ORDER BY e.position DESC LIMIT ?3"
            )),
            list: prepared(
                "SELECT s.stream_id, (SELECT max(version) FROM recorded_events WHERE stream = s.id)
                 FROM streams AS s WHERE s.category = ?1 AND s.stream_id > ?2 ORDER BY s.stream_id LIMIT ?3",
            ),
            head: prepared("SELECT max(position) FROM recorded_events"),
            kinds: prepared(
                "SELECT category, name, shape_version FROM event_types ORDER BY category, name, shape_version",
            ),
            count: prepared(
                "SELECT count(*) FROM recorded_events AS e CROSS JOIN streams AS s ON s.id = e.stream
                 WHERE e.name = ?2 AND e.shape_version = ?3 AND s.category = ?1",
            ),
            filtered: Statements::new(connection),
            appends: Appends::new(connection),
            absence: Absence::new(connection),
            projections: ProjectionReader::new(connection),
            states: States::new(connection),
        }
    }

    pub(crate) fn find_key(&mut self, key: &str) -> Result<Option<KeyRecord>, Problem> {
        self.appends.find_key(key)
    }

    pub(crate) fn version(&mut self, stream: &StreamId) -> Result<Version, Problem> {
        let last = self.load_page(&ReadStream::new(stream.clone()).backwards(), 1)?;
        Ok(last.items.last().map_or(Version::ZERO, |event| event.version))
    }

    pub(crate) fn head(&mut self) -> Result<Position, Problem> {
        let position: Option<i64> = self.head.get()?.query_row([], |row| row.get(0))?;
        Ok(Position(rows::number(position.unwrap_or(0))))
    }

    pub(crate) fn stored_events(&mut self) -> Result<Vec<EventKind>, Problem> {
        let kinds = self.kinds.get()?.query_map([], |row| {
            Ok(EventKind {
                category: row.get(0)?,
                name: row.get(1)?,
                shape_version: row.get(2)?,
            })
        })?;
        Ok(kinds.collect::<Result<_, _>>()?)
    }

    pub(crate) fn count_events(&mut self, kind: &EventKind) -> Result<u64, Problem> {
        let count: i64 = self
            .count
            .get()?
            .query_row((&kind.category, &kind.name, kind.shape_version), |row| row.get(0))?;
        Ok(rows::number(count))
    }

    pub(crate) fn stream_page(&mut self, query: &ReadStream, rows: u64) -> Result<Page<RecordedEvent>, Problem> {
        self.sure(query, |reader| {
            let statement = match query.direction {
                Direction::Forwards => &mut reader.stream_forwards,
                Direction::Backwards => &mut reader.stream_backwards,
            };
            let wanted = wanted(query.limit, rows);
            Page::collect(
                of_stream(statement, query, wanted)?,
                wanted,
                RecordedEvent::size,
                |row| rows::event(row, query.stream.clone()),
            )
        })
    }

    pub(crate) fn load_page(&mut self, query: &ReadStream, rows: u64) -> Result<Page<StoredEvent>, Problem> {
        let checksums = Checksums::of(&query.stream);
        self.sure(query, |reader| {
            let statement = match query.direction {
                Direction::Forwards => &mut reader.load_forwards,
                Direction::Backwards => &mut reader.load_backwards,
            };
            let wanted = wanted(query.limit, rows);
            Page::collect(
                of_stream(statement, query, wanted)?,
                wanted,
                |event: &StoredEvent| event.payload.len(),
                |row| rows::stored_event(row, checksums),
            )
        })
    }

    /// Reads a page of a stream. Where it ends before the range does, the stream must end there too.
    fn sure<E: Placed>(
        &mut self,
        query: &ReadStream,
        read: impl Fn(&mut Self) -> Result<Page<E>, Problem>,
    ) -> Result<Page<E>, Problem> {
        let page = read(self)?;
        if self.is_end(query, &page)? {
            return Ok(page);
        }
        // Another process may have appended in the meantime, but not to what one transaction sees.
        let _snapshot = self.connection().unchecked_transaction()?;
        let page = read(self)?;
        if self.is_end(query, &page)? {
            return Ok(page);
        }
        Err(Problem::Damaged(format!(
            "the indexes do not go with the events near those of stream `{}`",
            query.stream
        )))
    }

    fn is_end<E: Placed>(&mut self, query: &ReadStream, page: &Page<E>) -> Result<bool, Problem> {
        let highest = match query.direction {
            Direction::Forwards if !page.is_last => return Ok(true),
            Direction::Forwards => page.items.last(),
            Direction::Backwards => page.items.first(),
        };
        let last = highest.map(|event| event.version().0);
        if last.is_some_and(|last| last >= query.to.0) {
            return Ok(true);
        }
        self.absence.is_sure(&query.stream, last, (query.from.0, query.to.0))
    }

    pub(crate) fn log_page(&mut self, query: &ReadLog, rows: u64) -> Result<Page<RecordedEvent>, Problem> {
        let statement = match query.direction {
            Direction::Forwards => &mut self.log_forwards,
            Direction::Backwards => &mut self.log_backwards,
        };
        let wanted = wanted(query.limit, rows);
        let rows = statement.get()?.query((
            rows::column(query.from.0),
            rows::column(query.to.0),
            rows::column(wanted),
        ))?;
        Page::collect(rows, wanted, RecordedEvent::size, |row| {
            rows::event(row, rows::stream(row, rows::STREAM.0, rows::STREAM.1)?)
        })
    }

    /// As [`log_page`](Self::log_page), of some categories only. A filter would hide what is damaged: so it lets through what no event can
    /// be called, which is then found not to be what was stored.
    pub(crate) fn categories_page(
        &mut self,
        query: &ReadLog,
        categories: &[CategoryFilter],
        rows: u64,
    ) -> Result<Page<RecordedEvent>, Problem> {
        let wanted = wanted(query.limit, rows);
        let mut parameters: Vec<Value> = [query.from.0, query.to.0, wanted]
            .map(|number| Value::Integer(rows::column(number)))
            .into();
        let condition = condition(categories, &mut parameters);
        let order = match query.direction {
            Direction::Forwards => "ASC",
            Direction::Backwards => "DESC",
        };
        let sql = format!(
            concat!(
                "SELECT ",
                event_columns!(),
                ", s.category, s.stream_id
                 FROM recorded_events AS e LEFT JOIN streams AS s ON s.id = e.stream
                 WHERE e.position BETWEEN ?1 AND ?2
                 AND ({} OR s.id IS NULL OR (s.category, e.name) NOT IN (SELECT category, name FROM event_types))
                 ORDER BY e.position {} LIMIT ?3"
            ),
            condition, order
        );
        let statement = self.filtered.get(&sql).map_err(Problem::unpreparable)?;
        let rows = statement.query(params_from_iter(parameters))?;
        Page::collect(rows, wanted, RecordedEvent::size, |row| {
            rows::event(row, rows::stream(row, rows::STREAM.0, rows::STREAM.1)?)
        })
    }

    /// The read of a stream that gives its events between two positions of the log, and perhaps the one behind them: so that the end of
    /// the read is seen to be right.
    pub(crate) fn stream_around(&mut self, stream: StreamId, query: &ReadLog) -> Result<ReadStream, Problem> {
        // The highest version up to a position, found from the end of the stream, where most readers are.
        let sql = "SELECT e.version FROM recorded_events AS e
                   WHERE e.stream = (SELECT id FROM streams WHERE category = ?1 AND stream_id = ?2) AND e.position <= ?3
                   ORDER BY e.version DESC LIMIT 1";
        let statement = self.filtered.get(sql)?;
        let mut version_at = |position: u64| -> Result<u64, Problem> {
            let mut found = statement.query((stream.category(), stream.id(), rows::column(position)))?;
            let version = found.next()?.map(|row| row.get(0)).transpose()?;
            Ok(rows::number(version.unwrap_or(0)))
        };
        let from = match query.from.0 {
            0 | 1 => 0,
            from => version_at(from - 1)?,
        };
        let mut read = ReadStream::new(stream.clone()).from(from + 1);
        read.direction = query.direction;
        read.limit = query.limit;
        if query.to < Position::MAX {
            read.to = Version(version_at(query.to.0)? + 1);
            read.limit = query.limit.map(|limit| limit.saturating_add(1));
        }
        Ok(read)
    }

    pub(crate) fn list_page(&mut self, query: &ListStreams, rows: u64) -> Result<Page<StreamInfo>, Problem> {
        let wanted = wanted(query.limit, rows);
        // No id is empty.
        let after = query.after.as_deref().unwrap_or_default();
        let rows = self.list.get()?.query((&query.category, after, rows::column(wanted)))?;
        Page::collect(rows, wanted, |_| 0, |row| rows::stream_info(&query.category, row))
    }
}

/// Returns the condition for events of one of the categories. Adds the values that it compares with to the parameters.
fn condition(categories: &[CategoryFilter], parameters: &mut Vec<Value>) -> String {
    let mut parameter = |text: &str| {
        parameters.push(Value::Text(text.to_owned()));
        format!("?{}", parameters.len())
    };
    let of_each: Vec<String> = categories
        .iter()
        .map(|of| {
            let category = format!("s.category = {}", parameter(&of.category));
            let Some(names) = &of.names else { return category };
            let names: Vec<String> = names.iter().map(|name| parameter(name)).collect();
            format!("{category} AND e.name IN ({})", names.join(", "))
        })
        .collect();
    match of_each.as_slice() {
        [] => "FALSE".to_owned(),
        of_each => of_each.join(" OR "),
    }
}

fn wanted(limit: Option<u64>, rows: u64) -> u64 {
    limit.map_or(rows, |limit| limit.min(rows))
}

fn of_stream<'s>(statement: &'s mut Prepared<'_>, query: &ReadStream, wanted: u64) -> Result<Rows<'s>, Problem> {
    Ok(statement.get()?.query((
        query.stream.category(),
        query.stream.id(),
        rows::column(query.from.0),
        rows::column(query.to.0),
        rows::column(wanted),
    ))?)
}

impl<T> Page<T> {
    pub(crate) fn collect(
        mut rows: Rows<'_>,
        wanted: u64,
        size: impl Fn(&T) -> usize,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Problem>,
    ) -> Result<Self, Problem> {
        let mut items = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let item = read(row)?;
            bytes += size(&item);
            items.push(item);
            if bytes >= PAGE_BYTES {
                return Ok(Self { items, is_last: false });
            }
        }
        let is_last = (items.len() as u64) < wanted;
        Ok(Self { items, is_last })
    }
}
