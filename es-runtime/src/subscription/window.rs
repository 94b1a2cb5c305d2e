use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::consumer::Held;
use crate::{Position, Timestamp};

/// What was delivered, and is not done.
pub(crate) struct Window(Mutex<State>);

#[derive(Default)]
struct State {
    /// Rises when it is begun anew: what was sent before, and is not in hand yet, is not handed out any more.
    generation: u64,
    /// Whether nothing is to be handed out until then.
    is_over: bool,
    /// The lease under which it was begun.
    held: Option<Held>,
    /// Who waits until it is known whether that is held.
    waiting: Option<Waker>,
    /// Up to here everything was sent, or is not to be.
    read_to: Position,
    /// The end of the log when it was looked at last.
    head: Position,
    undone: BTreeMap<Position, Undone>,
    /// How often an event was dropped without being acknowledged.
    dropped: BTreeMap<Position, u32>,
    /// How many deliveries are in the hands of the subscriber.
    in_hand: usize,
}

struct Undone {
    /// Up to here everything was sent before it.
    before: Position,
    recorded_at: Timestamp,
    /// Those deliveries of the event that are not acknowledged, by their numbers.
    parts: Vec<usize>,
}

/// What becomes of a delivery that was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandedOut {
    Yes,
    /// It is sent again, here or to whoever has the lease now.
    Not,
    /// It is not known whether the lease is held: ask again when woken.
    NotYet,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything up to `done` is, and nothing behind it was sent under this lease.
    pub(crate) fn begin(&self, done: Position, held: &Held) {
        let mut state = self.state();
        state.generation += 1;
        state.is_over = false;
        state.held = Some(held.clone());
        state.read_to = done;
        state.undone.clear();
    }

    /// Up to where everything was sent, or is not to be.
    pub(crate) fn read_to(&self) -> Position {
        self.state().read_to
    }

    /// The log ends here.
    pub(crate) fn ends_at(&self, head: Position) {
        self.state().head = head;
    }

    /// The end of the log, and when the first event that is not done was recorded, if it was sent.
    pub(crate) fn lag(&self) -> (Position, Option<Timestamp>) {
        let state = self.state();
        let first = state.undone.first_key_value();
        (state.head, first.map(|(_, undone)| undone.recorded_at))
    }

    /// Nothing is to be sent up to `to`.
    pub(crate) fn passed(&self, to: Position) {
        let mut state = self.state();
        state.read_to = state.read_to.max(to);
    }

    /// An event is sent in so many deliveries. The generation that they are of, and how often it was dropped before.
    pub(crate) fn sent(&self, position: Position, recorded_at: Timestamp, parts: usize) -> (u64, u32) {
        let mut state = self.state();
        let undone = Undone {
            before: state.read_to,
            recorded_at,
            parts: (0..parts).collect(),
        };
        state.undone.insert(position, undone);
        state.read_to = position;
        (
            state.generation,
            state.dropped.get(&position).copied().unwrap_or_default(),
        )
    }

    /// Hands a delivery of this generation out, unless it is over or another subscriber may have the lease.
    pub(crate) fn hand_out(&self, generation: u64, waker: &Waker) -> HandedOut {
        let mut state = self.state();
        if generation != state.generation || state.is_over {
            return HandedOut::Not;
        }
        match state.held.as_ref().and_then(Held::now) {
            Some(true) => {
                state.in_hand += 1;
                HandedOut::Yes
            }
            Some(false) => HandedOut::Not,
            None => {
                state.waiting = Some(waker.clone());
                HandedOut::NotYet
            }
        }
    }

    /// Something was heard of the lease.
    pub(crate) fn wake(&self) {
        let waiting = self.state().waiting.take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// Nothing that is not in hand is handed out any more.
    pub(crate) fn close(&self) {
        self.state().is_over = true;
        self.wake();
    }

    /// How often the event was dropped, if it was.
    pub(crate) fn times_dropped(&self, position: Position) -> Option<u32> {
        self.state().dropped.get(&position).copied()
    }

    pub(crate) fn is_undone(&self, position: Position) -> bool {
        self.state().undone.contains_key(&position)
    }

    /// A delivery is not in hand any more.
    pub(crate) fn let_go(&self) {
        self.state().in_hand -= 1;
    }

    pub(crate) fn is_in_hand(&self) -> bool {
        self.state().in_hand > 0
    }

    /// A delivery was acknowledged. One of an older generation may be sent again all the same. Returns whether the event is done
    /// now.
    pub(crate) fn done(&self, position: Position, part: usize) -> bool {
        let mut state = self.state();
        let Some(undone) = state.undone.get_mut(&position) else {
            return false;
        };
        undone.parts.retain(|left| *left != part);
        let is_done = undone.parts.is_empty();
        if is_done {
            state.undone.remove(&position);
            state.dropped.remove(&position);
        }
        is_done
    }

    /// A delivery was dropped without being acknowledged. Nothing behind it is handed out before it is.
    pub(crate) fn dropped(&self, position: Position) {
        let mut state = self.state();
        state.is_over = true;
        let times = state.dropped.entry(position).or_default();
        *times = times.saturating_add(1);
    }

    /// Up to here everything is done.
    pub(crate) fn done_to(&self) -> Position {
        let state = self.state();
        state
            .undone
            .first_key_value()
            .map_or(state.read_to, |(_, undone)| undone.before)
    }

    /// The first event that is not done.
    pub(crate) fn first_undone(&self) -> Option<Position> {
        self.state().undone.first_key_value().map(|(position, _)| *position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counts_as_done_behind_what_is_not() {
        let window = Window::new();
        window.begin(Position(2), &Held::for_ever());
        window.passed(Position(4));
        for position in [5, 7, 9] {
            window.sent(Position(position), Timestamp::MIN, 1);
        }
        window.passed(Position(12));
        assert_eq!(window.done_to(), 4);
        window.done(Position(7), 0);
        assert_eq!(window.done_to(), 4, "5 is not done");
        window.done(Position(5), 0);
        assert_eq!(window.done_to(), 7, "and not 8, at which there may be no event");
        window.done(Position(9), 0);
        assert_eq!(window.done_to(), 12);
    }

    #[test]
    fn an_event_is_done_when_each_of_its_parts_is() {
        let window = Window::new();
        window.begin(Position(0), &Held::for_ever());
        window.sent(Position(1), Timestamp::MIN, 2);
        window.done(Position(1), 1);
        window.done(Position(1), 1);
        assert_eq!(window.first_undone(), Some(Position(1)));
        window.done(Position(1), 0);
        assert_eq!(window.done_to(), 1);
    }

    #[test]
    fn what_was_sent_before_it_began_anew_is_not_handed_out() {
        let (window, held) = (Window::new(), Held::for_ever());
        let hand_out = |generation| window.hand_out(generation, Waker::noop());
        window.begin(Position(0), &held);
        let (generation, _) = window.sent(Position(1), Timestamp::MIN, 1);
        assert_eq!(hand_out(generation), HandedOut::Yes);
        window.sent(Position(2), Timestamp::MIN, 1);
        window.dropped(Position(1));
        assert_eq!(hand_out(generation), HandedOut::Not);
        window.begin(Position(0), &held);
        assert_eq!(hand_out(generation), HandedOut::Not);
        assert_eq!(window.sent(Position(1), Timestamp::MIN, 1), (generation + 1, 1));
    }
}
