use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch;

use crate::Position;

/// Signals new events to readers that have caught up. From [`EventStore::wakes`](crate::EventStore::wakes).
///
/// A hint may come without an event, and an event without a hint: read the log again after a while even without one.
#[derive(Debug, Clone)]
pub struct AppendSignal {
    hints: watch::Receiver<Position>,
    /// The last hint that was given.
    given: Position,
}

impl AppendSignal {
    /// Hints that never come.
    pub fn never() -> Self {
        AppendSignalSource::new().wakes()
    }

    /// Waits for a hint of an event beyond `position`, which is how far the log was read, and gives the hinted head. A hint
    /// that came since the last call is not missed; none is given twice.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no hint.
    pub async fn beyond(&mut self, position: Position) -> Position {
        loop {
            let hint = *self.hints.borrow_and_update();
            if hint > position && hint > self.given {
                self.given = hint;
                return hint;
            }
            if self.hints.changed().await.is_err() {
                return pending().await;
            }
        }
    }
}

/// The source of a store's hints. Clones are the same source.
#[derive(Debug, Clone)]
pub struct AppendSignalSource(Arc<watch::Sender<Position>>);

impl Default for AppendSignalSource {
    fn default() -> Self {
        Self::new()
    }
}

impl AppendSignalSource {
    /// A source whose highest head is 0.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Position::ZERO)))
    }

    /// Hints at this head, unless a higher one was hinted at. Never blocks.
    pub fn wake(&self, head: Position) {
        self.0.send_if_modified(|highest| {
            let rises = head > *highest;
            *highest = head.max(*highest);
            rises
        });
    }

    /// The hints from this source.
    pub fn wakes(&self) -> AppendSignal {
        AppendSignal {
            hints: self.0.subscribe(),
            given: Position::ZERO,
        }
    }

    /// Returns whether somebody has asked for the hints and still holds them.
    pub fn is_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn each_hint_is_given_once_and_none_is_missed() {
        let source = AppendSignalSource::new();
        let mut wakes = source.wakes();
        source.wake(Position(3));
        source.wake(Position(2));
        assert_eq!(wakes.beyond(Position(1)).now_or_never(), Some(Position(3)));
        assert_eq!(wakes.beyond(Position(1)).now_or_never(), None, "it was given");
        source.wake(Position(4));
        assert_eq!(wakes.beyond(Position(4)).now_or_never(), None, "it was read already");
        source.wake(Position(5));
        assert_eq!(wakes.beyond(Position(4)).now_or_never(), Some(Position(5)));
        drop(source);
        assert_eq!(wakes.beyond(Position(5)).now_or_never(), None);
    }

    #[test]
    fn what_never_comes_does_not_end() {
        assert_eq!(AppendSignal::never().beyond(Position::ZERO).now_or_never(), None);
    }
}
