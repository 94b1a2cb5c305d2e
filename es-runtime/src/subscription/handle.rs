use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Standing;
use super::calls::{Order, What};
use crate::consumer::{ControlError, all_parked};
use crate::store::{CursorStore, Parked};
use crate::{Position, StoreError};

/// A handle to operate a subscription that has a handler: [`Runtime::subscription`](crate::Runtime::subscription). Its
/// status is in [`Runtime::health`](crate::Runtime::health).
///
/// The process that runs it carries out orders between two calls of the handler. If none does, this one takes it over;
/// if another one does, they fail with [`Elsewhere`](ControlError::Elsewhere).
#[derive(Clone)]
pub struct SubscriptionHandle {
    pub(crate) store: Arc<dyn CursorStore>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) orders: mpsc::Sender<Order>,
}

impl SubscriptionHandle {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.standing.name
    }

    /// Returns all events that it has parked, in the order of their positions.
    pub async fn parked(&self) -> Result<Vec<Parked>, StoreError> {
        all_parked(&*self.store, &self.standing.reader).await
    }

    /// Calls the handler once for the event at `position`, which is parked or held, and then for the events
    /// [parked behind it](mod@crate::subscription#parked-in-sequence), in order, until one fails, which stays parked.
    ///
    /// # Errors
    ///
    /// [`Failed`](ControlError::Failed) if that fails again, which is counted; the event stays where it is.
    /// [`Behind`](ControlError::Behind) if another parked event comes first.
    /// [`NotParked`](ControlError::NotParked) if it is neither parked nor the next.
    pub async fn retry(&self, position: impl Into<Position>) -> Result<(), ControlError> {
        self.order(What::Retry(position.into())).await
    }

    /// Skips the event at `position`, which is parked or held. Writes the reason to the log of the process.
    ///
    /// # Errors
    ///
    /// [`NotParked`](ControlError::NotParked) if it is neither parked nor the next.
    pub async fn skip(&self, position: impl Into<Position>, reason: impl Into<String>) -> Result<(), ControlError> {
        self.order(What::Skip(position.into(), reason.into())).await
    }

    async fn order(&self, what: What) -> Result<(), ControlError> {
        let ended = || match self.standing.check_runs() {
            Ok(()) => ControlError::ShutDown,
            Err(error) => error.into(),
        };
        Order::give(&self.orders, what).await.unwrap_or_else(|| Err(ended()))
    }
}

impl fmt::Debug for SubscriptionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionHandle")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
