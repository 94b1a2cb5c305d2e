//! The life of a reader of the log in one process: waits for the lease, works under it, gives it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::ExponentialBackoff;
use tokio::time::sleep;

use super::backoff::{backoff, next};
use super::control::{Call, Calls, ControlError, Order};
use super::guard::guarded;
use super::lease::Tenure;
use crate::projection::Status;
use crate::store::{CursorStore, Lease};
use crate::{Position, StoreError, StoreErrorKind, metrics};

/// The time after which a lease that was found taken is asked for again.
pub(crate) const STANDBY: Duration = Duration::from_millis(500);
/// The same for each lease that this process has: those that have fewer are first.
const FAIRNESS: Duration = Duration::from_millis(50);
/// But not longer than this, so that what a killed process ran is taken up in time.
const MOST_FAIR: Duration = Duration::from_secs(1);
/// The time after which a reader and a log that did not go together are looked at again.
const APART: Duration = Duration::from_secs(30);

/// The work of a reader with the log. Everything that has to do with its lease, with pauses and with orders is the
/// processor's.
pub(crate) trait Reader: Send {
    /// The orders that it takes.
    type What: Send + Sync;

    /// Returns the terms on which it takes its lease.
    fn tenancy(&self) -> Tenancy<'_>;

    /// Checks that it may work, under the lease.
    fn check(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// It has the lease now.
    fn enter(&mut self, tenure: &Tenure);

    /// Does what it is told first, and follows the log until something ends that.
    fn work(
        &mut self,
        tenure: &Tenure,
        order: Option<OrderOf<Self>>,
        calls: &mut Calls<OrderOf<Self>>,
    ) -> impl Future<Output = Ended<OrderOf<Self>>> + Send;

    /// It has the lease no more; `lease` if it is to be given back now, with all that is worth noting noted.
    fn leave(&mut self, lease: Option<&Lease>) -> impl Future<Output = ()> + Send;

    /// The position that it has reached.
    fn position(&self) -> Option<Position>;

    /// Returns whether something went well since this was asked last.
    fn has_progressed(&mut self) -> bool;

    /// The name by which users know it.
    fn name(&self) -> &str;

    /// Says what it does now.
    fn show(&self, status: Status);

    /// Says what went wrong.
    fn fail(&self, status: Status, error: &(dyn std::error::Error + 'static), position: Option<Position>);
}

/// An order to a reader, with the way back.
pub(crate) type OrderOf<R> = Order<<R as Reader>::What>;

/// The terms on which a lease is taken.
pub(crate) struct Tenancy<'a> {
    pub(crate) store: &'a Arc<dyn CursorStore>,
    pub(crate) lease: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) metrics: &'a metrics::Reader,
}

/// Why the log is not followed any more.
pub(crate) enum Ended<O> {
    Call(Call<O>),
    /// It holds before an event, or stands aside, as was said.
    Held,
    /// It and the log do not go together, or never did: looked at again after a while.
    Apart(Status, Box<dyn std::error::Error + Send + Sync>),
    /// The store failed, or something in this process: the same may go well later.
    Failed(StoreError),
}

impl<O> From<Call<O>> for Ended<O> {
    fn from(call: Call<O>) -> Self {
        Self::Call(call)
    }
}

/// The end of work under a lease.
enum End {
    Stop,
    Lost,
    /// To be tried again after this long, by whoever is there.
    Pause(Duration),
}

/// A reader, and what it takes to keep it reading.
pub(crate) struct Processor<R: Reader> {
    pub(crate) reader: R,
    pub(crate) calls: Calls<OrderOf<R>>,
    /// The number of leases that this runtime has, of those that processes are to share.
    pub(crate) leases: Arc<AtomicU32>,
    /// The number of leases before it, which are to be taken first.
    pub(crate) index: u32,
}

impl<R: Reader> Processor<R> {
    pub(crate) async fn live(mut self) {
        let patience = || backoff(Duration::from_secs(1), Duration::from_secs(60));
        // One after the other, and each when it is known who has the one before, so that processes that are started together share
        // them.
        let mut pause = (FAIRNESS * 2 * self.index).min(MOST_FAIR);
        let mut holding = patience();
        while let Some((tenure, order)) = self.stand_by(pause).await {
            self.leases.fetch_add(1, Ordering::Relaxed);
            let before = self.reader.position();
            self.reader.enter(&tenure);
            let working = async { Ok::<_, StoreError>(self.own(&tenure, order, &mut holding).await) };
            let end = guarded("running it", working).await.unwrap_or_else(|error| {
                self.reader.fail(Status::Retrying, &error, None);
                End::Pause(next(&mut holding))
            });
            self.leases.fetch_sub(1, Ordering::Relaxed);
            if self.reader.position() > before {
                holding = patience();
            }
            pause = match end {
                End::Lost => {
                    self.reader.leave(None).await;
                    drop(tenure);
                    STANDBY
                }
                End::Stop => {
                    self.give_back(tenure).await;
                    break;
                }
                End::Pause(length) => {
                    self.give_back(tenure).await;
                    length
                }
            };
        }
        self.reader.show(Status::Stopped);
    }

    async fn give_back(&mut self, tenure: Tenure) {
        self.reader.leave(Some(&tenure.lease)).await;
        tenure.end(&**self.reader.tenancy().store).await;
    }

    /// Waits until it has the lease; `None` if it is to stop. For an order that comes meanwhile the lease is asked for at once, and the
    /// order goes with it.
    async fn stand_by(&mut self, first: Duration) -> Option<(Tenure, Option<OrderOf<R>>)> {
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(5));
        let mut pause = first;
        loop {
            let leases = Arc::clone(&self.leases);
            let turn = async {
                sleep(pause).await;
                // Only now, as other tasks may have taken some meanwhile.
                sleep((FAIRNESS * leases.load(Ordering::Relaxed)).min(MOST_FAIR)).await;
            };
            let order = match self.calls.or(None, turn).await {
                Ok(()) => None,
                Err(Call::Order(order)) => Some(order),
                Err(Call::Stop | Call::Lost) => return None,
            };
            // To the end, also if it is to stop: a lease whose answer nobody awaits would be held by nobody until it runs out.
            let (answer, length) = match self.take().await {
                Ok(Some(tenure)) => return Some((tenure, order)),
                Ok(None) => {
                    self.reader.show(Status::Standby);
                    let reader = self.reader.name().to_owned();
                    (ControlError::Elsewhere { reader }, STANDBY)
                }
                Err(error) if error.kind() == StoreErrorKind::Closed => return None,
                Err(error) => {
                    self.reader.fail(Status::Retrying, &error, None);
                    (error.into(), next(&mut failing))
                }
            };
            if let Some(order) = order {
                order.reply(Err(answer));
            }
            pause = length;
        }
    }

    /// Takes the lease. `None` if another owner has it.
    async fn take(&self) -> Result<Option<Tenure>, StoreError> {
        let Tenancy {
            store,
            lease,
            owner,
            metrics,
        } = self.reader.tenancy();
        let Some(tenure) = Tenure::take(store, lease, owner, metrics).await? else {
            return Ok(None);
        };
        match self.reader.check().await {
            Ok(()) => Ok(Some(tenure)),
            Err(error) => {
                tenure.end(&**store).await;
                Err(error)
            }
        }
    }

    /// Works under the lease.
    async fn own(&mut self, tenure: &Tenure, order: Option<OrderOf<R>>, holding: &mut ExponentialBackoff) -> End {
        let patience = || backoff(Duration::from_millis(50), Duration::from_secs(10));
        let (mut order, mut failing) = (order, patience());
        loop {
            let ended = self.reader.work(tenure, order.take(), &mut self.calls).await;
            if self.reader.has_progressed() {
                failing = patience();
            }
            let called = match ended {
                Ended::Call(call) => Some(call),
                // Given back, so that a process with a build that can go on gets its turn.
                Ended::Held => return End::Pause(next(holding)),
                Ended::Apart(status, error) => {
                    self.reader.fail(status, &*error, None);
                    return End::Pause(APART);
                }
                Ended::Failed(error) if error.kind() == StoreErrorKind::Closed => return End::Stop,
                Ended::Failed(error) => {
                    self.reader.fail(Status::Retrying, &error, None);
                    self.calls.or(Some(tenure), sleep(next(&mut failing))).await.err()
                }
            };
            match called {
                None => {}
                Some(Call::Stop) => return End::Stop,
                Some(Call::Lost) => return End::Lost,
                Some(Call::Order(given)) => order = Some(given),
            }
        }
    }
}
