//! When to look for new events. The one place that knows how a projection learns of them.

use std::time::Duration;

use tokio::time::timeout;

use crate::Position;
use crate::store::AppendSignal;

/// Waits for something to do: for a hint, and without one the longer, the longer there was nothing.
pub(crate) struct Waiter {
    wakes: AppendSignal,
    pause: Duration,
}

impl Waiter {
    const SHORTEST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_millis(500);

    pub(crate) fn new(wakes: AppendSignal) -> Self {
        Self {
            wakes,
            pause: Self::SHORTEST,
        }
    }

    /// There was something to do: the next may come soon.
    pub(crate) fn found(&mut self) {
        self.pause = Self::SHORTEST;
    }

    /// Waits for a hint, or for the time to look without one; at most so long. A hint since the wait before ends it at once.
    pub(crate) async fn wait(&mut self, longest: Duration) {
        let pause = self.pause.min(longest);
        match timeout(pause, self.wakes.beyond(Position::ZERO)).await {
            Ok(_) => self.found(),
            Err(_) => self.pause = (self.pause * 2).min(Self::LONGEST),
        }
    }
}
