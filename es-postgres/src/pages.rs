//! Reads of any length, a page at a time.

use std::sync::Arc;

use es_runtime::store::{Direction, EventFilter, ListStreams, ReadLog, ReadStream, StreamInfo};
use es_runtime::{RecordedEvent, StoreError, StoredEvent, StreamId, Version};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;

use crate::error::Problem;
use crate::reader::{Page, Paged, Reader};
use crate::rows::{Cells, column};
use crate::schema::Schema;
use crate::sql::{Filtered, Sql};
use crate::store::holds_nul;

/// The number of events on a page, once they are known not to be large. Longer pages are not faster, and hold back the
/// server's vacuum.
pub(crate) const PAGE: u64 = 1000;

/// With how many the first read of all begins, so that its page is not large whatever the events are. They tell how many fit into
/// the next one.
const FIRST: u64 = 64;

/// The number of positions that one statement searches for events that pass a filter, so that it ends in time
/// however few they are.
const WINDOW: u64 = 50_000;

/// The number of bytes of rows held at a time.
pub(crate) const BYTES: usize = 4 << 20;

/// Which events are still to be read: a range of numbers, versions or positions, that is met from one end.
#[derive(Clone)]
struct Rest {
    /// The stream whose versions they are; without one they are positions.
    stream: Option<StreamId>,
    forwards: fn(&Sql) -> &str,
    backwards: fn(&Sql) -> &str,
    /// The statement that leaves out what is not wanted.
    only: Option<Arc<Filtered>>,
    low: u64,
    high: u64,
    direction: Direction,
    left: u64,
    page: u64,
}

impl Rest {
    fn is_empty(&self) -> bool {
        self.left == 0 || self.low > self.high
    }

    /// Fetches the next page, and what is left behind it.
    async fn fetch<E: Paged>(mut self, reader: &Reader) -> Result<(Page<E>, Self), Problem> {
        let limit = self.page.min(self.left);
        if let Some(only) = self.only.clone() {
            return self.fetch_only(reader, &only, limit).await;
        }
        let is_whole = self.low <= 1;
        let (low, high, rows) = (column(self.low), column(self.high), column(limit));
        let statement = match self.direction {
            Direction::Forwards => (self.forwards)(&reader.sql),
            Direction::Backwards => (self.backwards)(&reader.sql),
        };
        let page = match &self.stream {
            Some(stream) => {
                let (category, id) = (stream.category(), stream.id());
                let page = reader
                    .page(statement, &[&category, &id, &low, &high, &rows], limit, Some(stream))
                    .await?;
                if is_whole && page.events.is_empty() {
                    reader.check_names().await?;
                }
                page
            }
            None => reader.page(statement, &[&low, &high, &rows], limit, None).await?,
        };
        self.go_behind(&page, limit);
        Ok((page, self))
    }

    /// The same of what a filter lets through: what is found in one window.
    async fn fetch_only<E: Paged>(
        mut self,
        reader: &Reader,
        only: &Filtered,
        limit: u64,
    ) -> Result<(Page<E>, Self), Problem> {
        let (low, high) = match self.direction {
            Direction::Forwards => (self.low, self.high.min(self.low.saturating_add(WINDOW - 1))),
            Direction::Backwards => (self.low.max(self.high.saturating_sub(WINDOW - 1)), self.high),
        };
        let (from, to, rows) = (column(low), column(high), column(limit));
        let mut arguments: Vec<&(dyn ToSql + Sync)> = vec![&from, &to, &rows];
        arguments.extend(
            only.parameters
                .iter()
                .map(|parameter| &**parameter as &(dyn ToSql + Sync)),
        );
        let page = reader.page(&only.sql, &arguments, limit, None).await?;
        let left = self.left;
        self.go_behind(&page, limit);
        if self.left == 0 {
            // The window was looked through.
            self.left = left - page.events.len() as u64;
            match self.direction {
                Direction::Forwards => self.low = high + 1,
                Direction::Backwards if low == 0 => self.left = 0,
                Direction::Backwards => self.high = low - 1,
            }
        }
        Ok((page, self))
    }

    fn go_behind<E: Paged>(&mut self, page: &Page<E>, limit: u64) {
        let read = page.events.len() as u64;
        let Some(last) = page.events.last().filter(|_| read == limit || page.is_cut) else {
            // There was no more when the page was read.
            self.left = 0;
            return;
        };
        let last = match self.stream {
            Some(_) => last.version().0,
            None => last.position().0,
        };
        match self.direction {
            Direction::Forwards => self.low = last + 1,
            Direction::Backwards => self.high = last - 1,
        }
        self.left -= read;
        self.page = fitting(page.size / page.events.len());
    }
}

/// Returns the number of events of this size that make a page.
fn fitting(bytes: usize) -> u64 {
    (BYTES as u64 / bytes.max(1) as u64).clamp(1, PAGE)
}

/// Returns the number of events that the first page of a read asks for: as many as fit, if they are like those read
/// before, but not so many that the second page could not be fetched while most of the first is processed.
fn first(reader: &Reader) -> u64 {
    reader.usual.get().map_or(FIRST, |bytes| fitting(bytes).min(PAGE / 2))
}

pub(crate) fn read_stream(
    reader: &Arc<Reader>,
    query: ReadStream,
) -> BoxStream<'static, Result<RecordedEvent, StoreError>> {
    of_stream(reader, query, |sql| &sql.stream_forwards, |sql| &sql.stream_backwards)
}

pub(crate) fn load_stream(
    reader: &Arc<Reader>,
    query: ReadStream,
) -> BoxStream<'static, Result<StoredEvent, StoreError>> {
    of_stream(reader, query, |sql| &sql.load_forwards, |sql| &sql.load_backwards)
}

fn of_stream<E: Paged>(
    reader: &Arc<Reader>,
    query: ReadStream,
    forwards: fn(&Sql) -> &str,
    backwards: fn(&Sql) -> &str,
) -> BoxStream<'static, Result<E, StoreError>> {
    if holds_nul(query.stream.category()) || holds_nul(query.stream.id()) {
        return stream::empty().boxed();
    }
    events(
        reader,
        Rest {
            stream: Some(query.stream),
            forwards,
            backwards,
            only: None,
            low: query.from.0,
            high: query.to.0,
            direction: query.direction,
            left: query.limit.unwrap_or(u64::MAX),
            page: first(reader),
        },
    )
}

pub(crate) fn read_log(
    reader: &Arc<Reader>,
    schema: &Schema,
    query: ReadLog,
) -> BoxStream<'static, Result<RecordedEvent, StoreError>> {
    let rest = Rest {
        stream: None,
        forwards: |sql| &sql.log_forwards,
        backwards: |sql| &sql.log_backwards,
        only: None,
        low: query.from.0,
        high: query.to.0,
        direction: query.direction,
        left: query.limit.unwrap_or(u64::MAX),
        page: first(reader),
    };
    let is_of_nobody = |stream: &StreamId| holds_nul(stream.category()) || holds_nul(stream.id());
    if rest.is_empty() || matches!(&query.only, Some(EventFilter::Stream(stream)) if is_of_nobody(stream)) {
        return stream::empty().boxed();
    }
    let reader = Arc::clone(reader);
    match &query.only {
        None => events(&reader, rest),
        Some(EventFilter::Stream(stream)) => {
            let stream = stream.clone();
            later(async move {
                let (category, id) = (stream.category(), stream.id());
                let part = (column(query.from.0), column(query.to.0));
                let rows = reader
                    .rows(&reader.sql.versions_between, &[&category, &id, &part.0, &part.1])
                    .await?;
                let mut read = ReadStream::new(stream.clone())
                    .from(rows[0].number(0)?)
                    .to(rows[0].number(1)?);
                if read.to == Version::ZERO {
                    reader.check_names().await?;
                }
                read.direction = query.direction;
                read.limit = query.limit;
                Ok(read_stream(&reader, read))
            })
        }
        Some(EventFilter::Categories(categories)) => {
            let only = Some(Arc::new(Sql::categories(schema, &query, categories)));
            later(async move {
                let head = reader.rows(&reader.sql.head, &[]).await?[0].number(0)?;
                let high = rest.high.min(head);
                Ok(events(&reader, Rest { only, high, ..rest }))
            })
        }
    }
}

/// Events of which it must first be learnt which they are.
fn later(
    found: impl Future<Output = Result<BoxStream<'static, Result<RecordedEvent, StoreError>>, Problem>> + Send + 'static,
) -> BoxStream<'static, Result<RecordedEvent, StoreError>> {
    stream::once(found)
        .map_err(|problem| problem.while_doing("read events"))
        .try_flatten()
        .boxed()
}

fn events<E: Paged>(reader: &Arc<Reader>, rest: Rest) -> BoxStream<'static, Result<E, StoreError>> {
    let state = (Arc::clone(reader), Next::Rest(rest));
    stream::try_unfold(state, |(reader, next)| async move {
        let Some((page, rest)) = next.page(&reader).await? else {
            return Ok(None);
        };
        let next = Next::ahead(&reader, rest);
        let events = stream::iter(page.events.into_iter().map(Ok));
        Ok::<_, Problem>(Some((events, (reader, next))))
    })
    .try_flatten()
    .map_err(|problem: Problem| problem.while_doing("read events"))
    .boxed()
}

/// The next page of a read: still to be asked for, or asked for already while the one before is being taken in.
enum Next<E> {
    Rest(Rest),
    Ahead(Ahead<E>),
}

impl<E: Paged> Next<E> {
    /// Long reads have the next page fetched ahead. Nothing is known yet of the length of those that have just begun.
    fn ahead(reader: &Arc<Reader>, rest: Rest) -> Self {
        if rest.is_empty() || rest.page <= FIRST {
            return Self::Rest(rest);
        }
        let reader = Arc::clone(reader);
        Self::Ahead(Ahead(tokio::spawn(async move { rest.fetch(&reader).await })))
    }

    async fn page(self, reader: &Reader) -> Result<Option<(Page<E>, Rest)>, Problem> {
        match self {
            Self::Rest(rest) if rest.is_empty() => Ok(None),
            Self::Rest(rest) => rest.fetch(reader).await.map(Some),
            Self::Ahead(mut ahead) => match (&mut ahead.0).await {
                Ok(page) => page.map(Some),
                Err(error) => Err(Problem::Silent(format!(
                    "the task that fetched the next page ended: {error}"
                ))),
            },
        }
    }
}

/// A page that is being fetched, by a task that ends with the read.
struct Ahead<E>(JoinHandle<Result<(Page<E>, Rest), Problem>>);

impl<E> Drop for Ahead<E> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn streams(reader: &Arc<Reader>, query: ListStreams) -> BoxStream<'static, Result<StreamInfo, StoreError>> {
    if holds_nul(&query.category) {
        return stream::empty().boxed();
    }
    let left = query.limit.unwrap_or(u64::MAX);
    // Without one, below every id, since none is empty. None holds a NUL, so that what stands behind one does not count.
    let mut after = query.after.unwrap_or_default();
    after.truncate(after.find('\0').unwrap_or(after.len()));
    let state = (Arc::clone(reader), query.category, after, left);
    stream::try_unfold(state, |(reader, category, after, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let limit = left.min(PAGE);
        let rows = reader
            .rows(&reader.sql.streams, &[&category, &after, &column(limit)])
            .await?;
        let mut infos = Vec::with_capacity(rows.len());
        for row in &rows {
            infos.push(StreamInfo {
                stream: StreamId::new(category.clone(), row.read::<&str>(0)?),
                version: Version(row.number(1)?),
            });
        }
        let left = if rows.len() as u64 == limit { left - limit } else { 0 };
        let after = infos.last().map_or(after, |info| info.stream.id().to_owned());
        Ok::<_, Problem>(Some((
            stream::iter(infos.into_iter().map(Ok)),
            (reader, category, after, left),
        )))
    })
    .try_flatten()
    .map_err(|problem: Problem| problem.while_doing("list streams"))
    .boxed()
}
