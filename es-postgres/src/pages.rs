//! Reads of any length, a page at a time.

use std::marker::PhantomData;
use std::sync::Arc;

use es_runtime::store::{Direction, ListStreams, ReadStream, StreamInfo};
use es_runtime::{RecordedEvent, StoreError, StoredEvent, StreamId, Version};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;

use crate::error::Problem;
use crate::reader::{Page, Paged, Reader};
use crate::rows::{Cells, column};
use crate::sql::Sql;
use crate::store::holds_nul;

/// The number of events on a page, once they are known not to be large. Longer pages are not faster, and hold back the
/// server's vacuum.
pub(crate) const PAGE: u64 = 1000;

/// With how many the first read of all begins, so that its page is not large whatever the events are. They tell how many fit into
/// the next one.
pub(crate) const FIRST: u64 = 64;

/// The number of bytes of rows held at a time.
pub(crate) const BYTES: usize = 4 << 20;

/// The rest of a read: a range of numbers, versions or positions, that is met from one end.
pub(crate) struct Rest {
    pub(crate) low: u64,
    pub(crate) high: u64,
    pub(crate) direction: Direction,
    left: u64,
    pub(crate) page: u64,
}

impl Rest {
    pub(crate) fn new(reader: &Reader, (low, high): (u64, u64), direction: Direction, limit: Option<u64>) -> Self {
        Self {
            low,
            high,
            direction,
            left: limit.unwrap_or(u64::MAX),
            page: first(reader),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0 || self.low > self.high
    }

    /// Returns the most events for the next page.
    pub(crate) fn limit(&self) -> u64 {
        self.page.min(self.left)
    }

    /// Goes behind this number, when so many events of so many bytes were read in a page.
    pub(crate) fn go_behind(&mut self, last: u64, read: usize, bytes: usize) {
        self.left -= read as u64;
        match self.direction {
            Direction::Forwards if last >= self.high => self.end(),
            Direction::Forwards => self.low = last + 1,
            Direction::Backwards if last <= self.low => self.end(),
            Direction::Backwards => self.high = last - 1,
        }
        if let Some(bytes) = bytes.checked_div(read) {
            self.page = fitting(bytes);
        }
    }

    fn end(&mut self) {
        self.left = 0;
    }
}

/// A page, and the read of what is left behind it.
pub(crate) type Fetched<P> = Result<(Vec<<P as Pages>::Event>, P), Problem>;

/// A read, of which one page after the other is fetched.
pub(crate) trait Pages: Sized + Send + 'static {
    type Event: Send + 'static;

    /// Returns whether nothing is left.
    fn is_empty(&self) -> bool;

    /// Returns the most events of the next page.
    fn most(&self) -> u64;

    /// Fetches the next page.
    fn fetch(self, reader: &Reader) -> impl Future<Output = Fetched<Self>> + Send;
}

/// A read of a stream, by version.
struct OfStream<E> {
    stream: StreamId,
    statement: fn(&Sql) -> &str,
    rest: Rest,
    event: PhantomData<fn() -> E>,
}

impl<E: Paged> Pages for OfStream<E> {
    type Event = E;

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn most(&self) -> u64 {
        self.rest.page
    }

    async fn fetch(mut self, reader: &Reader) -> Fetched<Self> {
        let rest = &mut self.rest;
        let (category, id) = (self.stream.category(), self.stream.id());
        let (low, high, limit) = (column(rest.low), column(rest.high), rest.limit());
        let arguments: [&(dyn ToSql + Sync); 5] = [&category, &id, &low, &high, &column(limit)];
        let statement = (self.statement)(&reader.sql);
        let page: Page<E> = reader.page(statement, &arguments, limit, Some(&self.stream)).await?;
        if rest.low <= 1 && page.events.is_empty() {
            reader.check_names().await?;
        }
        match page.events.last().filter(|_| page.is_full(limit)) {
            Some(last) => rest.go_behind(last.version().0, page.events.len(), page.size),
            // There was no more when the page was read.
            None => rest.end(),
        }
        Ok((page.events, self))
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
    let range = (query.from.0, query.to.0);
    let read: OfStream<E> = OfStream {
        stream: query.stream,
        statement: match query.direction {
            Direction::Forwards => forwards,
            Direction::Backwards => backwards,
        },
        rest: Rest::new(reader, range, query.direction, query.limit),
        event: PhantomData,
    };
    events(reader, read)
}

/// Events of which it must first be learnt which they are.
pub(crate) fn later(
    found: impl Future<Output = Result<BoxStream<'static, Result<RecordedEvent, StoreError>>, Problem>> + Send + 'static,
) -> BoxStream<'static, Result<RecordedEvent, StoreError>> {
    stream::once(found)
        .map_err(|problem| problem.while_doing("read events"))
        .try_flatten()
        .boxed()
}

pub(crate) fn events<P: Pages>(reader: &Arc<Reader>, pages: P) -> BoxStream<'static, Result<P::Event, StoreError>> {
    read(reader, pages, "read events")
}

/// Reads all pages; an error says what was being done.
pub(crate) fn read<P: Pages>(
    reader: &Arc<Reader>,
    read: P,
    doing: &'static str,
) -> BoxStream<'static, Result<P::Event, StoreError>> {
    let state = (Arc::clone(reader), Next::Rest(read));
    stream::try_unfold(state, |(reader, next)| async move {
        let Some((page, read)) = next.page(&reader).await? else {
            return Ok(None);
        };
        let next = Next::ahead(&reader, read);
        let events = stream::iter(page.into_iter().map(Ok));
        Ok::<_, Problem>(Some((events, (reader, next))))
    })
    .try_flatten()
    .map_err(move |problem: Problem| problem.while_doing(doing))
    .boxed()
}

/// The next page of a read: still to be asked for, or asked for already while the one before is being taken in.
enum Next<P: Pages> {
    Rest(P),
    Ahead(Ahead<P>),
}

impl<P: Pages> Next<P> {
    /// Long reads have the next page fetched ahead. Nothing is known yet of the length of those that have just begun.
    fn ahead(reader: &Arc<Reader>, read: P) -> Self {
        if read.is_empty() || read.most() <= FIRST {
            return Self::Rest(read);
        }
        let reader = Arc::clone(reader);
        Self::Ahead(Ahead(tokio::spawn(async move { read.fetch(&reader).await })))
    }

    async fn page(self, reader: &Reader) -> Result<Option<(Vec<P::Event>, P)>, Problem> {
        match self {
            Self::Rest(read) if read.is_empty() => Ok(None),
            Self::Rest(read) => read.fetch(reader).await.map(Some),
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
struct Ahead<P: Pages>(JoinHandle<Fetched<P>>);

impl<P: Pages> Drop for Ahead<P> {
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
