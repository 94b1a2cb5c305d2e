//! A store of events in a vector, and the suite on it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use es_conformance::{Capability, Fixture};
use es_runtime::store::*;
use es_runtime::{AppendId, Clock, Position, RecordedEvent, StreamId, SystemClock, Timestamp, Version};
use futures_util::stream::{self, BoxStream, StreamExt};

#[derive(Clone)]
struct VecStore(Arc<Mutex<Log>>, Arc<dyn Clock>);

#[derive(Default)]
struct Log {
    events: Vec<RecordedEvent>,
    versions: HashMap<StreamId, Version>,
    appends: HashMap<AppendId, (Append, Appended)>,
    keys: HashMap<String, AppendId>,
}

type Events<'a> = BoxStream<'a, Result<RecordedEvent, StoreError>>;

impl VecStore {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<'a>(&self, way: Direction, limit: Option<u64>, wants: impl Fn(&RecordedEvent) -> bool) -> Events<'a> {
        let mut events = self.log().events.clone();
        events.retain(wants);
        if way == Direction::Backwards {
            events.reverse();
        }
        stream::iter(events).take(most(limit)).map(Ok).boxed()
    }
}

impl Log {
    fn version(&self, stream: &StreamId) -> Version {
        self.versions.get(stream).copied().unwrap_or_default()
    }

    fn last_recorded_at(&self) -> Timestamp {
        self.events.last().map_or(Timestamp::MIN, |event| event.recorded_at)
    }

    fn key(&self, key: &str) -> Option<KeyRecord> {
        let (append, appended) = self.appends.get(self.keys.get(key)?)?;
        let (fingerprint, appended) = (append.key.as_ref()?.fingerprint, appended.clone());
        Some(KeyRecord { fingerprint, appended })
    }

    /// The answer to an append that came before, under its id or its key.
    fn repeated(&self, append: &Append) -> Result<Option<Appended>, AppendError> {
        let mismatch = |what: String| Err(AppendError::IdempotencyMismatch { what });
        match (self.appends.get(&append.id), &append.key) {
            (Some((stored, appended)), _) if stored.is_again(append) => Ok(Some(appended.clone())),
            (Some(_), _) => mismatch(format!("append id {}", append.id)),
            (None, None) => Ok(None),
            (None, Some(key)) => match self.key(&key.key) {
                Some(record) if record.fingerprint != key.fingerprint => mismatch(format!("key `{}`", key.key)),
                record => Ok(record.map(|record| record.appended)),
            },
        }
    }
}

#[async_trait]
impl EventStore for VecStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        // One at a time, and whatever can be refused is refused before anything is written.
        let mut log = self.log();
        if let Some(appended) = log.repeated(&append)? {
            return Ok(appended);
        }
        for part in &append.streams {
            let last = log.events.iter().rfind(|event| event.stream == part.stream);
            part.check(log.version(&part.stream), last.map(|event| event.id))?;
        }
        let (recorded_at, mut streams) = (self.1.now().max(log.last_recorded_at()), Vec::new());
        for StreamAppend { stream, events, .. } in &append.streams {
            for event in events {
                let (version, position) = (log.version(stream).next(), Position(log.events.len() as u64).next());
                log.versions.insert(stream.clone(), version);
                let event = event.clone().recorded(stream.clone(), version, position, recorded_at);
                log.events.push(event);
            }
            let (version, position) = (log.version(stream), Position(log.events.len() as u64));
            let (stream, events) = (stream.clone(), events.len());
            streams.push(StreamAppended {
                stream,
                events,
                version,
                position,
            });
        }
        let appended = Appended::new(append.id, recorded_at, streams);
        let key = append.key.iter().map(|key| (key.key.clone(), append.id));
        log.keys.extend(key);
        log.appends.insert(append.id, (append, appended.clone().again()));
        Ok(appended)
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        let log = self.log();
        let found = log.appends.get(&append.append);
        Ok(found.map(|(_, appended)| appended.clone()))
    }

    async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        Ok(self.log().key(key))
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let now = self.1.now();
        Ok(now.max(self.log().last_recorded_at()))
    }

    fn read_stream(&self, query: ReadStream) -> Events<'_> {
        self.read(query.direction, query.limit, |event| query.wants(event))
    }

    fn read_log(&self, query: ReadLog) -> Events<'_> {
        self.read(query.direction, query.limit, |event| query.wants(event))
    }

    fn streams(&self, query: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        let info = |(stream, version): (StreamId, Version)| StreamInfo { stream, version };
        let mut infos: Vec<_> = self.log().versions.clone().into_iter().map(info).collect();
        let is_behind = |id: &str| query.after.as_deref().is_none_or(|after| id > after);
        infos.retain(|info| info.stream.category() == query.category && is_behind(info.stream.id()));
        infos.sort_by(|one, other| one.stream.id().cmp(other.stream.id()));
        stream::iter(infos).take(most(query.limit)).map(Ok).boxed()
    }

    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        let kinds: BTreeSet<EventKind> = self.log().events.iter().map(EventKind::of).collect();
        Ok(kinds.into_iter().collect())
    }
}

fn most(limit: Option<u64>) -> usize {
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[async_trait]
impl Fixture for VecStore {
    fn capabilities(&self) -> &[Capability] {
        &[Capability::MultiStream, Capability::AnyPayload]
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(Self(Arc::clone(&self.0), clock))
    }
}

es_conformance::suite!(VecStore(Arc::default(), Arc::new(SystemClock)));
