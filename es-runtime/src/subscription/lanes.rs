//! Which of the events that were taken in may be tried now: within a sequence one after the other, in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use backon::ExponentialBackoff;
use foldhash::HashMap;
use tokio::time::Instant;

use crate::consumer::{Key, Keys, backoff};
use crate::{Position, RecordedEvent};

/// The events that were taken in and are not done.
pub(super) struct Lanes<T> {
    events: BTreeMap<Position, Waiting<T>>,
    sequences: HashMap<Key, VecDeque<Position>>,
    /// Those that may begin: the first of each of their sequences.
    free: BTreeSet<Position>,
    paused: BTreeSet<(Instant, Position)>,
    begun: usize,
}

/// An event that is not done.
pub(super) struct Waiting<T> {
    pub(super) event: RecordedEvent,
    pub(super) keys: Keys,
    /// The items that it is read as, until it is tried for the first time.
    pub(super) items: Option<Vec<T>>,
    /// The number of times it has failed.
    pub(super) attempts: u32,
    pauses: ExponentialBackoff,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Queued,
    Begun,
    Paused(Instant),
    /// It is not tried any more.
    Held,
}

impl<T> Lanes<T> {
    pub(super) fn new() -> Self {
        Self {
            events: BTreeMap::new(),
            sequences: HashMap::default(),
            free: BTreeSet::new(),
            paused: BTreeSet::new(),
            begun: 0,
        }
    }

    /// Takes in the next event of the log.
    pub(super) fn add(&mut self, event: RecordedEvent, keys: Keys, items: Option<Vec<T>>) {
        let position = event.position;
        for key in &keys.own {
            self.sequences.entry(key.clone()).or_default().push_back(position);
        }
        let waiting = Waiting {
            event,
            keys,
            items,
            attempts: 0,
            pauses: backoff(Duration::from_millis(100), Duration::from_secs(10)),
            state: State::Queued,
        };
        self.events.insert(position, waiting);
        self.set_free(position);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns the number of events that are being tried.
    pub(super) fn begun(&self) -> usize {
        self.begun
    }

    pub(super) fn get(&mut self, position: Position) -> Option<&mut Waiting<T>> {
        self.events.get_mut(&position)
    }

    /// The first event that is not done.
    pub(super) fn first(&self) -> Option<Position> {
        self.events.first_key_value().map(|(position, _)| *position)
    }

    /// Those behind `position` that are not being tried, with their keys.
    pub(super) fn behind(&self, position: Position) -> impl Iterator<Item = (Position, &Keys)> {
        let behind = self.events.range(position.next()..);
        let idle = behind.filter(|(_, waiting)| waiting.state != State::Begun);
        idle.map(|(position, waiting)| (*position, &waiting.keys))
    }

    /// The first event that may be tried now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Position> {
        self.wake(now);
        self.free.first().copied()
    }

    /// The first event of all, if it may be tried now.
    pub(super) fn next_in_order(&mut self, now: Instant) -> Option<Position> {
        self.wake(now);
        self.first().filter(|first| self.free.contains(first))
    }

    /// The first events of all, as far as they may be tried now, were not tried before, and `fits` takes them.
    pub(super) fn batch(&self, mut fits: impl FnMut(&Waiting<T>) -> bool) -> Vec<Position> {
        let fresh = self
            .events
            .iter()
            .take_while(|(_, waiting)| waiting.state == State::Queued && waiting.attempts == 0 && fits(waiting));
        fresh.map(|(position, _)| *position).collect()
    }

    /// When the next event may be tried again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.paused.first().map(|(until, _)| *until)
    }

    pub(super) fn begin(&mut self, position: Position) {
        self.begun += 1;
        self.free.remove(&position);
        self.enter(position, State::Begun);
    }

    /// It is to be tried again after a pause, which grows.
    pub(super) fn pause(&mut self, position: Position) {
        let Some(waiting) = self.events.get_mut(&position) else {
            return;
        };
        let until = Instant::now() + crate::consumer::next(&mut waiting.pauses);
        self.enter(position, State::Paused(until));
        self.paused.insert((until, position));
    }

    /// It was not tried after all.
    pub(super) fn put_back(&mut self, position: Position) {
        self.enter(position, State::Queued);
        self.set_free(position);
    }

    /// It is not tried any more, and stays where it is.
    pub(super) fn hold(&mut self, position: Position) {
        self.free.remove(&position);
        self.enter(position, State::Held);
    }

    /// It is done, or put aside.
    pub(super) fn remove(&mut self, position: Position) -> Option<Waiting<T>> {
        self.free.remove(&position);
        self.enter(position, State::Queued);
        let waiting = self.events.remove(&position)?;
        for key in &waiting.keys.own {
            let Some(sequence) = self.sequences.get_mut(key) else {
                continue;
            };
            if sequence.front() == Some(&position) {
                sequence.pop_front();
            } else {
                sequence.retain(|other| *other != position);
            }
            match sequence.front().copied() {
                Some(next) => self.set_free(next),
                None => drop(self.sequences.remove(key)),
            }
        }
        Some(waiting)
    }

    /// Those whose pause is over may be tried again.
    fn wake(&mut self, now: Instant) {
        while let Some((until, position)) = self.paused.first().copied()
            && until <= now
        {
            self.put_back(position);
        }
    }

    /// It may be tried, if it is the first of each of its sequences.
    fn set_free(&mut self, position: Position) {
        let Some(waiting) = self.events.get(&position) else {
            return;
        };
        let is_first = |key| self.sequences.get(key).and_then(VecDeque::front) == Some(&position);
        if waiting.state == State::Queued && waiting.keys.own.iter().all(is_first) {
            self.free.insert(position);
        }
    }

    fn enter(&mut self, position: Position, state: State) {
        let Some(waiting) = self.events.get_mut(&position) else {
            return;
        };
        match std::mem::replace(&mut waiting.state, state) {
            State::Begun => self.begun -= 1,
            State::Paused(until) => drop(self.paused.remove(&(until, position))),
            State::Queued | State::Held => {}
        }
    }
}
