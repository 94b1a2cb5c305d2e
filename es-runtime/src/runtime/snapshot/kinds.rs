//! The kinds of snapshots of an aggregate: those that no build has used for long are removed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use foldhash::HashMap;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::runtime::Handle;

use super::kept::namespace_of;
use super::policy::FingerprintOf;
use crate::runtime::{Inner, Runtime};
use crate::store::{OwnState, Purge, StateStore};
use crate::{EventSourced, StoreError, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The time after which a process notes again that it uses a kind.
const NOTED_EVERY: Duration = DAY;

/// The time that a kind is kept after its last use.
const KEPT_UNUSED: Duration = Duration::from_secs(7 * DAY.as_secs());

/// The most snapshots that are removed at once, because those that are written wait for it.
const AT_ONCE: usize = 500;

/// The last use of each kind of one aggregate, by its namespace.
type Uses = BTreeMap<String, Timestamp>;

/// The kinds that this process uses, by fingerprint, and the time of the last note of it.
#[derive(Default)]
pub(super) struct Noted(Mutex<HashMap<u64, Timestamp>>);

impl Noted {
    /// Returns whether a use is to be noted, and takes it as noted.
    fn begin(&self, kind: u64, now: Timestamp) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = noted.get(&kind).is_none_or(|then| is_over(*then, NOTED_EVERY, now));
        if is_due {
            noted.insert(kind, now);
        }
        is_due
    }
}

impl Runtime {
    /// A snapshot of `A` was read or written. Once a day, has that noted, and removes the kinds of `A` that no build uses any longer:
    /// both in the background.
    pub(super) fn uses_snapshots_of<A: EventSourced>(&self) {
        let Some(states) = &self.0.snapshots.states else { return };
        let (kind, now) = (FingerprintOf::<A>::VALUE, self.now());
        if Handle::try_current().is_ok() && self.0.snapshots.noted.begin(kind, now) {
            let kinds = Kinds {
                uses: OwnState::new(states, "snapshots", A::NAME),
                states: Arc::clone(states),
                runtime: Arc::downgrade(&self.0),
                now,
            };
            tokio::spawn(async move {
                if let Err(error) = kinds.tidy(namespace_of(kind)).await {
                    tracing::warn!(aggregate = A::NAME, %error, "snapshots of older builds could not be removed");
                }
            });
        }
    }
}

/// The kinds of one aggregate.
struct Kinds {
    uses: OwnState<Uses>,
    states: Arc<dyn StateStore>,
    runtime: Weak<Inner>,
    now: Timestamp,
}

impl Kinds {
    async fn tidy(&self, used: String) -> Result<(), StoreError> {
        let uses = self
            .change(|uses| {
                uses.insert(used.clone(), self.now);
            })
            .await?;
        for (unused, _) in uses.into_iter().filter(|(_, last)| self.is_unused(*last)) {
            let removed = self.remove(&unused).await?;
            if removed > 0 {
                tracing::info!(
                    namespace = unused,
                    removed,
                    "removed snapshots that no build has used for a week"
                );
            }
        }
        Ok(())
    }

    /// Removes the snapshots of a kind, unless a build that uses it comes back meanwhile. Returns their number.
    async fn remove(&self, kind: &str) -> Result<u64, StoreError> {
        let mut removed = 0;
        while self.goes_on() {
            let uses = self.uses.get().await?.value.unwrap_or_default();
            if uses.get(kind).is_none_or(|last| !self.is_unused(*last)) {
                break;
            }
            let some = self.states.load(kind).take(AT_ONCE).map_ok(|change| change.key);
            let some: Vec<_> = some.try_collect().await?;
            let now = match some.is_empty() {
                true => 0,
                false => self.states.purge(Purge::Entities(some)).await?,
            };
            removed += now;
            if now == 0 {
                self.change(|uses| {
                    if uses.get(kind).is_some_and(|last| self.is_unused(*last)) {
                        uses.remove(kind);
                    }
                })
                .await?;
                break;
            }
        }
        Ok(removed)
    }

    /// Changes the notes, of which other processes write some too.
    async fn change(&self, change: impl Fn(&mut Uses)) -> Result<Uses, StoreError> {
        loop {
            let kept = self.uses.get().await?;
            let mut uses = kept.value.clone().unwrap_or_default();
            change(&mut uses);
            if self.uses.save(&kept, Some(&uses)).await? {
                return Ok(uses);
            }
        }
    }

    fn is_unused(&self, last: Timestamp) -> bool {
        is_over(last, KEPT_UNUSED, self.now)
    }

    /// Returns whether the runtime is still there, and its store open.
    fn goes_on(&self) -> bool {
        let runtime = self.runtime.upgrade();
        runtime.is_some_and(|runtime| !runtime.snapshots.queue.is_closed())
    }
}

/// Returns whether it has been so long since then.
fn is_over(then: Timestamp, time: Duration, now: Timestamp) -> bool {
    let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    now.as_micros().saturating_sub(then.as_micros()) >= micros
}
