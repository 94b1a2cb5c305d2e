use std::fmt;
use std::future::pending;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_util::future::select;
use tokio::sync::mpsc;

use super::{Runtime, Subscribe};
use crate::consumer::{AttemptLog, ENDED, Inputs, Processor, Sequences, Waiter};
use crate::projection::OnFailure;
use crate::subscription::{
    By, Calls, Handler, InBatches, Kind, Manner, OneByOne, Standing, Stopped, SubscriptionError, SubscriptionHandle,
    Work,
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
    inputs: Option<Inputs>,
    calls: PhantomData<C>,
}

impl<'a, T: Send + 'static> Subscribe<'a, T> {
    /// Calls `handler` for one event after the other, in this process, unless another process on the same store already
    /// does. An event is done when the handler returns `Ok`. If it fails or panics, it is called again, after growing,
    /// jittered pauses.
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
    /// Sets the number of events that are handled at once: those of different streams, or of different keys with [`by`](Self::by).
    /// The events of one stream are handled one after the other, in order. One unless set.
    ///
    /// The [buffer](Subscribe::buffer) bounds how far one stream may get ahead of another: that much may be delivered again after a
    /// kill.
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
            inputs: None,
            calls: PhantomData,
        }
    }

    /// Groups events by a key instead of by their stream: events with an equal key are handled in order, and are
    /// [parked](Self::park) together.
    pub fn by<K: ToString>(mut self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        self.by = Some(Arc::new(move |item| key(item).to_string()));
        self
    }

    /// Sets how often the handler is called for an event before it is held or parked: 5 times unless set, at least
    /// once.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Parks an event after its last failed attempt, with later events of its stream, and continues with the others. Without this,
    /// the subscription stops before the event, and tries it again from time to time.
    pub fn park(mut self) -> Self {
        self.poison = OnFailure::Park;
        self
    }

    /// Puts an event aside that failed so often, and goes on behind it, in its stream too.
    pub fn park_alone(mut self) -> Self {
        self.poison = OnFailure::ParkAlone;
        self
    }

    /// Has older builds, which hear less than these, stand aside.
    pub(crate) fn hearing(mut self, inputs: Option<Inputs>) -> Self {
        self.inputs = inputs;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// [`NoBeginning`](SubscriptionError::NoBeginning) if its name is new and neither `from_start` nor `from_head` was
    /// called.
    pub async fn start(self) -> Result<SubscriptionHandle, SubscriptionError> {
        self.start_beside(|_| Box::pin(pending())).await
    }

    /// Starts it, with more work that is done for as long as it runs.
    pub(crate) async fn start_beside(
        self,
        more: impl FnOnce(Arc<Standing>) -> BoxFuture<'static, ()>,
    ) -> Result<SubscriptionHandle, SubscriptionError> {
        let cursor = Arc::new(self.subscribe.cursor().await?);
        if let Some(inputs) = &self.inputs {
            inputs.declare(&*cursor.cursors.store, &cursor.standing.owner).await?;
        }
        let (orders, received) = mpsc::channel(16);
        let handle = SubscriptionHandle {
            store: Arc::clone(&cursor.cursors.store),
            standing: Arc::clone(&cursor.standing),
            orders,
        };
        let (reader, most) = (&cursor.standing.reader, self.attempts.min(ENDED));
        let attempts = AttemptLog::new(&cursor.cursors.store, cursor.states.as_ref(), reader, most);
        let calls = Calls {
            stop: cursor.stop.clone(),
            orders: received,
        };
        let reader = Handler {
            attempts,
            sequences: Sequences::default(),
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
            inputs: self.inputs.map(Arc::new),
            done: Position::ZERO,
            looked_at: Position::ZERO,
        };
        let processor = Processor {
            reader,
            calls,
            // Handlers take what is free, without a look at what others have.
            leases: Arc::default(),
            index: 0,
        };
        let subscriptions = &self.subscribe.runtime.0.subscriptions;
        let standing = Arc::clone(&handle.standing);
        let more = more(Arc::clone(&standing));
        let life = async move {
            let life = pin!(processor.live());
            select(life, more).await;
        };
        subscriptions.run(standing, Some(handle.clone()), life);
        Ok(handle)
    }
}

impl Runtime {
    /// Returns the subscription of this name that has a handler in this runtime, if there is one.
    pub fn subscription(&self, name: &str) -> Option<SubscriptionHandle> {
        self.0.subscriptions.handle(Kind::Subscription, name)
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
