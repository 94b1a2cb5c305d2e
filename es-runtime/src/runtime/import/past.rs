use std::error::Error;
use std::fmt;

use crate::runtime::caps::Caps;
use crate::runtime::decide::{Batch, Written, checked, valid, write};
use crate::runtime::request::{Request, metadata_setters};
use crate::{
    AppendId, EventEnum, EventSourced, ExecuteError, IntoEvents, Key, NewEvent, RecordedEvent, StreamId, Timestamp,
};

use super::Refusal;

/// Events of one aggregate instance that happened in the past: an item of [`Runtime::import`](crate::Runtime::import).
#[must_use = "nothing is imported of it by itself"]
pub struct Past<A: EventSourced> {
    stream: StreamId,
    events: Vec<A::Event>,
    /// The times at which the events happened.
    times: Vec<Option<Timestamp>>,
    request: Request,
}

impl<A: EventSourced> Past<A> {
    /// Begins the past of the instance `key`, to which [`at`](Self::at) adds events.
    pub fn of(key: impl Key<Aggregate = A>) -> Self {
        Self {
            stream: key.stream_id(),
            events: Vec::new(),
            times: Vec::new(),
            request: Request::default(),
        }
    }

    /// Adds events that happened at this time, behind those before.
    pub fn at(mut self, time: Timestamp, events: impl IntoEvents<A>) -> Self {
        events.into_events(&mut self.events);
        self.times.resize(self.events.len(), Some(time));
        self
    }

    metadata_setters!();
}

impl<A: EventSourced> fmt::Debug for Past<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past")
            .field("stream", &self.stream)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}

/// A [`Past`] of any aggregate, for an import that brings the events of several in the order in which they happened.
///
/// ```
/// # use es_runtime::prelude::*;
/// # use es_runtime::runtime::AnyPast;
/// # use es_runtime::Past;
/// # #[event] pub struct Joined { pub name: String }
/// # #[event] pub struct Opened { pub owner: String }
/// # #[command] pub struct Join { pub name: String }
/// # #[command] pub struct Open { pub owner: String }
/// # #[derive(Aggregate)] pub struct Customer;
/// # #[aggregate] impl Customer {
/// #     #[handle] fn join(cmd: Join) -> Joined { Joined { name: cmd.name } }
/// #     #[apply] fn joined(_: Joined) -> Self { Customer }
/// # }
/// # #[derive(Aggregate)] pub struct Account;
/// # #[aggregate] impl Account {
/// #     #[handle] fn open(cmd: Open) -> Opened { Opened { owner: cmd.owner } }
/// #     #[apply] fn opened(_: Opened) -> Self { Account }
/// # }
/// # fn main() -> Result<()> {
/// # let (alice, account) = (Id::<Customer>::new(), Id::<Account>::new());
/// let items: [AnyPast; 2] = [
///     Past::of(alice).at("2024-03-01T09:00:00Z".parse()?, Joined { name: "Alice".into() }).into(),
///     Past::of(account).at("2024-03-01T09:05:00Z".parse()?, Opened { owner: "Alice".into() }).into(),
/// ];
/// # let _ = items;
/// # Ok(())
/// # }
/// ```
pub struct AnyPast(pub(super) Box<dyn Stored>);

impl<A: EventSourced<Event: PartialEq>> From<Past<A>> for AnyPast {
    fn from(past: Past<A>) -> Self {
        Self(Box::new(past))
    }
}

impl fmt::Debug for AnyPast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyPast").field(self.0.stream()).finish()
    }
}

/// An item of the source of an [import](crate::Runtime::import): a [`Past`], an [`AnyPast`], or a `Result` of one of
/// these with the source's own error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an item of an import",
    label = "not an item of an import",
    note = "give `Past::of(id).at(time, event)`, an `AnyPast`, or a `Result` of one of these"
)]
pub trait ImportItem: Send {
    /// The events, or why the source failed.
    fn into_past(self) -> Result<AnyPast, Box<dyn Error + Send + Sync>>;
}

impl ImportItem for AnyPast {
    fn into_past(self) -> Result<AnyPast, Box<dyn Error + Send + Sync>> {
        Ok(self)
    }
}

impl<A: EventSourced<Event: PartialEq>> ImportItem for Past<A> {
    fn into_past(self) -> Result<AnyPast, Box<dyn Error + Send + Sync>> {
        Ok(self.into())
    }
}

impl<T: ImportItem, E: Into<Box<dyn Error + Send + Sync>> + Send> ImportItem for Result<T, E> {
    fn into_past(self) -> Result<AnyPast, Box<dyn Error + Send + Sync>> {
        self.map_err(Into::into)?.into_past()
    }
}

/// The events of an item as they are to be stored.
pub(super) struct Events {
    pub(super) new: Vec<NewEvent>,
    /// The name of the first one, and whether it creates the aggregate.
    pub(super) first: Option<(&'static str, bool)>,
    pub(super) is_same: IsSame,
}

/// Compares a stored event, perhaps of an older shape, with a new one: both are read as the same, and happened at the
/// same time.
pub(super) type IsSame = fn(&RecordedEvent, &NewEvent) -> bool;

/// A [`Past`] whose aggregate is not known.
pub(super) trait Stored: Send {
    fn stream(&self) -> &StreamId;

    /// The events in their stored form, of which the first is the import's event number `first`.
    fn write(self: Box<Self>, caps: &Caps, import: AppendId, first: u64) -> Result<Events, ExecuteError<Refusal>>;
}

impl<A: EventSourced<Event: PartialEq>> Stored for Past<A> {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn write(mut self: Box<Self>, caps: &Caps, import: AppendId, first: u64) -> Result<Events, ExecuteError<Refusal>> {
        self.request.check()?;
        let Self {
            stream,
            events,
            times,
            request,
        } = *self;
        let first_event = events.first().map(|event| (event.info().name, event.creates()));
        // The first event is checked once it is known which events precede it.
        let exists = first_event.is_some_and(|(_, creates)| !creates);
        valid::<A, _>(&events)?;
        checked::<A, _>(&stream, exists, &events)?;
        let batch = Batch {
            id: import,
            first,
            metadata: &request.metadata,
            times: &times,
        };
        let Written { stored, .. } = write::<A, _>(caps, &stream, exists, events, &batch)?;
        Ok(Events {
            new: stored,
            first: first_event,
            is_same: is_same::<A>,
        })
    }
}

fn is_same<A: EventSourced<Event: PartialEq>>(stored: &RecordedEvent, new: &NewEvent) -> bool {
    if stored.metadata.occurred_at() != new.metadata.occurred_at() {
        return false;
    }
    let is_equal =
        stored.name == new.name && stored.shape_version == new.shape_version && stored.payload == new.payload;
    let read = |name: &str, shape_version, payload: &[u8]| {
        let read = A::Event::decode(name, shape_version, payload).ok()?;
        Some(read.into_iter().collect::<Vec<_>>())
    };
    is_equal
        || read(&stored.name, stored.shape_version, &stored.payload)
            .is_some_and(|stored| read(&new.name, new.shape_version, &new.payload).is_some_and(|new| new == stored))
}
