//! The store under test, as the cases see it.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use es_runtime::store::{
    Append, AppendError, Appended, Checked as CheckedStore, ListStreams, ProjectionStore, ReadLog, ReadStream,
    StateStore, StreamAppended, StreamInfo, WriteCaps,
};
use es_runtime::testing::ManualClock;
use es_runtime::{EventStore, ExpectedVersion, NewEvent, Position, RecordedEvent, StreamId, Timestamp, Version};
use futures_util::TryStreamExt;
use tokio::sync::Barrier;
use tokio::task::{JoinHandle, JoinSet};

use crate::check::{Checked, Stop, holds, present, same};
use crate::process::Writer;
use crate::random::{Random, seed};
use crate::{Capability, Fixture, SqlTables, Transaction, Work};

/// A fixture, with the clock that its store is opened with.
pub(crate) struct Subject<'a> {
    pub(crate) fixture: &'a dyn Fixture,
    pub(crate) clock: ManualClock,
    /// The test that is a writer process, when it is run alone in a second one.
    pub(crate) writer_test: Option<&'a str>,
    /// The seed of this run of the case, told when it fails.
    pub(crate) seed: u64,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(fixture: &'a dyn Fixture, writer_test: Option<&'a str>) -> Self {
        Self {
            fixture,
            clock: clock(0),
            writer_test,
            seed: seed(),
        }
    }

    /// A handle of the store.
    pub(crate) async fn open(&self) -> Store {
        self.open_with(self.clock.clone()).await
    }

    /// A handle with a clock of its own.
    pub(crate) async fn open_with(&self, clock: ManualClock) -> Store {
        Store(Arc::new(CheckedStore::new(self.fixture.open(Arc::new(clock)).await)))
    }

    /// A handle of the store that keeps projections.
    pub(crate) async fn projections(&self) -> Checked<Projections> {
        self.projections_with(self.clock.clone()).await
    }

    /// A handle with a clock of its own.
    pub(crate) async fn projections_with(&self, clock: ManualClock) -> Checked<Projections> {
        let store = self.fixture.open_projections(Arc::new(clock)).await;
        let store = present("the store as one that keeps projections", store)?;
        Ok(Projections(Arc::new(CheckedStore::new(store))))
    }

    /// A handle of the store that runs SQL projections.
    pub(crate) async fn sql(&self) -> Checked<Arc<dyn SqlTables>> {
        let store = self.fixture.open_sql(Arc::new(self.clock.clone())).await;
        present("the store as one that runs SQL projections", store)
    }

    /// A handle of the store that keeps states, as the runtime uses it.
    pub(crate) async fn states(&self) -> Checked<Arc<dyn StateStore>> {
        let states = self.fixture.open_states(Arc::new(self.clock.clone())).await;
        let states = present("the store as one that keeps states", states)?;
        Ok(Arc::new(CheckedStore::new(states)))
    }

    /// The caps that the store keeps.
    pub(crate) async fn write_caps(&self) -> Checked<WriteCaps> {
        Ok(WriteCaps::new(self.states().await?))
    }

    /// Starts a process that saves states.
    pub(crate) fn saver(&self, name: &str, saves: u64) -> Checked<Writer> {
        let (Some(test), Some(address)) = (self.writer_test, self.fixture.address()) else {
            return Err(Stop::Skipped("no other process can open the store"));
        };
        Writer::start_saver(test, &address, name, saves)
            .map_err(|error| Stop::broken("a saving process", "to start", error))
    }

    /// An outside transaction that has done `work` and is left open.
    pub(crate) async fn begin(&self, work: Work<'_>) -> Checked<Box<dyn Transaction>> {
        let transaction = self.fixture.begin(work).await;
        transaction.ok_or(Stop::Skipped("the fixture begins no transaction from outside"))
    }

    /// Starts a process that appends to the store.
    pub(crate) fn writer(&self, name: &str, appends: u64, environment: &[(String, String)]) -> Checked<Writer> {
        let (Some(test), Some(address)) = (self.writer_test, self.fixture.address()) else {
            return Err(Stop::Skipped("no other process can open the store"));
        };
        Writer::start(test, &address, name, appends, environment)
            .map_err(|error| Stop::broken("a writer process", "to start", error))
    }

    pub(crate) fn offers(&self, capability: Capability) -> bool {
        self.fixture.capabilities().contains(&capability)
    }

    pub(crate) fn random(&self) -> Random {
        Random::from_seed(self.seed)
    }
}

/// A clock that stands so many microseconds after noon of 2026-01-01, or before it.
pub(crate) fn clock(off: i64) -> ManualClock {
    ManualClock::at(Timestamp::from_micros(1_767_268_800_000_000 + off).unwrap_or(Timestamp::MAX))
}

/// A handle of the store under test.
#[derive(Clone)]
pub(crate) struct Store(pub(crate) Arc<dyn EventStore>);

impl Deref for Store {
    type Target = dyn EventStore;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// A handle of the store under test that keeps projections.
#[derive(Clone)]
pub(crate) struct Projections(pub(crate) Arc<dyn ProjectionStore>);

impl Deref for Projections {
    type Target = dyn ProjectionStore;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Projections {
    /// The same handle, as far as it is a store of events.
    pub(crate) fn events(&self) -> Store {
        Store(Arc::clone(&self.0) as Arc<dyn EventStore>)
    }
}

impl Store {
    /// Appends to one stream.
    pub(crate) async fn put(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        self.append(Append::new(stream.clone(), expected, events)).await
    }

    pub(crate) async fn read(&self, query: ReadStream) -> Checked<Vec<RecordedEvent>> {
        Ok(self.read_stream(query).try_collect().await?)
    }

    pub(crate) async fn events_of(&self, stream: &StreamId) -> Checked<Vec<RecordedEvent>> {
        self.read(ReadStream::new(stream.clone())).await
    }

    pub(crate) async fn read_positions(&self, query: ReadLog) -> Checked<Vec<RecordedEvent>> {
        Ok(self.read_log(query).try_collect().await?)
    }

    pub(crate) async fn log(&self) -> Checked<Vec<RecordedEvent>> {
        self.read_positions(ReadLog::new()).await
    }

    pub(crate) async fn list(&self, query: ListStreams) -> Checked<Vec<StreamInfo>> {
        Ok(self.streams(query).try_collect().await?)
    }

    /// Checks what holds of every store at any time, and gives the log: positions rise; versions are 1, 2, 3 … in each stream;
    /// `recorded_at` never goes back; no event is there twice; streams and log tell the same.
    pub(crate) async fn check_log(&self) -> Checked<Vec<RecordedEvent>> {
        let last = |log: &[RecordedEvent]| log.last().map_or(Position::ZERO, |event| event.position);
        let mut rounds = 0;
        loop {
            rounds += 1;
            let head = self.head().await?;
            let log = self.log().await?;
            holds(
                last(&log) >= head,
                "the last event of the log",
                format_args!("that it stands at {head} or above, as the head did before"),
                last(&log),
            )?;
            let checked = self.check_streams(&log).await;
            // A request that was sent by a process before it was killed may be stored only now.
            if checked.is_ok() || rounds == 100 || self.head().await? == last(&log) {
                checked?;
                return Ok(log);
            }
        }
    }

    /// Checks that streams and head tell the same as the log.
    async fn check_streams(&self, log: &[RecordedEvent]) -> Checked {
        check_order(log)?;
        let mut streams: Vec<&StreamId> = log.iter().map(|event| &event.stream).collect();
        streams.sort_unstable();
        streams.dedup();
        for stream in streams {
            let in_log: Vec<&RecordedEvent> = log.iter().filter(|event| event.stream == *stream).collect();
            let in_stream = self.events_of(stream).await?;
            check_versions(stream, &in_stream)?;
            same(
                format_args!("the events of `{stream}`, read as a stream, beside those of the log"),
                in_stream.iter().collect::<Vec<_>>(),
                in_log,
            )?;
            let version = self.version(stream).await?;
            same(
                format_args!("the version of `{stream}`"),
                version,
                Version(in_stream.len() as u64),
            )?;
        }
        let head = self.head().await?;
        same(
            "the head",
            head,
            log.last().map_or(Position::ZERO, |event| event.position),
        )
    }
}

/// Positions rise, no event stands twice, and times do not go back.
#[track_caller]
pub(crate) fn check_order(log: &[RecordedEvent]) -> Checked {
    for pair in log.windows(2) {
        let positions = (pair[0].position, pair[1].position);
        holds(
            positions.0 < positions.1,
            "the positions of the log",
            "that they rise strictly",
            positions,
        )?;
        let times = (pair[0].recorded_at, pair[1].recorded_at);
        holds(
            times.0 <= times.1,
            "`recorded_at` along the log",
            "that it never goes back",
            times,
        )?;
    }
    let mut ids: Vec<_> = log.iter().map(|event| event.id).collect();
    ids.sort_unstable();
    let twice = ids.windows(2).find(|pair| pair[0] == pair[1]);
    holds(twice.is_none(), "the events of the log", "each of them once", twice)
}

/// Versions are 1, 2, 3 … without a gap.
#[track_caller]
pub(crate) fn check_versions(stream: &StreamId, events: &[RecordedEvent]) -> Checked {
    let versions: Vec<u64> = events.iter().map(|event| event.version.0).collect();
    let gapless: Vec<u64> = (1..=events.len() as u64).collect();
    same(format_args!("the versions of `{stream}`"), versions, gapless)
}

/// Returns the outcome for the only stream of the append.
#[track_caller]
pub(crate) fn only(appended: &Appended) -> Checked<&StreamAppended> {
    same("the streams that the append tells of", appended.streams.len(), 1)?;
    present("the stream that the append tells of", appended.streams.first())
}

/// Runs all futures as tasks that start at the same moment, and waits for every one of them.
pub(crate) async fn at_once<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let futures: Vec<F> = futures.into_iter().collect();
    let start = Arc::new(Barrier::new(futures.len()));
    let mut tasks = JoinSet::new();
    for future in futures {
        let start = Arc::clone(&start);
        tasks.spawn(async move {
            start.wait().await;
            future.await
        });
    }
    tasks.join_all().await
}

/// The result of a task; its panic is the store's.
pub(crate) async fn joined<T>(task: JoinHandle<Checked<T>>) -> Checked<T> {
    task.await
        .unwrap_or_else(|error| Err(Stop::broken("a task of the case", "an end without a panic", error)))
}
