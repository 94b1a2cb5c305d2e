//! The task of a subscription with a handler: waits for the lease, works under it, gives it back.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBackoff;
use futures_util::future::{Either, select};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::calls::{Call, Calls, Order};
use super::handling::{Handling, Intake, Manner};
use super::reader::{Buffer, Space, read_on};
use super::window::Window;
use super::{Cursor, SubscriptionError};
use crate::consumer::{STANDBY, Sequences, Tenure, Trial, Waiter, backoff, count_parked, guarded, next};
use crate::projection::Status;
use crate::{Position, StoreError, metrics};

/// For how long the cursor may stay behind what is done.
pub(super) const SOON: Duration = Duration::from_millis(100);
/// How long after the cursor and the log were found not to go together they are looked at again.
const DIVERGED: Duration = Duration::from_secs(30);

pub(crate) struct Handler<T> {
    pub(crate) cursor: Arc<Cursor>,
    pub(crate) manner: Manner<T>,
    pub(crate) buffer: Buffer,
    pub(crate) calls: Calls,
    pub(crate) waiter: Waiter,
    /// How often the handler was tried with an event, and what came of that.
    pub(crate) trial: Trial,
    /// What is parked, and what stands behind it.
    pub(crate) sequences: Sequences,
    /// Up to here everything is done, or is not wanted.
    pub(crate) done: Position,
}

/// Why the log is not followed any more.
pub(super) enum Trouble {
    Call(Call),
    /// An event that the handler could not take.
    Held,
    Error(SubscriptionError),
}

impl From<Call> for Trouble {
    fn from(call: Call) -> Self {
        Self::Call(call)
    }
}

impl<E: Into<SubscriptionError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        match error.into() {
            SubscriptionError::LeaseLost(_) => Self::Call(Call::Lost),
            error => Self::Error(error),
        }
    }
}

/// What ends work under a lease.
enum End {
    Stop,
    Lost,
    /// To be tried again after this long, by whoever is there.
    Pause(Duration),
}

impl<T: Send + 'static> Handler<T> {
    pub(crate) async fn live(mut self) {
        let patience = || backoff(Duration::from_secs(1), Duration::from_secs(60));
        let (mut pause, mut holding) = (Duration::ZERO, patience());
        while let Some((tenure, order)) = self.stand_by(pause).await {
            let before = self.done;
            let end = match guarded("running it", async {
                Ok::<_, StoreError>(self.own(&tenure, order, &mut holding).await)
            })
            .await
            {
                Ok(end) => end,
                Err(error) => {
                    self.cursor.standing.fail(Status::Retrying, &error, None);
                    End::Pause(next(&mut holding))
                }
            };
            self.cursor.standing.state().owns = false;
            if self.done > before {
                holding = patience();
            }
            pause = match end {
                End::Lost => {
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
        self.cursor.standing.is(Status::Stopped);
    }

    /// Gives the lease back, so that nobody takes what was not tried for what has ended this process.
    async fn give_back(&mut self, tenure: Tenure) {
        if let Err(error) = guarded("closing a trial", self.trial.close(&tenure.lease)).await {
            let subscription = self.cursor.name();
            tracing::debug!(subscription, %error, "an attempt that was not made stays noted");
        }
        tenure.end(&*self.cursor.cursors.store).await;
    }

    /// Waits until it has the lease; `None` if it is to stop. For an order that comes meanwhile the lease is asked for at once.
    async fn stand_by(&mut self, first: Duration) -> Option<(Tenure, Option<Order>)> {
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(5));
        let mut pause = first;
        loop {
            let order = match self.calls.or(None, sleep(pause)).await {
                Ok(()) => None,
                Err(Call::Order(order)) => Some(order),
                Err(Call::Stop | Call::Lost) => return None,
            };
            // To the end, also if it is to stop: a lease whose answer nobody awaits would be held by nobody until it runs out.
            let (answer, length) = match self.cursor.take().await {
                Ok(Some(tenure)) => return Some((tenure, order)),
                Ok(None) => {
                    self.cursor.standing.is(Status::Standby);
                    let name = self.cursor.name().to_owned();
                    (SubscriptionError::Elsewhere(name), STANDBY)
                }
                Err(error) if error.is_closed() => return None,
                Err(error) => {
                    self.cursor.standing.fail(Status::Retrying, &error, None);
                    (error, next(&mut failing))
                }
            };
            if let Some(order) = order {
                order.reply(Err(answer));
            }
            pause = length;
        }
    }

    /// Works under the lease.
    async fn own(&mut self, tenure: &Tenure, order: Option<Order>, holding: &mut ExponentialBackoff) -> End {
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(10));
        let mut order = order;
        loop {
            let before = self.done;
            let trouble = Box::pin(self.follow(tenure, order.take())).await;
            if self.done > before {
                failing = backoff(Duration::from_millis(50), Duration::from_secs(10));
            }
            let called = match trouble {
                Trouble::Call(call) => Some(call),
                // Given back, so that a process with a build that can take it gets its turn.
                Trouble::Held => return End::Pause(next(holding)),
                Trouble::Error(error) if error.is_transient() => {
                    self.cursor.standing.fail(Status::Retrying, &error, None);
                    self.calls.or(Some(tenure), sleep(next(&mut failing))).await.err()
                }
                Trouble::Error(error) if error.is_closed() => return End::Stop,
                Trouble::Error(error) => {
                    let status = match error {
                        SubscriptionError::Checkpoint(_) => Status::Diverged,
                        _ => Status::Retrying,
                    };
                    self.cursor.standing.fail(status, &error, None);
                    return End::Pause(DIVERGED);
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

    /// Handles what is there, and then what comes, after the order.
    async fn follow(&mut self, tenure: &Tenure, order: Option<Order>) -> Trouble {
        let window = match self.window(tenure).await {
            Ok(window) => window,
            Err(error) => {
                let trouble = Trouble::from(error);
                if let Some(order) = order {
                    order.reply(Err(trouble.refused(self.cursor.name())));
                }
                return trouble;
            }
        };
        let Self {
            cursor,
            manner,
            buffer,
            calls,
            waiter,
            trial,
            sequences,
            ..
        } = self;
        let (reads, received) = mpsc::unbounded_channel();
        let intake = Intake {
            manner,
            window: Arc::clone(&window),
            space: Arc::new(Space::new(*buffer)),
            reads,
        };
        let mut handling = Handling::new(cursor, trial, sequences, tenure, &intake, received);
        let trouble = {
            let running = pin!(guarded("following the log", handling.run(calls, order)));
            let reading = pin!(read_on(&intake, cursor, waiter));
            match select(reading, running).await {
                Either::Left((error, _)) => error.into(),
                Either::Right((Err(trouble), _)) => trouble,
            }
        };
        // What is in doubt is not written over.
        let stores = !matches!(trouble, Trouble::Call(Call::Lost) | Trouble::Error(_));
        handling.end(stores).await;
        self.done = window.done_to();
        trouble
    }

    /// The window behind the cursor.
    async fn window(&mut self, tenure: &Tenure) -> Result<Arc<Window>, SubscriptionError> {
        let begun = self.cursor.begin(&tenure.lease).await?;
        let window = Arc::new(Window::new());
        window.begin(begun, &tenure.held);
        self.done = begun;
        if metrics::ON
            && let Ok(parked) = count_parked(&*self.cursor.cursors.store, &tenure.lease.name).await
        {
            self.cursor.standing.metrics.has_parked(parked);
        }
        Ok(window)
    }
}
