use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::{Clock, Timestamp};

/// A clock that stands still until it is told to move. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
///
/// use es_runtime::testing::ManualClock;
/// use es_runtime::{Clock, MemoryStore};
///
/// let clock = ManualClock::at("2026-11-21T09:30:00Z".parse().unwrap());
/// let store = MemoryStore::new().with_clock(clock.clone());
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().to_string(), "2026-11-21T09:31:00Z");
/// # let _ = store;
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `time`.
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(time.as_micros())))
    }

    /// Sets the clock, forwards or backwards.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_micros(), Ordering::SeqCst);
    }

    /// Moves the clock forwards, at most to [`Timestamp::MAX`].
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let time = Timestamp::from_micros(self.now().as_micros().saturating_add(by));
        self.set(time.unwrap_or(Timestamp::MAX));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}
