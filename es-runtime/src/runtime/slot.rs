//! The queue of one aggregate instance: commands to it wait for each other rather than conflict.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::cache::{Cache, Kept};
use super::state::{Current, Erased, same_name};
use super::write::Pending;
use crate::{EventSourced, ExecuteError, StreamId, Version};

/// One aggregate instance: its turn, those that wait for it, and its cached state.
pub(super) struct Slot {
    /// One permit: the turn.
    turn: Semaphore,
    /// Counts what the holders of the turn have done.
    steps: AtomicU64,
    /// A version that the stream has reached, as far as this process knows.
    known: AtomicU64,
    pub(super) kept: Mutex<Kept>,
    /// A `VecDeque<Pending<'static, A>>`.
    waiting: Mutex<Option<Box<dyn Any + Send>>>,
    /// True while a task is there for those that wait. Changes under the lock of `waiting`.
    served: AtomicBool,
}

/// The writes that wait for the turn.
pub(super) type Waiting<A> = VecDeque<Pending<'static, A>>;

impl Default for Slot {
    fn default() -> Self {
        Self {
            turn: Semaphore::new(1),
            steps: AtomicU64::new(0),
            known: AtomicU64::new(0),
            kept: Mutex::default(),
            waiting: Mutex::default(),
            served: AtomicBool::new(false),
        }
    }
}

impl Slot {
    /// Takes the turn if nobody has it or waits for it.
    pub(super) fn try_turn<'a>(self: &Arc<Self>, cache: &'a Cache) -> Option<Turn<'a>> {
        let is_served = self.served.load(Ordering::Acquire);
        let permit = if is_served { None } else { self.turn.try_acquire().ok() };
        permit.map(|permit| self.begin(cache, permit))
    }

    /// Waits for the turn.
    pub(super) async fn turn<'a>(self: &Arc<Self>, cache: &'a Cache) -> Turn<'a> {
        let permit = self.turn.acquire().await;
        let permit = permit.unwrap_or_else(|_| unreachable!("the semaphore is never closed"));
        self.begin(cache, permit)
    }

    fn begin<'a>(self: &Arc<Self>, cache: &'a Cache, permit: SemaphorePermit<'_>) -> Turn<'a> {
        permit.forget();
        Turn(Some((cache, Arc::clone(self))))
    }

    /// The number of steps that the holders of the turn have made so far.
    pub(super) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Puts a write behind those that wait. Returns whether no task is there for them, so that the caller has to start one.
    ///
    /// # Errors
    ///
    /// If `most` wait already.
    pub(super) fn push<A: EventSourced, R>(
        &self,
        stream: &StreamId,
        pending: Pending<'static, A>,
        most: usize,
    ) -> Result<bool, ExecuteError<R>> {
        self.with_waiting(|waiting| {
            // A turn that does not end must not let those pile up that have lost their patience.
            while waiting.front().is_some_and(Pending::is_withdrawn) {
                waiting.pop_front();
            }
            if waiting.len() >= most {
                return Err(ExecuteError::Busy {
                    stream: stream.clone(),
                    waiting: waiting.len(),
                });
            }
            waiting.push_back(pending);
            Ok(!self.served.swap(true, Ordering::AcqRel))
        })
    }

    /// Takes those that wait, up to `most` in all. Returns whether there are any; if not, no task is there for them any more.
    pub(super) fn refill<A: EventSourced>(&self, taken: &mut Vec<Pending<'static, A>>, most: usize) -> bool {
        self.with_waiting(|waiting| {
            while taken.len() < most
                && let Some(pending) = waiting.pop_front()
            {
                if !pending.is_withdrawn() {
                    taken.push(pending);
                }
            }
            let is_any = !taken.is_empty();
            self.served.store(is_any, Ordering::Release);
            is_any
        })
    }

    /// The task for those that wait is cut off: they have to help themselves.
    pub(super) fn abandon<A: EventSourced>(&self) {
        let abandoned = self.with_waiting(|waiting: &mut Waiting<A>| {
            self.served.store(false, Ordering::Release);
            std::mem::take(waiting)
        });
        drop(abandoned);
    }

    fn with_waiting<A: EventSourced, T>(&self, act: impl FnOnce(&mut Waiting<A>) -> T) -> T {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = waiting.get_or_insert_with(|| Box::new(Waiting::<A>::new()));
        match waiting.downcast_mut() {
            Some(waiting) => act(waiting),
            None => same_name::<A>(),
        }
    }

    /// The stream has reached this version.
    pub(super) fn reached(&self, version: Version) {
        self.known.fetch_max(version.0, Ordering::Relaxed);
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write to an instance, or the lack of it for a write that waits for nobody. Ends when it is dropped. A state
/// that was taken and not kept is forgotten, so that no half-changed one remains.
pub(super) struct Turn<'a>(Option<(&'a Cache, Arc<Slot>)>);

impl Turn<'_> {
    /// Writes without a turn: the version check of the append keeps order.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Takes the cached state, and says whether the stream is known to have moved beyond it.
    pub(super) fn take(&self) -> Option<(Erased, bool)> {
        let (_, slot) = self.0.as_ref()?;
        let current = slot.kept().state.take()?;
        let moved = slot.known.load(Ordering::Relaxed) > current.version.0;
        Some((current, moved))
    }

    /// Tells those that wait that there is progress.
    pub(super) fn step(&self) {
        if let Some((_, slot)) = &self.0 {
            slot.steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Keeps the state for the next turn.
    pub(super) fn keep<A: EventSourced>(self, current: Current<A>) {
        if let Some((cache, slot)) = &self.0 {
            cache.keep(slot, current.into());
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.step();
        if let Some((_, slot)) = &self.0 {
            slot.turn.add_permits(1);
        }
    }
}
