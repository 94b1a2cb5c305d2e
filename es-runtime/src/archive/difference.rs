//! The first difference between two records, in words.

use std::fmt::{Display, Write as _};

use super::contents::Record;
use crate::store::{RecordedAppend, StateChange, StreamAppend};
use crate::{Metadata, NewEvent};

/// The names of the two sides.
pub(super) type Sides = [&'static str; 2];

/// Returns in what the first record differs from the second.
pub(super) fn difference(records: [Option<&Record>; 2], sides: Sides) -> Option<String> {
    match records {
        [None, None] => None,
        [Some(Record::Append(one)), Some(Record::Append(other))] => of_appends(one, other, sides),
        [Some(Record::State(one)), Some(Record::State(other))] => of_states(one, other, sides),
        [one, other] => differ("the next record", &named(one), &named(other), sides),
    }
}

fn named(record: Option<&Record>) -> String {
    match record {
        None => "nothing".to_owned(),
        Some(Record::Append(append)) => format!("append {}", append.append.id),
        Some(Record::State(state)) => format!("the state of `{}`", state.key),
    }
}

fn differ<T: PartialEq + Display + ?Sized>(what: &str, one: &T, other: &T, [left, right]: Sides) -> Option<String> {
    (one != other).then(|| format!("{what} is {one} in {left} and {other} in {right}"))
}

fn of_appends(one: &RecordedAppend, other: &RecordedAppend, sides: Sides) -> Option<String> {
    let (a, b) = (&one.append, &other.append);
    let of_append = |what: &str| format!("{what} of append {}", a.id);
    let key = |key: &Option<crate::store::IdempotencyKey>| match key {
        Some(key) => format!("`{}` with fingerprint {}", key.key, key.fingerprint),
        None => "none".to_owned(),
    };
    differ("the next append", &a.id, &b.id, sides)
        .or_else(|| differ(&of_append("the time"), &one.recorded_at, &other.recorded_at, sides))
        .or_else(|| differ(&of_append("the idempotency key"), &key(&a.key), &key(&b.key), sides))
        .or_else(|| {
            differ(
                &of_append("the number of streams"),
                &a.streams.len(),
                &b.streams.len(),
                sides,
            )
        })
        .or_else(|| {
            let mut parts = a.streams.iter().zip(&b.streams);
            parts.find_map(|(one, other)| of_parts(one, other, sides))
        })
}

fn of_parts(one: &StreamAppend, other: &StreamAppend, sides: Sides) -> Option<String> {
    let of_stream = |what: &str| format!("{what} of `{}`", one.stream);
    differ("the next stream", &one.stream, &other.stream, sides)
        .or_else(|| differ(&of_stream("the version before"), &one.expected, &other.expected, sides))
        .or_else(|| {
            differ(
                &of_stream("the number of events"),
                &one.events.len(),
                &other.events.len(),
                sides,
            )
        })
        .or_else(|| {
            let mut events = one.events.iter().zip(&other.events);
            events.find_map(|(one, other)| of_events(one, other, sides))
        })
}

fn of_events(one: &NewEvent, other: &NewEvent, sides: Sides) -> Option<String> {
    let of_event = |what: &str| format!("{what} of event {}", one.id);
    let metadata = |metadata: &Metadata| metadata.to_json();
    differ("the next event", &one.id, &other.id, sides)
        .or_else(|| differ(&of_event("the name"), &one.name, &other.name, sides))
        .or_else(|| {
            differ(
                &of_event("the version of the shape"),
                &one.shape_version,
                &other.shape_version,
                sides,
            )
        })
        .or_else(|| {
            let is_other = one.payload != other.payload;
            is_other.then(|| of_bytes(&of_event("the payload"), [&one.payload, &other.payload], sides))
        })
        .or_else(|| {
            let is_same = one.metadata == other.metadata || one.metadata.is_empty() && other.metadata.is_empty();
            let texts = (!is_same).then(|| [metadata(&one.metadata), metadata(&other.metadata)])?;
            differ(&of_event("the metadata"), &texts[0], &texts[1], sides)
        })
}

fn of_states(one: &StateChange, other: &StateChange, sides: Sides) -> Option<String> {
    let of_state = |what: &str| format!("{what} of `{}`", one.key);
    let change = |state: &StateChange| format!("{:?}", state.change).to_lowercase();
    differ("the next state", &one.key, &other.key, sides)
        .or_else(|| differ(&of_state("the sequence"), &one.sequence, &other.sequence, sides))
        .or_else(|| differ(&of_state("the change"), &change(one), &change(other), sides))
        .or_else(|| differ(&of_state("the shape"), &one.shape, &other.shape, sides))
        .or_else(|| {
            let payloads = [&one.payload, &other.payload].map(|payload| payload.as_deref().unwrap_or_default());
            (payloads[0] != payloads[1]).then(|| of_bytes(&of_state("the payload"), payloads, sides))
        })
}

/// Shows both around the first byte that differs.
fn of_bytes(what: &str, bytes: [&[u8]; 2], [left, right]: Sides) -> String {
    const AROUND: usize = 20;
    let place = bytes[0]
        .iter()
        .zip(bytes[1])
        .take_while(|(one, other)| one == other)
        .count();
    let shown = |bytes: &[u8]| {
        let part = &bytes[place.saturating_sub(AROUND)..bytes.len().min(place + AROUND)];
        String::from_utf8_lossy(part).into_owned()
    };
    let mut text = format!("{what} differs from byte {place} on");
    for (bytes, side) in bytes.into_iter().zip([left, right]) {
        let _ = write!(text, ", {:?} in {side}", shown(bytes));
    }
    text
}
