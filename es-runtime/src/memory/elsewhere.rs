//! Projections over a log that is elsewhere: this store has no events then, and is told which stand at its checkpoints.

use super::{Log, MemoryStore};
use crate::{EventId, Position};

impl MemoryStore {
    /// The highest checkpoint, and the event that stood there.
    pub(crate) fn top(&self) -> Option<(Position, EventId)> {
        self.log().top()
    }

    /// Says which event stands at `position`.
    pub(crate) fn note(&self, position: Position, event: Option<EventId>) {
        self.log().note(position, event);
    }

    /// Says that `found` stands at the highest checkpoint instead, unless another one is the highest by now.
    pub(crate) fn note_instead(&self, top: (Position, EventId), found: Option<EventId>) {
        let mut log = self.log();
        if log.top() == Some(top) {
            log.note(top.0, found);
        }
    }
}

impl Log {
    /// Which event stands at this position.
    pub(super) fn id_at(&self, position: Position) -> Option<EventId> {
        let own = self.at(position).map(|event| event.id);
        own.or_else(|| self.elsewhere.get(&position).copied())
    }

    fn top(&self) -> Option<(Position, EventId)> {
        let checkpoints = self.projections.checkpoints();
        let of_events = checkpoints.filter_map(|stored| Some((stored.position, stored.event?)));
        of_events.max_by_key(|(position, _)| *position)
    }

    fn note(&mut self, position: Position, event: Option<EventId>) {
        let Self {
            projections, elsewhere, ..
        } = self;
        elsewhere.retain(|at, _| projections.checkpoints().any(|stored| stored.position == *at));
        match event {
            Some(event) => elsewhere.insert(position, event),
            None => elsewhere.remove(&position),
        };
    }
}
