//! Whole appends, read in the order of the log and restored.

use std::sync::Arc;

use async_trait::async_trait;
use es_runtime::store::{Append, ArchiveStore, RecordedAppend, RestoreAppendError};
use es_runtime::{AppendId, RecordedEvent, StoreError, StoreErrorKind};
use futures_core::stream::BoxStream;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::SqliteStore;
use crate::appends::Appends;
use crate::connection;
use crate::error::Problem;
use crate::health::Health;
use crate::request::Encoded;
use crate::rows::{self, event_columns};
use crate::statement::Prepared;
use crate::thread;

/// The most appends on a page.
const PAGE: u32 = 512;
/// A page ends after the append that brings it to so many bytes of payload and metadata.
const PAGE_BYTES: usize = 1 << 20;

#[async_trait]
impl ArchiveStore for SqliteStore {
    fn appends(&self) -> BoxStream<'_, Result<RecordedAppend, StoreError>> {
        let health = Arc::clone(self.health());
        let pages = stream::try_unfold(Archive::Unopened, move |archive| {
            let health = Arc::clone(&health);
            async move {
                health.check()?;
                // A thread for each page: nothing is left behind, wherever the reader stops.
                let page = thread::aside("archive", move || archive.page(&health)).await??;
                Ok(page.map(|(appends, rest)| (stream::iter(appends.into_iter().map(Ok)), rest)))
            }
        });
        pages.try_flatten().boxed()
    }

    async fn restore(&self, appends: Vec<RecordedAppend>) -> Result<(), RestoreAppendError> {
        let appends = appends.into_iter().map(Restored::from).collect();
        self.request_restore(appends).await
    }
}

/// A read of all appends.
enum Archive {
    Unopened,
    /// The part behind the last page.
    Open {
        connection: Connection,
        rest: Rest,
    },
}

/// The place in the log up to which appends were read.
#[derive(Clone, Copy)]
struct Rest {
    /// The number of the last append, in the order of the log.
    append: i64,
    /// The position of the last event.
    position: i64,
    /// The head of the log when the read began.
    head: i64,
}

type Page = Option<(Vec<RecordedAppend>, Archive)>;

impl Archive {
    /// The next appends, and what is behind them; `None` at the end.
    fn page(self, health: &Health) -> Result<Page, StoreError> {
        let (connection, mut rest) = match self {
            Self::Open { connection, rest } => (connection, rest),
            Self::Unopened => {
                let connection = connection::archive(health.path())?;
                let rest = sort(&connection).map_err(|problem| problem.while_doing("read", health.path()))?;
                (connection, rest)
            }
        };
        let read = Reader::new(&connection).page(&mut rest);
        let appends = read.map_err(|problem| problem.while_doing("read", health.path()))?;
        Ok((!appends.is_empty()).then_some((appends, Self::Open { connection, rest })))
    }
}

/// Puts the appends into the order of the log, in a table of this connection: the file has no index by which to find them, as each append
/// would pay for it.
fn sort(connection: &Connection) -> Result<Rest, Problem> {
    let snapshot = connection.unchecked_transaction()?;
    connection.execute_batch(
        "CREATE TEMP TABLE archived AS
         SELECT append_id, coalesce(last_position, json_extract(streams, '$[0].position')) AS position
         FROM appends ORDER BY position, last_position IS NULL, append_id",
    )?;
    let head: Option<i64> = connection.query_row("SELECT max(position) FROM recorded_events", [], |row| row.get(0))?;
    snapshot.commit()?;
    Ok(Rest {
        append: 0,
        position: 0,
        head: head.unwrap_or(0),
    })
}

struct Reader<'c> {
    sorted: Prepared<'c>,
    events: Prepared<'c>,
    ours: Prepared<'c>,
    appends: Appends<'c>,
}

impl<'c> Reader<'c> {
    fn new(connection: &'c Connection) -> Self {
        Self {
            sorted: Prepared::new(
                connection,
                "SELECT rowid, append_id, position FROM temp.archived WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
            ),
            events: Prepared::new(
                connection,
                concat!(
                    "SELECT ",
                    event_columns!(),
                    ", s.category, s.stream_id
                     FROM recorded_events AS e LEFT JOIN streams AS s ON s.id = e.stream
                     WHERE e.position BETWEEN ?1 AND ?2 ORDER BY e.position LIMIT ?3"
                ),
            ),
            // Only what another program wrote has no checksum. Among the events that `events` gives.
            ours: Prepared::new(
                connection,
                "SELECT min(position) FROM (SELECT position, checksum FROM recorded_events
                 WHERE position BETWEEN ?1 AND ?2 ORDER BY position LIMIT ?3) WHERE checksum IS NOT NULL",
            ),
            appends: Appends::new(connection),
        }
    }

    /// The next appends; none at the end.
    fn page(&mut self, rest: &mut Rest) -> Result<Vec<RecordedAppend>, Problem> {
        let sorted = self.sorted.get()?.query_map((rest.append, PAGE), |row| {
            Ok((
                row.get::<_, i64>(0)?,
                rows::uuid(row, 1).map(AppendId),
                row.get::<_, i64>(2)?,
            ))
        })?;
        let sorted = sorted.collect::<Result<Vec<_>, _>>()?;
        let is_last = sorted.len() < PAGE as usize;
        let (mut page, mut bytes) = (Vec::new(), 0);
        for (number, id, position) in sorted {
            let id = id?;
            let missing = || Problem::Damaged(format!("append {id} is not there"));
            let done = self.appends.find(id)?.ok_or_else(missing)?;
            let first = done.positions().map_or(position + 1, |(first, _)| rows::column(first));
            if self.without_append(first - 1, rest, &mut page)? {
                return Ok(page);
            }
            let events = self.events(first, position, i64::MAX)?;
            bytes += events.iter().map(RecordedEvent::size).sum::<usize>();
            page.push(self.appends.recorded(done, events)?);
            rest.append = number;
            rest.position = position;
            if bytes >= PAGE_BYTES {
                return Ok(page);
            }
        }
        if is_last {
            self.without_append(rest.head, rest, &mut page)?;
        }
        Ok(page)
    }

    /// Adds the events up to `last` that belong to no append, because another program wrote them. Returns whether the page is full.
    fn without_append(&mut self, last: i64, rest: &mut Rest, page: &mut Vec<RecordedAppend>) -> Result<bool, Problem> {
        if rest.position >= last {
            return Ok(false);
        }
        let limit = i64::from(PAGE);
        let ours: Option<i64> = (self.ours.get()?).query_row([rest.position + 1, last, limit], |row| row.get(0))?;
        if let Some(position) = ours {
            let message = format!("the event at position {position} belongs to no append");
            return Err(Problem::Damaged(message));
        }
        let events = self.events(rest.position + 1, last, limit)?;
        let is_full = rows::column(events.len() as u64) == limit;
        if let Some(last) = events.last() {
            rest.position = rows::column(last.position.0);
        }
        page.extend(events.into_iter().map(RecordedAppend::of_event));
        Ok(is_full)
    }

    fn events(&mut self, first: i64, last: i64, limit: i64) -> Result<Vec<RecordedEvent>, Problem> {
        let mut rows = self.events.get()?.query([first, last, limit])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.push(rows::event(row, rows::stream(row, rows::STREAM.0, rows::STREAM.1)?)?);
        }
        Ok(events)
    }
}

/// An append to be restored, in its stored form.
pub(crate) struct Restored {
    pub(crate) recorded: RecordedAppend,
    pub(crate) encoded: Encoded,
}

impl From<RecordedAppend> for Restored {
    fn from(recorded: RecordedAppend) -> Self {
        let encoded = Encoded::from(Append::clone(&recorded.append));
        Self { recorded, encoded }
    }
}

/// Appends to be restored, whose caller waits.
pub(crate) struct RestoreRequest {
    pub(crate) appends: Vec<Restored>,
    reply: Option<oneshot::Sender<Result<(), RestoreAppendError>>>,
}

impl RestoreRequest {
    pub(crate) fn new(appends: Vec<Restored>) -> (Self, oneshot::Receiver<Result<(), RestoreAppendError>>) {
        let (reply, answer) = oneshot::channel();
        let reply = Some(reply);
        (Self { appends, reply }, answer)
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    pub(crate) fn answer(mut self, answer: Result<(), RestoreAppendError>) {
        self.reply(answer);
    }

    fn reply(&mut self, answer: Result<(), RestoreAppendError>) {
        if let Some(reply) = self.reply.take() {
            // The caller may have gone; what was done stays done.
            let _ = reply.send(answer);
        }
    }
}

impl Drop for RestoreRequest {
    /// A request that is dropped unanswered was in the hands of a writer that panicked.
    fn drop(&mut self) {
        let source = StoreError::new(
            StoreErrorKind::Closed,
            "the store's writer panicked: open the store again",
        );
        self.reply(Err(RestoreAppendError::Indeterminate(source)));
    }
}
