//! Snapshots: states that are kept, so that fewer events are replayed. A cache: whatever is wrong with one, events are replayed.

mod counts;
mod error;
mod fold;
mod health;
mod kept;
mod kinds;
mod policy;
mod verify;
mod write;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use counts::Counts;
use kinds::Noted;
use tokio::time::Instant;
use writer::Queue;

pub use error::SnapshotError;
pub use health::SnapshotsHealth;
pub use policy::{SnapshotPolicy, SnapshotState};
pub use verify::{SnapshotDifference, VerifiedSnapshots, VerifySnapshots};

use crate::Aggregate;
use crate::store::StateStore;

/// The snapshots of a runtime.
pub(super) struct Snapshots {
    /// Where they are kept; `None` if no store keeps states.
    states: Option<Arc<dyn StateStore>>,
    counts: Counts,
    queue: Queue,
    noted: Noted,
    /// True once it was said that nothing keeps them.
    missed: AtomicBool,
}

impl Snapshots {
    pub(super) fn new(states: Option<Arc<dyn StateStore>>) -> Self {
        Self {
            states,
            counts: Counts::default(),
            queue: Queue::default(),
            noted: Noted::default(),
            missed: AtomicBool::new(false),
        }
    }

    /// Writes what waits to be written, until `deadline`, and nothing more.
    pub(super) async fn close(&self, deadline: Instant) {
        self.queue.close(deadline).await;
    }

    /// The policy of an aggregate with snapshots, and where they are kept.
    pub(super) fn of<A: Aggregate>(&self) -> Option<(SnapshotPolicy<A>, &Arc<dyn StateStore>)> {
        let policy = A::SNAPSHOTS?;
        if self.states.is_none() && !self.missed.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                aggregate = A::NAME,
                "snapshots are off, because the store keeps no states: give the runtime a store that does, with `Builder::states`"
            );
        }
        Some((policy, self.states.as_ref()?))
    }
}
