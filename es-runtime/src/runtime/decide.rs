//! From a decision to events that can be stored.

use std::borrow::Cow;

use bytes::Bytes;

use super::caps::{Caps, Form};
use crate::command::{Declined, WrongTarget};
use crate::{
    AppendId, Decoded, EncodeError, EventEnum, EventSourced, ExecuteError, Metadata, Misapplied, NewEvent, StreamId,
    Timestamp,
};

/// The error of a command that was declined.
pub(super) fn decline<R>(stream: &StreamId, declined: Declined<R>) -> ExecuteError<R> {
    match declined {
        Declined::Refused(refusal) => ExecuteError::Refused(refusal),
        Declined::WrongTarget(WrongTarget::NotFound) => ExecuteError::NotFound { stream: stream.clone() },
        Declined::WrongTarget(WrongTarget::AlreadyExists) => ExecuteError::AlreadyExists { stream: stream.clone() },
    }
}

/// Checks the values of the events.
pub(super) fn valid<A: EventSourced, R>(events: &[A::Event]) -> Result<(), ExecuteError<R>> {
    events.iter().try_for_each(|event| {
        event.check().map_err(|source| ExecuteError::InvalidEvent {
            event: event.info().name,
            source,
        })
    })
}

/// Checks that the events fold onto a state that exists or does not: once stored, events that do not would make the
/// stream unreadable.
pub(super) fn checked<A: EventSourced, R>(
    stream: &StreamId,
    exists: bool,
    events: &[A::Event],
) -> Result<(), ExecuteError<R>> {
    for (index, event) in events.iter().enumerate() {
        let source = match (exists || index > 0, event.creates()) {
            (true, true) => Misapplied::AlreadyCreated(event.info().name),
            (false, false) => Misapplied::NotCreated(event.info().name),
            _ => continue,
        };
        return Err(ExecuteError::Misapplied {
            stream: stream.clone(),
            source,
        });
    }
    Ok(())
}

/// Events as they are stored, and as they will be read.
pub(super) struct Written<E> {
    pub(super) stored: Vec<NewEvent>,
    /// The events to fold: those that every other process will read. The events themselves where they are plain and no
    /// cap had one written in an older shape, which may hold less.
    pub(super) read: Vec<E>,
}

/// Which append the events are for.
pub(super) struct Batch<'a> {
    pub(super) id: AppendId,
    /// The number of events before them in the append.
    pub(super) first: u64,
    pub(super) metadata: &'a Metadata,
    /// The times of the events that have one of their own, by their index.
    pub(super) times: &'a [Option<Timestamp>],
}

impl Batch<'_> {
    /// The metadata of the event with this index.
    fn metadata(&self, index: usize) -> Metadata {
        let mut metadata = self.metadata.clone();
        if let Some(Some(time)) = self.times.get(index) {
            metadata.set_occurred_at(*time);
        }
        metadata
    }
}

/// Turns `events` for a stream that `exists` or not into their stored form.
pub(super) fn write<A: EventSourced, R>(
    caps: &Caps,
    stream: &StreamId,
    exists: bool,
    events: Vec<A::Event>,
    batch: &Batch<'_>,
) -> Result<Written<A::Event>, ExecuteError<R>> {
    let capped = caps.any();
    let mut payload = Vec::with_capacity(256);
    let mut stored = Vec::with_capacity(events.len());
    // The readings of events that may not come back unchanged.
    let mut read_back_as = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let info = event.info();
        let current = Form {
            name: info.name,
            shape_version: info.shape_version,
        };
        let form = if capped { caps.form(A::NAME, &info) } else { current };
        payload.clear();
        if form == current {
            event.encode(&mut payload)?;
        } else {
            event.encode_as(form.shape_version, &mut payload)?;
        }
        if form != current || !event.is_plain() {
            read_back_as.push((index, read_back::<A>(form, &payload)?));
        }
        stored.push(NewEvent {
            id: batch.id.event_id(batch.first + index as u64),
            name: Cow::Borrowed(form.name),
            shape_version: form.shape_version,
            payload: Bytes::copy_from_slice(&payload),
            metadata: batch.metadata(index),
        });
    }
    if read_back_as.is_empty() {
        return Ok(Written { stored, read: events });
    }
    let mut read_back_as = read_back_as.into_iter().peekable();
    let mut read = Vec::with_capacity(events.len());
    for (index, event) in events.into_iter().enumerate() {
        match read_back_as.next_if(|(of, _)| *of == index) {
            Some((_, decoded)) => read.extend(decoded),
            None => read.push(event),
        }
    }
    checked::<A, R>(stream, exists, &read)?;
    Ok(Written { stored, read })
}

/// Returns the size of the payloads.
pub(super) fn size(events: &[NewEvent]) -> usize {
    events.iter().map(|event| event.payload.len()).sum()
}

/// Returns what the payload will be read as.
fn read_back<A: EventSourced>(form: Form, payload: &[u8]) -> Result<Decoded<A::Event>, EncodeError> {
    let Form { name, shape_version } = form;
    A::Event::decode(name, shape_version, payload).map_err(|source| EncodeError::NotReadBack {
        name,
        shape_version,
        source: Box::new(source),
    })
}
