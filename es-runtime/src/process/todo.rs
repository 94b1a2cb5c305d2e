use std::marker::PhantomData;
use std::time::Duration;

use serde_json::value::RawValue;

use super::{AnsweredBy, RemindsOf, TimerValue};
use crate::{CommandOf, EncodeError, EventSourced, Key, StreamId};

/// Takes the commands that a reaction sends, and the timers that it sets: `&mut Todo<Self>` as the last parameter of an
/// `#[on]` method. They are stored in one step with the state that the method leaves.
#[derive(Debug)]
pub struct Todo<P> {
    pub(super) commands: Vec<ToSend>,
    pub(super) timers: Vec<ToRemind>,
    /// The first value that has no stored form.
    pub(super) error: Option<EncodeError>,
    process: PhantomData<fn() -> P>,
}

/// A command in its stored form.
#[derive(Debug, Clone)]
pub(crate) struct ToSend {
    pub(crate) to: StreamId,
    pub(crate) command: &'static str,
    pub(crate) shape: u32,
    pub(crate) payload: Box<RawValue>,
}

/// A timer in its stored form.
#[derive(Debug, Clone)]
pub(crate) struct ToRemind {
    pub(crate) name: &'static str,
    pub(crate) after: Duration,
    pub(crate) payload: Box<RawValue>,
}

impl<P> Todo<P> {
    pub(crate) fn new() -> Self {
        Self {
            commands: Vec::new(),
            timers: Vec::new(),
            error: None,
            process: PhantomData,
        }
    }

    /// Sends `command` to the aggregate instance `key`. The commands of one instance are executed one after the other, in
    /// the order in which they were sent, each exactly once.
    pub fn send<K: Key, C>(&mut self, key: K, command: C)
    where
        K::Aggregate: EventSourced,
        C: CommandOf<K::Aggregate> + AnsweredBy<P>,
    {
        let send = |payload| ToSend {
            to: key.stream_id(),
            command: C::NAME,
            shape: 1,
            payload,
        };
        match stored(C::NAME, &command) {
            Ok(payload) => self.commands.push(send(payload)),
            Err(error) => drop(self.error.get_or_insert(error)),
        }
    }

    /// Sets a timer that is due so long after this step is stored, by the store's clock. It is due once, unless the
    /// instance ends before.
    pub fn remind<T: RemindsOf<P>>(&mut self, after: Duration, timer: T) {
        let name = T::TIMER;
        match stored(name, &timer) {
            Ok(payload) => self.timers.push(ToRemind { name, after, payload }),
            Err(error) => drop(self.error.get_or_insert(error)),
        }
    }
}

/// The stored form of a command or a timer.
fn stored<T: TimerValue>(name: &'static str, value: &T) -> Result<Box<RawValue>, EncodeError> {
    let mut json = Vec::new();
    let stored = crate::json::store(value, false, &mut json);
    stored.map_err(|error| error.of(name, format_args!("`{name}`")))?;
    raw(&json).map_err(|source| EncodeError::Value { name, source })
}

/// JSON as a part of other JSON.
pub(super) fn raw(json: &[u8]) -> Result<Box<RawValue>, serde_json::Error> {
    serde_json::from_slice(json)
}
