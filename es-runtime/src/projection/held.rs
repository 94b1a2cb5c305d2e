//! Whether a projection holds, as far as any process knows it: so that nobody waits for what does not come.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::command::What;
use super::report::Seen;
use super::standing::Standing;
use super::{ReadError, Status};
use crate::store::{CursorStore, LeaseState};
use crate::{Position, StoreError};

/// The event before which a projection holds.
pub(crate) struct Hold {
    pub(crate) position: Position,
    pub(crate) error: String,
}

impl Hold {
    /// As the answer to whoever waits for projection `projection`.
    pub(crate) fn of(self, projection: &'static str) -> ReadError {
        let Self { position, error } = self;
        ReadError::Held {
            projection,
            position,
            error,
        }
    }
}

/// In which epoch of the lease, after it was left, this process asked for its own turn last.
#[derive(Default)]
pub(crate) struct Asked(Mutex<Option<u64>>);

/// How long is waited for the task of this process to take its turn.
const PATIENCE: Duration = Duration::from_secs(1);

impl Standing {
    /// Whether this process has found an event that it cannot apply, and has not tried again since.
    pub(crate) fn says_held(&self) -> bool {
        self.state().status == Status::Held
    }

    /// That this process has found an event that it cannot apply, and has not tried again since.
    fn own_hold(&self) -> Option<Hold> {
        let state = self.state();
        let failure = state.failure.filter(|_| state.status == Status::Held)?;
        let position = failure.position?;
        Some(Hold {
            position,
            error: failure.error,
        })
    }

    /// That this process runs it, and holds. Asks nobody.
    pub(crate) fn holds_here(&self) -> Option<Hold> {
        self.own_hold().filter(|_| self.state().done.is_some())
    }

    /// That it does not go on from `at`, if this is known.
    ///
    /// Who runs it says so, or has said so when the lease was left. In that case this build may still be able to apply the event, so
    /// that its own task has a turn first: at once, whatever it waits for.
    pub(crate) async fn held(&self, store: &dyn CursorStore, at: Position) -> Result<Option<Hold>, StoreError> {
        let own = self.own_hold().filter(|hold| hold.position > at);
        if own.is_some() && self.state().done.is_some() {
            return Ok(own);
        }
        let Some(LeaseState {
            owner,
            epoch,
            report: Some(report),
        }) = store.lease(&self.reader).await?
        else {
            return Ok(None);
        };
        let Some(said) = Seen::hold(&report).filter(|said| report.epoch == epoch && said.position > at) else {
            return Ok(None);
        };
        let is_own = own.is_some_and(|own| own.position == said.position);
        if owner.is_some() || is_own || self.asked(epoch).await {
            return Ok(Some(said));
        }
        Ok(None)
    }

    /// Whether the task of this process has asked for the lease that was left in `epoch`; it does so now, if it has not.
    async fn asked(&self, epoch: u64) -> bool {
        let mut asked = self.asked.0.lock().await;
        if *asked == Some(epoch) {
            return true;
        }
        // If it has it now, the next look tells what came of that. Otherwise there is no turn to wait for.
        if !matches!(timeout(PATIENCE, self.order(What::TakeTurn)).await, Ok(Ok(()))) {
            *asked = Some(epoch);
        }
        false
    }
}
