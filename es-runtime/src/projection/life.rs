//! The life of a projection in one process: waits for the lease, works under it, gives it back.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use backon::ExponentialBackoff;
use futures_util::future::{Either, select};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::command::{Order, What};
use super::partition;
use super::rebuild::{Rebuild, Rebuilder};
use super::report::{Reporter, report_now, said_before};
use super::standing::Standing;
use super::worker::{Trouble, Worker, refused};
use super::{CommandError, Failure, Status};
use crate::consumer::{FIRST, Tenure, backoff, guarded, next};
use crate::error::chain;
use crate::store::{CheckpointError, CommitError, CursorStore, Lease};
use crate::{Position, StoreError, StoreErrorKind, Timestamp};

/// How long after a lease was found taken it is asked for again.
pub(crate) const STANDBY: Duration = Duration::from_millis(500);
/// How much longer for each lease that this process has: those that have fewer are first.
const FAIRNESS: Duration = Duration::from_millis(50);
/// But not longer than this, so that what a killed process ran is taken up in time.
const MOST_FAIR: Duration = Duration::from_secs(1);
/// How long after a projection was found to have diverged it is looked at again.
const DIVERGED: Duration = Duration::from_secs(30);

pub(crate) struct Life {
    pub(crate) worker: Worker,
    /// What builds rows beside; `None` if there are none.
    pub(crate) rebuilder: Option<Rebuilder>,
    pub(crate) orders: mpsc::Receiver<Order>,
    /// Ends the life when it becomes true, or when its sender is dropped.
    pub(crate) stop: watch::Receiver<bool>,
    /// What this runtime is called as the owner of leases.
    pub(crate) owner: Arc<str>,
    /// How many leases this runtime has.
    pub(crate) leases: Arc<AtomicU32>,
}

/// What ends work under a lease.
enum End {
    Stop,
    Lost,
    /// To be tried again after this long, by whoever is there.
    Pause(Duration),
}

/// What ends a stretch of work.
enum Came {
    Call(Call),
    Trouble(Trouble),
    /// The rows beside are as good as built.
    Built(Result<Rebuild, Trouble>),
}

/// What comes from outside.
enum Call {
    Stop,
    Lost,
    Order(Order),
}

impl Life {
    pub(crate) async fn live(mut self) {
        // One segment after the other, and each when it is known who has the one before, so that processes that are started together share
        // them.
        let mut pause = (FAIRNESS * 2 * self.worker.standing.segment.index).min(MOST_FAIR);
        let mut holding = backoff(Duration::from_secs(1), Duration::from_secs(60));
        self.worker.standing.metrics.begin();
        while let Some((tenure, order)) = self.stand_by(pause).await {
            self.leases.fetch_add(1, Ordering::Relaxed);
            let before = self.position();
            let reporter = Reporter::start(
                &self.worker.cursors.store,
                &self.worker.standing,
                self.beside(),
                &tenure.lease,
            );
            let end = match guarded("running it", async {
                Ok::<_, StoreError>(self.own(&tenure, order, &mut holding).await)
            })
            .await
            {
                Ok(end) => end,
                Err(error) => {
                    self.fail(Status::Retrying, &error, None);
                    End::Pause(next(&mut holding))
                }
            };
            self.leases.fetch_sub(1, Ordering::Relaxed);
            if self.position() > before {
                holding = backoff(Duration::from_secs(1), Duration::from_secs(60));
            }
            self.worker
                .standing
                .update(|state| (state.done, state.rate) = (None, 0.0));
            match end {
                End::Stop => {
                    // So that nobody reads of a trouble that is over.
                    reporter.end().await;
                    self.give_back(tenure).await;
                    break;
                }
                End::Lost => {
                    drop(tenure);
                    pause = STANDBY;
                }
                End::Pause(length) => {
                    reporter.end().await;
                    self.give_back(tenure).await;
                    pause = length;
                }
            }
        }
        self.worker.standing.update(|state| state.status = Status::Stopped);
        self.leave();
    }

    /// Gives the lease back, so that nobody takes what was cut off for what has ended this process.
    async fn give_back(&mut self, tenure: Tenure) {
        let beside = self.rebuilder.as_mut().map(|rebuilder| &mut rebuilder.worker.trial);
        for trial in [Some(&mut self.worker.trial), beside].into_iter().flatten() {
            if let Err(error) = guarded("closing a trial", trial.close(&tenure.lease)).await {
                let projection = self.worker.standing.name;
                tracing::debug!(projection, %error, "an attempt that was cut off stays noted");
            }
        }
        tenure.end(&*self.worker.cursors.store).await;
    }

    fn beside(&self) -> Option<&Arc<Standing>> {
        self.rebuilder.as_ref().map(|rebuilder| &rebuilder.worker.standing)
    }

    /// Another process tells from now on how far it is.
    fn leave(&self) {
        self.worker.standing.metrics.leave();
        if let Some(beside) = self.beside() {
            beside.metrics.leave();
        }
    }

    fn position(&self) -> Option<Position> {
        self.worker.standing.state().done
    }

    /// Waits until it has the lease; `None` if it is to stop. An order that comes meanwhile is asked the lease for at once, and
    /// goes with it.
    async fn stand_by(&mut self, first: Duration) -> Option<(Tenure, Option<Order>)> {
        let store = Arc::clone(&self.worker.cursors.store);
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(5));
        let mut pause = first;
        loop {
            let leases = Arc::clone(&self.leases);
            let turn = async {
                sleep(pause).await;
                // Only now, as other tasks may have taken some meanwhile.
                sleep((FAIRNESS * leases.load(Ordering::Relaxed)).min(MOST_FAIR)).await;
            };
            let order = {
                let call = call(&mut self.stop, &mut self.orders, None);
                match select(pin!(turn), pin!(call)).await {
                    Either::Left(_) => None,
                    Either::Right((Call::Order(order), _)) => Some(order),
                    Either::Right((Call::Stop | Call::Lost, _)) => return None,
                }
            };
            // To the end, also if it is to stop: a lease whose answer nobody awaits would be held by nobody until it runs out.
            match self.take(&store).await {
                Ok(Some(tenure)) => return Some((tenure, order)),
                Ok(None) => {
                    let projection = self.worker.standing.name;
                    if let Some(order) = order {
                        order.reply(Err(CommandError::Elsewhere { projection }));
                    }
                    // What this process held before, another one has taken up.
                    self.worker.standing.update(|state| {
                        state.status = Status::Standby;
                        state.failure = None;
                    });
                    self.leave();
                    pause = STANDBY;
                }
                Err(error) if error.kind() == StoreErrorKind::Closed => return None,
                Err(error) => {
                    self.fail(Status::Retrying, &error, None);
                    if let Some(order) = order {
                        order.reply(Err(error.into()));
                    }
                    pause = next(&mut failing);
                }
            }
        }
    }

    /// Takes the lease. `None` if another owner has it.
    async fn take(&self, store: &Arc<dyn CursorStore>) -> Result<Option<Tenure>, StoreError> {
        let standing = &self.worker.standing;
        let Some(tenure) = Tenure::take(store, &standing.reader, &self.owner, &standing.metrics).await? else {
            return Ok(None);
        };
        match partition::check(&**store, standing).await {
            Ok(()) => Ok(Some(tenure)),
            Err(error) => {
                tenure.end(&**store).await;
                Err(error)
            }
        }
    }

    /// How rows are built beside, if such a build is under way: whoever had the lease before may have begun it.
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
    async fn rebuild(&mut self, how: Rebuild, lease: &Lease) -> Result<(), CommandError> {
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
    async fn cancel_rebuild(&mut self, lease: &Lease) -> Result<(), CommandError> {
        let standing = &self.worker.standing;
        let projection = standing.name;
        let rebuilder = match &mut self.rebuilder {
            Some(rebuilder) if rebuilder.is_under_way().await? => rebuilder,
            _ => return Err(CommandError::NotRebuilding { projection }),
        };
        let discarded = rebuilder.discard(lease).await;
        discarded.map_err(|error| refused(projection, error))?;
        standing.update(|state| state.rebuild = None);
        standing.metrics.built("cancelled");
        tracing::info!(projection, "a rebuild was cancelled");
        Ok(())
    }

    /// Works under the lease.
    async fn own(&mut self, tenure: &Tenure, order: Option<Order>, holding: &mut ExponentialBackoff) -> End {
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(10));
        if let Some(order) = order {
            self.obey(order, tenure).await;
        }
        let mut is_stuck = false;
        loop {
            let building = match self.build_under_way(&tenure.lease).await {
                Ok(building) => building,
                Err(error) => match self.retry_later(error, tenure, &mut failing).await {
                    Some(end) => return end,
                    None => continue,
                },
            };
            let came = self.work(building, is_stuck, tenure).await;
            match came {
                Came::Call(Call::Stop) => return End::Stop,
                Came::Call(Call::Lost) | Came::Trouble(Trouble::LeaseLost) | Came::Built(Err(_)) => return End::Lost,
                Came::Call(Call::Order(order)) => {
                    is_stuck = false;
                    self.obey(order, tenure).await;
                }
                Came::Built(Ok(how)) => {
                    is_stuck = false;
                    match self.finish(how, &tenure.lease).await {
                        Ok(()) => {}
                        Err(Trouble::LeaseLost) => return End::Lost,
                        Err(trouble) => {
                            let error = match trouble {
                                Trouble::Store(error) | Trouble::Moved(error) => error,
                                other => StoreError::new(StoreErrorKind::Unavailable, other.to_string()),
                            };
                            if let Some(end) = self.retry_later(error, tenure, &mut failing).await {
                                return end;
                            }
                        }
                    }
                }
                Came::Trouble(Trouble::Held { position, error }) => {
                    self.fail(Status::Held, &error, Some(position));
                    if building.is_none() {
                        // Given back, so that a process with a build that can apply it gets its turn.
                        return End::Pause(next(holding));
                    }
                    // The rows that are built beside may be the way out.
                    is_stuck = true;
                }
                Came::Trouble(Trouble::Diverged(error)) => {
                    self.fail(Status::Diverged, &error, None);
                    return End::Pause(DIVERGED);
                }
                Came::Trouble(Trouble::Store(error) | Trouble::Moved(error)) => {
                    if std::mem::take(&mut self.worker.progressed) {
                        failing = backoff(Duration::from_millis(50), Duration::from_secs(10));
                    }
                    if let Some(end) = self.retry_later(error, tenure, &mut failing).await {
                        return end;
                    }
                }
            }
        }
    }

    /// Notes that the store failed, and waits. What comes meanwhile may end the work; a store that is closed does.
    async fn retry_later(
        &mut self,
        error: StoreError,
        tenure: &Tenure,
        failing: &mut ExponentialBackoff,
    ) -> Option<End> {
        if error.kind() == StoreErrorKind::Closed {
            return Some(End::Stop);
        }
        self.fail(Status::Retrying, &error, None);
        let called = {
            let call = call(&mut self.stop, &mut self.orders, Some(tenure));
            match select(pin!(sleep(next(failing))), pin!(call)).await {
                Either::Left(_) => None,
                Either::Right((call, _)) => Some(call),
            }
        };
        match called {
            None => None,
            Some(Call::Stop) => Some(End::Stop),
            Some(Call::Lost) => Some(End::Lost),
            Some(Call::Order(order)) => {
                self.obey(order, tenure).await;
                None
            }
        }
    }

    /// Follows the log, unless it is stuck, and builds beside, if it is to, until something comes of it.
    async fn work(&mut self, building: Option<Rebuild>, is_stuck: bool, tenure: &Tenure) -> Came {
        let Self {
            worker,
            rebuilder,
            stop,
            orders,
            ..
        } = self;
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
        let (mut follow, mut build) = (pin!(follow), pin!(build));
        let mut call = pin!(call(stop, orders, Some(tenure)));
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

    async fn obey(&mut self, order: Order, tenure: &Tenure) {
        let mut answer = guarded("what was ordered", self.obeying(&order.what, &tenure.lease)).await;
        // A commit that was cut off for the order may have come through since, and moved the checkpoint. No other one is under way.
        if answer.as_ref().is_err_and(was_moved) {
            answer = guarded("what was ordered", self.obeying(&order.what, &tenure.lease)).await;
        }
        self.worker.limit = FIRST;
        self.worker.trial.pardon(None);
        order.reply(answer);
    }

    async fn obeying(&mut self, what: &What, lease: &Lease) -> Result<(), CommandError> {
        match what {
            What::Retry(position) => self.worker.retry(*position, lease).await,
            What::Skip(position, reason) => self.worker.skip(*position, reason, lease).await,
            What::Rebuild(how) => self.rebuild(*how, lease).await,
            What::CancelRebuild => self.cancel_rebuild(lease).await,
            What::TakeTurn => Ok(()),
        }
    }

    /// Notes what went wrong.
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

/// Whether nothing was done because the checkpoint stood elsewhere.
fn was_moved(error: &CommandError) -> bool {
    let CommandError::Store(error) = error else {
        return false;
    };
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(CommitError::Moved { .. }))
}

/// What went wrong, and how often since it went well.
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

/// Waits until the projection is to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the runtime is gone.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Waits for what comes from outside. Cancel safe.
async fn call(stop: &mut watch::Receiver<bool>, orders: &mut mpsc::Receiver<Order>, tenure: Option<&Tenure>) -> Call {
    let mut stop = pin!(stopped(stop));
    let mut lost = pin!(async {
        match tenure {
            Some(tenure) => tenure.lost().await,
            None => std::future::pending().await,
        }
    });
    poll_fn(|context| {
        if stop.as_mut().poll(context).is_ready() {
            Poll::Ready(Call::Stop)
        } else if lost.as_mut().poll(context).is_ready() {
            Poll::Ready(Call::Lost)
        } else if let Poll::Ready(order) = orders.poll_recv(context) {
            // No sender is left where no runtime is.
            Poll::Ready(order.map_or(Call::Stop, Call::Order))
        } else {
            Poll::Pending
        }
    })
    .await
}
