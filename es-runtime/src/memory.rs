mod archive;
mod cursors;
mod inline;
mod rows;
mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cursors::Cursors;
use foldhash::HashMap;
use futures_core::stream::BoxStream;
use futures_util::stream;
use rows::Tables;
use uuid::Uuid;

use crate::store::{
    Append, AppendError, AppendRef, AppendSignal, AppendSignalSource, Appended, ArchiveStore, CursorStore, Direction,
    EventFilter, EventKind, EventStore, KeyRecord, ListStreams, Positions, ReadLog, ReadStream, RowStore, StateStore,
    StoreError, StoredKey, StreamAppend, StreamAppended, StreamInfo,
};
use crate::{AppendId, Clock, Limits, Position, RecordedEvent, StreamId, SystemClock, Timestamp, Version};
use states::States;

/// A store in memory, for tests and for data that need not outlive the process: it behaves like the durable stores,
/// without the durability. Clones share the events.
///
/// ```
/// # use es_runtime::{EventStore, MemoryStore};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> es_runtime::Result<()> {
/// let store = MemoryStore::new();
/// assert_eq!(store.head().await?, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    log: Arc<Mutex<Log>>,
    states: States,
    wakes: AppendSignalSource,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self {
            log: Arc::default(),
            states: States::default(),
            wakes: AppendSignalSource::new(),
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
        }
    }

    /// Takes the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets other limits for appends.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Forgets the events above `to`, as the restore of an older backup would. The data of projections stays: for tests
    /// of their reaction.
    pub fn rewind(&self, to: Position) {
        self.log().rewind(usize_of(to.0));
    }

    // A panic under the lock can only come from running out of memory: appends are checked before they are written.
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore")
            .field("head", &self.log().head())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let mut log = self.log();
        if let Some(appended) = log.repeated(&append)? {
            return Ok(appended);
        }
        log.check_versions(&append)?;
        let recorded_at = self.clock.now().max(log.last_recorded_at());
        let appended = log.write(append, recorded_at);
        self.wakes.wake(log.head());
        Ok(appended)
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        Ok(self.log().find(append.append).map(|(_, appended)| appended))
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        Ok(self.log().find_key(key))
    }

    async fn purge_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.log().purge_keys(before))
    }

    async fn version(&self, stream: &StreamId) -> Result<Version, StoreError> {
        Ok(self.log().version(stream))
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let now = self.clock.now();
        Ok(now.max(self.log().last_recorded_at()))
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(self.log().head())
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        let cursor = Cursor::new(query.from.0, query.to.0, query.direction);
        let stream = query.stream.clone();
        self.read(cursor, query.limit, None, move |log| log.stream(&stream))
    }

    fn positions(&self) -> Positions {
        Positions::Gapless
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.events(query)
    }

    fn wakes(&self) -> AppendSignal {
        self.wakes.wakes()
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
        let log = self.log();
        let mut found: Vec<StreamInfo> = log
            .streams
            .iter()
            .filter(|(stream, _)| stream.category() == query.category)
            .filter(|(stream, _)| query.after.as_deref().is_none_or(|after| stream.id() > after))
            .map(|(stream, positions)| StreamInfo {
                stream: stream.clone(),
                version: version_of(positions),
            })
            .collect();
        found.sort_unstable_by(|a, b| a.stream.id().cmp(b.stream.id()));
        found.truncate(
            query
                .limit
                .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        );
        Box::pin(stream::iter(found.into_iter().map(Ok)))
    }

    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        Ok(self.log().kinds.iter().collect())
    }

    async fn count_events(&self, kind: &EventKind) -> Result<u64, StoreError> {
        let log = self.log();
        let of_kind = log.events.iter().filter(|event| {
            event.shape_version == kind.shape_version
                && event.name == kind.name
                && event.stream.category() == kind.category
        });
        Ok(of_kind.count() as u64)
    }
}

impl MemoryStore {
    /// The events of the log that are asked for.
    fn events(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        if let Some(EventFilter::Stream(stream)) = query.only {
            // Between positions p and q of the log stand the versions above those before p, up to those before q + 1.
            let (from, to) = {
                let log = self.log();
                let positions = log.stream(&stream).positions.unwrap_or_default();
                let before = |position: u64| positions.partition_point(|other| *other < position) as u64;
                (before(query.from.0) + 1, before(query.to.0.saturating_add(1)))
            };
            let cursor = Cursor::new(from, to, query.direction);
            return self.read(cursor, query.limit, None, move |log| log.stream(&stream));
        }
        let cursor = Cursor::new(query.from.0, query.to.0, query.direction);
        self.read(cursor, query.limit, query.only, |log| Numbered { log, positions: None })
    }

    /// Reads what `select` numbers and the filter lets through, a page at a time, so that the lock is held briefly.
    fn read<'a>(
        &'a self,
        mut cursor: Cursor,
        limit: Option<u64>,
        only: Option<EventFilter>,
        select: impl Fn(&Log) -> Numbered<'_> + Send + 'a,
    ) -> BoxStream<'a, Result<RecordedEvent, StoreError>> {
        const PAGE: usize = 256;
        let mut page = Vec::new().into_iter();
        let events = std::iter::from_fn(move || {
            let mut is_end = false;
            while page.len() == 0 && !is_end {
                let log = self.log();
                let events = select(&log);
                let numbers: Vec<u64> = std::iter::from_fn(|| cursor.next(events.last())).take(PAGE).collect();
                is_end = numbers.len() < PAGE;
                let wanted = numbers
                    .into_iter()
                    .map(|number| events.get(number))
                    .filter(|event| only.as_ref().is_none_or(|only| only.matches(event)));
                page = wanted.cloned().collect::<Vec<_>>().into_iter();
            }
            page.next().map(Ok)
        });
        Box::pin(stream::iter(events.take(limit.map_or(usize::MAX, usize_of))))
    }
}

/// Everything that is stored.
#[derive(Default)]
struct Log {
    /// The event at position p stands at index p - 1.
    events: Vec<RecordedEvent>,
    /// The position of version v of a stream stands at index v - 1.
    streams: HashMap<StreamId, Vec<u64>>,
    appends: Appends,
    keys: HashMap<String, (Uuid, AppendId)>,
    kinds: Kinds,
    cursors: Cursors,
    tables: Tables,
}

/// The kinds of the events: the versions of each name of each category. Nested, so that a known one is found without a copy.
#[derive(Default)]
struct Kinds(BTreeMap<String, BTreeMap<String, BTreeSet<u32>>>);

impl Kinds {
    fn note(&mut self, category: &str, name: &str, shape_version: u32) {
        let versions = self.0.get(category).and_then(|names| names.get(name));
        if !versions.is_some_and(|versions| versions.contains(&shape_version)) {
            let names = self.0.entry(category.to_owned()).or_default();
            names.entry(name.to_owned()).or_default().insert(shape_version);
        }
    }

    fn iter(&self) -> impl Iterator<Item = EventKind> {
        self.0.iter().flat_map(|(category, names)| {
            names.iter().flat_map(move |(name, versions)| {
                versions
                    .iter()
                    .map(move |version| EventKind::new(category, name, *version))
            })
        })
    }
}

/// What is kept of an append, to recognise it when it comes again.
struct AppendRecord {
    /// Its events stand from this index on, one after the other.
    first: usize,
    events: usize,
    /// What the events do not tell, if it has a key or concerns another number of streams than one.
    more: Option<Box<Unusual>>,
}

struct Unusual {
    key: Option<StoredKey>,
    recorded_at: Timestamp,
    streams: Vec<StreamAppended>,
}

/// What is kept of all appends. Nearly all ids come in order, and then stand at the end of a vector.
#[derive(Default)]
struct Appends {
    in_order: Vec<(AppendId, AppendRecord)>,
    others: HashMap<AppendId, AppendRecord>,
}

impl Appends {
    fn get(&self, id: AppendId) -> Option<&AppendRecord> {
        if self.is_newest(id) {
            return None;
        }
        match self.in_order.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(index) => Some(&self.in_order[index].1),
            Err(_) => self.others.get(&id),
        }
    }

    fn get_mut(&mut self, id: AppendId) -> Option<&mut AppendRecord> {
        match self.in_order.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(index) => Some(&mut self.in_order[index].1),
            Err(_) => self.others.get_mut(&id),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (AppendId, &AppendRecord)> {
        let in_order = self.in_order.iter().map(|(id, record)| (*id, record));
        in_order.chain(self.others.iter().map(|(id, record)| (*id, record)))
    }

    fn insert(&mut self, id: AppendId, record: AppendRecord) {
        if self.is_newest(id) {
            self.in_order.push((id, record));
        } else {
            self.others.insert(id, record);
        }
    }

    fn retain(&mut self, keep: impl Fn(&AppendRecord) -> bool) {
        self.in_order.retain(|(_, record)| keep(record));
        self.others.retain(|_, record| keep(record));
    }

    fn is_newest(&self, id: AppendId) -> bool {
        self.in_order.last().is_none_or(|(last, _)| *last < id)
    }
}

impl Log {
    fn head(&self) -> Position {
        Position(self.events.len() as u64)
    }

    fn version(&self, stream: &StreamId) -> Version {
        self.streams
            .get(stream)
            .map_or(Version::ZERO, |positions| version_of(positions))
    }

    fn rewind(&mut self, to: usize) {
        self.events.truncate(to);
        for positions in self.streams.values_mut() {
            positions.retain(|position| usize_of(*position) <= to);
        }
        self.streams.retain(|_, positions| !positions.is_empty());
        self.appends.retain(|append| append.first + append.events <= to);
        let appends = &self.appends;
        self.keys.retain(|_, (_, append)| appends.get(*append).is_some());
        self.kinds = Kinds::default();
        for event in &self.events {
            self.kinds
                .note(event.stream.category(), &event.name, event.shape_version);
        }
    }

    fn stream(&self, stream: &StreamId) -> Numbered<'_> {
        Numbered {
            log: self,
            positions: Some(self.streams.get(stream).map_or(&[], Vec::as_slice)),
        }
    }

    fn last_recorded_at(&self) -> Timestamp {
        self.events.last().map_or(Timestamp::MIN, |event| event.recorded_at)
    }

    fn find_key(&self, key: &str) -> Option<KeyRecord> {
        let (fingerprint, id) = self.keys.get(key)?;
        let (_, appended) = self.find(*id)?;
        Some(KeyRecord {
            fingerprint: *fingerprint,
            appended,
        })
    }

    fn purge_keys(&mut self, before: Timestamp) -> u64 {
        let (appends, known) = (&mut self.appends, self.keys.len());
        self.keys.retain(|_, (_, id)| {
            let more = appends.get_mut(*id).and_then(|record| record.more.as_mut());
            let Some(more) = more.filter(|more| more.recorded_at < before) else {
                return true;
            };
            if let Some(key) = &mut more.key {
                key.key = None;
            }
            false
        });
        (known - self.keys.len()) as u64
    }

    /// What is kept of an append, and its result.
    fn find(&self, id: AppendId) -> Option<(&AppendRecord, Appended)> {
        let record = self.appends.get(id)?;
        let appended = match (&record.more, self.events_of(record)) {
            (Some(more), _) => Appended {
                id,
                repeated: true,
                recorded_at: more.recorded_at,
                streams: more.streams.clone(),
            },
            (None, events) => {
                let last = events.last()?;
                let streams = vec![StreamAppended {
                    stream: last.stream.clone(),
                    events: events.len(),
                    version: last.version,
                    position: last.position,
                }];
                Appended {
                    id,
                    repeated: true,
                    recorded_at: last.recorded_at,
                    streams,
                }
            }
        };
        Some((record, appended))
    }

    fn events_of(&self, record: &AppendRecord) -> &[RecordedEvent] {
        &self.events[record.first..record.first + record.events]
    }

    /// The result of an earlier append with the same id or the same key.
    fn repeated(&self, append: &Append) -> Result<Option<Appended>, AppendError> {
        if let Some((record, appended)) = self.find(append.id) {
            if self.same_content(record, &appended, append) {
                return Ok(Some(appended));
            }
            return Err(AppendError::IdempotencyMismatch {
                what: format!("append id {}", append.id),
            });
        }
        let Some(given) = &append.key else { return Ok(None) };
        match self.find_key(&given.key) {
            Some(record) if record.fingerprint == given.fingerprint => Ok(Some(record.appended)),
            Some(_) => Err(AppendError::IdempotencyMismatch {
                what: format!("idempotency key `{}`", given.key),
            }),
            None => Ok(None),
        }
    }

    fn same_content(&self, record: &AppendRecord, appended: &Appended, append: &Append) -> bool {
        let key = record.more.as_ref().and_then(|more| more.key.as_ref());
        StoredKey::is_same(key, append.key.as_ref())
            && appended.streams.len() == append.streams.len()
            && std::iter::zip(&appended.streams, &append.streams)
                .all(|(stored, given)| stored.stream == given.stream && stored.events == given.events.len())
            && std::iter::zip(self.events_of(record), append.events()).all(|(stored, given)| {
                stored.id == given.id
                    && stored.name == given.name
                    && stored.shape_version == given.shape_version
                    && stored.payload == given.payload
                    && stored.metadata == given.metadata
            })
    }

    fn check_versions(&self, append: &Append) -> Result<(), AppendError> {
        for part in &append.streams {
            let positions = self.streams.get(&part.stream).map_or(&[][..], Vec::as_slice);
            let last = positions.last().map(|position| self.events[usize_of(*position) - 1].id);
            part.check(version_of(positions), last)?;
        }
        Ok(())
    }

    fn write(&mut self, append: Append, recorded_at: Timestamp) -> Appended {
        let first = self.events.len();
        let mut streams = Vec::with_capacity(append.streams.len());
        for part in append.streams {
            streams.push(self.write_part(part, recorded_at));
        }
        if let Some(key) = &append.key {
            self.keys.insert(key.key.clone(), (key.fingerprint, append.id));
        }
        let more = (append.key.is_some() || streams.len() > 1).then(|| {
            Box::new(Unusual {
                key: append.key.map(StoredKey::from),
                recorded_at,
                streams: streams.clone(),
            })
        });
        let events = self.events.len() - first;
        self.appends.insert(append.id, AppendRecord { first, events, more });
        Appended {
            id: append.id,
            repeated: false,
            recorded_at,
            streams,
        }
    }

    fn write_part(&mut self, part: StreamAppend, recorded_at: Timestamp) -> StreamAppended {
        let StreamAppend {
            stream, events: new, ..
        } = part;
        let events = new.len();
        if new.is_empty() {
            return StreamAppended {
                version: self.version(&stream),
                stream,
                events,
                position: self.head(),
            };
        }
        let positions = self.streams.entry(stream.clone()).or_default();
        for event in new {
            let position = Position(self.events.len() as u64).next();
            positions.push(position.0);
            self.kinds.note(stream.category(), &event.name, event.shape_version);
            let version = version_of(positions);
            self.events
                .push(event.recorded(stream.clone(), version, position, recorded_at));
        }
        StreamAppended {
            version: version_of(positions),
            stream,
            events,
            position: self.head(),
        }
    }
}

fn version_of(positions: &[u64]) -> Version {
    Version(positions.len() as u64)
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Events under numbers 1, 2, 3 …: those of the log, or those of one stream.
struct Numbered<'a> {
    log: &'a Log,
    positions: Option<&'a [u64]>,
}

impl Numbered<'_> {
    fn last(&self) -> u64 {
        self.positions.map_or(self.log.events.len(), <[u64]>::len) as u64
    }

    fn get(&self, number: u64) -> &RecordedEvent {
        let position = self
            .positions
            .map_or(number, |positions| positions[usize_of(number - 1)]);
        &self.log.events[usize_of(position - 1)]
    }
}

/// Walks a range of numbers, of which the upper end may still grow.
struct Cursor {
    low: u64,
    high: u64,
    direction: Direction,
}

impl Cursor {
    fn new(from: u64, to: u64, direction: Direction) -> Self {
        Self {
            low: from.max(1),
            high: to,
            direction,
        }
    }

    /// The next number, if there is one up to `last`.
    fn next(&mut self, last: u64) -> Option<u64> {
        let high = self.high.min(last);
        if self.low > high {
            return None;
        }
        match self.direction {
            Direction::Forwards => {
                self.low += 1;
                Some(self.low - 1)
            }
            Direction::Backwards => {
                self.high = high - 1;
                Some(high)
            }
        }
    }
}
