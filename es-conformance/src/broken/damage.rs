//! Faults in the order in which events come, as damage to a file or a table leads to them.

use es_runtime::store::{Direction, ReadLog, ReadStream};
use es_runtime::{EventStore, MemoryStore, RecordedEvent, StoreError};
use futures_util::stream::{self, BoxStream};
use futures_util::{TryFutureExt, TryStreamExt};

use super::faulty;
use crate::Fixture;
use crate::wrap::Wrap;

type Events<'a> = BoxStream<'a, Result<RecordedEvent, StoreError>>;

/// Changes what a read forwards gives.
fn changed(events: Events<'_>, direction: Direction, change: fn(&mut Vec<RecordedEvent>)) -> Events<'_> {
    let changed = events.try_collect::<Vec<_>>().map_ok(move |mut events| {
        if direction == Direction::Forwards {
            change(&mut events);
        }
        stream::iter(events.into_iter().map(Ok))
    });
    Box::pin(stream::once(changed).try_flatten())
}

/// A store in memory whose reads are changed.
struct Damaged {
    store: MemoryStore,
    log: fn(&mut Vec<RecordedEvent>),
    stream: fn(&mut Vec<RecordedEvent>),
}

impl Wrap for Damaged {
    fn inner(&self) -> &dyn EventStore {
        &self.store
    }

    fn read_log(&self, query: ReadLog) -> Events<'_> {
        let direction = query.direction;
        changed(self.store.read_log(query), direction, self.log)
    }

    fn read_stream(&self, query: ReadStream) -> Events<'_> {
        let direction = query.direction;
        changed(self.store.read_stream(query), direction, self.stream)
    }
}

fn log(change: fn(&mut Vec<RecordedEvent>)) -> Box<dyn Fixture> {
    faulty(move |store, _| Damaged {
        store,
        log: change,
        stream: |_| (),
    })
}

fn stream(change: fn(&mut Vec<RecordedEvent>)) -> Box<dyn Fixture> {
    faulty(move |store, _| Damaged {
        store,
        log: |_| (),
        stream: change,
    })
}

/// Goes on where `events` was some events before.
fn go_round(events: &mut Vec<RecordedEvent>) {
    let middle = events.len() / 2;
    let again = events[middle / 2..middle].to_vec();
    events.splice(middle..middle, again);
}

/// Leaves out an event between two others.
fn lose(events: &mut Vec<RecordedEvent>) {
    if events.len() > 2 {
        events.remove(events.len() / 2);
    }
}

/// Gives an event twice.
fn repeat(events: &mut Vec<RecordedEvent>) {
    if let Some(event) = events.get(events.len() / 2).cloned() {
        events.insert(events.len() / 2, event);
    }
}

pub(super) fn goes_round() -> Box<dyn Fixture> {
    log(go_round)
}

pub(super) fn loses_a_position() -> Box<dyn Fixture> {
    log(lose)
}

pub(super) fn repeats_a_version() -> Box<dyn Fixture> {
    stream(repeat)
}

pub(super) fn loses_a_version() -> Box<dyn Fixture> {
    stream(lose)
}
