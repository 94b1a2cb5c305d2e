//! What reads in order is passed on, whatever is asked for; what does not is an error at the first event that is out of place.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::store::{
    Append, AppendError, AppendRef, Appended, Checked, Direction, EventFilter, EventKind, EventStore, KeyRecord,
    ListStreams, Positions, ReadLog, ReadStream, StreamInfo,
};
use es_runtime::{EventId, ExpectedVersion, Metadata, NewEvent, RecordedEvent, StoreError, StoreErrorKind, StreamId};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use uuid::Uuid;

fn alice() -> StreamId {
    StreamId::new("account", "alice")
}

/// Twelve events, of which every third is of another stream.
async fn log() -> Vec<RecordedEvent> {
    let store = MemoryStore::new();
    for number in 1..=12 {
        let stream = if number % 3 == 0 {
            StreamId::new("account", "bob")
        } else {
            alice()
        };
        let event = NewEvent {
            id: EventId(Uuid::from_u128(number)),
            name: "deposited".into(),
            shape_version: 1,
            payload: "{}".into(),
            metadata: Metadata::EMPTY,
        };
        store
            .append(Append::new(stream, ExpectedVersion::Any, vec![event]))
            .await
            .unwrap();
    }
    store.read_log(ReadLog::new()).try_collect().await.unwrap()
}

type Outcome = (Vec<RecordedEvent>, Option<StoreErrorKind>);

async fn outcome(events: impl futures_util::Stream<Item = Result<RecordedEvent, StoreError>>) -> Outcome {
    let mut events = Box::pin(events);
    let (mut passed, mut failed) = (Vec::new(), None);
    while let Some(event) = events.next().await {
        assert_eq!(failed, None, "nothing comes after an error");
        match event {
            Ok(event) => passed.push(event),
            Err(error) => failed = Some(error.kind()),
        }
    }
    (passed, failed)
}

/// A store that answers every read with the same events.
struct Stubborn {
    events: Vec<RecordedEvent>,
    positions: Positions,
}

impl Stubborn {
    fn checked(events: Vec<RecordedEvent>, positions: Positions) -> Checked<Self> {
        Checked::new(Arc::new(Self { events, positions }))
    }

    fn read(&self) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        stream::iter(self.events.iter().cloned().map(Ok)).boxed()
    }
}

#[async_trait::async_trait]
impl EventStore for Stubborn {
    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        unreachable!("nothing is appended")
    }

    async fn resolve(&self, _: &AppendRef) -> Result<Option<Appended>, StoreError> {
        Ok(None)
    }

    async fn find_key(&self, _: &str) -> Result<Option<KeyRecord>, StoreError> {
        Ok(None)
    }

    fn read_stream(&self, _: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.read()
    }

    fn positions(&self) -> Positions {
        self.positions
    }

    fn read_log(&self, _: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        self.read()
    }

    fn streams(&self, _: ListStreams) -> BoxStream<'_, Result<StreamInfo, StoreError>> {
        stream::empty().boxed()
    }

    async fn stored_events(&self) -> Result<Vec<EventKind>, StoreError> {
        Ok(Vec::new())
    }
}

async fn of_log(query: &ReadLog, positions: Positions, events: Vec<RecordedEvent>) -> Outcome {
    outcome(Stubborn::checked(events, positions).read_log(query.clone())).await
}

/// The events of the stream, and what folding takes of them: checked alike.
async fn of_alice(query: &ReadStream, events: Vec<RecordedEvent>) -> Outcome {
    let store = Stubborn::checked(events, Positions::Gapless);
    let (passed, failed) = outcome(store.read_stream(query.clone())).await;
    let loaded: Result<Vec<_>, _> = store.load_stream(query.clone()).try_collect().await;
    assert_eq!(loaded.map_err(|error| error.kind()).err(), failed);
    (passed, failed)
}

/// Every range and limit, both ways.
fn ranges() -> impl Iterator<Item = (u64, u64, Option<u64>, Direction)> {
    let ways = [Direction::Forwards, Direction::Backwards];
    let limits = [None, Some(0), Some(1), Some(3), Some(50)];
    (0..14).flat_map(move |from| {
        [0, 3, 8, 12, 13, u64::MAX].into_iter().flat_map(move |to| {
            limits
                .into_iter()
                .flat_map(move |limit| ways.map(|direction| (from, to, limit, direction)))
        })
    })
}

/// What an honest store gives of these.
fn chosen(all: impl Iterator<Item = RecordedEvent>, limit: Option<u64>, direction: Direction) -> Vec<RecordedEvent> {
    let mut chosen: Vec<_> = all.collect();
    if direction == Direction::Backwards {
        chosen.reverse();
    }
    chosen.truncate(limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap()));
    chosen
}

#[tokio::test]
async fn what_is_in_order_is_passed_on_whatever_is_asked_for() {
    let log = log().await;
    for (from, to, limit, direction) in ranges() {
        let mut query = ReadLog::new().from(from).to(to);
        (query.limit, query.direction) = (limit, direction);
        let in_range = |event: &RecordedEvent| (from..=to).contains(&event.position.0);
        let all = log.iter().filter(|event| in_range(event)).cloned();
        let given = chosen(all, limit, direction);
        let expected = (given.clone(), None);
        assert_eq!(of_log(&query, Positions::Gapless, given).await, expected, "{query:?}");

        let query = query.only(EventFilter::Stream(alice()));
        let all = log
            .iter()
            .filter(|event| in_range(event) && event.stream == alice())
            .cloned();
        let given = chosen(all, limit, direction);
        let expected = (given.clone(), None);
        assert_eq!(of_log(&query, Positions::Gapless, given).await, expected, "{query:?}");

        let mut query = ReadStream::new(alice()).from(from).to(to);
        (query.limit, query.direction) = (limit, direction);
        let in_range = |event: &RecordedEvent| (from..=to).contains(&event.version.0) && event.stream == alice();
        let given = chosen(log.iter().filter(|event| in_range(event)).cloned(), limit, direction);
        let expected = (given.clone(), None);
        assert_eq!(of_alice(&query, given).await, expected, "{query:?}");
    }
}

/// What damage makes of a read: the events that are right, and those that come instead of the rest.
fn damages(right: &[RecordedEvent]) -> Vec<(String, usize, Vec<RecordedEvent>)> {
    let mut damages = Vec::new();
    for index in 1..right.len() - 1 {
        let mut lost = right.to_vec();
        lost.remove(index);
        damages.push((format!("{index} is lost"), index, lost));
        let mut twice = right.to_vec();
        twice.insert(index, right[index - 1].clone());
        damages.push((format!("{index} comes twice"), index, twice));
        let round: Vec<_> = right[..=index].iter().chain(right).cloned().collect();
        damages.push((format!("it goes round after {index}"), index + 1, round));
        let mut swapped = right.to_vec();
        swapped.swap(index, index + 1);
        damages.push((format!("{index} is swapped with the next"), index, swapped));
    }
    damages
}

#[tokio::test]
async fn what_is_out_of_order_is_corrupt_at_the_first_event_out_of_place() {
    let log = log().await;
    let of_stream: Vec<_> = log.iter().filter(|event| event.stream == alice()).cloned().collect();
    for direction in [Direction::Forwards, Direction::Backwards] {
        let whole = |all: &[RecordedEvent]| chosen(all.iter().cloned(), None, direction);
        let mut query = ReadLog::new();
        query.direction = direction;
        for (what, right, events) in damages(&whole(&log)) {
            let (passed, failed) = of_log(&query, Positions::Gapless, events).await;
            assert_eq!(
                (passed.len(), failed),
                (right, Some(StoreErrorKind::Corrupt)),
                "{direction:?}: {what}"
            );
        }
        let query = query.only(EventFilter::Stream(alice()));
        for (what, right, events) in damages(&whole(&of_stream)) {
            let (passed, failed) = of_log(&query, Positions::Rising, events).await;
            assert_eq!(
                (passed.len(), failed),
                (right, Some(StoreErrorKind::Corrupt)),
                "{direction:?}: {what}"
            );
        }
        let mut query = ReadStream::new(alice());
        query.direction = direction;
        for (what, right, events) in damages(&whole(&of_stream)) {
            let (passed, failed) = of_alice(&query, events).await;
            assert_eq!(
                (passed.len(), failed),
                (right, Some(StoreErrorKind::Corrupt)),
                "{direction:?}: {what}"
            );
        }
    }
}

#[tokio::test]
async fn a_first_event_that_is_missing_is_corrupt() {
    let log = log().await;
    let later = log[1..].to_vec();
    let corrupt = (Vec::new(), Some(StoreErrorKind::Corrupt));
    assert_eq!(
        of_log(&ReadLog::new(), Positions::Gapless, later.clone()).await,
        corrupt
    );
    assert_eq!(of_alice(&ReadStream::new(alice()), later.clone()).await, corrupt);
    let whole = ReadLog::new().only(EventFilter::Stream(alice()));
    assert_eq!(of_log(&whole, Positions::Gapless, later.clone()).await, corrupt);
    let from_two = ReadLog::new().from(2);
    assert_eq!(
        of_log(&from_two, Positions::Gapless, later.clone()).await,
        (later, None)
    );

    let backwards: Vec<_> = log[1..].iter().rev().cloned().collect();
    let (passed, failed) = of_log(&ReadLog::new().backwards(), Positions::Gapless, backwards.clone()).await;
    assert_eq!((passed.len(), failed), (11, Some(StoreErrorKind::Corrupt)));
    let limited = ReadLog::new().backwards().limit(11);
    assert_eq!(
        of_log(&limited, Positions::Gapless, backwards.clone()).await,
        (backwards, None)
    );
}

#[tokio::test]
async fn positions_may_have_gaps_where_the_store_leaves_some() {
    let log = log().await;
    let with_gaps: Vec<_> = log.iter().step_by(2).cloned().collect();
    let read = of_log(&ReadLog::new(), Positions::Rising, with_gaps.clone()).await;
    assert_eq!(read, (with_gaps.clone(), None));
    let filtered = ReadLog::new().only(EventFilter::category("account"));
    assert_eq!(
        of_log(&filtered, Positions::Gapless, with_gaps.clone()).await,
        (with_gaps, None)
    );
}
