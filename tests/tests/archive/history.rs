//! Random histories of a store, and what the tests do with archives.

use std::sync::Arc;

use es_runtime::archive::{self, Archived};
use es_runtime::store::{
    Append, Change, Demand, IdempotencyKey, StateChange, StateKey, StreamAppend, WriteCap, WriteCaps,
};
use es_runtime::{AppendId, EventId, EventStore, ExpectedVersion, Metadata, NewEvent, StreamId, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

pub(crate) type Store = Arc<dyn EventStore>;

/// Something that is done to a store.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The streams by number, each with its events.
    Append {
        key: bool,
        id: u128,
        parts: Vec<(usize, Vec<Event>)>,
    },
    Save {
        key: (usize, usize, usize),
        payload: Option<usize>,
        shape: u64,
    },
    Cap(u32),
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    name: usize,
    shape: u32,
    payload: usize,
    metadata: Option<usize>,
}

/// Texts that are hard to keep, and names of which one begins as another does.
const TEXTS: [&str; 9] = [
    "a",
    "a ",
    "A",
    "a/b",
    "\u{1F600}\u{200D}\u{2028}",
    "\"\\",
    "\u{7f}\u{1}\t",
    "\n",
    "e\u{301}\u{e9}",
];

const JSON: [&str; 10] = [
    "{}",
    "null",
    "[18446744073709551615,-9223372036854775808,1.0,1e400,-0.0,0.1]",
    " {\"a\" : 1} ",
    "{\n  \"a\": [\r\n]\n}",
    "\"\\u0000\\ud800 \u{1F600}\"",
    "\"\"",
    "{\"a\":1,\"a\":2}",
    "{\"sum\":\"00000000-0000-0000-0000-000000000000\"}",
    "false",
];

/// Payloads that are no JSON, which not every store takes.
const BYTES: [&[u8]; 5] = [b"", b"\xff\xfe\n", b"plain text", b"{", b"\n"];

fn json(number: usize) -> Vec<u8> {
    match number {
        // As deep, and about as long, as a payload may be.
        10 => [vec![b'['; 127], vec![b']'; 127]].concat(),
        11 => serde_json::to_vec(&"\u{1}".repeat(100_000)).unwrap(),
        number => JSON[number].as_bytes().to_vec(),
    }
}

pub(crate) const OF_JSON: usize = 12;
pub(crate) const OF_BYTES: usize = OF_JSON + BYTES.len();

fn payload(number: usize) -> Vec<u8> {
    match number.checked_sub(OF_JSON) {
        None => json(number),
        Some(number) => BYTES[number].to_vec(),
    }
}

/// Histories of so many steps, whose events have one of the first payloads.
pub(crate) fn histories(steps: usize, payloads: usize) -> impl Strategy<Value = Vec<Step>> {
    let event = (
        0..TEXTS.len(),
        0..=i32::MAX.unsigned_abs(),
        0..payloads,
        any::<Option<prop::sample::Index>>(),
    );
    let event = event.prop_map(|(name, shape, payload, metadata)| Event {
        name,
        shape,
        payload,
        metadata: metadata.map(|index| index.index(TEXTS.len())),
    });
    let part = (0..4_usize, prop::collection::vec(event, 0..4));
    let append = (any::<bool>(), any::<u128>(), prop::collection::vec(part, 1..4));
    let key = (0..4_usize, 0..2_usize, 0..4_usize);
    let save = (key, prop::option::weighted(0.8, 0..OF_JSON), any::<u64>());
    let step = prop_oneof![
        8 => append.prop_map(|(key, id, parts)| Step::Append { key, id, parts }),
        4 => save.prop_map(|(key, payload, shape)| Step::Save { key, payload, shape }),
        1 => (1..9_u32).prop_map(Step::Cap),
    ];
    prop::collection::vec(step, 0..steps)
}

fn event(event: &Event, id: u128) -> NewEvent {
    let mut metadata = Metadata::EMPTY;
    if let Some(text) = event.metadata {
        metadata.set_actor(TEXTS[text]);
        metadata.set_correlation_id("");
        metadata.set_occurred_at(Timestamp::MAX);
        metadata.set(
            TEXTS[text],
            serde_json::json!({ "float": 0.1 + 0.2, "most": u64::MAX, "deep": [[{}]] }),
        );
    }
    NewEvent {
        id: EventId(Uuid::from_u128(id)),
        name: TEXTS[event.name].into(),
        shape_version: event.shape,
        payload: payload(event.payload).into(),
        metadata,
    }
}

/// Does all steps.
pub(crate) async fn fill(store: &Store, steps: &[Step]) {
    let states = Arc::clone(store).state_store().unwrap();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Append { key, id, parts } => {
                let mut streams: Vec<StreamAppend> = Vec::new();
                let mut next = *id;
                for (stream, events) in parts {
                    let stream = StreamId::new(TEXTS[stream % 2], TEXTS[*stream]);
                    if streams.iter().all(|part| part.stream != stream) {
                        let events = events.iter().map(|given| {
                            next = next.wrapping_add(1);
                            event(given, next)
                        });
                        streams.push(StreamAppend {
                            stream,
                            expected: ExpectedVersion::Any,
                            last: None,
                            events: events.collect(),
                        });
                    }
                }
                let is_empty = streams.iter().all(|part| part.events.is_empty());
                let key = (*key || is_empty).then(|| IdempotencyKey {
                    key: format!("{number}{}", TEXTS[number % TEXTS.len()]),
                    fingerprint: Uuid::from_u128(*id),
                });
                let id = AppendId(Uuid::from_u128(*id));
                store.append(Append { id, key, streams }).await.unwrap();
            }
            Step::Save { key, payload, shape } => {
                let key = StateKey::new(TEXTS[key.0], TEXTS[key.1], TEXTS[key.2]);
                let kept = states.get(&key).await.unwrap();
                let change = match (&kept, payload) {
                    (_, None) => Change::Delete,
                    (None, Some(_)) => Change::Create,
                    (Some(_), Some(_)) => Change::Update,
                };
                let change = StateChange {
                    sequence: kept.map_or(0, |kept| kept.sequence) + 1,
                    key,
                    change,
                    shape: *shape,
                    payload: payload.map(|payload| json(payload).into()),
                };
                states.save(vec![change], Demand::Next).await.unwrap();
            }
            Step::Cap(highest) => {
                let caps = WriteCaps::new(Arc::clone(&states));
                caps.set(WriteCap::new("a", "capped", *highest)).await.unwrap();
            }
        }
    }
}

/// A store with several appends to several streams, one of them without events, and two states.
pub(crate) async fn filled(store: &Store) {
    let appends = [
        (false, vec![0, 1]),
        (true, vec![1]),
        (true, vec![]),
        (false, vec![0]),
        (false, vec![2, 0]),
    ];
    let mut steps: Vec<Step> = Vec::new();
    for ((key, streams), id) in appends.into_iter().zip(1_u128..) {
        let one = Event {
            name: 0,
            shape: 1,
            payload: 2,
            metadata: (id % 2 == 0).then_some(4),
        };
        let parts = if streams.is_empty() {
            vec![(0, Vec::new())]
        } else {
            streams.into_iter().map(|stream| (stream, vec![one.clone()])).collect()
        };
        steps.push(Step::Append {
            key,
            id: id << 64,
            parts,
        });
    }
    for id in [1, 0] {
        steps.push(Step::Save {
            key: (0, 0, id),
            payload: Some(0),
            shape: u64::MAX,
        });
    }
    fill(store, &steps).await;
}

pub(crate) async fn export(store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    let exported = archive::export(Arc::clone(store), &mut bytes).await.unwrap();
    assert_eq!(exported.bytes, bytes.len() as u64);
    let verified = archive::verify(&bytes[..]).await.unwrap();
    assert_eq!(verified, exported);
    bytes
}

pub(crate) async fn import(bytes: &[u8], store: &Store) -> Archived {
    archive::import(bytes, Arc::clone(store)).await.unwrap()
}

/// An archive of [`filled`].
pub(crate) async fn archive_of_filled() -> Vec<u8> {
    let source: Store = Arc::new(es_runtime::MemoryStore::new().with_clock(es_tests::stores::clock()));
    filled(&source).await;
    export(&source).await
}
