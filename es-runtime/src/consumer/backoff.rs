//! Pauses that grow, with jitter.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// The pause after so many that nothing ends them.
const LONGEST: Duration = Duration::from_secs(30);

pub(crate) fn backoff(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}

pub(crate) fn next(backoff: &mut ExponentialBackoff) -> Duration {
    backoff.next().unwrap_or(LONGEST)
}
