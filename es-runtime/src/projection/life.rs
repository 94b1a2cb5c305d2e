//! The life of a projection in one process: waits for the lease, works under it, gives it back.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::command::{Order, What};
use super::lease::Tenure;
use super::source::text_of;
use super::worker::{LIMIT, Trouble, Worker};
use super::{CommandError, Failure, Status};
use crate::{Clock, Position, StoreError, StoreErrorKind};

/// How long after a lease was found taken it is asked for again.
pub(crate) const STANDBY: Duration = Duration::from_millis(500);
/// How much longer for each lease that this process has: those that have fewer are first.
const FAIRNESS: Duration = Duration::from_millis(50);
/// How long after a projection was found to have diverged it is looked at again.
const DIVERGED: Duration = Duration::from_secs(30);

pub(crate) struct Life {
    pub(crate) worker: Worker,
    pub(crate) orders: mpsc::Receiver<Order>,
    /// Ends the life when it becomes true, or when its sender is dropped.
    pub(crate) stop: watch::Receiver<bool>,
    /// What this runtime is called as the owner of leases.
    pub(crate) owner: Arc<str>,
    /// How many leases this runtime has.
    pub(crate) leases: Arc<AtomicU32>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What ends work under a lease.
enum End {
    Stop,
    Lost,
    /// To be tried again after this long, by whoever is there.
    Pause(Duration),
}

/// What comes from outside.
enum Call {
    Stop,
    Lost,
    Order(Order),
}

impl Life {
    pub(crate) async fn live(mut self) {
        let mut pause = Duration::ZERO;
        let mut holding = backoff(Duration::from_secs(1), Duration::from_secs(60));
        while let Some((tenure, order)) = self.stand_by(pause).await {
            self.leases.fetch_add(1, Ordering::Relaxed);
            let before = self.position();
            let end = self.own(&tenure, order, &mut holding).await;
            self.leases.fetch_sub(1, Ordering::Relaxed);
            if self.position() > before {
                holding = backoff(Duration::from_secs(1), Duration::from_secs(60));
            }
            self.worker
                .standing
                .update(|state| (state.done, state.rate) = (None, 0.0));
            match end {
                End::Stop => {
                    tenure.end(&*self.worker.store).await;
                    break;
                }
                End::Lost => {
                    drop(tenure);
                    pause = STANDBY;
                }
                End::Pause(length) => {
                    tenure.end(&*self.worker.store).await;
                    pause = length;
                }
            }
        }
        self.worker.standing.update(|state| state.status = Status::Stopped);
    }

    fn position(&self) -> Option<Position> {
        self.worker.standing.state().done
    }

    /// Waits until it has the lease; `None` if it is to stop. An order that comes meanwhile is asked the lease for at once, and
    /// goes with it.
    async fn stand_by(&mut self, first: Duration) -> Option<(Tenure, Option<Order>)> {
        let store = Arc::clone(&self.worker.store);
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(5));
        let mut pause = first;
        loop {
            let spread = FAIRNESS * self.leases.load(Ordering::Relaxed);
            let order = {
                let call = call(&mut self.stop, &mut self.orders, None);
                match select(pin!(sleep(pause + spread)), pin!(call)).await {
                    Either::Left(_) => None,
                    Either::Right((Call::Order(order), _)) => Some(order),
                    Either::Right((Call::Stop | Call::Lost, _)) => return None,
                }
            };
            // To the end, also if it is to stop: a lease whose answer nobody awaits would be held by nobody until it runs out.
            match Tenure::take(&store, &self.worker.standing.reader, &self.owner).await {
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

    /// Works under the lease.
    async fn own(&mut self, tenure: &Tenure, order: Option<Order>, holding: &mut ExponentialBackoff) -> End {
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(10));
        if let Some(order) = order {
            self.obey(order, tenure).await;
        }
        loop {
            let trouble = {
                let work = AssertUnwindSafe(self.worker.follow(&tenure.lease)).catch_unwind();
                let call = call(&mut self.stop, &mut self.orders, Some(tenure));
                match select(pin!(work), pin!(call)).await {
                    Either::Left((Ok(Ok(never)), _)) => match never {},
                    Either::Left((Ok(Err(trouble)), _)) => Ok(trouble),
                    Either::Left((Err(panic), _)) => {
                        let message = format!("following the log panicked: {}", text_of(&*panic));
                        Ok(Trouble::Store(StoreError::new(StoreErrorKind::Unavailable, message)))
                    }
                    Either::Right((call, _)) => Err(call),
                }
            };
            match trouble {
                Err(Call::Stop) => return End::Stop,
                Err(Call::Lost) | Ok(Trouble::LeaseLost) => return End::Lost,
                Err(Call::Order(order)) => self.obey(order, tenure).await,
                Ok(Trouble::Held { position, error }) => {
                    self.fail(Status::Held, &error, Some(position));
                    // Given back, so that a process with a build that can apply it gets its turn.
                    return End::Pause(next(holding));
                }
                Ok(Trouble::Diverged(error)) => {
                    self.fail(Status::Diverged, &error, None);
                    return End::Pause(DIVERGED);
                }
                Ok(Trouble::Store(error)) if error.kind() == StoreErrorKind::Closed => return End::Stop,
                Ok(Trouble::Store(error)) => {
                    if std::mem::take(&mut self.worker.progressed) {
                        failing = backoff(Duration::from_millis(50), Duration::from_secs(10));
                    }
                    self.fail(Status::Retrying, &error, None);
                    let pause = next(&mut failing);
                    let call = call(&mut self.stop, &mut self.orders, Some(tenure));
                    let called = match select(pin!(sleep(pause)), pin!(call)).await {
                        Either::Left(_) => None,
                        Either::Right((call, _)) => Some(call),
                    };
                    match called {
                        None => {}
                        Some(Call::Stop) => return End::Stop,
                        Some(Call::Lost) => return End::Lost,
                        Some(Call::Order(order)) => self.obey(order, tenure).await,
                    }
                }
            }
        }
    }

    async fn obey(&mut self, order: Order, tenure: &Tenure) {
        let lease = &tenure.lease;
        let answer = match &order.what {
            What::Retry(position) => self.worker.retry(*position, lease).await,
            What::Skip(position, reason) => self.worker.skip(*position, reason, lease).await,
            What::Rebuild => self.worker.rebuild(lease).await,
        };
        self.worker.limit = LIMIT;
        order.reply(answer);
    }

    /// Notes what went wrong.
    fn fail(&self, status: Status, error: &(dyn std::error::Error + 'static), position: Option<Position>) {
        let at = self.clock.now();
        let text = chain(error);
        tracing::warn!(
            projection = self.worker.standing.name,
            error = text,
            "a projection does not go on"
        );
        self.worker.standing.update(|state| {
            let before = state.failure.take().filter(|before| before.position == position);
            state.status = status;
            state.failure = Some(Failure {
                error: text,
                position,
                attempts: before.map_or(0, |before| before.attempts).saturating_add(1),
                at,
            });
        });
    }
}

/// The error with its causes.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some errors repeat their cause.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

pub(crate) fn backoff(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}

pub(crate) fn next(backoff: &mut ExponentialBackoff) -> Duration {
    backoff.next().unwrap_or(DIVERGED)
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
