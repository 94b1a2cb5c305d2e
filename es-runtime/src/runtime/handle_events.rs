use std::fmt;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use tokio::sync::mpsc;

use super::{Runtime, Subscribe};
use crate::consumer::{ENDED, Trial, Waiter};
use crate::projection::OnFailure;
use crate::subscription::{Callback, Calls, Handler, Place, SubscriptionError, SubscriptionHandle};
use crate::{Error, Position};

/// A subscription with a handler that is about to start: [`Subscribe::handle`].
#[must_use = "nothing is handled before it is started"]
pub struct HandleEvents<'a, T> {
    subscribe: Subscribe<'a, T>,
    call: Callback<T>,
    attempts: u32,
    poison: OnFailure,
}

impl<'a, T: Send + 'static> Subscribe<'a, T> {
    /// Has `handler` called for one event after the other, in this process or, if another one that shares the store runs it, in that
    /// one. An event is done when it returns `Ok`. Else, or if it panics, it is called again, with growing, jittered pauses.
    ///
    /// The handler is owned by the runtime: one that holds a clone of the [`Runtime`] keeps it alive until that is
    /// [shut down](Runtime::shutdown).
    pub fn handle<F, R, E>(self, handler: F) -> HandleEvents<'a, T>
    where
        F: Fn(T) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Error>,
    {
        let call = move |item| -> BoxFuture<'static, Result<(), Error>> {
            let handling = handler(item);
            Box::pin(async move { handling.await.map_err(Into::into) })
        };
        HandleEvents {
            subscribe: self,
            call: Box::new(call),
            attempts: 5,
            poison: OnFailure::Hold,
        }
    }
}

impl<T: Send + 'static> HandleEvents<'_, T> {
    /// How often the handler is called for an event before it is held or parked: 5 times unless set, at least once.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Puts an event aside that failed so often, and goes on behind it. Unless this is said, the subscription stops before it, and
    /// tries it again now and then.
    pub fn park(mut self) -> Self {
        self.poison = OnFailure::Park;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// [`NoBeginning`](SubscriptionError::NoBeginning) if it never began, and was not told where to.
    pub async fn start(self) -> Result<SubscriptionHandle, SubscriptionError> {
        let cursor = self.subscribe.cursor().await?;
        let (orders, received) = mpsc::channel(16);
        let handle = SubscriptionHandle {
            store: Arc::clone(&cursor.cursors.store),
            standing: Arc::clone(&cursor.standing),
            orders,
        };
        let trial = Trial::new(&cursor.cursors.store, &cursor.standing.trial, self.attempts.min(ENDED));
        let handler = Handler {
            trial,
            calls: Calls {
                stop: cursor.stop.clone(),
                orders: received,
            },
            waiter: Waiter::new(cursor.cursors.log.wakes()),
            cursor,
            reading: self.subscribe.reading,
            call: self.call,
            attempts: self.attempts,
            poison: self.poison,
            place: Place::at(Position::ZERO),
        };
        let subscriptions = &self.subscribe.runtime.0.subscriptions;
        let standing = Arc::clone(&handle.standing);
        subscriptions.run(standing, Some(handle.clone()), handler.live());
        Ok(handle)
    }
}

impl Runtime {
    /// The subscription of this name that has a handler in this runtime, if there is one.
    pub fn subscription(&self, name: &str) -> Option<SubscriptionHandle> {
        self.0.subscriptions.handle(name)
    }
}

impl<T> fmt::Debug for HandleEvents<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleEvents")
            .field("subscribe", &self.subscribe)
            .field("attempts", &self.attempts)
            .field("poison", &self.poison)
            .finish_non_exhaustive()
    }
}
