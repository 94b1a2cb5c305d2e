//! Notes what the builds of a reader hear, so that an older build never passes over an event that only a newer one hears.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::lease::TTL;
use crate::store::{CursorStore, OwnState, StateStore};
use crate::{StoreError, StoreErrorKind};

/// The time between two looks at the note while a build works.
const TICK: Duration = Duration::from_secs(1);

/// The time between two looks at the note while a build waits for an older one.
const SOON: Duration = Duration::from_millis(50);

/// The longest time for which a build waits for an older one: longer than a lease holds, and than it takes to notice.
const PATIENCE: Duration = Duration::from_secs(15);

/// The inputs of a reader in this build, and the note of those that some build of it hears.
pub(crate) struct Inputs {
    reader: String,
    own: BTreeSet<String>,
    /// Those that are read too, under an earlier name.
    earlier: BTreeSet<String>,
    noted: OwnState<Noted>,
    /// The type by which users accept this build.
    handle: &'static str,
}

/// The note, as it is stored.
#[derive(Clone, Serialize, Deserialize)]
struct Noted {
    inputs: BTreeSet<String>,
    /// True if whoever had the lease since then hears them.
    is_heard: bool,
}

/// This build hears less than another one.
#[derive(Debug, thiserror::Error)]
#[error(
    "another build of `{reader}` hears {}, and this one does not, so it stands aside: if this build is to replace the other one, stop \
     that one, and call `{handle}::accept_fewer`",
    .unheard.join(", ")
)]
pub(crate) struct Outdated {
    reader: String,
    unheard: Vec<String>,
    handle: &'static str,
}

/// The build may not work, or it is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdmitted {
    #[error(transparent)]
    Outdated(Outdated),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Inputs {
    pub(crate) fn new(
        states: &Arc<dyn StateStore>,
        reader: &str,
        own: BTreeSet<String>,
        earlier: BTreeSet<String>,
        handle: &'static str,
    ) -> Self {
        Self {
            reader: reader.to_owned(),
            own,
            earlier,
            noted: OwnState::new(states, "inputs", reader),
            handle,
        }
    }

    /// Notes the inputs of this build, before it can cause any of them, and waits until no older build has the lease, nor believes that
    /// it does.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](StoreErrorKind::Unavailable) if an older build does not give the lease back.
    pub(crate) async fn declare(&self, cursors: &dyn CursorStore, owner: &str) -> Result<(), StoreError> {
        let begun = Instant::now();
        loop {
            let now = self.noted.get().await?;
            let noted = now.value.as_ref();
            let mut all = noted.map(|noted| noted.inputs.clone()).unwrap_or_default();
            all.extend(self.own.iter().cloned());
            let is_noted = noted.is_some_and(|noted| noted.inputs == all);
            if is_noted && noted.is_some_and(|noted| noted.is_heard) {
                return Ok(());
            }
            // In this order: whoever takes the lease later finds the note. Taken, and not only looked at: one that has run out holds again
            // if its owner renews it.
            let mut is_free = false;
            if is_noted && let Some(lease) = cursors.acquire(&self.reader, owner, TTL).await? {
                cursors.release(&lease).await?;
                is_free = true;
            }
            if !is_noted || is_free {
                let (inputs, is_heard) = (all, is_free);
                self.noted.save(&now, Some(&Noted { inputs, is_heard })).await?;
                continue;
            }
            if begun.elapsed() > PATIENCE {
                let message = format!(
                    "an older build of `{}` runs, and does not stand aside: stop it",
                    self.reader
                );
                return Err(StoreError::new(StoreErrorKind::Unavailable, message));
            }
            sleep(SOON).await;
        }
    }

    /// Checks that this build, which has the lease, hears all that is noted.
    pub(crate) async fn check(&self) -> Result<(), NotAdmitted> {
        loop {
            let now = self.noted.get().await?;
            let noted = now.value.as_ref();
            let inputs = noted.map(|noted| noted.inputs.clone()).unwrap_or_default();
            let unheard: Vec<String> = inputs.iter().filter(|input| !self.hears(input)).cloned().collect();
            if !unheard.is_empty() {
                return Err(NotAdmitted::Outdated(Outdated {
                    reader: self.reader.clone(),
                    unheard,
                    handle: self.handle,
                }));
            }
            if noted.is_some_and(|noted| noted.is_heard) {
                return Ok(());
            }
            // Nothing is noted if the states were lost.
            let inputs = if noted.is_some() { inputs } else { self.own.clone() };
            self.noted.save(&now, Some(&Noted { inputs, is_heard: true })).await?;
        }
    }

    fn hears(&self, input: &str) -> bool {
        self.own.contains(input) || self.earlier.contains(input)
    }

    /// Waits until this build hears less than is noted.
    pub(crate) async fn outdated(&self) -> Outdated {
        loop {
            sleep(TICK).await;
            // While the note cannot be read, the newer build waits.
            if let Err(NotAdmitted::Outdated(outdated)) = self.check().await {
                return outdated;
            }
        }
    }

    /// Notes that the inputs of this build are all that are to be heard from now on.
    pub(crate) async fn accept_fewer(&self) -> Result<(), StoreError> {
        let noted = Noted {
            inputs: self.own.clone(),
            // The other build may still have the lease.
            is_heard: false,
        };
        while !self.noted.save(&self.noted.get().await?, Some(&noted)).await? {}
        Ok(())
    }
}

#[cfg(test)]
mod tests;
