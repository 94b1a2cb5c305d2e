//! A projection as a reader of the log: applies events, builds rows beside, does what it is told.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::command::{Order, What};
use super::partition;
use super::rebuild::{Rebuild, Rebuilder};
use super::report::{Reporter, report_now, said_before};
use super::standing::Standing;
use super::worker::{Trouble, Worker, refused};
use super::{ControlError, Failure, Status};
use crate::consumer::{Call, Calls, Ended, FIRST, Reader, Tenancy, Tenure, guarded};
use crate::error::chain;
use crate::store::{CheckpointError, CommitError, Lease, StateStore};
use crate::{Position, StoreError, StoreErrorKind, Timestamp};

/// One projection, or one segment of it.
pub(crate) struct ProjectionReader {
    pub(crate) worker: Worker,
    /// Builds rows beside; `None` if there are none.
    pub(crate) rebuilder: Option<Rebuilder>,
    /// The store of states next to the rows, if there is one.
    pub(crate) states: Option<Arc<dyn StateStore>>,
    /// The owner of the lease: the process that runs it.
    pub(crate) owner: Arc<str>,
    /// Tells all processes how it is, for as long as this one has the lease.
    pub(crate) reporter: Option<Reporter>,
}

/// The end of a stretch of work.
enum Came {
    Call(Call<Order>),
    Trouble(Trouble),
    /// The rows beside are as good as built.
    Built(Result<Rebuild, Trouble>),
}

impl Reader for ProjectionReader {
    type What = What;

    fn tenancy(&self) -> Tenancy<'_> {
        let Worker { cursors, standing, .. } = &self.worker;
        Tenancy {
            store: &cursors.store,
            lease: &standing.reader,
            owner: &self.owner,
            metrics: &standing.metrics,
        }
    }

    async fn check(&self) -> Result<(), StoreError> {
        partition::check(self.states.as_ref(), &self.worker.standing).await
    }

    fn enter(&mut self, tenure: &Tenure) {
        let Worker { cursors, standing, .. } = &self.worker;
        self.reporter = Some(Reporter::start(&cursors.store, standing, self.beside(), &tenure.lease));
    }

    async fn work(&mut self, tenure: &Tenure, order: Option<Order>, calls: &mut Calls<Order>) -> Ended<Order> {
        let lease = &tenure.lease;
        if let Some(order) = order {
            let answer = guarded("what was ordered", self.obey(&order.what, lease)).await;
            order.reply(answer);
        }
        let mut is_stuck = false;
        loop {
            let building = match self.build_under_way(lease).await {
                Ok(building) => building,
                Err(error) => return Ended::Failed(error),
            };
            let trouble = match self.come(building, is_stuck, tenure, calls).await {
                Came::Call(call) => return call.into(),
                Came::Trouble(Trouble::Held { position, error }) => {
                    self.fail(Status::Held, &error, Some(position));
                    if building.is_none() {
                        return Ended::Held;
                    }
                    // The rows that are built beside may be the way out.
                    is_stuck = true;
                    continue;
                }
                Came::Built(Ok(how)) => match self.finish(how, lease).await {
                    Ok(()) => {
                        is_stuck = false;
                        continue;
                    }
                    Err(trouble @ (Trouble::Held { .. } | Trouble::Diverged(_))) => {
                        let error = StoreError::new(StoreErrorKind::Unavailable, trouble.to_string());
                        return Ended::Failed(error);
                    }
                    Err(trouble) => trouble,
                },
                Came::Trouble(trouble) | Came::Built(Err(trouble)) => trouble,
            };
            return match trouble {
                Trouble::LeaseLost => Ended::Call(Call::Lost),
                Trouble::Diverged(error) => Ended::Apart(Status::Diverged, Box::new(error)),
                Trouble::Store(error) | Trouble::Moved(error) => Ended::Failed(error),
                Trouble::Held { .. } => Ended::Held,
            };
        }
    }

    async fn leave(&mut self, lease: Option<&Lease>) {
        self.worker
            .standing
            .update(|state| (state.done, state.rate) = (None, 0.0));
        let reporter = self.reporter.take();
        let Some(lease) = lease else { return };
        if let Some(reporter) = reporter {
            // So that nobody reads of a trouble that is over.
            reporter.end().await;
        }
        // So that nobody takes what was cut off for what has ended this process.
        let beside = self.rebuilder.as_mut().map(|rebuilder| &mut rebuilder.worker.attempts);
        for attempts in [Some(&mut self.worker.attempts), beside].into_iter().flatten() {
            if let Err(error) = guarded("closing its attempts", attempts.close(lease)).await {
                let projection = self.worker.standing.name;
                tracing::debug!(projection, %error, "an attempt that was cut off stays noted");
            }
        }
    }

    fn position(&self) -> Option<Position> {
        self.worker.standing.state().done
    }

    fn has_progressed(&mut self) -> bool {
        std::mem::take(&mut self.worker.progressed)
    }

    fn name(&self) -> &str {
        self.worker.standing.name
    }

    fn show(&self, status: Status) {
        self.worker.standing.update(|state| {
            state.status = status;
            if status == Status::Standby {
                // Another process has taken up the event before which this one held.
                state.failure = None;
            }
        });
        // Another process tells from now on how far it is.
        self.worker.standing.metrics.leave();
        if let Some(beside) = self.beside() {
            beside.metrics.leave();
        }
    }

    fn fail(&self, status: Status, error: &(dyn std::error::Error + 'static), position: Option<Position>) {
        let at = self.worker.clock.now();
        self.worker.standing.metrics.failed(status);
        tracing::warn!(
            projection = self.worker.standing.name,
            segment = self.worker.standing.segment.number(),
            error = chain(error),
            "a projection does not go on"
        );
        self.worker.standing.update(|state| {
            state.status = status;
            let before = state.failure.take();
            state.failure = Some(failure(before, error, position, at));
        });
    }
}

impl ProjectionReader {
    async fn obey(&mut self, what: &What, lease: &Lease) -> Result<(), ControlError> {
        let mut answer = self.obeying(what, lease).await;
        // A commit that was cut off for the order may have come through since, and moved the checkpoint. No other one is under way.
        if answer.as_ref().is_err_and(was_moved) {
            answer = self.obeying(what, lease).await;
        }
        self.worker.limit = FIRST;
        self.worker.attempts.pardon(None);
        answer
    }

    fn beside(&self) -> Option<&Arc<Standing>> {
        self.rebuilder.as_ref().map(|rebuilder| &rebuilder.worker.standing)
    }

    /// Returns the build of rows beside that is under way, if any: whoever had the lease before may have begun it.
    async fn build_under_way(&mut self, lease: &Lease) -> Result<Option<Rebuild>, StoreError> {
        let Some(rebuilder) = &mut self.rebuilder else {
            return Ok(None);
        };
        let is_under_way = rebuilder.is_under_way().await?;
        let done = rebuilder.outcome.take().filter(|_| !is_under_way);
        let standing = &self.worker.standing;
        let (said, last) = said_before(&*self.worker.cursors.store, &lease.name).await?;
        standing.update(|state| {
            let how = state.rebuild.or(said).unwrap_or_default();
            state.rebuild = is_under_way.then_some(how);
            state.rebuilt = done.or(state.rebuilt.take()).or(last);
        });
        Ok(standing.state().rebuild)
    }

    /// Puts the rows that were built beside in the place of those that are shown.
    async fn finish(&mut self, how: Rebuild, lease: &Lease) -> Result<(), Trouble> {
        let Some(rebuilder) = &mut self.rebuilder else {
            return Ok(());
        };
        let rebuilt = guarded("replacing the rows", rebuilder.finish(&mut self.worker, how, lease)).await?;
        let outcome = if rebuilt.replaced { "replaced" } else { "kept" };
        self.worker.standing.metrics.built(outcome);
        let differing = rebuilt.differences.as_ref().map(|differences| differences.count);
        tracing::info!(
            projection = self.worker.standing.name,
            replaced = rebuilt.replaced,
            differing,
            "a projection was built anew"
        );
        self.worker
            .standing
            .update(|state| (state.rebuild, state.rebuilt) = (None, Some(rebuilt)));
        Ok(())
    }

    /// Has all rows built anew: beside those that are shown, if any are.
    async fn rebuild(&mut self, how: Rebuild, lease: &Lease) -> Result<(), ControlError> {
        let Worker { cursors, standing, .. } = &self.worker;
        let is_shown = match standing.read_mark(cursors).await {
            Ok(None) | Err(CheckpointError::Diverged { .. }) => false,
            Ok(Some(_)) => match cursors.checkpoint(&standing.reader).await {
                Ok(_) => true,
                Err(CheckpointError::Diverged { .. }) => false,
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        };
        match &mut self.rebuilder {
            Some(rebuilder) if is_shown => {
                standing.update(|state| state.rebuild = Some(how));
                // Before it begins, so that whoever takes it over knows how.
                report_now(&*cursors.store, standing, None, lease).await?;
                rebuilder.begin(lease).await
            }
            rebuilder => {
                if let Some(rebuilder) = rebuilder {
                    let discarded = rebuilder.discard(lease).await;
                    discarded.map_err(|error| refused(standing.name, error))?;
                }
                standing.update(|state| {
                    (state.rebuild, state.failure) = (None, None);
                    state.status = Status::CatchingUp;
                });
                // Before the rows go, so that nobody reads of an event that may now be applied.
                report_now(&*cursors.store, standing, None, lease).await?;
                self.worker.throttle = how.throttle;
                self.worker.rebuild(lease).await
            }
        }
    }

    /// Drops what is built beside the rows that are shown.
    async fn cancel_rebuild(&mut self, lease: &Lease) -> Result<(), ControlError> {
        let standing = &self.worker.standing;
        let projection = standing.name;
        let rebuilder = match &mut self.rebuilder {
            Some(rebuilder) if rebuilder.is_under_way().await? => rebuilder,
            _ => return Err(ControlError::NotRebuilding { projection }),
        };
        let discarded = rebuilder.discard(lease).await;
        discarded.map_err(|error| refused(projection, error))?;
        standing.update(|state| state.rebuild = None);
        standing.metrics.built("cancelled");
        tracing::info!(projection, "a rebuild was cancelled");
        Ok(())
    }

    /// Follows the log, unless it is stuck, and builds beside, if it is to, until something comes of it.
    async fn come(
        &mut self,
        building: Option<Rebuild>,
        is_stuck: bool,
        tenure: &Tenure,
        calls: &mut Calls<Order>,
    ) -> Came {
        let Self { worker, rebuilder, .. } = self;
        let follow = async {
            if is_stuck {
                return pending().await;
            }
            let Err(trouble) = guarded("following the log", worker.follow(&tenure.lease)).await;
            trouble
        };
        let build = async {
            match (rebuilder, building) {
                (Some(rebuilder), Some(how)) => rebuilder.build(how, &tenure.lease).await.map(|()| how),
                _ => pending().await,
            }
        };
        let (mut follow, mut build, mut call) = (pin!(follow), pin!(build), pin!(calls.next(Some(tenure))));
        poll_fn(|context| {
            if let Poll::Ready(call) = call.as_mut().poll(context) {
                Poll::Ready(Came::Call(call))
            } else if let Poll::Ready(trouble) = follow.as_mut().poll(context) {
                Poll::Ready(Came::Trouble(trouble))
            } else {
                build.as_mut().poll(context).map(Came::Built)
            }
        })
        .await
    }

    async fn obeying(&mut self, what: &What, lease: &Lease) -> Result<(), ControlError> {
        match what {
            What::Retry(position) => self.worker.retry(*position, lease).await,
            What::Skip(position, reason) => self.worker.skip(*position, reason, lease).await,
            What::Rebuild(how) => self.rebuild(*how, lease).await,
            What::CancelRebuild => self.cancel_rebuild(lease).await,
            What::TakeTurn => Ok(()),
        }
    }
}

/// Returns whether nothing was done because the checkpoint stood elsewhere.
fn was_moved(error: &ControlError) -> bool {
    let ControlError::Store(error) = error else {
        return false;
    };
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(CommitError::Moved { .. }))
}

/// Makes a failure of the error, with how often that happened since something went well.
pub(crate) fn failure(
    before: Option<Failure>,
    error: &(dyn std::error::Error + 'static),
    position: Option<Position>,
    at: Timestamp,
) -> Failure {
    let before = before.filter(|before| before.position == position);
    Failure {
        error: chain(error),
        position,
        attempts: before.map_or(0, |before| before.attempts).saturating_add(1),
        at,
    }
}
