//! The store of the guide "Writing a store", in its groups of the suite.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use es_conformance::{Capability, Fixture};
use es_runtime::store::{
    Append, AppendError, AppendRef, Appended, Direction, EventKind, EventStore, KeyRecord, ListStreams, ReadLog,
    ReadStream, StoreError, StreamAppended, StreamInfo,
};
use es_runtime::{AppendId, Clock, Position, RecordedEvent, StreamId, Timestamp, Version};
use futures_util::stream::{self, BoxStream, StreamExt};

/// Events in a vector. Clones are one store.
#[derive(Clone)]
pub struct VecStore(Arc<Mutex<Log>>, Arc<dyn Clock>);

#[derive(Default)]
struct Log {
    /// The event at position p stands at index p - 1.
    events: Vec<RecordedEvent>,
    versions: HashMap<StreamId, Version>,
    appends: HashMap<AppendId, (Append, Appended)>,
    keys: HashMap<String, AppendId>,
}

impl VecStore {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events that are wanted, from either end.
    fn read<'a>(
        &self,
        direction: Direction,
        limit: Option<u64>,
        is_wanted: impl Fn(&RecordedEvent) -> bool,
    ) -> BoxStream<'a, Result<RecordedEvent, StoreError>> {
        let mut events: Vec<_> = self
            .log()
            .events
            .iter()
            .filter(|event| is_wanted(event))
            .cloned()
            .collect();
        if direction == Direction::Backwards {
            events.reverse();
        }
        events.truncate(limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)));
        stream::iter(events.into_iter().map(Ok)).boxed()
    }
}

impl Log {
    fn version(&self, stream: &StreamId) -> Version {
        self.versions.get(stream).copied().unwrap_or_default()
    }

    /// The result of an append of this id, or with this key, that is stored since before.
    fn repeated(&self, append: &Append) -> Result<Option<Appended>, AppendError> {
        if let Some((stored, appended)) = self.appends.get(&append.id) {
            let is_same = |(one, other): (&_, &_)| content(one) == content(other);
            if stored.key == append.key
                && stored.streams.len() == append.streams.len()
                && stored.streams.iter().zip(&append.streams).all(is_same)
            {
                return Ok(Some(appended.clone()));
            }
            let what = format!("append id {}", append.id);
            return Err(AppendError::IdempotencyMismatch { what });
        }
        let Some(key) = &append.key else { return Ok(None) };
        match self.key(&key.key) {
            Some(record) if record.fingerprint != key.fingerprint => {
                let what = format!("idempotency key `{}`", key.key);
                Err(AppendError::IdempotencyMismatch { what })
            }
            record => Ok(record.map(|record| record.appended)),
        }
    }

    fn key(&self, key: &str) -> Option<KeyRecord> {
        let (append, appended) = self.appends.get(self.keys.get(key)?)?;
        let (fingerprint, appended) = (append.key.as_ref()?.fingerprint, appended.clone());
        Some(KeyRecord { fingerprint, appended })
    }
}

/// What an append holds for one stream. What it demands of the stream does not matter when it comes again.
fn content(part: &es_runtime::store::StreamAppend) -> (&StreamId, &[es_runtime::NewEvent]) {
    (&part.stream, &part.events)
}

#[async_trait]
impl EventStore for VecStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        // Nothing else is done meanwhile, and whatever can be refused is, before anything is written.
        let mut log = self.log();
        if let Some(appended) = log.repeated(&append)? {
            return Ok(appended);
        }
        for part in &append.streams {
            let (stream, expected, actual) = (part.stream.clone(), part.expected, log.version(&part.stream));
            if !expected.allows(actual) {
                return Err(AppendError::Conflict {
                    stream,
                    expected,
                    actual,
                });
            }
        }
        let last = log.events.last().map_or(Timestamp::MIN, |event| event.recorded_at);
        let (id, recorded_at, mut streams) = (append.id, self.1.now().max(last), Vec::new());
        for part in &append.streams {
            let mut version = log.version(&part.stream);
            for event in part.events.iter().cloned() {
                version = version.next();
                let position = Position(log.events.len() as u64 + 1);
                log.events
                    .push(event.recorded(part.stream.clone(), version, position, recorded_at));
            }
            let (stream, events, position) = (
                part.stream.clone(),
                part.events.len(),
                Position(log.events.len() as u64),
            );
            if events > 0 {
                log.versions.insert(stream.clone(), version);
            }
            streams.push(StreamAppended {
                stream,
                events,
                version,
                position,
            });
        }
        let appended = Appended {
            id,
            repeated: false,
            recorded_at,
            streams,
        };
        log.keys.extend(append.key.iter().map(|key| (key.key.clone(), id)));
        let again = Appended {
            repeated: true,
            ..appended.clone()
        };
        log.appends.insert(id, (append, again));
        Ok(appended)
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        Ok(self
            .log()
            .appends
            .get(&append.append)
            .map(|(_, appended)| appended.clone()))
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        Ok(self.log().key(key))
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.read(query.direction, query.limit, |event| {
            event.stream == query.stream && event.version >= query.from && event.version <= query.to
        })
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.read(query.direction, query.limit, |event| {
            let is_in_range = event.position >= query.from && event.position <= query.to;
            is_in_range && query.only.as_ref().is_none_or(|only| only.matches(event))
        })
    }

    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        let log = self.log();
        let is_wanted = |stream: &StreamId| {
            stream.category() == query.category && query.after.as_deref().is_none_or(|after| stream.id() > after)
        };
        let mut found: Vec<_> = log.versions.iter().filter(|(stream, _)| is_wanted(stream)).collect();
        found.sort_by(|(one, _), (other, _)| one.id().cmp(other.id()));
        let info = |(stream, version): (&StreamId, &Version)| StreamInfo {
            stream: stream.clone(),
            version: *version,
        };
        let limit = query
            .limit
            .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let found: Vec<_> = found.into_iter().take(limit).map(info).map(Ok).collect();
        stream::iter(found).boxed()
    }

    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        let log = self.log();
        let kinds = log
            .events
            .iter()
            .map(|event| EventKind::new(event.stream.category(), &*event.name, event.shape_version));
        Ok(kinds.collect::<BTreeSet<_>>().into_iter().collect())
    }
}

struct InMemory(VecStore);

#[async_trait]
impl Fixture for InMemory {
    fn capabilities(&self) -> &[Capability] {
        &[Capability::MultiStream, Capability::AnyPayload]
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(VecStore(Arc::clone(&self.0.0), clock))
    }
}

es_conformance::suite!(InMemory(VecStore(Arc::default(), Arc::new(es_runtime::SystemClock))));
