use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use tokio::sync::mpsc;

use super::{Runtime, Subscribe};
use crate::consumer::{ENDED, Sequences, Trial, Waiter};
use crate::projection::OnFailure;
use crate::subscription::{
    By, Calls, Handler, InBatches, Manner, OneByOne, Stopped, SubscriptionError, SubscriptionHandle, Work,
};
use crate::{Error, Position};

/// A subscription with a handler that is about to start: [`Subscribe::handle`] or, [in batches](InBatches), [`Subscribe::handle_many`].
#[must_use = "nothing is handled before it is started"]
pub struct HandleEvents<'a, T, C = OneByOne> {
    subscribe: Subscribe<'a, T>,
    work: Work<T>,
    by: Option<By<T>>,
    at_once: usize,
    attempts: u32,
    poison: OnFailure,
    calls: PhantomData<C>,
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
        HandleEvents::new(self, Work::Each(Arc::new(call)))
    }

    /// Has `handler` called with up to 1,000 events or 4 MiB of them at once, one batch after the other. They are done when it returns
    /// `Ok`. If it has [`Stopped`], those before that are; the next one is tried alone after a pause.
    ///
    /// A batch is what was read by then: at the end of the log, as a rule a single event.
    pub fn handle_many<F, R>(self, handler: F) -> HandleEvents<'a, T, InBatches>
    where
        F: Fn(Vec<T>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Stopped>> + Send + 'static,
    {
        let call = move |items| -> BoxFuture<'static, Result<(), Stopped>> { Box::pin(handler(items)) };
        HandleEvents::new(self, Work::Many(Arc::new(call)))
    }
}

impl<T: Send + 'static> HandleEvents<'_, T> {
    /// Has the handler called for up to so many events at once: those of different streams, or of other keys [by](Self::by) which they
    /// are told apart. The events of one stream are handled one after the other, in order. One unless set.
    ///
    /// How far one stream may get ahead of another is bounded by the [buffer](Subscribe::buffer): so much may come again after a kill.
    pub fn at_once(mut self, streams: u16) -> Self {
        self.at_once = usize::from(streams).max(1);
        self
    }
}

impl<'a, T: Send + 'static, C> HandleEvents<'a, T, C> {
    fn new(subscribe: Subscribe<'a, T>, work: Work<T>) -> Self {
        Self {
            subscribe,
            work,
            by: None,
            at_once: 1,
            attempts: 5,
            poison: OnFailure::Hold,
            calls: PhantomData,
        }
    }

    /// Says which events belong together, instead of those of a stream: those with an equal key are handled in order, and are
    /// [parked](Self::park) together.
    pub fn by<K: ToString>(mut self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        self.by = Some(Arc::new(move |item| key(item).to_string()));
        self
    }

    /// How often the handler is called for an event before it is held or parked: 5 times unless set, at least once.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Puts an event aside that failed so often, and with it whatever comes behind it in its stream, and goes on with the others. Unless
    /// this is said, the subscription stops before it, and tries it again now and then.
    pub fn park(mut self) -> Self {
        self.poison = OnFailure::Park;
        self
    }

    /// Puts an event aside that failed so often, and goes on behind it, in its stream too.
    pub fn park_alone(mut self) -> Self {
        self.poison = OnFailure::ParkAlone;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// [`NoBeginning`](SubscriptionError::NoBeginning) if it never began, and was not told where to.
    pub async fn start(self) -> Result<SubscriptionHandle, SubscriptionError> {
        let cursor = Arc::new(self.subscribe.cursor().await?);
        let (orders, received) = mpsc::channel(16);
        let handle = SubscriptionHandle {
            store: Arc::clone(&cursor.cursors.store),
            standing: Arc::clone(&cursor.standing),
            orders,
        };
        let trial = Trial::new(&cursor.cursors.store, &cursor.standing.trial, self.attempts.min(ENDED));
        let handler = Handler {
            trial,
            sequences: Sequences::default(),
            calls: Calls {
                stop: cursor.stop.clone(),
                orders: received,
            },
            waiter: Waiter::new(cursor.cursors.log.wakes()),
            cursor,
            manner: Manner {
                reading: self.subscribe.reading,
                work: self.work,
                by: self.by,
                at_once: self.at_once,
                attempts: self.attempts,
                poison: self.poison,
            },
            buffer: self.subscribe.buffer,
            done: Position::ZERO,
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

impl<T, C> fmt::Debug for HandleEvents<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleEvents")
            .field("subscribe", &self.subscribe)
            .field("at_once", &self.at_once)
            .field("attempts", &self.attempts)
            .field("poison", &self.poison)
            .finish_non_exhaustive()
    }
}
