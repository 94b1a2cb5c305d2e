//! From a decision to events that can be stored.

use std::borrow::Cow;

use bytes::Bytes;

use crate::command::{Declined, WrongTarget};
use crate::{AppendId, EncodeError, EventEnum, EventSourced, ExecuteError, Metadata, Misapplied, NewEvent, StreamId};

/// The error of a command that was declined.
pub(super) fn decline<R>(stream: &StreamId, declined: Declined<R>) -> ExecuteError<R> {
    match declined {
        Declined::Refused(refusal) => ExecuteError::Refused(refusal),
        Declined::WrongTarget(WrongTarget::NotFound) => ExecuteError::NotFound { stream: stream.clone() },
        Declined::WrongTarget(WrongTarget::AlreadyExists) => ExecuteError::AlreadyExists { stream: stream.clone() },
    }
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

/// The stored form of `events`, which are number `first` and following of the append.
pub(super) fn encode<A: EventSourced>(
    events: &[A::Event],
    append: AppendId,
    first: usize,
    metadata: &Metadata,
) -> Result<Vec<NewEvent>, EncodeError> {
    let mut payload = Vec::with_capacity(256);
    let encode = |(index, event): (usize, &A::Event)| {
        let info = event.info();
        payload.clear();
        event.encode(&mut payload)?;
        Ok(NewEvent {
            id: append.event_id((first + index) as u64),
            name: Cow::Borrowed(info.name),
            shape_version: info.shape_version,
            payload: Bytes::copy_from_slice(&payload),
            metadata: metadata.clone(),
        })
    };
    events.iter().enumerate().map(encode).collect()
}
