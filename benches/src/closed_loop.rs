//! Callers that call again and again.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::per_second;

/// The number of calls, and the time that each took.
pub struct Figure {
    latencies: Vec<Duration>,
    time: Duration,
}

impl Figure {
    /// Calls in a second.
    pub fn rate(&self) -> f64 {
        per_second(self.latencies.len(), self.time)
    }

    /// The time that so many percent of the calls took at most, in µs.
    pub fn percentile(&self, percent: usize) -> u128 {
        self.latencies[(self.latencies.len() - 1) * percent / 100].as_micros()
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:>7.0}/s ({:>5}/{:>5} µs)",
            self.rate(),
            self.percentile(50),
            self.percentile(99)
        )
    }
}

/// Each caller calls again as soon as it was answered, for so long.
///
/// # Panics
///
/// If a caller does.
pub async fn closed_loop<C>(time: Duration, callers: impl Iterator<Item = C>) -> Figure
where
    C: Fn(usize) -> BoxFuture<'static, ()> + Send + 'static,
{
    let start = Instant::now();
    let tasks: Vec<_> = callers
        .map(|call| {
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                let mut turn = 0;
                while start.elapsed() < time {
                    let begun = Instant::now();
                    call(turn).await;
                    latencies.push(begun.elapsed());
                    turn += 1;
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("the caller ends"));
    }
    let time = start.elapsed();
    latencies.sort_unstable();
    Figure { latencies, time }
}
