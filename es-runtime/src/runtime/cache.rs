use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::HashMap;
use foldhash::fast::RandomState;
use lru::LruCache;

use super::slot::Slot;
use super::state::Erased;
use crate::StreamId;

/// The states used most recently, and the queue of each instance that is being written to, whether its state is cached or not.
pub(super) struct Cache {
    slots: Mutex<Slots>,
    bound: CacheBound,
    /// The sum over the slots that are cached.
    bytes: AtomicUsize,
}

/// The bounds of the cache, each for itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheBound {
    pub(super) instances: usize,
    /// Of events folded, and some more for each instance.
    pub(super) bytes: usize,
}

impl Default for CacheBound {
    fn default() -> Self {
        Self {
            instances: usize::MAX,
            bytes: 256 << 20,
        }
    }
}

impl CacheBound {
    /// Returns whether so many states of this size in all are within the bounds.
    pub(super) fn holds(self, instances: usize, bytes: usize) -> bool {
        instances <= self.instances && bytes.saturating_add(instances.saturating_mul(OVERHEAD)) <= self.bytes
    }
}

/// The memory of an instance besides what was folded into its state: its id, its slot, and the entry of the map.
const OVERHEAD: usize = 512;

struct Slots {
    cached: LruCache<StreamId, Arc<Slot>, RandomState>,
    /// Slots that had to leave the cache while they were in use.
    in_use: HashMap<StreamId, Weak<Slot>>,
    /// The number of those at which the ones that are no longer in use are removed.
    most_in_use: usize,
}

/// The state that a slot keeps for the next turn.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) state: Option<Erased>,
    /// An estimate of the memory of the state.
    bytes: usize,
    /// True if the cache counts it.
    is_cached: bool,
}

impl Cache {
    pub(super) fn new(bound: CacheBound) -> Self {
        Self {
            slots: Mutex::new(Slots {
                cached: LruCache::unbounded_with_hasher(RandomState::default()),
                in_use: HashMap::default(),
                most_in_use: 64,
            }),
            bound,
            bytes: AtomicUsize::new(0),
        }
    }

    /// The slot of an instance, if its state is cached. Does not count as a use.
    pub(super) fn cached(&self, stream: &StreamId) -> Option<Arc<Slot>> {
        self.slots().cached.peek(stream).cloned()
    }

    /// Returns the bounds of what still has room.
    pub(super) fn room(&self) -> CacheBound {
        let instances = self.slots().cached.len();
        CacheBound {
            instances: self.bound.instances.saturating_sub(instances),
            bytes: self.bound.bytes.saturating_sub(self.bytes.load(Ordering::Relaxed)),
        }
    }

    /// Takes the state of `stream` out of the cache, without a turn.
    pub(super) fn take(&self, stream: &StreamId) -> Option<Erased> {
        self.slot(stream).kept().state.take()
    }

    /// Puts a state of `stream` into the cache, unless another has come in the meantime.
    pub(super) fn put(&self, stream: &StreamId, current: Erased) {
        let slot = self.slot(stream);
        slot.reached(current.version);
        if slot.kept().state.is_none() {
            self.keep(&slot, current);
        }
    }

    /// Keeps the state in its slot, and makes room for it.
    pub(super) fn keep(&self, slot: &Slot, current: Erased) {
        let mut kept = slot.kept();
        let bytes = OVERHEAD + current.bytes;
        if kept.is_cached {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.bytes.fetch_sub(kept.bytes, Ordering::Relaxed);
        }
        kept.bytes = bytes;
        kept.state = Some(current);
        drop(kept);
        if self.bytes.load(Ordering::Relaxed) > self.bound.bytes {
            self.trim(&mut self.slots());
        }
    }

    pub(super) fn slot(&self, stream: &StreamId) -> Arc<Slot> {
        let mut slots = self.slots();
        if let Some(slot) = slots.cached.get(stream) {
            return Arc::clone(slot);
        }
        let slot = slots.in_use.remove(stream).and_then(|slot| slot.upgrade());
        let slot = slot.unwrap_or_default();
        {
            let mut kept = slot.kept();
            kept.bytes = kept.bytes.max(OVERHEAD);
            kept.is_cached = true;
            self.bytes.fetch_add(kept.bytes, Ordering::Relaxed);
        }
        slots.cached.put(stream.clone(), Arc::clone(&slot));
        self.trim(&mut slots);
        slot
    }

    /// Removes what was used least recently, until the rest is within the bounds. An instance that alone is above them stays
    /// until another one is used: without it, each command would read its whole stream.
    fn trim(&self, slots: &mut Slots) {
        loop {
            let instances = slots.cached.len();
            let too_large = self.bytes.load(Ordering::Relaxed) > self.bound.bytes;
            let keeps_one = self.bound.bytes > 0 && instances <= 1;
            if instances <= self.bound.instances && (!too_large || keeps_one) {
                return;
            }
            let Some((stream, slot)) = slots.cached.pop_lru() else {
                return;
            };
            {
                let mut kept = slot.kept();
                kept.is_cached = false;
                self.bytes.fetch_sub(kept.bytes, Ordering::Relaxed);
            }
            if Arc::strong_count(&slot) > 1 {
                slots.keep_in_use(stream, &slot);
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// Remembers a slot that has left the cache, so that whoever comes next to the instance finds its queue.
    fn keep_in_use(&mut self, stream: StreamId, slot: &Arc<Slot>) {
        if self.in_use.len() >= self.most_in_use {
            self.in_use.retain(|_, slot| slot.strong_count() > 0);
            self.most_in_use = 2 * self.in_use.len().max(32);
        }
        self.in_use.insert(stream, Arc::downgrade(slot));
    }
}
