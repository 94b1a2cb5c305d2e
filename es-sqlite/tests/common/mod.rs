#![allow(dead_code, missing_docs, reason = "each test file uses a part of it")]

use std::borrow::Cow;

use es_runtime::store::{Append, EventStore, ReadLog};
use es_runtime::{EventId, ExpectedVersion, Metadata, NewEvent, RecordedEvent, StreamId};
use es_sqlite::SqliteStore;
use futures_util::TryStreamExt;
use uuid::Uuid;

pub(crate) fn event(payload: impl Into<Vec<u8>>) -> NewEvent {
    NewEvent {
        id: EventId(Uuid::now_v7()),
        name: Cow::Borrowed("deposited"),
        shape_version: 1,
        payload: payload.into().into(),
        metadata: Metadata::EMPTY,
    }
}

pub(crate) fn stream(id: &str) -> StreamId {
    StreamId::new("account", id)
}

pub(crate) fn append(id: &str, expected: ExpectedVersion, events: usize) -> Append {
    let events = (0..events).map(|_| event(*br#"{"amount":20}"#)).collect();
    Append::new(stream(id), expected, events)
}

pub(crate) async fn log(store: &SqliteStore) -> Vec<RecordedEvent> {
    store.read_log(ReadLog::new()).try_collect().await.unwrap()
}
