//! The task that writes snapshots in the background. It lives as long as there is something to write: a runtime that outlives the
//! tokio runtime of one has the next snapshot written on another.

use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;
use lru::LruCache;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::StreamId;
use crate::consumer::text_of;
use crate::outlived;
use crate::runtime::{Inner, Runtime};

/// The most snapshots that wait to be written.
const WAITING: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");

/// Writes the snapshot of a stream.
type Write = for<'a> fn(&'a Runtime, &'a StreamId, bool) -> BoxFuture<'a, ()>;

/// The snapshots that wait to be written.
pub(super) struct Queue {
    work: Mutex<Work>,
    /// The task has ended.
    ended: Notify,
}

struct Work {
    /// In the order in which they came, each stream once.
    waiting: LruCache<StreamId, (Write, bool)>,
    has_task: bool,
    is_closed: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            work: Mutex::new(Work {
                waiting: LruCache::new(WAITING),
                has_task: false,
                is_closed: false,
            }),
            ended: Notify::new(),
        }
    }
}

impl Queue {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.work().is_closed
    }

    /// The number that wait, with the one that is being written.
    pub(super) fn len(&self) -> usize {
        let work = self.work();
        work.waiting.len() + usize::from(work.has_task)
    }

    /// Queues a snapshot. Returns whether it will be written: not if too many wait, or the runtime is shut down.
    pub(super) fn push(&self, runtime: &Runtime, stream: &StreamId, write: Write, is_unfit: bool) -> bool {
        let mut work = self.work();
        if work.is_closed {
            return false;
        }
        if let Some((_, was_unfit)) = work.waiting.peek_mut(stream) {
            *was_unfit |= is_unfit;
        } else if work.waiting.len() < WAITING.get() {
            work.waiting.put(stream.clone(), (write, is_unfit));
        } else {
            return false;
        }
        // Without a tokio runtime it waits for a command that has one.
        if !work.has_task && Handle::try_current().is_ok() {
            work.has_task = true;
            let (inner, cut_off) = (Arc::downgrade(&runtime.0), Arc::downgrade(&runtime.0));
            outlived::spawn(run(inner), move || {
                if let Some(inner) = cut_off.upgrade() {
                    inner.snapshots.queue.end(&mut inner.snapshots.queue.work());
                }
            });
        }
        true
    }

    /// Takes what came first. The task ends if there is nothing.
    fn next(&self) -> Option<(StreamId, (Write, bool))> {
        let mut work = self.work();
        let next = work.waiting.pop_lru();
        if next.is_none() {
            self.end(&mut work);
        }
        next
    }

    fn end(&self, work: &mut Work) {
        work.has_task = false;
        self.ended.notify_waiters();
    }

    /// Takes nothing more, and waits until what waits is written, or `deadline`.
    pub(in crate::runtime) async fn close(&self, deadline: Instant) {
        let ended = self.ended.notified();
        {
            let mut work = self.work();
            work.is_closed = true;
            if !work.has_task {
                return work.waiting.clear();
            }
        }
        let _ = timeout_at(deadline, ended).await;
        self.work().waiting.clear();
    }
}

async fn run(runtime: Weak<Inner>) {
    while let Some(inner) = runtime.upgrade() {
        let runtime = Runtime(inner);
        let Some((stream, (write, is_unfit))) = runtime.0.snapshots.queue.next() else {
            return;
        };
        // User's code may panic as it folds.
        let written = AssertUnwindSafe(write(&runtime, &stream, is_unfit))
            .catch_unwind()
            .await;
        if let Err(panic) = written {
            tracing::warn!(%stream, "writing a snapshot panicked: {}", text_of(&*panic));
        }
    }
}
