use futures_util::{StreamExt as _, stream};

use super::state::Current;
use super::{Results, Runtime};
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

pub(super) fn history<A>(runtime: &Runtime, id: StreamId) -> Results<'_, Step<A>, LoadError>
where
    A: EventSourced<Event: Clone> + Clone,
{
    let events = runtime.0.store.read_stream(ReadStream::new(id));
    let start = Some((events, Current::<A>::default()));
    // The state is given up at the first error, which ends the stream.
    let steps = stream::unfold(start, |step| async {
        let (mut events, mut current) = step?;
        match events
            .next()
            .await?
            .map_err(LoadError::from)
            .and_then(|stored| advance(&mut current, &stored))
        {
            Ok(items) => Some((items.into_iter().map(Ok).collect(), Some((events, current)))),
            Err(error) => Some((vec![Err(error)], None)),
        }
    });
    Results::new(steps.flat_map(stream::iter))
}

/// Each event that `stored` was read as, with the state after it.
fn advance<A>(current: &mut Current<A>, stored: &RecordedEvent) -> Result<Vec<Step<A>>, LoadError>
where
    A: EventSourced<Event: Clone> + Clone,
{
    let lean = StoredEvent::from(stored.clone());
    let mut items = Vec::with_capacity(1);
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
