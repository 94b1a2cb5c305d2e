//! Reads of the log.

use std::sync::Arc;

use es_runtime::store::{Direction, EventFilter, ReadLog, ReadStream};
use es_runtime::{RecordedEvent, StoreError, StreamId, Version};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio_postgres::types::ToSql;

use crate::error::Problem;
use crate::pages::{Fetched, Pages, Rest, events, later, read_stream};
use crate::reader::{Page, Reader};
use crate::rows::{Cells, column, number};
use crate::schema::Schema;
use crate::sql::{Filtered, Sql, WINDOW};
use crate::store::holds_nul;

pub(crate) fn read_log(
    reader: &Arc<Reader>,
    schema: &Schema,
    query: ReadLog,
) -> BoxStream<'static, Result<RecordedEvent, StoreError>> {
    if ReadLog::is_empty(&query) {
        return stream::empty().boxed();
    }
    let filtered = match &query.only {
        None => None,
        Some(EventFilter::Categories(categories)) => Some(Sql::categories(schema, query.direction, categories)),
        Some(EventFilter::Stream(stream)) => {
            let stream = stream.clone();
            return of_stream(reader, stream, query);
        }
    };
    let range = (query.from.0, query.to.0);
    let read = OfLog {
        rest: Rest::new(reader, range, query.direction, query.limit),
        only: query.only.zip(filtered),
        spread: 1,
    };
    if range.1 - range.0 < read.rest.limit() {
        return events(reader, read);
    }
    let reader = Arc::clone(reader);
    later(async move {
        let head = reader.rows(&reader.sql.head, &[]).await?[0].number(0)?;
        let mut read = read;
        read.rest.high = read.rest.high.min(head);
        Ok(events(&reader, read))
    })
}

/// Reads that part of the log which is a stream.
fn of_stream(
    reader: &Arc<Reader>,
    stream: StreamId,
    query: ReadLog,
) -> BoxStream<'static, Result<RecordedEvent, StoreError>> {
    if holds_nul(stream.category()) || holds_nul(stream.id()) {
        return stream::empty().boxed();
    }
    let reader = Arc::clone(reader);
    later(async move {
        let (category, id) = (stream.category(), stream.id());
        let part = (column(query.from.0), column(query.to.0));
        let rows = reader
            .rows(&reader.sql.versions_between, &[&category, &id, &part.0, &part.1])
            .await?;
        let missing = || Problem::Damaged(format!("an event of stream `{stream}` is missing"));
        let version = |column| rows[0].read::<Option<i64>>(column)?.map(number).ok_or_else(missing);
        let mut read = ReadStream::new(stream.clone()).from(version(0)?).to(version(1)?);
        if read.to == Version::ZERO {
            reader.check_names().await?;
        }
        read.direction = query.direction;
        read.limit = query.limit;
        Ok(read_stream(&reader, read))
    })
}

/// A read by position. Positions have no gaps: so a page needs to look only through as many as there are events in it, and that is the
/// range that is asked for.
struct OfLog {
    rest: Rest,
    /// The filter, if there is one, and the statement that reads only the events that pass.
    only: Option<(EventFilter, Filtered)>,
    /// The number of positions it takes to find one event, as far as the last page shows.
    spread: u64,
}

impl OfLog {
    /// Where the server has to leave out most events. Else it costs less to read them all and to leave some out here than to look up the
    /// stream of each there.
    fn filtered(&self) -> Option<&Filtered> {
        let only = self.only.as_ref().filter(|_| self.spread > 2);
        only.map(|(_, filtered)| filtered)
    }
}

impl Pages for OfLog {
    type Event = RecordedEvent;

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn most(&self) -> u64 {
        self.rest.page
    }

    async fn fetch(mut self, reader: &Reader) -> Fetched<Self> {
        let limit = self.rest.limit();
        // Without a filter it is wider than the page only where events are missing.
        let widest = if self.only.is_some() { WINDOW } else { u64::MAX };
        let width = limit.saturating_mul(self.spread).min(widest) - 1;
        let (mut low, mut high) = (self.rest.low, self.rest.high);
        match self.rest.direction {
            Direction::Forwards => high = high.min(low.saturating_add(width)),
            Direction::Backwards => low = low.max(high.saturating_sub(width)),
        }
        let (from, to, rows) = (column(low), column(high), column(limit));
        let mut arguments: Vec<&(dyn ToSql + Sync)> = vec![&from, &to, &rows];
        let statement = match (self.filtered(), self.rest.direction) {
            (Some(filtered), _) => {
                let parameters = filtered.parameters.iter();
                arguments.extend(parameters.map(|parameter| &**parameter as &(dyn ToSql + Sync)));
                &filtered.sql
            }
            (None, Direction::Forwards) => &reader.sql.log_forwards,
            (None, Direction::Backwards) => &reader.sql.log_backwards,
        };
        let mut page: Page<RecordedEvent> = reader.page(statement, &arguments, limit, None).await?;
        // Else all of the range was looked through.
        let last = page
            .events
            .last()
            .filter(|_| page.is_full(limit))
            .map(|event| event.position.0);
        let (last, looked) = match self.rest.direction {
            Direction::Forwards => last.map_or((high, high - low), |last| (last, last - low)),
            Direction::Backwards => last.map_or((low, high - low), |last| (last, high - last)),
        };
        let taken = page.events.len().max(1);
        if let Some((only, _)) = &self.only {
            page.events.retain(|event| only.matches(event));
        }
        let found = page.events.len();
        self.spread = match found as u64 {
            0 => self.spread.saturating_mul(8),
            found => (looked + 1).div_ceil(found),
        };
        self.rest.go_behind(last, found, page.size * found / taken);
        Ok((page.events, self))
    }
}
