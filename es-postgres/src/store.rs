use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use es_runtime::store::{
    Append, AppendError, AppendRef, AppendSignal, Appended, ArchiveStore, CursorStore, EventKind, EventStore,
    InlineError, KeyRecord, ListStreams, Positions, ReadLog, ReadStream, RowStore, StateStore, StreamInfo,
};
use es_runtime::{
    AppendId, Clock, Limits, Position, RecordedEvent, StoreError, StoredEvent, StreamId, Timestamp, Version,
};
use futures_core::stream::BoxStream;

use crate::backend::{Backend, State};
use crate::batch::Encoded;
use crate::chain::{self, only_append};
use crate::error::Problem;
use crate::lane::Lane;
use crate::log;
use crate::options::PostgresOptions;
use crate::pages;
use crate::reader::Reader;
use crate::reply::Reply;
use crate::rows::{Cells, Time};
use crate::schema::Schema;
use crate::sessions::Sessions;
use crate::wake::Wake;

/// A store in a PostgreSQL database. Clones share the connections.
#[derive(Clone)]
pub struct PostgresStore {
    pub(crate) lane: Lane,
    pub(crate) reader: Arc<Reader>,
    pub(crate) inline: Arc<Sessions>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) limits: Limits,
    pub(crate) schema: Schema,
    pub(crate) patience: Duration,
    pub(crate) owns_pool: bool,
    /// Where the time of saving is taken from, if not from the server.
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

impl PostgresStore {
    /// Connects to the database at a URL such as `postgres://user@host/bank?sslmode=verify-full`, in which the schema `es` is
    /// set up already.
    ///
    /// # Errors
    ///
    /// As for [`PostgresOptions::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::options().connect(url).await
    }

    /// Returns options for connecting with other settings.
    pub fn options() -> PostgresOptions {
        PostgresOptions::new()
    }

    /// Returns the answer to an append, after reading the rest of it.
    pub(crate) async fn answer(&self, reply: Result<Reply, InlineError>) -> Result<Appended, InlineError> {
        match reply? {
            Reply::Appended(appended) => Ok(appended),
            Reply::Repeated { append, stored } => Ok(self.repeated(&append, stored).await?),
        }
    }

    /// Returns the answer to an append that was stored before. If that cannot be read, the error does not claim that
    /// nothing is stored.
    pub(crate) async fn repeated(&self, append: &Append, stored: AppendId) -> Result<Appended, AppendError> {
        let reading = |problem: Problem| AppendError::Indeterminate {
            append: Box::new(AppendRef::of(append)),
            source: problem.while_doing("read the result of an append that was repeated"),
        };
        let sql = &self.reader.sql.stored;
        let result = self.reader.appended(sql, stored).await.map_err(reading)?;
        let result = result.ok_or_else(|| reading(Problem::Damaged(format!("append {stored} is not there"))))?;
        if stored == append.id && !self.reader.is_same(append, &result).await.map_err(reading)? {
            return Err(AppendError::IdempotencyMismatch {
                what: format!("append id {stored}"),
            });
        }
        Ok(result)
    }

    /// Waits until none of these sessions does anything more.
    async fn ended(&self, sessions: Vec<Backend>) -> Result<(), Problem> {
        let deadline = Instant::now() + self.patience;
        for session in sessions {
            loop {
                let state = session.end(&self.reader).await?;
                match state {
                    State::Ended => break,
                    _ if Instant::now() > deadline => {
                        return Err(Problem::Silent(format!(
                            "{session} is still busy with an append, perhaps waiting for a standby; ask again later"
                        )));
                    }
                    State::Busy | State::Ending => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
            self.lane.doubtful.forget(&session);
        }
        Ok(())
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let reply = self.lane.append(Encoded::new(append)?).await;
        self.answer(reply).await.map_err(only_append)
    }

    async fn append_chain(&self, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        chain::append(self, appends).await
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        let sessions = self.lane.settled().await;
        let asked = async {
            self.ended(sessions).await?;
            self.reader.appended(&self.reader.sql.resolve, append.append).await
        };
        asked.await.map_err(|problem| problem.while_doing("resolve an append"))
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        if holds_nul(key) {
            return Ok(None);
        }
        let asked = async {
            let Some((fingerprint, append)) = self.reader.find_key(key).await? else {
                return Ok(None);
            };
            let appended = self.reader.appended(&self.reader.sql.stored, append).await?;
            let record = appended.map(|appended| KeyRecord { fingerprint, appended });
            record
                .map(Some)
                .ok_or_else(|| Problem::Damaged(format!("append {append} is not there")))
        };
        asked
            .await
            .map_err(|problem: Problem| problem.while_doing("look up an idempotency key"))
    }

    async fn purge_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
        let forgotten = self.reader.forget_keys(before).await;
        forgotten.map_err(|problem| problem.while_doing("forget idempotency keys"))
    }

    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        if holds_nul(stream.category()) || holds_nul(stream.id()) {
            return Ok(Version::ZERO);
        }
        let asked = async {
            let rows = self
                .reader
                .rows(&self.reader.sql.version, &[&stream.category(), &stream.id()])
                .await?;
            let version = Version(rows[0].number(0)?);
            if version == Version::ZERO {
                self.reader.check_names().await?;
            }
            Ok(version)
        };
        asked
            .await
            .map_err(|problem: Problem| problem.while_doing("read a stream's version"))
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let by_clock = self.clock.as_deref().map(Clock::now).map(Time);
        let rows = self.reader.rows(&self.reader.sql.now, &[&by_clock]).await;
        let now = rows.and_then(|rows| rows[0].read(0));
        now.map(|Time(now)| now)
            .map_err(|problem| problem.while_doing("read the time of the server"))
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let rows = self.reader.rows(&self.reader.sql.head, &[]).await;
        let head = rows.and_then(|rows| rows[0].number(0));
        head.map(Position)
            .map_err(|problem| problem.while_doing("read the head of the log"))
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        pages::read_stream(&self.reader, query)
    }

    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        pages::load_stream(&self.reader, query)
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        log::read_log(&self.reader, &self.schema, query)
    }

    fn positions(&self) -> Positions {
        Positions::Gapless
    }

    /// Signals appends of any process that uses this crate. The first call opens a connection that listens; it is
    /// closed when nobody holds signals any more.
    fn wakes(&self) -> AppendSignal {
        self.wake.wakes()
    }

    fn cursor_store(self: Arc<Self>) -> Option<Arc<dyn CursorStore>> {
        Some(self)
    }

    fn row_store(self: Arc<Self>) -> Option<Arc<dyn RowStore>> {
        Some(self)
    }

    fn state_store(self: Arc<Self>) -> Option<Arc<dyn StateStore>> {
        Some(self)
    }

    fn archive_store(self: Arc<Self>) -> Option<Arc<dyn ArchiveStore>> {
        Some(self)
    }

    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        pages::streams(&self.reader, query)
    }

    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        let kinds = self.reader.stored_events().await;
        kinds.map_err(|problem| problem.while_doing("read what kinds of events are stored"))
    }

    async fn count_events(&self, kind: &EventKind) -> Result<u64, StoreError> {
        if holds_nul(&kind.category) || holds_nul(&kind.name) {
            return Ok(0);
        }
        let count = self.reader.count_events(kind).await;
        count.map_err(|problem| problem.while_doing("count events"))
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.lane.close().await;
        self.inline.close().await;
        self.wake.close();
        self.reader.close(self.owns_pool);
        Ok(())
    }
}

/// Returns whether PostgreSQL would refuse the text. Nothing is stored under such a name.
pub(crate) fn holds_nul(text: &str) -> bool {
    text.contains('\0')
}
