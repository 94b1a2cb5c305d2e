use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::store::{CursorStore, Lease};
use crate::{StoreError, metrics};

/// How long a lease holds without being renewed. With the time between two attempts of others to take it, it is how long nobody
/// runs a projection whose process was killed.
pub(crate) const TTL: Duration = Duration::from_secs(3);

/// A lease that is renewed for as long as this lives.
pub(crate) struct Tenure {
    pub(crate) lease: Lease,
    pub(crate) held: Held,
    renewal: JoinHandle<()>,
    _owned: metrics::Owned,
}

/// Whether a lease is held. Clones ask about the same lease.
#[derive(Clone)]
pub(crate) struct Held(watch::Receiver<Option<Instant>>);

impl Tenure {
    /// Takes the lease. `None` if another owner has it.
    pub(crate) async fn take(
        store: &Arc<dyn CursorStore>,
        name: &str,
        owner: &str,
        metrics: &metrics::Reader,
    ) -> Result<Option<Self>, StoreError> {
        let asked = Instant::now();
        let Some(lease) = store.acquire(name, owner, TTL).await? else {
            return Ok(None);
        };
        let (sender, held) = watch::channel(Some(asked + TTL));
        let renewal = tokio::spawn(renew(Arc::clone(store), lease.clone(), sender));
        Ok(Some(Self {
            lease,
            held: Held(held),
            renewal,
            _owned: metrics.own(),
        }))
    }

    /// Waits until another owner has taken it.
    pub(crate) async fn lost(&self) {
        let mut held = self.held.0.clone();
        // An error means that the renewal is gone, which it never is before it has lost the lease.
        drop(held.wait_for(Option::is_none).await);
    }

    /// Gives it back.
    pub(crate) async fn end(self, store: &dyn CursorStore) {
        self.renewal.abort();
        if let Err(error) = store.release(&self.lease).await {
            // It runs out by itself.
            tracing::debug!(lease = self.lease.name, %error, "a lease was not released");
        }
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Held {
    /// Whether it is held. `None` if that is not known: it was not renewed for as long as it holds, because this process slept
    /// or the store did not answer.
    pub(crate) fn now(&self) -> Option<bool> {
        if self.0.has_changed().is_err() {
            return Some(false);
        }
        match *self.0.borrow() {
            None => Some(false),
            Some(until) => (Instant::now() < until).then_some(true),
        }
    }

    /// Waits until it is known whether it is held.
    pub(crate) async fn known(mut self) {
        while self.now().is_none() {
            self.changed().await;
        }
    }

    /// Held until the process ends.
    #[cfg(test)]
    pub(crate) fn for_ever() -> Self {
        let until = Instant::now() + Duration::from_secs(1 << 30);
        let (sender, held) = watch::channel(Some(until));
        std::mem::forget(sender);
        Self(held)
    }

    /// Waits until it is renewed or lost.
    pub(crate) async fn changed(&mut self) {
        // An error means that it was given back.
        drop(self.0.changed().await);
    }
}

/// Renews the lease until it is lost. What fails is tried again: writing is fenced by the lease's epoch, whatever is believed here.
async fn renew(store: Arc<dyn CursorStore>, lease: Lease, held: watch::Sender<Option<Instant>>) {
    let mut pause = until_next_turn();
    loop {
        sleep(pause).await;
        let asked = Instant::now();
        pause = match timeout(TURN, store.renew(&lease, TTL)).await {
            Ok(Ok(true)) => {
                held.send_replace(Some(asked + TTL));
                until_next_turn()
            }
            Ok(Ok(false)) => break,
            Ok(Err(_)) | Err(_) => TTL / 10,
        };
    }
    held.send_replace(None);
}

/// How often leases are renewed.
const TURN: Duration = Duration::from_secs(1);

/// The time until the next moment at which all leases of this process are renewed: together, so that a store can write them together
/// and an idle process wakes up once.
fn until_next_turn() -> Duration {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let since = Instant::now().saturating_duration_since(*FIRST);
    let turns = since.as_nanos() / TURN.as_nanos() + 1;
    TURN.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX))
        .saturating_sub(since)
}
