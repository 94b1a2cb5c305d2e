use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::calls::{Order, What};
use super::{Standing, SubscriptionError};
use crate::consumer::all_parked;
use crate::store::{CursorStore, Parked};
use crate::{Position, StoreError};

/// What is done with a subscription that has a handler: [`Runtime::subscription`](crate::Runtime::subscription). How it is,
/// [`Runtime::health`](crate::Runtime::health) says.
///
/// Orders are carried out between two calls of the handler, by the process that runs it. If none does, this one takes it up; if
/// another does, the answer is [`Elsewhere`](SubscriptionError::Elsewhere).
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

    /// The events that it has parked, in the order of their positions: all of them.
    pub async fn parked(&self) -> Result<Vec<Parked>, StoreError> {
        all_parked(&*self.store, &self.standing.reader).await
    }

    /// Calls the handler for the event at `position`, which is parked or held, once. Then those that are
    /// [parked behind it](mod@crate::subscription#parked-in-sequence) are handled in order, until one fails, which stays parked.
    ///
    /// # Errors
    ///
    /// [`Failed`](SubscriptionError::Failed) if that fails again, which is counted; the event stays where it is.
    /// [`Behind`](SubscriptionError::Behind) if another parked event comes first.
    /// [`NotParked`](SubscriptionError::NotParked) if it is neither parked nor the next.
    pub async fn retry(&self, position: impl Into<Position>) -> Result<(), SubscriptionError> {
        self.order(What::Retry(position.into())).await
    }

    /// Gives up the event at `position`, which is parked or held. The reason is written to the log of the process.
    ///
    /// # Errors
    ///
    /// [`NotParked`](SubscriptionError::NotParked) if it is neither parked nor the next.
    pub async fn skip(
        &self,
        position: impl Into<Position>,
        reason: impl Into<String>,
    ) -> Result<(), SubscriptionError> {
        self.order(What::Skip(position.into(), reason.into())).await
    }

    async fn order(&self, what: What) -> Result<(), SubscriptionError> {
        let ended = || match self.standing.check_runs() {
            Ok(()) => SubscriptionError::Ended(self.name().to_owned()),
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
