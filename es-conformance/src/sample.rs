//! Streams and events to try a store with.

use std::borrow::Cow;

use bytes::Bytes;
use es_runtime::{EventId, Metadata, NewEvent, RecordedEvent, StreamId};
use uuid::Uuid;

/// The stream `id` of the category that the cases use.
pub(crate) fn stream(id: &str) -> StreamId {
    StreamId::new("conformance", id)
}

/// An event that holds a number.
pub(crate) fn event(number: u64) -> NewEvent {
    with_payload(format!(r#"{{"number":{number}}}"#))
}

/// An event for each number.
pub(crate) fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<NewEvent> {
    numbers.into_iter().map(event).collect()
}

/// An event with this payload.
pub(crate) fn with_payload(payload: impl Into<Bytes>) -> NewEvent {
    NewEvent {
        id: EventId(Uuid::now_v7()),
        name: Cow::Borrowed("sampled"),
        shape_version: 1,
        payload: payload.into(),
        metadata: Metadata::EMPTY,
    }
}

/// Returns the part of an event that a store must give back exactly as it was given.
pub(crate) fn given(event: &RecordedEvent) -> NewEvent {
    NewEvent {
        id: event.id,
        name: event.name.clone(),
        shape_version: event.shape_version,
        payload: event.payload.clone(),
        metadata: event.metadata.clone(),
    }
}
