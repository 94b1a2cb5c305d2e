//! A subscription with a handler as a reader of the log.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::mpsc;

use super::calls::{Call, Calls, Order, What};
use super::handling::{Handling, Intake, Manner};
use super::reader::{Buffer, Space, read_on};
use super::window::Window;
use super::{Cursor, Standing, SubscriptionError};
use crate::consumer::{
    AttemptLog, ControlError, Ended, Inputs, NotAdmitted, Reader, Sequences, Tenancy, Tenure, Waiter, count_parked,
    guarded,
};
use crate::error::chain;
use crate::projection::Status;
use crate::store::Lease;
use crate::{Position, StoreError, StoreErrorKind, metrics};

/// For how long the cursor may stay behind what is done.
pub(super) const SOON: Duration = Duration::from_millis(100);

pub(crate) struct Handler<T> {
    pub(crate) cursor: Arc<Cursor>,
    pub(crate) manner: Manner<T>,
    pub(crate) buffer: Buffer,
    pub(crate) waiter: Waiter,
    /// How often the handler was tried with an event, and what came of that.
    pub(crate) attempts: AttemptLog,
    /// The parked events, and those that stand behind them.
    pub(crate) sequences: Sequences,
    /// The inputs of which another build may hear more; `None` if it is not the builds that say what is heard.
    pub(crate) inputs: Option<Arc<Inputs>>,
    /// Up to here everything is done, or is not wanted.
    pub(crate) done: Position,
    /// Where that was when it was looked at last.
    pub(crate) looked_at: Position,
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

impl Trouble {
    /// As the answer to an order.
    pub(super) fn refused(&self, subscription: &str) -> ControlError {
        match self {
            Self::Error(error) => {
                let message = chain(error);
                StoreError::new(StoreErrorKind::Unavailable, message).into()
            }
            Self::Call(_) | Self::Held => ControlError::Elsewhere {
                reader: subscription.to_owned(),
            },
        }
    }
}

impl<T: Send + 'static> Reader for Handler<T> {
    type What = What;

    fn tenancy(&self) -> Tenancy<'_> {
        let Standing {
            reader, owner, metrics, ..
        } = &*self.cursor.standing;
        Tenancy {
            store: &self.cursor.cursors.store,
            lease: reader,
            owner,
            metrics,
        }
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn enter(&mut self, tenure: &Tenure) {
        let mut state = self.cursor.standing.state();
        state.owns = true;
        state.epoch = Some(tenure.lease.epoch);
    }

    async fn work(&mut self, tenure: &Tenure, order: Option<Order>, calls: &mut Calls) -> Ended<Order> {
        let inputs = self.inputs.clone();
        let outdated = async {
            match &inputs {
                Some(inputs) => inputs.outdated().await,
                None => pending().await,
            }
        };
        let following = async {
            if let Some(inputs) = &inputs
                && let Err(error) = inputs.check().await
            {
                if let Some(order) = order {
                    let reader = self.cursor.name().to_owned();
                    order.reply(Err(ControlError::Elsewhere { reader }));
                }
                return Err(error);
            }
            Ok(self.follow(tenure, order, calls).await)
        };
        // The work of a large `Manner` would be a part of every future that awaits it.
        let ended = match select(pin!(outdated), Box::pin(following)).await {
            Either::Left((outdated, _)) => Err(NotAdmitted::Outdated(outdated)),
            Either::Right((ended, _)) => ended,
        };
        let trouble = match ended {
            Ok(trouble) => trouble,
            Err(NotAdmitted::Outdated(outdated)) => {
                self.fail(Status::Outdated, &outdated, None);
                return Ended::Held;
            }
            Err(NotAdmitted::Store(error)) => return Ended::Failed(error),
        };
        match trouble {
            Trouble::Call(call) => call.into(),
            Trouble::Held => Ended::Held,
            Trouble::Error(SubscriptionError::Store(error)) if error.kind() != StoreErrorKind::Corrupt => {
                Ended::Failed(error)
            }
            Trouble::Error(error @ SubscriptionError::Checkpoint(_)) => Ended::Apart(Status::Diverged, Box::new(error)),
            Trouble::Error(error) => Ended::Apart(Status::Retrying, Box::new(error)),
        }
    }

    async fn leave(&mut self, lease: Option<&Lease>) {
        {
            let mut state = self.cursor.standing.state();
            state.owns = false;
            state.epoch = None;
        }
        let Some(lease) = lease else { return };
        // So that nobody takes what was not tried for what has ended this process.
        if let Err(error) = guarded("closing its attempts", self.attempts.close(lease)).await {
            let subscription = self.cursor.name();
            tracing::debug!(subscription, %error, "an attempt that was not made stays noted");
        }
    }

    fn position(&self) -> Option<Position> {
        Some(self.done)
    }

    fn has_progressed(&mut self) -> bool {
        let before = std::mem::replace(&mut self.looked_at, self.done);
        self.done > before
    }

    fn name(&self) -> &str {
        self.cursor.name()
    }

    fn show(&self, status: Status) {
        self.cursor.standing.is(status);
    }

    fn fail(&self, status: Status, error: &(dyn std::error::Error + 'static), position: Option<Position>) {
        self.cursor.standing.fail(status, error, position);
    }
}

impl<T: Send + 'static> Handler<T> {
    /// Handles what is there, and then what comes, after the order.
    async fn follow(&mut self, tenure: &Tenure, order: Option<Order>, calls: &mut Calls) -> Trouble {
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
            waiter,
            attempts,
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
        let mut handling = Handling::new(cursor, attempts, sequences, tenure, &intake, received);
        let trouble = {
            let running = pin!(guarded("following the log", handling.run(calls, order)));
            let reading = pin!(read_on(&intake, cursor, waiter));
            match select(reading, running).await {
                Either::Left((error, _)) => error.into(),
                Either::Right((Err(trouble), _)) => trouble,
            }
        };
        // A cursor whose place is in doubt is not written over.
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
