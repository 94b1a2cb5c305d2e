use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Standing, SubscriptionError};
use crate::consumer::{Cursors, STANDBY, Tenure, backoff, next, position_of, remove_attempts, stopped};
use crate::projection::Status;
use crate::store::{Advance, CommitError, Lease, Parked, StateStore};
use crate::{Position, StoreError, StoreErrorKind};

/// Where a subscription stands in the store.
pub(crate) struct Cursor {
    pub(crate) cursors: Cursors,
    /// Where the attempts of a handler are noted.
    pub(crate) states: Option<Arc<dyn StateStore>>,
    pub(crate) standing: Arc<Standing>,
    /// Where it begins, if it never did.
    pub(crate) beginning: Option<Position>,
    /// Becomes true when it is to stop, or its sender is dropped.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Cursor {
    pub(crate) fn name(&self) -> &str {
        &self.standing.name
    }

    /// Whether it can begin.
    pub(crate) async fn check(&self) -> Result<(), SubscriptionError> {
        let checkpoint = self.cursors.checkpoint(&self.standing.reader).await?;
        if checkpoint.is_none() && self.beginning.is_none() {
            return Err(SubscriptionError::NoBeginning(self.name().to_owned()));
        }
        Ok(())
    }

    /// Asks for the lease once. `None` if another owner has it.
    pub(crate) async fn take(&self) -> Result<Option<Tenure>, SubscriptionError> {
        let Standing {
            reader, owner, metrics, ..
        } = &*self.standing;
        let tenure = Tenure::take(&self.cursors.store, reader, owner, metrics).await?;
        if tenure.is_some() {
            self.standing.state().owns = true;
        }
        Ok(tenure)
    }

    /// Waits for the lease. `None` if it is to stop, or nobody wants it any more.
    pub(crate) async fn stand_by(&self, gone: impl Future<Output = ()>) -> Result<Option<Tenure>, SubscriptionError> {
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(5));
        let mut stop = self.stop.clone();
        let (stopped, gone) = (pin!(stopped(&mut stop)), pin!(gone));
        let mut over = select(stopped, gone);
        loop {
            // To the end, also if it is to stop: a lease whose answer nobody awaits would be held by nobody until it runs out.
            let pause = match self.take().await {
                Ok(Some(tenure)) => return Ok(Some(tenure)),
                Ok(None) => {
                    self.standing.is(Status::Standby);
                    STANDBY
                }
                Err(error) if error.is_transient() => {
                    self.standing.fail(Status::Retrying, &error, None);
                    next(&mut failing)
                }
                Err(error) => return Err(error),
            };
            if timeout(pause, &mut over).await.is_ok() {
                return Ok(None);
            }
        }
    }

    /// Where it stands. One that never did is put where it is to begin.
    pub(crate) async fn begin(&self, lease: &Lease) -> Result<Position, SubscriptionError> {
        let checkpoint = self.cursors.checkpoint(&self.standing.reader).await?;
        match (checkpoint, self.beginning) {
            (None, None) => Err(SubscriptionError::NoBeginning(self.name().to_owned())),
            (None, Some(beginning)) => {
                let begun = self.advance(Position::ZERO, beginning, lease).await;
                begun.map_err(|error| SubscriptionError::of_commit(self.name(), error))?;
                Ok(beginning)
            }
            (checkpoint, _) => Ok(position_of(checkpoint)),
        }
    }

    /// As [`begin`](Self::begin); what fails for a while is tried again.
    pub(crate) async fn begin_at_last(&self, lease: &Lease) -> Result<Position, SubscriptionError> {
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(10));
        loop {
            match self.begin(lease).await {
                Err(error) if error.is_transient() => {
                    self.standing.fail(Status::Retrying, &error, None);
                    sleep(next(&mut failing)).await;
                }
                begun => return begun,
            }
        }
    }

    /// Removes it, if nobody has it.
    pub(crate) async fn forget(&self) -> Result<(), SubscriptionError> {
        let Some(tenure) = self.take().await? else {
            return Err(SubscriptionError::Elsewhere(self.name().to_owned()));
        };
        let forgotten = self.forget_under(&tenure.lease).await;
        tenure.end(&*self.cursors.store).await;
        forgotten.map_err(|error| SubscriptionError::of_commit(self.name(), error))
    }

    async fn forget_under(&self, lease: &Lease) -> Result<(), CommitError> {
        let reader = &self.standing.reader;
        self.cursors.store.forget(reader, lease).await?;
        match &self.states {
            Some(states) => Ok(remove_attempts(states, reader).await?),
            None => Ok(()),
        }
    }

    /// Why the log ends before what was read of it: as a rule, because the store was restored to an earlier point.
    pub(crate) async fn is_behind(&self, head: Position, read_to: Position) -> SubscriptionError {
        let checkpoint = self.cursors.checkpoint(&self.standing.reader).await;
        checkpoint.err().map_or_else(
            || {
                let message = format!(
                    "the log ends at position {head}, but was read to {read_to}: the store was restored to an earlier point. What was \
                     delivered and not acknowledged may not have happened; start the subscription again to go on at its cursor"
                );
                StoreError::new(StoreErrorKind::Corrupt, message).into()
            },
            SubscriptionError::from,
        )
    }

    /// Moves it up to `to`, and puts events aside, whatever became of what was written before. Where it stands then.
    ///
    /// `from` is where it stands, or `None` if that has to be asked.
    pub(crate) async fn move_to(
        &self,
        from: Option<Position>,
        to: Position,
        park: Vec<Parked>,
        lease: &Lease,
    ) -> Result<Position, SubscriptionError> {
        let mut known = from;
        loop {
            let from = match known.take() {
                Some(from) => from,
                None => position_of(self.cursors.checkpoint(&self.standing.reader).await?),
            };
            if to > from || !park.is_empty() {
                match self.commit(from, to.max(from), park.clone(), Vec::new(), lease).await {
                    // By a commit of ours that was dropped, and done after the checkpoint was read.
                    Err(CommitError::Moved { actual, .. }) if actual > from => continue,
                    moved => moved.map_err(|error| SubscriptionError::of_commit(self.name(), error))?,
                }
            }
            return Ok(to.max(from));
        }
    }

    /// Moves it.
    pub(crate) async fn advance(&self, from: Position, to: Position, lease: &Lease) -> Result<(), CommitError> {
        self.commit(from, to, Vec::new(), Vec::new(), lease).await
    }

    /// Moves it, and puts events aside or takes them up again.
    pub(crate) async fn commit(
        &self,
        from: Position,
        to: Position,
        park: Vec<Parked>,
        unpark: Vec<Position>,
        lease: &Lease,
    ) -> Result<(), CommitError> {
        let advance = Advance {
            park,
            unpark,
            ..Advance::new(&self.standing.reader, lease, from, to)
        };
        self.cursors.advance(advance).await
    }
}
