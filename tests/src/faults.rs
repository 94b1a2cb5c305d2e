//! A store that fails when it is told to, at each point where a projection asks it for something, and counts what is read of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use es_runtime::projection::sql::{InlineSteps, SqlSchema, SqlStore, SqlTransaction, Steps, WriteError};
use es_runtime::store::{
    Advance, Append, AppendError, AppendRef, AppendSignal, AppendSignalSource, Appended, Checkpoint, CheckpointError,
    Commit, CommitError, CursorStore, Demand, Differences, EventKind, InlineError, InlineRows, KeyRecord, Lease,
    LeaseState, ListStreams, Parked, Positions, ProjectionStore, Purge, ReadLog, ReadStream, Replace, Row, RowChange,
    RowCount, RowGroup, RowQuery, RowStore, RowTable, SaveError, StateChange, StateKey, StateStore, StreamInfo,
};
use es_runtime::{
    EventStore, Limits, Position, RecordedEvent, StoreError, StoreErrorKind, StoredEvent, StreamId, Timestamp, Version,
};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The head cannot be read.
    Head,
    /// The log cannot be read from the start.
    Log,
    /// Reading the log fails behind some events.
    LogMidway,
    /// Rows cannot be read.
    Rows,
    /// The checkpoint cannot be read.
    Checkpoint,
    /// The commit is not done, and says so.
    CommitRefused,
    /// The commit is not done, and nobody can tell.
    CommitLost,
    /// The commit is done, but its answer is lost.
    AnswerLost,
    /// The commit is done, and then its task panics.
    PanicAfterCommit,
    /// The task panics before the commit.
    PanicBeforeCommit,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 10] = [
        Self::Head,
        Self::Log,
        Self::LogMidway,
        Self::Rows,
        Self::Checkpoint,
        Self::CommitRefused,
        Self::CommitLost,
        Self::AnswerLost,
        Self::PanicAfterCommit,
        Self::PanicBeforeCommit,
    ];
}

/// Stands in front of a store. Clones share what is planned.
pub struct Faulty<S: ?Sized = dyn ProjectionStore> {
    store: Arc<S>,
    plan: Arc<Plan>,
}

impl<S: ?Sized> Clone for Faulty<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            plan: Arc::clone(&self.plan),
        }
    }
}

#[derive(Default)]
struct Plan {
    next: Mutex<VecDeque<Fault>>,
    frozen: AtomicBool,
    hints: Mutex<Option<AppendSignalSource>>,
    stands_by: AtomicBool,
    has_no_states: AtomicBool,
    pace: Mutex<Duration>,
    refused: Mutex<Option<String>>,
    reads: Mutex<Reads>,
}

/// What was read of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads {
    /// The number of times the head or a stretch of the log was asked for.
    pub asked: u64,
    /// The number of events of stretches that the log has given.
    pub events: u64,
    /// The bytes of their payloads.
    pub bytes: u64,
    /// The lowest position from which the log was asked for.
    pub from: Option<Position>,
    /// How many positions lay at most between an event when the log gave it and the last commit.
    pub ahead: u64,
    /// Up to where commits have come.
    committed: Position,
}

impl<S: ?Sized> Faulty<S> {
    /// In front of `store`.
    pub fn new(store: Arc<S>) -> Self {
        Self {
            store,
            plan: Arc::default(),
        }
    }

    /// These faults are to be met, one after the other, each by the next call that can.
    pub fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.next().extend(faults);
    }

    /// The faults that were not met yet.
    pub fn planned(&self) -> Vec<Fault> {
        self.next().iter().copied().collect()
    }

    /// The faults that were not met yet never are.
    pub fn forgive(&self) {
        self.next().clear();
    }

    /// Every call waits from now on, as if the process were stopped, until it is told otherwise.
    pub fn freeze(&self, frozen: bool) {
        self.plan.frozen.store(frozen, Ordering::SeqCst);
    }

    /// Whoever asks for hints from now on gets none.
    pub fn silence(&self) {
        self.hints_from(AppendSignalSource::new());
    }

    /// Whoever asks for hints from now on gets these, and none of the store's.
    pub fn hints_from(&self, source: AppendSignalSource) {
        *lock(&self.plan.hints) = Some(source);
    }

    /// Every commit takes so much longer from now on.
    pub fn slow_down(&self, pace: Duration) {
        *lock(&self.plan.pace) = pace;
    }

    /// Rows that hold this text are refused from now on, as a database refuses what its rules forbid.
    pub fn refuse_rows(&self, text: Option<&str>) {
        *lock(&self.plan.refused) = text.map(str::to_owned);
    }

    fn refuses(&self, rows: &[RowChange]) -> bool {
        let refused = lock(&self.plan.refused);
        let holds = |data: &[u8], text: &str| std::str::from_utf8(data).is_ok_and(|data| data.contains(text));
        let mut stored = rows.iter().filter_map(|row| row.data.as_deref());
        refused
            .as_ref()
            .is_some_and(|text| stored.any(|data| holds(data, text)))
    }

    /// What was read so far.
    pub fn reads(&self) -> Reads {
        *lock(&self.plan.reads)
    }

    /// No lease is got from now on, as if another process had it, until it is told otherwise.
    pub fn stand_by(&self, stands_by: bool) {
        self.plan.stands_by.store(stands_by, Ordering::SeqCst);
    }

    /// Has the store keep no states from now on, for those who ask for them then.
    pub fn keep_no_states(&self) {
        self.plan.has_no_states.store(true, Ordering::SeqCst);
    }

    async fn thaw(&self) {
        while self.plan.frozen.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn meets(&self, fault: Fault) -> bool {
        let mut next = self.next();
        let meets = next.front() == Some(&fault);
        if meets {
            next.pop_front();
        }
        meets
    }

    fn next(&self) -> MutexGuard<'_, VecDeque<Fault>> {
        lock(&self.plan.next)
    }

    async fn dawdle(&self) {
        let pace = *lock(&self.plan.pace);
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
    }

    fn committed(&self, to: Position) {
        let mut reads = lock(&self.plan.reads);
        reads.committed = reads.committed.max(to);
    }

    fn or_panics(&self, fault: Fault) {
        if self.meets(fault) {
            // Without the hook: with debug information the trace that it prints takes seconds.
            std::panic::resume_unwind(Box::new("the test wants it so"));
        }
    }

    async fn or_fails(&self, fault: Fault) -> Result<(), StoreError> {
        self.thaw().await;
        if self.meets(fault) { Err(failure()) } else { Ok(()) }
    }
}

impl Reads {
    fn gave(&mut self, event: &RecordedEvent) {
        self.events += 1;
        self.bytes += event.payload.len() as u64;
        self.ahead = self.ahead.max(event.position.0.saturating_sub(self.committed.0));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failure() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the test wants it so")
}

#[async_trait::async_trait]
impl<S: ProjectionStore + ?Sized> EventStore for Faulty<S> {
    fn limits(&self) -> &Limits {
        self.store.limits()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        self.store.resolve(append).await
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        self.store.find_key(key).await
    }

    async fn purge_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.store.purge_keys(before).await
    }

    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        self.store.version(stream).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        lock(&self.plan.reads).asked += 1;
        self.or_fails(Fault::Head).await?;
        self.store.head().await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.store.now().await
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.store.read_stream(query)
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        // A look at which event stands at a checkpoint follows nothing.
        if query.from == query.to && query.limit == Some(1) {
            return self.store.read_log(query);
        }
        {
            let mut reads = lock(&self.plan.reads);
            reads.asked += 1;
            reads.from = Some(reads.from.map_or(query.from, |from| from.min(query.from)));
        }
        if self.meets(Fault::Log) {
            return Box::pin(futures_util::stream::iter([Err(failure())]));
        }
        let mut left = if self.meets(Fault::LogMidway) { 3 } else { u32::MAX };
        let events = self.store.read_log(query).map(move |event| {
            left -= 1;
            if left == 0 {
                return Err(failure());
            }
            event.inspect(|event| lock(&self.plan.reads).gave(event))
        });
        Box::pin(events)
    }

    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        self.store.streams(query)
    }

    fn load_stream(&self, query: ReadStream) -> BoxStream<'_, Result<StoredEvent, StoreError>> {
        self.store.load_stream(query)
    }

    fn wakes(&self) -> AppendSignal {
        let hints = lock(&self.plan.hints);
        hints
            .as_ref()
            .map_or_else(|| self.store.wakes(), AppendSignalSource::wakes)
    }

    fn cursor_store(self: Arc<Self>) -> Option<Arc<dyn CursorStore>> {
        Some(self)
    }

    fn row_store(self: Arc<Self>) -> Option<Arc<dyn RowStore>> {
        Some(self)
    }

    fn state_store(self: Arc<Self>) -> Option<Arc<dyn StateStore>> {
        let states = Arc::clone(&self.store).state_store()?;
        let has_states = !self.plan.has_no_states.load(Ordering::SeqCst);
        has_states.then(|| Arc::new(FaultyStates { faulty: self, states }) as Arc<dyn StateStore>)
    }

    fn positions(&self) -> Positions {
        self.store.positions()
    }

    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        self.store.stored_events().await
    }

    async fn count_events(&self, kind: &EventKind) -> Result<u64, StoreError> {
        self.store.count_events(kind).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}

#[async_trait::async_trait]
impl<T: SqlTransaction, S: SqlStore<T>> SqlStore<T> for Faulty<S> {
    async fn create_schema(&self, schema: &SqlSchema) -> Result<(), StoreError> {
        self.store.create_schema(schema).await
    }

    async fn run_steps(
        &self,
        schema: &SqlSchema,
        steps: Arc<Steps<T>>,
        advance: Option<Advance>,
    ) -> Result<(), WriteError> {
        self.or_fails(Fault::CommitRefused).await?;
        self.or_panics(Fault::PanicBeforeCommit);
        if self.meets(Fault::CommitLost) {
            // As if the connection broke before the commit: everything is run, and undone.
            self.store.run_steps(schema, steps, None).await?;
            return Err(CommitError::Indeterminate(failure()).into());
        }
        self.dawdle().await;
        let to = advance.as_ref().map(|advance| advance.to);
        self.store.run_steps(schema, steps, advance).await?;
        self.committed(to.unwrap_or_default());
        self.or_panics(Fault::PanicAfterCommit);
        if self.meets(Fault::AnswerLost) {
            return Err(CommitError::Indeterminate(failure()).into());
        }
        Ok(())
    }

    async fn append_with(
        &self,
        append: Append,
        steps: Vec<InlineSteps<T>>,
        rows: Vec<InlineRows>,
    ) -> Result<Appended, InlineError> {
        let reference = AppendRef::of(&append);
        self.append_inline(reference, self.store.append_with(append, steps, rows))
            .await
    }

    async fn forget_schema(&self, schema: &SqlSchema, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.thaw().await;
        self.store.forget_schema(schema, reader, lease).await
    }
}

impl<S: ?Sized> Faulty<S> {
    /// Appends with inline projections, if nothing is planned to come between.
    async fn append_inline(
        &self,
        reference: AppendRef,
        appending: impl Future<Output = Result<Appended, InlineError>>,
    ) -> Result<Appended, InlineError> {
        let in_doubt = |append| AppendError::Indeterminate {
            append: Box::new(append),
            source: failure(),
        };
        self.or_fails(Fault::CommitRefused).await.map_err(AppendError::from)?;
        self.or_panics(Fault::PanicBeforeCommit);
        if self.meets(Fault::CommitLost) {
            return Err(in_doubt(reference).into());
        }
        let appended = appending.await?;
        self.or_panics(Fault::PanicAfterCommit);
        if self.meets(Fault::AnswerLost) {
            return Err(in_doubt(reference).into());
        }
        Ok(appended)
    }

    /// Writes up to `to`, if nothing is planned to come between.
    async fn write(
        &self,
        to: Position,
        rows: &[RowChange],
        writing: impl Future<Output = Result<(), CommitError>>,
    ) -> Result<(), CommitError> {
        self.or_fails(Fault::CommitRefused).await?;
        self.or_panics(Fault::PanicBeforeCommit);
        if self.meets(Fault::CommitLost) {
            return Err(CommitError::Indeterminate(failure()));
        }
        self.dawdle().await;
        if self.refuses(rows) {
            return Err(StoreError::new(StoreErrorKind::Rejected, "a rule forbids such rows").into());
        }
        writing.await?;
        self.committed(to);
        self.or_panics(Fault::PanicAfterCommit);
        if self.meets(Fault::AnswerLost) {
            return Err(CommitError::Indeterminate(failure()));
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl<S: ProjectionStore + ?Sized> CursorStore for Faulty<S> {
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        if self.plan.stands_by.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let lease = self.store.acquire(lease, owner, ttl).await?;
        if lease.is_some() {
            // While it is frozen, the lease is taken and its owner does not know.
            self.thaw().await;
        }
        Ok(lease)
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        self.thaw().await;
        self.store.renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.thaw().await;
        self.store.release(lease).await
    }

    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError> {
        self.thaw().await;
        self.store.report(lease, text).await
    }

    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        self.store.lease(name).await
    }

    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        self.or_fails(Fault::Checkpoint).await?;
        self.store.checkpoint(reader).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), CommitError> {
        self.write(advance.to, &[], self.store.advance(advance)).await
    }

    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.thaw().await;
        self.store.forget(reader, lease).await
    }

    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        self.store.parked(reader, after, limit).await
    }
}

#[async_trait::async_trait]
impl<S: ProjectionStore + ?Sized> RowStore for Faulty<S> {
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError> {
        self.store.create_table(table).await
    }

    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError> {
        self.or_fails(Fault::Rows).await?;
        self.store.rows(table, keys).await
    }

    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError> {
        self.store.list_rows(table, query).await
    }

    async fn count_rows(&self, table: &RowTable, count: &RowCount) -> Result<Vec<RowGroup>, StoreError> {
        self.store.count_rows(table, count).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let rows = commit.rows.clone();
        self.write(commit.advance.to, &rows, self.store.commit(commit)).await
    }

    async fn clear(&self, table: &RowTable, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.thaw().await;
        self.store.clear(table, reader, lease).await
    }

    async fn replace(&self, replace: Replace) -> Result<(), CommitError> {
        self.thaw().await;
        self.store.replace(replace).await
    }

    async fn differences(&self, old: &RowTable, new: &RowTable, limit: u32) -> Result<Differences, StoreError> {
        self.store.differences(old, new, limit).await
    }

    async fn versions(&self, projection: &str) -> Result<Vec<u32>, StoreError> {
        self.store.versions(projection).await
    }

    async fn drop_table(&self, table: &RowTable, readers: &[String], lease: &Lease) -> Result<(), CommitError> {
        self.store.drop_table(table, readers, lease).await
    }
}

#[async_trait::async_trait]
impl<S: ProjectionStore + ?Sized> ProjectionStore for Faulty<S> {
    async fn append_rows(&self, append: Append, rows: Vec<InlineRows>) -> Result<Appended, InlineError> {
        let reference = AppendRef::of(&append);
        self.append_inline(reference, self.store.append_rows(append, rows))
            .await
    }
}

/// The states of a store that fails when it is told to: saving one is a commit.
struct FaultyStates<S: ?Sized> {
    faulty: Arc<Faulty<S>>,
    states: Arc<dyn StateStore>,
}

#[async_trait::async_trait]
impl<S: ProjectionStore + ?Sized> StateStore for FaultyStates<S> {
    async fn save(&self, changes: Vec<StateChange>, demand: Demand) -> Result<(), SaveError> {
        let mut refused = None;
        let saving = async {
            let saved = self.states.save(changes, demand).await;
            saved.map_err(|error| {
                refused = Some(error);
                CommitError::Store(failure())
            })
        };
        let written = self.faulty.write(Position::ZERO, &[], saving).await;
        match (written, refused) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(error)) => Err(error),
            (Err(CommitError::Indeterminate(error)), None) => Err(SaveError::Indeterminate(error)),
            (Err(_), None) => Err(SaveError::Store(failure())),
        }
    }

    async fn get(&self, key: &StateKey) -> Result<Option<StateChange>, StoreError> {
        self.faulty.thaw().await;
        self.states.get(key).await
    }

    fn load(&self, namespace: &str) -> BoxStream<'_, Result<StateChange, StoreError>> {
        self.states.load(namespace)
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.states.namespaces().await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        self.states.purge(purge).await
    }
}
