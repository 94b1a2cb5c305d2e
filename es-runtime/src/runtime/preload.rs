//! Every instance of an aggregate in memory, before the runtime is there.

use std::time::Duration;

use foldhash::{HashMap, HashMapExt as _};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use super::cache::CacheBound;
use super::load::Until;
use super::state::Current;
use super::{Runtime, Started};
use crate::store::{EventFilter, ListStreams, ReadLog};
use crate::{EventSourced, EventStore, LoadError, StoreError, StoredEvent, StreamId, Version};

/// Loads every instance of one aggregate.
pub(super) type Preload = for<'a> fn(&'a Runtime) -> Started<'a, Result<(), StoreError>>;

/// The instances with snapshots that are loaded at once.
const AT_ONCE: usize = 16;

/// The pause between two reports of progress.
const REPORTS: Duration = Duration::from_secs(5);

pub(super) fn preload<A: EventSourced>(runtime: &Runtime) -> Started<'_, Result<(), StoreError>> {
    Box::pin(async move {
        let mut progress = Progress::begin::<A>(runtime);
        let result = if runtime.0.snapshots.of::<A>().is_some() {
            each_stream::<A>(runtime, &mut progress).await
        } else {
            whole_log::<A>(runtime, &mut progress).await
        };
        progress.end();
        result
    })
}

/// Loads the streams, each from its snapshot.
async fn each_stream<A: EventSourced>(runtime: &Runtime, progress: &mut Progress) -> Result<(), StoreError> {
    let streams = runtime.0.store.streams(ListStreams::new(A::NAME));
    let mut loads = streams
        .map(async |info| {
            let stream = info?.stream;
            let loaded = runtime.fold::<A>(&stream, Until::Now).await;
            Ok((stream, loaded))
        })
        .buffer_unordered(AT_ONCE);
    while let Some((stream, loaded)) = loads.try_next().await? {
        let Some(current) = readable(&stream, loaded)? else {
            continue;
        };
        if !progress.adds(1, current.bytes) {
            break;
        }
        runtime.0.cache.put(&stream, current.into());
    }
    Ok(())
}

/// Folds the streams side by side, as their events come.
async fn whole_log<A: EventSourced>(runtime: &Runtime, progress: &mut Progress) -> Result<(), StoreError> {
    // `None` for a stream that cannot be folded.
    let mut states: HashMap<StreamId, Option<Current<A>>> = HashMap::new();
    let query = ReadLog::new().only(EventFilter::category(A::NAME));
    let mut events = runtime.0.store.read_log(query);
    let mut is_cut_off = false;
    while let Some(event) = events.try_next().await? {
        let stream = event.stream.clone();
        let event = StoredEvent::from(event);
        let state = states.entry(stream.clone()).or_insert_with(|| Some(Current::default()));
        let Some(current) = state else { continue };
        let is_new = current.version == Version::ZERO;
        if readable(&stream, current.fold(&stream, &event))?.is_none() {
            *state = None;
            continue;
        }
        if !progress.adds(usize::from(is_new), event.payload.len()) {
            states.remove(&stream);
            is_cut_off = true;
            break;
        }
    }
    drop(events);
    if is_cut_off {
        mark_behind(runtime, &states).await?;
    }
    for (stream, current) in states {
        if let Some(current) = current {
            runtime.0.cache.put(&stream, current.into());
        }
    }
    Ok(())
}

/// Notes how far the streams are whose events were not all read: the first command reads on, rather than meet a conflict.
async fn mark_behind<A: EventSourced>(
    runtime: &Runtime,
    states: &HashMap<StreamId, Option<Current<A>>>,
) -> Result<(), StoreError> {
    let mut streams = runtime.0.store.streams(ListStreams::new(A::NAME));
    while let Some(info) = streams.try_next().await? {
        if let Some(Some(current)) = states.get(&info.stream)
            && current.version < info.version
        {
            runtime.0.cache.slot(&info.stream).reached(info.version);
        }
    }
    Ok(())
}

/// Leaves a stream out that cannot be folded: whoever asks for it gets the error.
fn readable<T>(stream: &StreamId, loaded: Result<T, LoadError>) -> Result<Option<T>, StoreError> {
    match loaded {
        Ok(loaded) => Ok(Some(loaded)),
        Err(LoadError::Store(error)) => Err(error),
        Err(error) => {
            tracing::warn!(%stream, %error, "an instance cannot be loaded into memory");
            Ok(None)
        }
    }
}

/// The progress of one aggregate.
struct Progress {
    aggregate: &'static str,
    /// The room that the aggregates before have left.
    room: CacheBound,
    instances: usize,
    bytes: usize,
    began: Instant,
    reported: Instant,
}

impl Progress {
    fn begin<A: EventSourced>(runtime: &Runtime) -> Self {
        let now = Instant::now();
        Self {
            aggregate: A::NAME,
            room: runtime.0.cache.room(),
            instances: 0,
            bytes: 0,
            began: now,
            reported: now,
        }
    }

    /// Counts what is new, if there is room for it. Returns whether there is.
    fn adds(&mut self, instances: usize, bytes: usize) -> bool {
        let aggregate = self.aggregate;
        let (instances, bytes) = (self.instances + instances, self.bytes + bytes);
        if !self.room.holds(instances, bytes) {
            tracing::warn!(
                aggregate,
                instances = self.instances,
                bytes = self.bytes,
                "not all instances have room in memory: raise `Builder::cache_bytes` or `Builder::cache`"
            );
            return false;
        }
        (self.instances, self.bytes) = (instances, bytes);
        if self.reported.elapsed() >= REPORTS {
            self.reported = Instant::now();
            tracing::info!(aggregate, instances, bytes, "loading into memory");
        }
        true
    }

    fn end(&self) {
        let Self {
            aggregate,
            instances,
            bytes,
            ..
        } = *self;
        tracing::info!(
            aggregate,
            instances,
            bytes,
            seconds = self.began.elapsed().as_secs_f64(),
            "loaded into memory"
        );
    }
}
