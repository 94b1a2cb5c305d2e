use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Not more than so many events in a second.
pub(super) struct Pace {
    per_second: u32,
    since: Instant,
    events: u32,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second: per_second.max(1),
            since: Instant::now(),
            events: 0,
        }
    }

    /// How many are applied between two looks at the time.
    pub(super) fn at_once(&self) -> usize {
        usize::try_from(self.per_second / 10).unwrap_or(usize::MAX).max(1)
    }

    /// So many events more were applied: waits until they may have been.
    pub(super) async fn keep(&mut self, events: usize) {
        self.events = self.events.saturating_add(u32::try_from(events).unwrap_or(u32::MAX));
        let due = Duration::from_secs_f64(f64::from(self.events) / f64::from(self.per_second));
        sleep_until(self.since + due).await;
    }
}
