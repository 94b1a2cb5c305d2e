use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use lru::LruCache;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::state::Erased;
use crate::StreamId;

/// The states used most recently, and the queue of each: commands to one instance wait for each other rather than conflict.
pub(super) struct Cache(Option<Mutex<LruCache<StreamId, Arc<Slot>, RandomState>>>);

/// The time that a command queues behind another one that makes no progress. A future that has its turn but is no
/// longer polled must not stop the others for ever: they go on without a turn, and the version check of the append
/// keeps order.
const PATIENCE: Duration = Duration::from_secs(5);

impl Cache {
    pub(super) fn new(instances: usize) -> Self {
        Self(NonZeroUsize::new(instances).map(|instances| {
            let slots = LruCache::with_hasher(instances, RandomState::default());
            Mutex::new(slots)
        }))
    }

    /// The turn of a command to `stream`.
    pub(super) async fn enter(&self, stream: &StreamId) -> Turn {
        let Some(slot) = self.slot(stream) else {
            return Turn(None);
        };
        let has_turn = slot.try_turn() || Box::pin(slot.turn()).await;
        Turn(has_turn.then_some(slot))
    }

    /// The turn of whoever only looks at the state of `stream`: no turn if none is cached.
    pub(super) async fn enter_cached(&self, stream: &StreamId) -> Turn {
        let Some(slots) = &self.0 else { return Turn(None) };
        let slot = slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .peek(stream)
            .cloned();
        let Some(slot) = slot else { return Turn(None) };
        let has_turn = slot.try_turn() || slot.turn().await;
        Turn(has_turn.then_some(slot))
    }

    /// Takes the state of `stream` out of the cache, without a turn.
    pub(super) fn take(&self, stream: &StreamId) -> Option<Erased> {
        let slot = self.slot(stream)?;
        slot.state().take()
    }

    /// Puts a state of `stream` into the cache, unless another has come in the meantime.
    pub(super) fn put(&self, stream: &StreamId, current: Erased) {
        if let Some(slot) = self.slot(stream) {
            slot.known.fetch_max(current.version.0, Ordering::Relaxed);
            slot.state().get_or_insert(current);
        }
    }

    /// Forgets all states, except those that a command has in hand.
    pub(super) fn clear(&self) {
        if let Some(slots) = &self.0 {
            let slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
            for (_, slot) in slots.iter() {
                slot.state().take();
            }
        }
    }

    fn slot(&self, stream: &StreamId) -> Option<Arc<Slot>> {
        let mut slots = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match slots.get(stream) {
            Some(slot) => Arc::clone(slot),
            None => Arc::clone(slots.get_or_insert(stream.clone(), Arc::default)),
        })
    }
}

/// The cached state of one instance.
struct Slot {
    /// One permit: the turn.
    queue: Semaphore,
    /// The number of turns that have ended.
    turns: AtomicU64,
    /// A version that the stream has reached, as far as this process knows.
    known: AtomicU64,
    state: Mutex<Option<Erased>>,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            queue: Semaphore::new(1),
            turns: AtomicU64::new(0),
            known: AtomicU64::new(0),
            state: Mutex::new(None),
        }
    }
}

impl Slot {
    /// Takes the turn if nobody has it.
    fn try_turn(&self) -> bool {
        self.queue.try_acquire().map(SemaphorePermit::forget).is_ok()
    }

    /// Waits for the turn. Returns whether it came: not if nobody makes progress.
    async fn turn(&self) -> bool {
        // One future all the while, so that the place in the queue is kept.
        let mut acquire = pin!(self.queue.acquire());
        loop {
            let turns = self.turns.load(Ordering::Relaxed);
            match tokio::time::timeout(PATIENCE, &mut acquire).await {
                Ok(Ok(permit)) => {
                    permit.forget();
                    return true;
                }
                Err(_) if self.turns.load(Ordering::Relaxed) != turns => {}
                // The semaphore is never closed.
                Ok(Err(_)) | Err(_) => return false,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<Erased>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when it is dropped. A state that was taken and not kept is forgotten, so that no half-changed one remains.
pub(super) struct Turn(Option<Arc<Slot>>);

impl Turn {
    /// Takes the cached state, and says whether the stream is known to have moved beyond it.
    pub(super) fn take(&self) -> Option<(Erased, bool)> {
        let slot = self.0.as_ref()?;
        let current = slot.state().take()?;
        let moved = slot.known.load(Ordering::Relaxed) > current.version.0;
        Some((current, moved))
    }

    /// Keeps the state for the next turn.
    pub(super) fn keep(self, current: Erased) {
        if let Some(slot) = &self.0 {
            *slot.state() = Some(current);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(slot) = &self.0 {
            slot.turns.fetch_add(1, Ordering::Relaxed);
            slot.queue.add_permits(1);
        }
    }
}
