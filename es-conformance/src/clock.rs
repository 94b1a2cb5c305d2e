use std::sync::atomic::{AtomicI64, Ordering};

use es_runtime::{Clock, Timestamp};

/// A clock that stands until a case sets it.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl Default for TestClock {
    /// At noon of 2026-01-01.
    fn default() -> Self {
        Self(AtomicI64::new(1_767_268_800_000_000))
    }
}

impl TestClock {
    pub(crate) const HOUR: i64 = 3_600_000_000;

    /// A clock that is `micros` off.
    pub(crate) fn off_by(micros: i64) -> Self {
        let clock = Self::default();
        clock.advance(micros);
        clock
    }

    /// Moves the clock on, or back.
    pub(crate) fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}
