use std::fmt;
use std::sync::Arc;

use super::{Recorded, Runtime};
use crate::consumer::{count_parked, position_of};
use crate::projection::Status;
use crate::store::{CheckpointError, EventFilter};
use crate::subscription::{
    Buffer, Cursor, Deliveries, Kind, Reading, Standing, SubscriptionError, SubscriptionHealth, Subscriptions, deliver,
};
use crate::{
    BelongsToOneAggregate, Event, EventOf, EventSourced, Key, Position, RecordedEvent, StoreError, StoreErrorKind,
    process,
};

/// A subscription that is about to start: [`Runtime::subscribe`]. `T` is what it delivers.
#[must_use = "nothing is delivered before it is started"]
pub struct Subscribe<'a, T> {
    pub(super) runtime: &'a Runtime,
    kind: Kind,
    name: String,
    pub(super) reading: Reading<T>,
    beginning: Beginning,
    pub(super) buffer: Buffer,
    unacknowledged: u32,
}

/// The amount that is read ahead unless something else is set.
const BUFFER: Buffer = Buffer {
    events: 1_000,
    bytes: 4 << 20,
};

/// Where a cursor is put that never began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    Unsaid,
    Start,
    Head,
}

impl Runtime {
    /// Subscribes to events under a name. The store keeps a cursor under it, the position up to which events were
    /// acknowledged, and any subscriber to the name, in any process, continues there. One subscriber has the cursor at
    /// a time, the others stand by.
    ///
    /// Delivers all events, as they are stored, unless you choose some.
    pub fn subscribe(&self, name: impl Into<String>) -> Subscribe<'_, RecordedEvent> {
        self.follow(Kind::Subscription, name.into(), Reading::recorded(None), None)
    }

    /// Follows the log for the reader of this kind and name. `None` where it is yet to be said where it begins.
    pub(crate) fn follow<T>(
        &self,
        kind: Kind,
        name: String,
        reading: Reading<T>,
        beginning: Option<process::Beginning>,
    ) -> Subscribe<'_, T> {
        Subscribe {
            runtime: self,
            kind,
            name,
            reading,
            beginning: match beginning {
                None => Beginning::Unsaid,
                Some(process::Beginning::Start) => Beginning::Start,
                Some(process::Beginning::Head) => Beginning::Head,
            },
            buffer: BUFFER,
            unacknowledged: 10_000,
        }
    }
}

impl Runtime {
    /// Returns the status of a process manager or a publication, whether this runtime runs it or not.
    pub(super) async fn registered_health(
        &self,
        kind: Kind,
        name: &str,
        head: Position,
    ) -> Result<SubscriptionHealth, StoreError> {
        self.health_of(&self.standing(kind, name), head).await
    }

    /// Returns the status of the subscription of this name, whether this runtime runs it or not; `None` if none has ever begun under it. The
    /// status and the error are known only in the process that runs it; position, lag and parked events everywhere.
    ///
    /// # Errors
    ///
    /// If the store fails, or keeps no cursors.
    pub async fn subscription_health(&self, name: &str) -> Result<Option<SubscriptionHealth>, StoreError> {
        let head = self.0.store.head().await?;
        let standing = self.standing(Kind::Subscription, name);
        if let Some(cursors) = &self.0.cursors {
            match cursors.store.checkpoint(&standing.reader).await {
                Ok(None) => return Ok(None),
                Ok(Some(_)) | Err(CheckpointError::Diverged { .. }) => {}
                Err(CheckpointError::Store(error)) => return Err(error),
            }
        }
        self.health_of(&standing, head).await.map(Some)
    }

    /// Returns the reader of this name of this runtime, or one that stands by.
    fn standing(&self, kind: Kind, name: &str) -> Arc<Standing> {
        let mut own = self.0.subscriptions.all().into_iter();
        let own = own.find(|standing| standing.kind == kind && standing.name == name);
        own.unwrap_or_else(|| Subscriptions::standing(kind, name, &self.0.clock))
    }

    pub(super) async fn health_of(
        &self,
        standing: &Standing,
        head: Position,
    ) -> Result<SubscriptionHealth, StoreError> {
        let state = standing.state().clone();
        let Some(cursors) = &self.0.cursors else {
            let message = format!("the store keeps no cursors, where `{}` would have one", standing.name);
            return Err(StoreError::new(StoreErrorKind::Rejected, message));
        };
        let (status, position) = match cursors.seen(&standing.reader).await {
            Ok(checkpoint) => (state.status, position_of(checkpoint)),
            Err(CheckpointError::Diverged { position, .. }) => (Status::Diverged, position),
            Err(CheckpointError::Store(error)) => return Err(error),
        };
        Ok(SubscriptionHealth {
            name: standing.name.clone(),
            status,
            position,
            lag_events: head.0.saturating_sub(position.0),
            lag: self.age_of_next(position, head).await?,
            last_error: state.failure,
            owner: state.owns.then(|| standing.owner.clone()),
            parked: count_parked(&*cursors.store, &standing.reader).await?,
        })
    }
}

impl<'a> Subscribe<'a, RecordedEvent> {
    /// Delivers the events that pass the filter, as they are stored.
    pub fn only(self, filter: EventFilter) -> Self {
        self.reading(Reading::recorded(Some(filter)))
    }

    /// Delivers the events of aggregate `A`.
    pub fn aggregate<A: EventSourced>(self) -> Subscribe<'a, Recorded<A::Event>> {
        self.reading(Reading::aggregate::<A>(EventFilter::category(A::NAME)))
    }

    /// Delivers the events of one instance.
    pub fn stream<K: Key<Aggregate: EventSourced>>(
        self,
        key: K,
    ) -> Subscribe<'a, Recorded<<K::Aggregate as EventSourced>::Event>> {
        self.reading(Reading::aggregate::<K::Aggregate>(EventFilter::Stream(key.stream_id())))
    }

    /// Delivers the events of this type.
    pub fn event<E>(self) -> Subscribe<'a, Recorded<E>>
    where
        E: Event + BelongsToOneAggregate<Aggregate: EventSourced> + EventOf<E::Aggregate>,
    {
        self.reading(Reading::event::<E::Aggregate>())
    }

    fn reading<T>(self, reading: Reading<T>) -> Subscribe<'a, T> {
        Subscribe {
            runtime: self.runtime,
            kind: self.kind,
            name: self.name,
            reading,
            beginning: self.beginning,
            buffer: self.buffer,
            unacknowledged: self.unacknowledged,
        }
    }
}

impl<T: Send + 'static> Subscribe<'_, T> {
    /// Begins with the first event of the store, if the name is new.
    pub fn from_start(mut self) -> Self {
        self.beginning = Beginning::Start;
        self
    }

    /// Begins with the next event to be appended, if the name is new.
    pub fn from_head(mut self) -> Self {
        self.beginning = Beginning::Head;
        self
    }

    /// Sets how much is read ahead: 1,000 events and 4 MiB of payload unless set, and one event in any case.
    pub fn buffer(mut self, events: u32, bytes: u32) -> Self {
        self.buffer = Buffer {
            events: events.clamp(1, Buffer::MOST),
            bytes: bytes.clamp(1, Buffer::MOST),
        };
        self
    }

    /// Sets how many deliveries may be there without being acknowledged, those that are [read ahead](Self::buffer) included: 10,000
    /// unless set, and one in any case. No more are delivered until one of them is acknowledged, or dropped. A handler needs no such
    /// bound.
    pub fn unacknowledged(mut self, deliveries: u32) -> Self {
        self.unacknowledged = deliveries.clamp(1, Buffer::MOST);
        self
    }

    /// Starts it, and returns its events as a stream.
    ///
    /// # Errors
    ///
    /// [`NoBeginning`](SubscriptionError::NoBeginning) if its name is new and neither `from_start` nor `from_head` was
    /// called.
    pub async fn start(self) -> Result<Deliveries<T>, SubscriptionError> {
        let cursor = self.cursor().await?;
        let standing = Arc::clone(&cursor.standing);
        let (deliveries, task) = deliver(cursor, self.reading, self.buffer, self.unacknowledged);
        self.runtime.0.subscriptions.run(standing, None, task);
        Ok(deliveries)
    }

    /// Removes the cursor and the parked events of the name, so that it can begin again.
    ///
    /// # Errors
    ///
    /// [`Elsewhere`](SubscriptionError::Elsewhere) if it runs.
    pub async fn forget(self) -> Result<(), SubscriptionError> {
        self.any_cursor(None)?.forget().await
    }

    /// Its cursor, which can begin.
    pub(super) async fn cursor(&self) -> Result<Cursor, SubscriptionError> {
        let beginning = match self.beginning {
            Beginning::Unsaid => None,
            Beginning::Start => Some(Position::ZERO),
            Beginning::Head => Some(self.runtime.0.store.head().await?),
        };
        let cursor = self.any_cursor(beginning)?;
        cursor.check().await?;
        Ok(cursor)
    }

    fn any_cursor(&self, beginning: Option<Position>) -> Result<Cursor, SubscriptionError> {
        let inner = &self.runtime.0;
        Ok(Cursor {
            cursors: inner.cursors.clone().ok_or(SubscriptionError::Unsupported)?,
            states: inner.states.clone(),
            standing: Subscriptions::standing(self.kind, &self.name, &inner.clock),
            beginning,
            stop: inner.subscriptions.stopped(),
        })
    }
}

impl<T> fmt::Debug for Subscribe<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("name", &self.name)
            .field("beginning", &self.beginning)
            .finish_non_exhaustive()
    }
}
