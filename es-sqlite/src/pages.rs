use es_runtime::store::{Direction, EventFilter, ListStreams, ReadLog, ReadStream, StreamInfo};
use es_runtime::{Position, RecordedEvent, StoreError, StoredEvent, Version};
use futures_core::stream::BoxStream;
use futures_util::future;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::error::Problem;
use crate::pool::{Begun, Pool};
use crate::reader::{Page, Reader};

/// What can be read page by page: each page starts after the last item of the one before.
pub(crate) trait Paged: Sized + Send + 'static {
    type Item: Send + 'static;

    /// Whether it can be told without reading that nothing comes.
    fn is_empty(&self) -> bool;

    /// The next items, of which there may be so many.
    fn page(&self, reader: &mut Reader<'_>, rows: u64) -> Result<Page<Self::Item>, Problem>;

    /// What is left after `items`, the last of which is `last`.
    fn after(self, items: u64, last: &Self::Item) -> Self;
}

/// How many rows the first page has at most, which is all that many a reader takes.
const FIRST: u64 = 256;
/// How many rows a page has at most.
const MOST: u64 = 2048;

/// Reads all pages. The first is not read before its first item is asked for, each other one while the one before is taken in.
pub(crate) fn read<Q: Paged>(pool: Pool, query: Q) -> BoxStream<'static, Result<Q::Item, StoreError>> {
    let pages = stream::try_unfold(Next::Rest(query), move |next| {
        let pool = pool.clone();
        async move {
            let begun = match next {
                Next::Rest(query) => begin(&pool, Some(query), FIRST),
                Next::Begun(begun) => begun,
            };
            let Some(BegunPage { page, rows }) = begun else {
                return Ok(None);
            };
            let (items, rest) = page.result().await?;
            let next = begin(&pool, rest, (2 * rows).min(MOST));
            Ok(Some((items, Next::Begun(next))))
        }
    });
    pages
        .map_ok(|items| stream::iter(items.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

/// The items of a page, and what is left to read.
type Items<Q> = (Vec<<Q as Paged>::Item>, Option<Q>);

/// What comes next: all of it, or what is being read, unless that was all.
enum Next<Q: Paged> {
    Rest(Q),
    Begun(Option<BegunPage<Q>>),
}

/// A page of so many rows that is being read.
struct BegunPage<Q: Paged> {
    page: Begun<Items<Q>>,
    rows: u64,
}

fn begin<Q: Paged>(pool: &Pool, query: Option<Q>, rows: u64) -> Option<BegunPage<Q>> {
    let query = query.filter(|query| !query.is_empty())?;
    let page = pool.begin(move |reader| next_page(query, reader, rows));
    Some(BegunPage { page, rows })
}

/// Reads the log. The part of it that is one stream is read as that.
pub(crate) fn read_log(pool: Pool, query: ReadLog) -> BoxStream<'static, Result<RecordedEvent, StoreError>> {
    let Some(EventFilter::Stream(stream)) = query.only.clone() else {
        return read(pool, query);
    };
    if ReadLog::is_empty(&query) {
        return stream::empty().boxed();
    }
    let (range, limit) = (query.from..=query.to, query.limit);
    let found = {
        let pool = pool.clone();
        async move { pool.read(move |reader| reader.stream_around(stream, &query)).await }
    };
    stream::once(found)
        .map_ok(move |part| read(pool.clone(), part))
        .try_flatten()
        .try_filter(move |event: &RecordedEvent| future::ready(range.contains(&event.position)))
        .take(limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)))
        .boxed()
}

fn next_page<Q: Paged>(query: Q, reader: &mut Reader<'_>, rows: u64) -> Result<Items<Q>, Problem> {
    let page = query.page(reader, rows)?;
    let rest = match page.items.last() {
        Some(last) if !page.is_last => Some(query.after(page.items.len() as u64, last)),
        _ => None,
    };
    Ok((page.items, rest))
}

fn remaining(limit: Option<u64>, items: u64) -> Option<u64> {
    limit.map(|limit| limit.saturating_sub(items))
}

impl Paged for ReadStream {
    type Item = RecordedEvent;

    fn is_empty(&self) -> bool {
        ReadStream::is_empty(self)
    }

    fn page(&self, reader: &mut Reader<'_>, rows: u64) -> Result<Page<RecordedEvent>, Problem> {
        reader.stream_page(self, rows)
    }

    fn after(self, items: u64, last: &RecordedEvent) -> Self {
        behind(self, items, last.version)
    }
}

/// A read of what folding takes.
pub(crate) struct LoadStream(pub(crate) ReadStream);

impl Paged for LoadStream {
    type Item = StoredEvent;

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn page(&self, reader: &mut Reader<'_>, rows: u64) -> Result<Page<StoredEvent>, Problem> {
        reader.load_page(&self.0, rows)
    }

    fn after(self, items: u64, last: &StoredEvent) -> Self {
        Self(behind(self.0, items, last.version))
    }
}

/// What is left of a read after so many events, the last of which has this version.
fn behind(mut query: ReadStream, items: u64, last: Version) -> ReadStream {
    match query.direction {
        Direction::Forwards => query.from = last.next(),
        Direction::Backwards => query.to = Version(last.0 - 1),
    }
    query.limit = remaining(query.limit, items);
    query
}

impl Paged for ReadLog {
    type Item = RecordedEvent;

    fn is_empty(&self) -> bool {
        ReadLog::is_empty(self)
    }

    fn page(&self, reader: &mut Reader<'_>, rows: u64) -> Result<Page<RecordedEvent>, Problem> {
        match &self.only {
            Some(EventFilter::Categories(categories)) => reader.categories_page(self, categories, rows),
            _ => reader.log_page(self, rows),
        }
    }

    fn after(mut self, items: u64, last: &RecordedEvent) -> Self {
        match self.direction {
            Direction::Forwards => self.from = last.position.next(),
            Direction::Backwards => self.to = Position(last.position.0 - 1),
        }
        self.limit = remaining(self.limit, items);
        self
    }
}

impl Paged for ListStreams {
    type Item = StreamInfo;

    fn is_empty(&self) -> bool {
        self.limit == Some(0)
    }

    fn page(&self, reader: &mut Reader<'_>, rows: u64) -> Result<Page<StreamInfo>, Problem> {
        reader.list_page(self, rows)
    }

    fn after(mut self, items: u64, last: &StreamInfo) -> Self {
        self.after = Some(last.stream.id().to_owned());
        self.limit = remaining(self.limit, items);
        self
    }
}
