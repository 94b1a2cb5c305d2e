use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};

use async_trait::async_trait;
use es_runtime::store::{
    Append, AppendError, AppendRef, AppendSignal, AppendSignalSource, Appended, ArchiveStore, CursorStore, EventKind,
    EventStore, InlineError, KeyRecord, ListStreams, Positions, ReadLog, ReadStream, RestoreAppendError, RowStore,
    StateStore, StreamInfo,
};
use es_runtime::{Clock, Limits, Position, RecordedEvent, StoreError, StoredEvent, StreamId, Timestamp, Version};
use futures_core::stream::BoxStream;
use futures_util::TryStreamExt as _;
use rusqlite::Connection;

use crate::archive::{RestoreRequest, Restored};
use crate::chain;
use crate::checkpoint;
use crate::connection::Connections;
use crate::error::Problem;
use crate::health::Health;
use crate::keys::Purge;
use crate::location;
use crate::options::{Durability, SqliteOptions};
use crate::pages::{self, LoadStream};
use crate::place::Place;
use crate::pool::Pool;
use crate::projections::Job;
use crate::queue::Queue;
use crate::reader::Reader;
use crate::request::{Answers, AppendRequest, Encoded, Inline, Request, ResolveRequest};
use crate::thread;
use crate::watcher::Watcher;
use crate::writer::Writer;

/// Events in one SQLite file. Cheap to clone: the clones share one handle.
///
/// Dropping the last clone ends the handle without waiting; pending requests still finish.
/// [`close`](EventStore::close) waits.
#[derive(Clone)]
pub struct SqliteStore {
    handle: Arc<Handle>,
}

/// The parts that the clones of a store share.
struct Handle {
    health: Arc<Health>,
    limits: Limits,
    durability: Durability,
    requests: Arc<Queue<Request>>,
    wakes: AppendSignalSource,
    clock: Arc<dyn Clock>,
    pool: Pool,
    /// Looks for what other processes append.
    watcher: OnceLock<Thread>,
    /// Each gives its connection back at its end.
    threads: Mutex<Vec<JoinHandle<Connection>>>,
}

impl SqliteStore {
    /// Opens the file `path`, and creates it if there is none.
    ///
    /// # Errors
    ///
    /// As for [`SqliteOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::options().open(path).await
    }

    /// Returns options to open it with other settings than the defaults.
    pub fn options() -> SqliteOptions {
        SqliteOptions::new()
    }

    /// Returns when an append counts as stored, as SQLite reported it when the file was opened.
    pub fn durability(&self) -> Durability {
        self.handle.durability
    }

    /// Reads the tables of SQL projections, or any others of the file, on one of the reading threads. The connection
    /// cannot write; do not leave a transaction open on it.
    ///
    /// # Errors
    ///
    /// An error of SQLite, as the source of the [`StoreError`].
    pub async fn query<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.read(move |reader| read(reader.connection()).map_err(Problem::asked))
            .await
    }

    /// Has the writer append, with what inline projections write.
    pub(crate) async fn request_append(&self, append: Append, inline: Inline) -> Result<Appended, InlineError> {
        let answers = self.request_chain(vec![append.into()], inline).await;
        let answer = answers.map_err(|not_done| AppendError::Store(not_done.error))?.pop();
        answer.unwrap_or_else(|| unreachable!("the first append is always answered"))
    }

    /// Has the writer append a chain.
    pub(crate) async fn request_chain(&self, chain: Vec<Encoded>, inline: Inline) -> Answers {
        let (request, answers) = AppendRequest::new(chain, inline);
        if let Err(error) = self.handle.request(Request::Append(request)) {
            return Ok(vec![Err(AppendError::Store(error).into())]);
        }
        answers
            .await
            .unwrap_or_else(|_| unreachable!("an append request answers when it is dropped"))
    }

    /// Has the writer restore appends.
    pub(crate) async fn request_restore(&self, appends: Vec<Restored>) -> Result<(), RestoreAppendError> {
        let (request, answer) = RestoreRequest::new(appends);
        self.handle.request(Request::Restore(request))?;
        answer
            .await
            .unwrap_or_else(|_| unreachable!("a restore request answers when it is dropped"))
    }

    /// Has the writer do it.
    pub(crate) fn request_job(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.handle.request(Request::Job(job))
    }

    /// Reads on one of the reading threads.
    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.handle.pool.read(read).await
    }

    /// The time by which states are saved.
    pub(crate) fn now(&self) -> Timestamp {
        self.handle.clock.now()
    }

    pub(crate) fn pool(&self) -> Pool {
        self.handle.pool.clone()
    }

    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.handle.health
    }

    pub(crate) async fn open_with(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let handle = thread::aside("open", move || Handle::open(&path, &options)).await??;
        Ok(Self {
            handle: Arc::new(handle),
        })
    }
}

impl Handle {
    fn open(path: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        let path = location::check(path)?;
        let connections = Connections::open(&path, options)?;
        let health = Arc::new(Health::new(path));
        let handle = Self {
            limits: options.limits.clone(),
            durability: connections.durability,
            requests: Arc::new(Queue::new()),
            wakes: AppendSignalSource::new(),
            clock: Arc::clone(&options.clock),
            pool: Pool::new(Arc::clone(&health)),
            watcher: OnceLock::new(),
            threads: Mutex::new(Vec::new()),
            health,
        };
        handle.start(connections, options)?;
        Ok(handle)
    }

    fn start(&self, connections: Connections, options: &SqliteOptions) -> Result<(), StoreError> {
        let (checkpoints, checkpointer) = checkpoint::checkpoints(connections.checkpointer, Arc::clone(&self.health));
        let writer = Writer {
            queue: Arc::clone(&self.requests),
            health: Arc::clone(&self.health),
            wakes: self.wakes.clone(),
            clock: Arc::clone(&options.clock),
            checkpoints,
            durability: connections.durability,
            place: Place::of(self.health.path()),
        };
        let mut threads = self.threads();
        let connection = connections.writer;
        threads.push(thread::spawn("writer", move || {
            writer.run(&connection);
            connection
        })?);
        threads.push(thread::spawn("checkpoint", move || checkpointer.run())?);
        let watcher = Watcher {
            wakes: self.wakes.clone(),
            health: Arc::clone(&self.health),
        };
        let connection = connections.watcher;
        let watching = thread::spawn("watcher", move || {
            watcher.run(&connection);
            connection
        })?;
        self.watcher.get_or_init(|| watching.thread().clone());
        threads.push(watching);
        for connection in connections.readers {
            let pool = self.pool.clone();
            threads.push(thread::spawn("reader", move || {
                pool.serve(&connection);
                connection
            })?);
        }
        Ok(())
    }

    /// Lets the threads end.
    fn end(&self) {
        self.health.close();
        self.requests.close();
        self.pool.close();
        self.look();
    }

    /// Has the watcher look whether there is something to do.
    fn look(&self) {
        if let Some(watcher) = self.watcher.get() {
            watcher.unpark();
        }
    }

    fn request(&self, request: Request) -> Result<(), StoreError> {
        self.health.check()?;
        self.requests.push(request).map_err(|_| self.health.error())
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<Connection>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.handle.health.path())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    fn limits(&self) -> &Limits {
        &self.handle.limits
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.request_append(append, Inline::default())
            .await
            .map_err(chain::only_append)
    }

    async fn append_chain(&self, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        chain::append(self, appends).await
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        let (request, answer) = ResolveRequest::new(append.append);
        self.handle.request(Request::Resolve(request))?;
        answer.await.unwrap_or_else(|_| Err(self.handle.health.error()))
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        let key = key.to_owned();
        self.handle.pool.read(move |reader| reader.find_key(&key)).await
    }

    async fn purge_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut done = Purge::default();
        loop {
            let now = Arc::new(done);
            let step = Arc::clone(&now);
            match self
                .write(0, 1, move |writer| step.step(writer, before).map(Ok))
                .await?
            {
                Some(next) => done = next,
                None => return Ok(now.forgotten),
            }
        }
    }

    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        let stream = stream.clone();
        self.handle.pool.read(move |reader| reader.version(&stream)).await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let now = self.handle.clock.now();
        let last = self.read_log(ReadLog::new().backwards().limit(1)).try_next().await?;
        Ok(last.map_or(now, |last| now.max(last.recorded_at)))
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is for one lifetime of a reader only"
    )]
    async fn head(&self) -> Result<Position, StoreError> {
        self.handle.pool.read(|reader| reader.head()).await
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        pages::read(self.handle.pool.clone(), query)
    }

    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        pages::read(self.handle.pool.clone(), LoadStream(query))
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        pages::read_log(self.handle.pool.clone(), query)
    }

    fn positions(&self) -> Positions {
        Positions::Gapless
    }

    /// Signals appends through this handle at once, and appends of other processes within 50 ms: as long as somebody
    /// holds signals, a thread checks whether the file has changed.
    fn wakes(&self) -> AppendSignal {
        let wakes = self.handle.wakes.wakes();
        self.handle.look();
        wakes
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
        pages::read(self.handle.pool.clone(), query)
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is for one lifetime of a reader only"
    )]
    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        self.handle.pool.read(|reader| reader.stored_events()).await
    }

    async fn count_events(&self, kind: &EventKind) -> Result<u64, StoreError> {
        let kind = kind.clone();
        self.handle.pool.read(move |reader| reader.count_events(&kind)).await
    }

    /// Also moves the log into the file, so that the file alone is the store again, if no other process has it open.
    async fn close(&self) -> Result<(), StoreError> {
        let failed = self.handle.health.check_trust();
        self.handle.end();
        let threads = std::mem::take(&mut *self.handle.threads());
        thread::aside("close", move || {
            // A panic was reported where it happened. The connections are closed one after the other: the last to close a
            // file moves its log into it, and of two that close at once neither is the last.
            drop(threads.into_iter().flat_map(JoinHandle::join).collect::<Vec<_>>());
        })
        .await?;
        failed
    }
}
