//! One reader of the log for all who follow a stream: it reads each new event once, however many there are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use es_runtime::runtime::AnyAggregate;
use es_runtime::store::{AppendSignal, CategoryFilter, EventFilter, ReadLog};
use es_runtime::{Position, Runtime, StoreError, StreamId, Version};
use futures_util::TryStreamExt as _;
use tokio::sync::broadcast;
use tokio::time::timeout;

use crate::events::frame;

/// A stored event as it is sent.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) version: Version,
    /// Empty if the event is read as nothing today.
    pub(crate) bytes: Bytes,
}

/// So many new events of a stream are kept for those who are slow; beyond that they read the store again.
const KEPT: usize = 64;

/// The pauses after which the log is read without a hint: the longer, the longer there was nothing.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(500);

/// The end of the log, for those who wait for events of one stream each.
pub(crate) struct Tail {
    runtime: Runtime,
    aggregates: HashMap<&'static str, fn(&Runtime) -> AnyAggregate<'_>>,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    streams: HashMap<StreamId, broadcast::Sender<Frame>>,
    /// True while there is a task that reads.
    is_read: bool,
}

impl Watched {
    fn follow(&mut self, stream: &StreamId) -> broadcast::Receiver<Frame> {
        let sender = self
            .streams
            .entry(stream.clone())
            .or_insert_with(|| broadcast::channel(KEPT).0);
        sender.subscribe()
    }
}

impl Tail {
    pub(crate) fn new(
        runtime: Runtime,
        aggregates: HashMap<&'static str, fn(&Runtime) -> AnyAggregate<'_>>,
    ) -> Arc<Self> {
        let watched = Mutex::default();
        Arc::new(Self {
            runtime,
            aggregates,
            watched,
        })
    }

    /// Follows a stream. Whoever reads it only after this has returned misses nothing, and meets some events twice.
    pub(crate) async fn follow(self: &Arc<Self>, stream: &StreamId) -> Result<broadcast::Receiver<Frame>, StoreError> {
        {
            let mut watched = self.watched();
            if watched.is_read {
                return Ok(watched.follow(stream));
            }
        }
        let head = self.runtime.store().head().await?;
        let mut watched = self.watched();
        if !watched.is_read {
            watched.is_read = true;
            tokio::spawn(Arc::clone(self).run(head));
        }
        Ok(watched.follow(stream))
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the log from behind `position` until nobody follows any more, or the store fails. Then all who follow are let go.
    async fn run(self: Arc<Self>, mut position: Position) {
        let _let_go = LetGo(&self);
        let mut wakes = self.runtime.store().wakes();
        let mut pause = SHORTEST;
        loop {
            match self.read(position).await {
                Ok(read) if read > position => (position, pause) = (read, SHORTEST),
                Ok(_) => pause = wait(&mut wakes, position, pause).await,
                Err(error) => {
                    tracing::warn!(%error, "the log could not be followed: those who did are let go");
                    *self.watched() = Watched::default();
                    return;
                }
            }
            let mut watched = self.watched();
            watched.streams.retain(|_, sender| sender.receiver_count() > 0);
            if watched.streams.is_empty() {
                watched.is_read = false;
                return;
            }
        }
    }

    /// Passes on what is new behind `position`. Returns how far it has read.
    async fn read(&self, position: Position) -> Result<Position, StoreError> {
        let store = self.runtime.store();
        let head = store.head().await?;
        if head <= position {
            return Ok(position);
        }
        let categories = self.aggregates.keys().map(|category| CategoryFilter {
            category: (*category).into(),
            names: None,
        });
        let only = EventFilter::Categories(categories.collect());
        let mut events = store.read_log(ReadLog::new().from(position.next()).to(head).only(only));
        while let Some(event) = events.try_next().await? {
            let Some(sender) = self.watched().streams.get(&event.stream).cloned() else {
                continue;
            };
            let Some(of) = self.aggregates.get(event.stream.category()) else {
                continue;
            };
            match frame(of(&self.runtime), &event) {
                // Nobody may follow any more.
                Ok(frame) => drop(sender.send(frame)),
                Err(error) => {
                    tracing::error!(%error, "an event cannot be sent: those who follow its stream are let go");
                    self.watched().streams.remove(&event.stream);
                }
            }
        }
        Ok(head)
    }
}

/// Lets go of all who follow if the code that reads an event panics.
struct LetGo<'a>(&'a Tail);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.watched() = Watched::default();
        }
    }
}

/// Waits for a hint, or for the time to look without one. Returns the next pause.
async fn wait(wakes: &mut AppendSignal, position: Position, pause: Duration) -> Duration {
    match timeout(pause, wakes.beyond(position)).await {
        Ok(_) => SHORTEST,
        Err(_) => (pause * 2).min(LONGEST),
    }
}
