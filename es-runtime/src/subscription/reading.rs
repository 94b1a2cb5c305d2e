use std::sync::Arc;

use super::SubscriptionError;
use crate::store::{EventFilter, ReadLog};
use crate::{
    Aggregate, BelongsToOneAggregate, DecodeError, Decoded, Event, EventEnum as _, EventInfo, EventOf, EventSourced,
    Meta, Position, Recorded, RecordedEvent, StoreError, StoreErrorKind, UnknownEvent, UnreadableEvent,
};

/// Which events are delivered, and as what.
pub(crate) struct Reading<T> {
    filter: Option<EventFilter>,
    read: Arc<Read<T>>,
}

type Read<T> = dyn Fn(RecordedEvent) -> Result<Vec<T>, SubscriptionError> + Send + Sync;

impl<T> Reading<T> {
    /// Reads the events that the filter lets through.
    pub(crate) fn new(
        filter: EventFilter,
        read: impl Fn(RecordedEvent) -> Result<Vec<T>, SubscriptionError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            filter: Some(filter),
            read: Arc::new(read),
        }
    }

    /// Those behind `after`, up to `to`.
    pub(crate) fn query(&self, after: Position, to: Position) -> ReadLog {
        let query = ReadLog::new().from(after.next()).to(to);
        match &self.filter {
            Some(filter) => query.only(filter.clone()),
            None => query,
        }
    }

    /// What is delivered of an event: nothing, as a rule one, or several.
    pub(crate) fn read(&self, event: RecordedEvent) -> Result<Vec<T>, SubscriptionError> {
        (self.read)(event)
    }
}

impl Reading<RecordedEvent> {
    /// All events, as they are stored.
    pub(crate) fn recorded(filter: Option<EventFilter>) -> Self {
        Self {
            filter,
            read: Arc::new(|event| Ok(vec![event])),
        }
    }
}

impl<E> Reading<Recorded<E>> {
    /// The events of aggregate `A` that the filter lets through.
    pub(crate) fn aggregate<A: EventSourced<Event = E>>(filter: EventFilter) -> Self {
        Self::new(filter, |event| {
            let read = decode::<A>(&event)?.into_iter();
            Ok(read.map(|read| Recorded::new(&event, read)).collect())
        })
    }

    /// Event `E`. All of its aggregate are read, so that one that this build does not know is not passed over.
    pub(crate) fn event<A: EventSourced>() -> Self
    where
        E: EventOf<A> + BelongsToOneAggregate<Aggregate = A>,
    {
        Self::new(EventFilter::category(<A as Aggregate>::NAME), |event| {
            let read = decode::<A>(&event)?.into_iter().filter_map(E::from_event);
            Ok(read.map(|read| Recorded::new(&event, read)).collect())
        })
    }
}

/// Each `E` that a stored event is read as today, with its place among all that it is read as. An event that this build does not know
/// at all is an error, because it may be one.
pub(crate) fn decode_as<E>(event: &RecordedEvent) -> Result<Vec<(usize, E)>, SubscriptionError>
where
    E: Event + BelongsToOneAggregate<Aggregate: EventSourced> + EventOf<E::Aggregate>,
{
    let is_named = |info: &&EventInfo| info.name == event.name || info.aliases.contains(&&*event.name);
    let known = <E::Aggregate as EventSourced>::Event::EVENTS.iter().find(is_named);
    if known.is_some_and(|info| !info.retired && info.name != E::NAME) {
        return Ok(Vec::new());
    }
    let read = decode::<E::Aggregate>(event)?.into_iter().enumerate();
    Ok(read
        .filter_map(|(place, read)| Some((place, E::from_event(read)?)))
        .collect())
}

/// The metadata of an event of aggregate `A`.
pub(crate) fn meta_of<A: Aggregate>(event: &RecordedEvent) -> Result<Meta<A>, StoreError> {
    let message = || format!("the id of stream `{}` cannot be read", event.stream);
    Meta::of(event).ok_or_else(|| StoreError::new(StoreErrorKind::Corrupt, message()))
}

/// What a stored event is read as today.
pub(crate) fn decode<A: EventSourced>(event: &RecordedEvent) -> Result<Decoded<A::Event>, SubscriptionError> {
    let unknown = |readable| {
        SubscriptionError::UnknownEvent(UnknownEvent {
            stream: event.stream.clone(),
            version: event.version,
            position: event.position,
            name: event.name.clone(),
            shape_version: event.shape_version,
            readable,
        })
    };
    A::Event::decode(&event.name, event.shape_version, &event.payload).map_err(|error| match error {
        DecodeError::UnknownName => unknown(None),
        DecodeError::UnknownVersion { oldest, newest } => unknown(Some(oldest..=newest)),
        error => SubscriptionError::UnreadableEvent(UnreadableEvent {
            stream: event.stream.clone(),
            version: event.version,
            position: event.position,
            name: event.name.clone(),
            source: Box::new(error),
        }),
    })
}
