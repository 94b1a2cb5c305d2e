//! Waiting for answers.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A limit on the time to wait for an answer. One timer serves all answers and always runs: setting one for each would
/// wake the thread that waits for the network each time.
pub(crate) struct Patience {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        let timer = Box::pin(sleep(limit));
        Self { limit, timer }
    }

    /// Awaits a result, unless it takes too long.
    pub(crate) async fn with<T>(&mut self, awaited: impl Future<Output = T>) -> Option<T> {
        let deadline = Instant::now() + self.limit;
        self.until(Some(deadline), awaited).await
    }

    /// Awaits a result, however long it takes. The timer goes on meanwhile.
    pub(crate) async fn without_end<T>(&mut self, awaited: impl Future<Output = Option<T>>) -> Option<T> {
        self.until(None, awaited).await.flatten()
    }

    async fn until<T>(&mut self, deadline: Option<Instant>, awaited: impl Future<Output = T>) -> Option<T> {
        let mut awaited = pin!(awaited);
        poll_fn(|context| {
            if let Poll::Ready(result) = awaited.as_mut().poll(context) {
                return Poll::Ready(Some(result));
            }
            while self.timer.as_mut().poll(context).is_ready() {
                let now = Instant::now();
                if deadline.is_some_and(|deadline| deadline <= now) {
                    return Poll::Ready(None);
                }
                self.timer.as_mut().reset(deadline.unwrap_or(now + self.limit));
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn each_answer_has_the_whole_time_and_no_more() {
        let mut patience = Patience::new(LIMIT);
        for idle in [Duration::ZERO, LIMIT / 2, LIMIT, LIMIT * 5 / 2] {
            sleep(idle).await;
            assert!(patience.with(sleep(LIMIT * 9 / 10)).await.is_some(), "after {idle:?}");
            let begun = Instant::now();
            assert!(patience.with(pending::<()>()).await.is_none(), "after {idle:?}");
            let waited = begun.elapsed();
            assert!(
                LIMIT <= waited && waited < LIMIT + Duration::from_secs(1),
                "{waited:?} after {idle:?}"
            );
        }
        let awaited = async {
            sleep(LIMIT * 3).await;
            Some("a request")
        };
        assert_eq!(patience.without_end(awaited).await, Some("a request"));
    }
}
