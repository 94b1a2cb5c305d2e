use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};

use super::Runtime;
use super::state::Current;
use crate::store::ReadStream;
use crate::{
    EventId, EventSourced, LoadError, Metadata, Position, RecordedEvent, StoredEvent, StreamId, Timestamp, Version,
};

/// An event with its envelope.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recorded<E> {
    /// Identifies the event.
    pub id: EventId,
    /// The stream that it belongs to.
    pub stream: StreamId,
    /// Its number in the stream.
    pub version: Version,
    /// Its number in the store.
    pub position: Position,
    /// The time at which the store recorded it.
    pub recorded_at: Timestamp,
    /// The metadata recorded with it.
    pub metadata: Metadata,
    /// The event itself.
    pub event: E,
}

impl<E> Recorded<E> {
    pub(crate) fn new(stored: &RecordedEvent, event: E) -> Self {
        Self {
            id: stored.id,
            stream: stored.stream.clone(),
            version: stored.version,
            position: stored.position,
            recorded_at: stored.recorded_at,
            metadata: stored.metadata.clone(),
            event,
        }
    }

    /// Returns the time at which the event happened: the time that its sender gave, otherwise the time of recording.
    pub fn occurred_at(&self) -> Timestamp {
        self.metadata.occurred_at().unwrap_or(self.recorded_at)
    }
}

/// An event with the state after it.
type Step<A> = (Recorded<<A as EventSourced>::Event>, A);

type Steps<'a, A> = BoxStream<'a, Result<Step<A>, LoadError>>;

/// Each event of an aggregate with the state after it, read as they are asked for: with [`next`](Self::next), or as any other [`Stream`].
#[must_use = "nothing is read until `next` is called"]
pub struct History<'a, A: EventSourced> {
    runtime: &'a Runtime,
    stream: StreamId,
    occurred: Option<Timestamp>,
    /// The rest, once the first was asked for.
    steps: Option<Steps<'a, A>>,
}

impl<'a, A: EventSourced> History<'a, A> {
    pub(super) fn new(runtime: &'a Runtime, stream: StreamId) -> Self {
        Self {
            runtime,
            stream,
            occurred: None,
            steps: None,
        }
    }

    /// Reads only the events that [happened](Recorded::occurred_at) up to and including this time, even if they were recorded later, with the
    /// states that [`Load::as_of_occurred`](super::Load::as_of_occurred) folds of them. To be set before the first event is read.
    pub fn as_of_occurred(mut self, time: Timestamp) -> Self {
        self.occurred = Some(time);
        self
    }
}

impl<'a, A> History<'a, A>
where
    A: EventSourced<Event: Clone> + Clone,
{
    /// The next event with the state after it; `Ok(None)` after the last.
    ///
    /// # Errors
    ///
    /// If it cannot be read; nothing comes after it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Result<Option<Step<A>>, LoadError> {
        self.steps().next().await.transpose()
    }

    fn steps(&mut self) -> &mut Steps<'a, A> {
        let Self {
            runtime,
            stream,
            occurred,
            steps,
        } = self;
        steps.get_or_insert_with(|| read(runtime, stream.clone(), *occurred))
    }
}

impl<A> Stream for History<'_, A>
where
    A: EventSourced<Event: Clone> + Clone,
{
    type Item = Result<Step<A>, LoadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.steps().poll_next_unpin(context)
    }
}

// No part of it is pinned.
impl<A: EventSourced> Unpin for History<'_, A> {}

impl<A: EventSourced> fmt::Debug for History<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("stream", &self.stream)
            .field("occurred", &self.occurred)
            .finish_non_exhaustive()
    }
}

fn read<A>(runtime: &Runtime, id: StreamId, occurred: Option<Timestamp>) -> Steps<'_, A>
where
    A: EventSourced<Event: Clone> + Clone,
{
    let events = runtime.0.store.read_stream(ReadStream::new(id));
    let start = Some((events, Current::<A>::default()));
    // The state is given up at the first error, which ends the stream.
    let steps = stream::unfold(start, move |step| async move {
        let (mut events, mut current) = step?;
        match events
            .next()
            .await?
            .map_err(LoadError::from)
            .and_then(|stored| advance(&mut current, &stored, occurred))
        {
            Ok(items) => Some((items.into_iter().map(Ok).collect(), Some((events, current)))),
            Err(error) => Some((vec![Err(error)], None)),
        }
    });
    steps.flat_map(stream::iter).boxed()
}

/// Each event that `stored` was read as, with the state after it; none if it had not happened by then.
fn advance<A>(
    current: &mut Current<A>,
    stored: &RecordedEvent,
    occurred: Option<Timestamp>,
) -> Result<Vec<Step<A>>, LoadError>
where
    A: EventSourced<Event: Clone> + Clone,
{
    let lean = StoredEvent::from(stored.clone());
    let mut items = Vec::with_capacity(1);
    if occurred.is_some_and(|time| stored.occurred_at() > time) {
        current.passed(&lean);
        return Ok(items);
    }
    for event in current.decode(&stored.stream, &lean)? {
        current.apply(&stored.stream, &lean, event.clone())?;
        let state = current
            .state
            .clone()
            .unwrap_or_else(|| unreachable!("an event that folds leaves a state"));
        items.push((Recorded::new(stored, event), state));
    }
    current.passed(&lean);
    Ok(items)
}
