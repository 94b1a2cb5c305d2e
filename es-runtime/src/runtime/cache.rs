use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use lru::LruCache;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::state::Current;
use crate::StreamId;

/// The states used most recently, and the queue of each: commands to one instance wait for each other rather than conflict.
pub(super) struct Cache(Option<Mutex<LruCache<StreamId, Arc<Slot>, RandomState>>>);

type Slot = AsyncMutex<Option<Box<dyn Any + Send>>>;

/// How long a command queues behind another one. A future that holds the slot and is no longer polled must not stop the
/// others for ever: after this they go on without the slot, and the version check of the append keeps order.
const PATIENCE: Duration = Duration::from_secs(1);

impl Cache {
    pub(super) fn new(instances: usize) -> Self {
        Self(
            NonZeroUsize::new(instances)
                .map(|instances| Mutex::new(LruCache::with_hasher(instances, RandomState::default()))),
        )
    }

    /// The turn of a command to `stream`, with the cached state if there is one.
    pub(super) async fn enter(&self, stream: &StreamId) -> Turn {
        let Some(slots) = &self.0 else { return Turn(None) };
        let slot = {
            let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
            match slots.get(stream) {
                Some(slot) => Arc::clone(slot),
                None => Arc::clone(slots.get_or_insert(stream.clone(), Arc::default)),
            }
        };
        match Arc::clone(&slot).try_lock_owned() {
            Ok(guard) => Turn(Some(guard)),
            Err(_) => Turn(Box::pin(tokio::time::timeout(PATIENCE, slot.lock_owned())).await.ok()),
        }
    }
}

/// Ends when it is dropped. A state that was taken and not kept is forgotten, so that no half-changed one remains.
pub(super) struct Turn(Option<OwnedMutexGuard<Option<Box<dyn Any + Send>>>>);

impl Turn {
    /// Takes the cached state.
    pub(super) fn take<A: 'static>(&mut self) -> Option<Box<Current<A>>> {
        self.0.as_mut()?.take()?.downcast().ok()
    }

    /// Keeps the state for the next turn.
    pub(super) fn keep<A: Send + 'static>(mut self, current: Box<Current<A>>) {
        if let Some(slot) = &mut self.0 {
            **slot = Some(current);
        }
    }
}
