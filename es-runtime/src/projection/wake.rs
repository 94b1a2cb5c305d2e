//! When to look for new events. The one place that knows how a projection learns of them.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Tells of the appends of this runtime. A hint: what other processes append is found by looking.
pub(crate) struct Wakes(watch::Sender<()>);

impl Wakes {
    pub(crate) fn new() -> Self {
        Self(watch::channel(()).0)
    }

    /// Something was appended.
    pub(crate) fn appended(&self) {
        self.0.send_replace(());
    }

    pub(crate) fn listen(&self) -> Waiter {
        Waiter {
            appended: self.0.subscribe(),
            pause: Waiter::SHORTEST,
        }
    }
}

/// Waits for something to do: the longer, the longer there was nothing.
pub(crate) struct Waiter {
    appended: watch::Receiver<()>,
    pause: Duration,
}

impl Waiter {
    const SHORTEST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_millis(500);

    /// There was something to do: the next may come soon.
    pub(crate) fn found(&mut self) {
        self.pause = Self::SHORTEST;
    }

    /// Waits for an append, or for the time to look for those of others; at most so long. An append since the wait before ends it
    /// at once.
    pub(crate) async fn wait(&mut self, longest: Duration) {
        let pause = self.pause.min(longest);
        match timeout(pause, self.appended.changed()).await {
            Ok(Ok(())) => self.found(),
            Ok(Err(_)) => tokio::time::sleep(pause).await,
            Err(_) => self.pause = (self.pause * 2).min(Self::LONGEST),
        }
    }
}
