use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::decide::{Batch, Written, checked, decline, size, valid, write};
use super::enclosing::Enclosing;
use super::load::{Load, Loaded};
use super::state::{Current, Erased};
use super::write::exactly;
use super::{ExecuteWithin, Receipt, Runtime};
use crate::store::{AppendError, Appended, StreamAppend};
use crate::{
    AppendId, CommandOf, Context, EventEnum as _, EventId, EventSourced, ExecuteError, Key, Metadata, NewEvent,
    StoreError, StoredEvent, StreamId, Timestamp, Version, metrics,
};

/// Sends commands that take effect together, when the closure of [`Runtime::atomically`] has returned `Ok`.
pub struct Transaction {
    runtime: Runtime,
    append: AppendId,
    pub(super) metadata: Metadata,
    work: Arc<AsyncMutex<Work>>,
    enclosing: Arc<Enclosing>,
    failed: Arc<Mutex<Option<oneshot::Sender<Failure>>>>,
}

/// The error that ends the closure.
pub(super) type Failure = ExecuteError<()>;

impl Transaction {
    /// A transaction, what it decides, and what ends it.
    pub(super) fn begin(
        runtime: &Runtime,
        append: AppendId,
        metadata: &Metadata,
        enclosing: &Arc<Enclosing>,
    ) -> (Self, Arc<AsyncMutex<Work>>, oneshot::Receiver<Failure>) {
        let (failed, failure) = oneshot::channel();
        let work: Arc<AsyncMutex<Work>> = Arc::default();
        let transaction = Self {
            runtime: runtime.clone(),
            append,
            metadata: metadata.clone(),
            work: Arc::clone(&work),
            enclosing: Arc::clone(enclosing),
            failed: Arc::new(Mutex::new(Some(failed))),
        };
        (transaction, work, failure)
    }

    /// Decides `command` on the state of `key`, as the commands before it in this transaction have left it. Await the result, or
    /// set metadata of its events first.
    ///
    /// # Errors
    ///
    /// Only the refusal of the handler, which [`Error::downcast_ref`](crate::Error::downcast_ref) gives back: with `?` it is the end of
    /// the transaction, and nothing is stored.
    pub fn execute<K: Key, C: CommandOf<K::Aggregate>>(&self, key: K, command: C) -> ExecuteWithin<'_, K::Aggregate, C>
    where
        K::Aggregate: EventSourced,
    {
        ExecuteWithin::new(self, key.stream_id(), command)
    }

    /// Loads `key`, as the commands before it in this transaction have left it. The transaction is run again if it changes
    /// before the transaction is stored.
    pub async fn load<K: Key>(&self, key: K) -> Option<Loaded<K::Aggregate>>
    where
        K::Aggregate: EventSourced,
    {
        match self.copy(key.stream_id()).await {
            Ok(Current {
                state,
                version,
                position,
                ..
            }) => (*state).map(|state| Loaded {
                state,
                version,
                position,
            }),
            Err(failure) => self.fail(failure).await,
        }
    }

    pub(super) async fn decide<A: EventSourced, C: CommandOf<A>>(
        &self,
        stream: StreamId,
        command: C,
        metadata: &Metadata,
    ) -> Result<(), ExecuteError<C::Refusal>> {
        command.check()?;
        let mut work = self.work.lock().await;
        let first = work.events as u64;
        let part = work.part::<A, _>(self, stream).await?;
        let stream = &part.stream;
        let now = self.runtime.0.clock.now();
        let context = Context::new(stream.clone(), part.current.version, now, metadata.clone());
        let state = part.current.state_mut::<A>();
        let events = command
            .decide(state.as_ref(), &context)
            .map_err(|declined| decline(stream, declined))?;
        valid::<A, _>(&events)?;
        checked::<A, _>(stream, state.is_some(), &events)?;
        let batch = Batch {
            id: self.append,
            first,
            metadata,
            times: &[],
        };
        let Written { stored, read } = write::<A, _>(&self.runtime.0.caps, stream, state.is_some(), events, &batch)?;
        let (count, bytes) = (stored.len(), size(&stored));
        let last = stored.last().map(|event| event.id);
        part.events.extend(stored);
        for event in read {
            event.apply(state).map_err(|source| ExecuteError::Misapplied {
                stream: stream.clone(),
                source,
            })?;
        }
        part.current.last = last.or(part.current.last);
        part.current.version.0 += count as u64;
        part.current.bytes += bytes;
        work.events += count;
        Ok(())
    }

    /// A copy of the state, which the transaction itself needs for the commands to come.
    async fn copy<A: EventSourced>(&self, stream: StreamId) -> Result<Current<A>, Failure> {
        let mut work = self.work.lock().await;
        let part = work.part::<A, _>(self, stream).await?;
        let mut copy = Load::new(&self.runtime, part.stream.clone())
            .at_version(part.start)
            .current()
            .await?;
        for (event, version) in std::iter::zip(&part.events, part.start.0 + 1..) {
            let event = StoredEvent {
                id: event.id,
                version: Version(version),
                position: copy.position,
                recorded_at: Timestamp::MIN,
                name: event.name.clone(),
                shape_version: event.shape_version,
                payload: event.payload.clone(),
            };
            copy.fold(&part.stream, &event)?;
        }
        Ok(copy)
    }

    /// Ends the transaction: the closure is dropped where it waits for this.
    pub(super) async fn fail<T>(&self, failure: Failure) -> T {
        if let Some(failed) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // If the transaction was dropped already, nobody needs to know.
            let _ = failed.send(failure);
        }
        future::pending().await
    }
}

/// The decisions of a transaction.
#[derive(Default)]
pub(super) struct Work {
    /// In the order in which they came up.
    parts: Vec<Part>,
    /// The number of events in all.
    pub(super) events: usize,
}

/// One aggregate instance of a transaction.
struct Part {
    stream: StreamId,
    /// The version at which it was loaded.
    start: Version,
    /// The last event then.
    last: Option<EventId>,
    /// The state with the events decided.
    current: Erased,
    events: Vec<NewEvent>,
    /// Has a snapshot written that is due.
    appended: fn(&Runtime, &StreamId, Version, Version),
}

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    async fn part<A: EventSourced, R>(
        &mut self,
        tx: &Transaction,
        stream: StreamId,
    ) -> Result<&mut Part, ExecuteError<R>> {
        let Transaction { runtime, enclosing, .. } = tx;
        let index = match self.parts.iter().position(|part| part.stream == stream) {
            Some(index) => index,
            None => {
                enclosing.take(&stream)?;
                let cached = runtime.0.cache.take(&stream);
                metrics::looked_up(A::NAME, cached.is_some());
                let mut current = cached.map(Erased::typed::<A>).unwrap_or_default();
                current.catch_up(runtime, &stream).await?;
                self.parts.push(Part {
                    stream,
                    start: current.version,
                    last: current.last,
                    current: current.into(),
                    events: Vec::new(),
                    appended: Runtime::appended::<A>,
                });
                self.parts.len() - 1
            }
        };
        Ok(&mut self.parts[index])
    }

    /// The first aggregate that has changed since it was loaded.
    pub(super) async fn moved(&self, runtime: &Runtime) -> Result<Option<AppendError>, StoreError> {
        for Part { stream, start, .. } in &self.parts {
            let actual = runtime.0.store.version(stream).await?;
            if actual != *start {
                let expected = exactly(*start);
                return Ok(Some(AppendError::Conflict {
                    stream: stream.clone(),
                    expected,
                    actual,
                }));
            }
        }
        Ok(None)
    }

    /// Takes what is to be appended. Aggregates that were only read stand there too, without events, so that they must not
    /// have moved.
    pub(super) fn take_append(&mut self) -> Vec<StreamAppend> {
        let append = |part: &mut Part| StreamAppend {
            stream: part.stream.clone(),
            expected: exactly(part.start),
            last: part.last,
            events: std::mem::take(&mut part.events),
        };
        self.parts.iter_mut().map(append).collect()
    }

    /// Gives the states that were stored to the cache.
    pub(super) fn stored(self, runtime: &Runtime, appended: &Appended) {
        for (mut part, stored) in std::iter::zip(self.parts, &appended.streams) {
            if stored.events > 0 {
                part.current.position = stored.position;
                part.current.recorded_at = appended.recorded_at;
            }
            runtime.0.cache.put(&part.stream, part.current);
            (part.appended)(runtime, &part.stream, part.start, stored.version);
        }
    }

    /// Ends a transaction that changed nothing, and gives its receipts.
    pub(super) fn unchanged(self, runtime: &Runtime) -> Vec<Receipt> {
        let receipt = |Part { stream, current, .. }| {
            let Erased { version, position, .. } = current;
            runtime.0.cache.put(&stream, current);
            Receipt {
                stream,
                version,
                position,
                events: 0,
                repeated: false,
            }
        };
        self.parts.into_iter().map(receipt).collect()
    }
}
