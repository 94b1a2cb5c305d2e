use std::time::Duration;

use uuid::Uuid;

/// The number of times, and the pauses after which, a command that met a conflict is decided again.
///
/// The pauses double from [`first_pause`](Self::first_pause) to [`longest_pause`](Self::longest_pause), and each lasts
/// a random part of that, so that conflicting writers do not meet again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    first_pause: Duration,
    longest_pause: Duration,
}

impl Default for RetryPolicy {
    /// 100 attempts, with pauses of at most 2 ms to 250 ms: about eleven seconds. With fewer, some of 16 processes that do
    /// nothing but write to one instance do not come to their turn on a slow machine.
    fn default() -> Self {
        Self {
            attempts: 100,
            first_pause: Duration::from_millis(2),
            longest_pause: Duration::from_millis(250),
        }
    }
}

impl RetryPolicy {
    /// Returns a policy that never retries.
    pub fn never() -> Self {
        Self::default().attempts(1)
    }

    /// Sets how often a command is tried in all; at least once.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the longest first pause.
    #[must_use]
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// Sets the longest pause.
    #[must_use]
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause;
        self
    }

    /// Returns whether a command that was tried `attempts` times may be tried again.
    pub(crate) fn allows_another(self, attempts: u32) -> bool {
        attempts < self.attempts
    }

    /// Pauses after the attempt of this number, counted from 1.
    pub(crate) async fn pause(self, attempt: u32) {
        let doubled = self
            .first_pause
            .saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        let longest = doubled.min(self.longest_pause);
        // The low 62 bits of a UUIDv7 are random; jitter needs no better source.
        let [.., low, high] = Uuid::now_v7().into_bytes();
        let part = f64::from(u16::from_be_bytes([low, high])) / f64::from(u16::MAX);
        tokio::time::sleep(longest.mul_f64(part)).await;
    }
}
