//! Which events a reader has parked, and which events stand behind them. Projections and handlers park in sequence through this one module.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashSet};
use futures_util::future::try_join_all;

use super::Cursors;
use super::parked::all_parked;
use crate::store::{Lease, ParkReason, Parked};
use crate::{Position, RecordedEvent, StoreError, StreamId};

/// The number of parked events that are read from the log at once.
const AT_ONCE: usize = 16;

/// A sequence of events of which none is tried before those ahead of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// The events of a stream.
    Stream(StreamId),
    /// The events with this key: that of a row, or what `by` gives.
    Named(String),
}

/// The sequences of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// Those in which it stands.
    pub(crate) own: Vec<Key>,
    /// Its stream. What cannot be read stands in this sequence, as nobody knows its keys.
    pub(crate) stream: StreamId,
}

impl Keys {
    /// The stream and nothing else.
    pub(crate) fn of_stream(stream: &StreamId) -> Self {
        Self {
            own: vec![Key::Stream(stream.clone())],
            stream: stream.clone(),
        }
    }

    /// Those of an event that this build cannot read, or that ended processes and is therefore not looked into: its stream, and what is most
    /// likely named after that.
    pub(crate) fn unread(stream: &StreamId) -> Self {
        Self {
            own: vec![Key::Stream(stream.clone()), Key::Named(stream.id().to_owned())],
            stream: stream.clone(),
        }
    }

    /// Every sequence in which something may stand that has to come first.
    fn watched(&self) -> impl Iterator<Item = Key> {
        let stream = Key::Stream(self.stream.clone());
        self.own.iter().cloned().chain([stream])
    }
}

/// Finds the keys of an event.
pub(crate) type KeysOf<'a> = dyn Fn(&RecordedEvent) -> Keys + Send + Sync + 'a;

/// The parked events of one reader, with their keys.
///
/// They are read once in each tenure, and then kept along with what is written. Whoever writes says so before and after, with
/// [`doubt`](Self::doubt) and [`trust`](Self::trust): what was cut off or failed between the two is read again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sequences {
    epoch: u64,
    is_known: bool,
    parked: BTreeMap<Position, Keys>,
    by_key: HashMap<Key, BTreeSet<Position>>,
}

impl Sequences {
    /// The most events that are parked in sequence. Behind so many the reader holds.
    pub(crate) const MOST: usize = 10_000;

    /// Reads what is parked, unless it is known in this tenure. Without `keys` nothing stands behind anything.
    pub(crate) async fn enter(
        &mut self,
        cursors: &Cursors,
        reader: &str,
        lease: &Lease,
        keys: Option<&KeysOf<'_>>,
    ) -> Result<(), StoreError> {
        if self.is_known && self.epoch == lease.epoch {
            return Ok(());
        }
        let parked = all_parked(&*cursors.store, reader).await?;
        self.is_known = false;
        self.parked.clear();
        self.by_key.clear();
        for some in parked.chunks(AT_ONCE) {
            let Some(keys) = keys else {
                for parked in some {
                    self.park(parked.position, None);
                }
                continue;
            };
            let events = some.iter().map(|parked| cursors.parked_event_at(parked.position));
            for (event, parked) in try_join_all(events).await?.into_iter().zip(some) {
                let keys = if parked.reason == ParkReason::EndedProcesses {
                    Keys::unread(&event.stream)
                } else {
                    keys(&event)
                };
                self.park(event.position, Some(keys));
            }
        }
        (self.epoch, self.is_known) = (lease.epoch, true);
        Ok(())
    }

    /// Something is about to be written that changes what is parked.
    pub(crate) fn doubt(&mut self) {
        self.is_known = false;
    }

    /// It was written, and told here.
    pub(crate) fn trust(&mut self) {
        self.is_known = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    /// The number of parked events.
    pub(crate) fn len(&self) -> usize {
        self.parked.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.parked.len() >= Self::MOST
    }

    pub(crate) fn has(&self, position: Position) -> bool {
        self.parked.contains_key(&position)
    }

    /// The event is parked. Without keys nothing stands behind it.
    pub(crate) fn park(&mut self, position: Position, keys: Option<Keys>) {
        let keys = keys.unwrap_or_else(|| Keys {
            own: Vec::new(),
            stream: StreamId::new("", ""),
        });
        for key in &keys.own {
            self.by_key.entry(key.clone()).or_default().insert(position);
        }
        self.parked.insert(position, keys);
    }

    /// The event is parked no more.
    pub(crate) fn unpark(&mut self, position: Position) {
        for key in self.parked.remove(&position).into_iter().flat_map(|keys| keys.own) {
            if let Some(positions) = self.by_key.get_mut(&key) {
                positions.remove(&position);
                if positions.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
    }

    /// The first parked event behind which an event at `position` stands.
    pub(crate) fn ahead_of(&self, position: Position, keys: &Keys) -> Option<Position> {
        if self.by_key.is_empty() || keys.own.is_empty() {
            return None;
        }
        let firsts = keys.watched().filter_map(|key| self.by_key.get(&key)?.first().copied());
        firsts.min().filter(|first| *first < position)
    }

    /// The first parked event behind which this parked one stands.
    pub(crate) fn ahead(&self, position: Position) -> Option<Position> {
        self.ahead_of(position, self.parked.get(&position)?)
    }

    /// The parked events that stand behind this one, also behind others that do, in order.
    pub(crate) fn behind(&self, position: Position) -> Vec<Position> {
        let Some(first) = self.parked.get(&position) else {
            return Vec::new();
        };
        let mut held: HashSet<Key> = first.own.iter().cloned().collect();
        let mut behind = Vec::new();
        for (position, keys) in self.parked.range(position.next()..) {
            if keys.watched().any(|key| held.contains(&key)) {
                held.extend(keys.own.iter().cloned());
                behind.push(*position);
            }
        }
        behind
    }
}

/// The event as it is parked after so many attempts.
pub(crate) fn parked(event: &RecordedEvent, reason: ParkReason, error: &str, attempts: u32) -> Parked {
    Parked {
        position: event.position,
        event: event.id,
        reason,
        // Which no database takes in text.
        error: error.replace('\0', "\u{fffd}"),
        attempts,
    }
}

/// The event as it is parked because of another one, without an attempt.
pub(crate) fn parked_behind(event: &RecordedEvent, first: Position) -> Parked {
    Parked {
        position: event.position,
        event: event.id,
        reason: ParkReason::Behind,
        error: format!("behind position {first}, which is parked"),
        attempts: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(stream: &str, own: &[&str]) -> Keys {
        let named = own.iter().map(|key| Key::Named((*key).to_owned()));
        Keys {
            own: named.collect(),
            stream: StreamId::new("transfer", stream),
        }
    }

    fn sequences(parked: &[(u64, Keys)]) -> Sequences {
        let mut sequences = Sequences::default();
        for (position, keys) in parked {
            sequences.park(Position(*position), Some(keys.clone()));
        }
        sequences
    }

    #[test]
    fn an_event_stands_behind_those_of_its_keys_that_came_before_it() {
        let sequences = sequences(&[(5, keys("1", &["a"])), (9, keys("2", &["b", "c"]))]);
        let ahead = |position, keys: &Keys| sequences.ahead_of(Position(position), keys).map(|ahead| ahead.0);
        assert_eq!(ahead(7, &keys("3", &["a"])), Some(5));
        assert_eq!(ahead(4, &keys("3", &["a"])), None, "it came before");
        assert_eq!(ahead(7, &keys("3", &["b"])), None);
        assert_eq!(ahead(10, &keys("3", &["x", "c", "a"])), Some(5));
        assert_eq!(ahead(10, &keys("1", &["x"])), None, "the key counts, not the stream");
    }

    #[test]
    fn behind_an_event_that_cannot_be_read_stands_its_stream() {
        let mut sequences = Sequences::default();
        let stream = StreamId::new("transfer", "1");
        sequences.park(Position(5), Some(Keys::of_stream(&stream)));
        let own = keys("1", &["a"]);
        assert_eq!(sequences.ahead_of(Position(6), &own), Some(Position(5)));
        sequences.park(Position(6), Some(own));
        assert_eq!(sequences.ahead_of(Position(7), &keys("2", &["a"])), Some(Position(6)));
        assert_eq!(sequences.behind(Position(5)), [6]);
        sequences.unpark(Position(5));
        assert_eq!(sequences.ahead(Position(6)), None);
    }

    #[test]
    fn what_stands_behind_stands_there_through_others_too() {
        let sequences = sequences(&[
            (5, keys("1", &["a"])),
            (6, keys("2", &["b"])),
            (7, keys("3", &["a", "c"])),
            (8, keys("4", &["c"])),
        ]);
        assert_eq!(sequences.behind(Position(5)), [7, 8]);
        assert_eq!(sequences.behind(Position(6)), Vec::<Position>::new());
        assert_eq!(sequences.ahead(Position(8)), Some(Position(7)));
    }
}
