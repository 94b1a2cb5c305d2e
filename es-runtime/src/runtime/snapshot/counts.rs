use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::{Aggregate, StreamId, metrics};

/// The fate of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Used,
    Written,
    Skipped,
    Stale,
    Corrupt,
    Ahead,
    Diverged,
    Failed,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Written => "written",
            Self::Skipped => "skipped",
            Self::Stale => "stale",
            Self::Corrupt => "corrupt",
            Self::Ahead => "ahead",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
        }
    }
}

const OUTCOMES: usize = Outcome::Failed as usize + 1;

/// The number of each in this runtime.
#[derive(Default)]
pub(super) struct Counts {
    numbers: [AtomicU64; OUTCOMES],
    warned: [AtomicBool; OUTCOMES],
    last_error: Mutex<Option<String>>,
}

impl Counts {
    pub(super) fn of(&self, outcome: Outcome) -> u64 {
        self.numbers[outcome as usize].load(Ordering::Relaxed)
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add<A: Aggregate>(&self, outcome: Outcome) {
        self.numbers[outcome as usize].fetch_add(1, Ordering::Relaxed);
        metrics::snapshot(A::NAME, outcome.name());
    }

    /// Counts a snapshot that is not used or not written, and warns of the first of its kind.
    pub(super) fn report<A: Aggregate>(&self, outcome: Outcome, stream: &StreamId, why: &str) {
        self.add::<A>(outcome);
        let outcome_name = outcome.name();
        let error = format!("the snapshot of `{stream}` is {outcome_name}: {why}");
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        if self.warned[outcome as usize].swap(true, Ordering::Relaxed) {
            tracing::debug!(%stream, outcome = outcome_name, why, "a snapshot is not used or not written");
        } else {
            tracing::warn!(
                %stream,
                outcome = outcome_name,
                why,
                "a snapshot is not used or not written: events are replayed instead; further ones are only counted"
            );
        }
    }
}
