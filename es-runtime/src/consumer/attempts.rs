//! Records each attempt before making it, so that the next process can tell which event ended the last one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::store::{CommitError, CursorStore, Kept, Lease, OwnState, StateStore};
use crate::{EventId, MemoryStore, Position, RecordedEvent, StoreError};

/// The number of events that are tried one by one after a suspicion, and together at first.
pub(crate) const FIRST: usize = 1_000;

/// The number of processes that an event may end on its own before it is not tried any more.
pub(crate) const ENDED: u32 = 3;

/// The number of processes that ended behind the same place after which events are tried one by one.
const SUSPICIOUS: u32 = 2;

/// The attempts of one reader, of which the store keeps one note.
///
/// The first events of a tenure are noted, and nothing else once they are done. Where that did not end well twice, each of the next events
/// is noted before it is tried alone.
///
/// A note is only ever put in the place of the one that was read or written last, and one of another holder is only taken up under the
/// lease: a process that has lost it cannot replace what its successor has written.
pub(crate) struct AttemptLog {
    reader: String,
    cursors: Arc<dyn CursorStore>,
    state: OwnState<Note>,
    /// The number of processes that an event may end.
    most: u32,
    /// The tenure that the rest is about, by the epoch of its lease.
    epoch: Option<u64>,
    /// The note as it was read or written last in this tenure; `None` before that.
    kept: Option<Kept<Note>>,
    /// True if another note may still be on its way to the store. The next one that is known to be written keeps it from arriving.
    is_in_doubt: bool,
    mode: Mode,
    /// The event that is tried whatever became of earlier attempts.
    pardoned: Option<Position>,
}

/// The way in which events are tried.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Nothing is done yet.
    Fresh,
    /// The next events, so many, are noted and tried one by one.
    Careful(usize),
    /// Nothing is noted.
    Calm,
}

/// The way in which the next events may be tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Attempt {
    /// They may be tried together.
    Together,
    /// The first of them may be tried alone, and what it does is to be written before the next is.
    Alone,
    /// The first of them is not tried: so many processes ended while it was, of so many attempts.
    GivenUp { ended: u32, attempts: u32 },
}

/// A note, as it is stored.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Note {
    /// The owner and the epoch of the lease under which it was written.
    owner: String,
    epoch: u64,
    /// The event that is tried, or the first of several.
    position: Position,
    event: Option<EventId>,
    /// The number of times that it was tried alone.
    attempts: u32,
    /// True if it is tried alone, and not with those behind it.
    alone: bool,
    /// The number of processes that ended at it, one after the other, before this one.
    ended: u32,
    /// The owner that tries it; `None` if the outcome is known.
    by: Option<String>,
}

impl Note {
    fn of(event: &RecordedEvent) -> Self {
        Self {
            position: event.position,
            event: Some(event.id),
            ..Self::default()
        }
    }

    fn names(&self, event: &RecordedEvent) -> bool {
        (self.position, self.event) == (event.position, Some(event.id))
    }

    fn is_tried_by(&self, lease: &Lease) -> bool {
        self.by.as_ref() == Some(&lease.owner)
    }

    fn is_written_under(&self, lease: &Lease) -> bool {
        (&self.owner, self.epoch) == (&lease.owner, lease.epoch)
    }

    fn attempt(&self) -> Attempt {
        if self.alone { Attempt::Alone } else { Attempt::Together }
    }
}

impl AttemptLog {
    /// Returns the log of `reader`. Without a store of states it is kept in memory: other processes know nothing of these attempts.
    pub(crate) fn new(
        cursors: &Arc<dyn CursorStore>,
        states: Option<&Arc<dyn StateStore>>,
        reader: &str,
        most: u32,
    ) -> Self {
        Self {
            reader: reader.to_owned(),
            cursors: Arc::clone(cursors),
            state: state_of(states.unwrap_or(&(Arc::new(MemoryStore::new()) as _)), reader),
            most,
            epoch: None,
            kept: None,
            is_in_doubt: false,
            mode: Mode::Fresh,
            pardoned: None,
        }
    }

    /// Notes that `event`, or with those behind it, is tried now, and returns how it may be. `is_single` says that it is tried alone in any
    /// case.
    pub(crate) async fn begin(
        &mut self,
        event: &RecordedEvent,
        is_single: bool,
        lease: &Lease,
    ) -> Result<Attempt, CommitError> {
        self.enter(lease);
        if self.mode == Mode::Calm {
            return Ok(Attempt::Together);
        }
        let known = self.read(lease).await?.filter(|note| note.names(event)).cloned();
        // This process lives: it was kept from trying, or from noting what came of it.
        let is_own = known.as_ref().is_some_and(|note| note.is_tried_by(lease));
        let mut next = known.unwrap_or_else(|| Note::of(event));
        next.ended += u32::from(next.by.is_some() && !is_own);
        let is_suspicious = next.ended >= if next.alone { 1 } else { SUSPICIOUS };
        if self.mode == Mode::Fresh && (is_suspicious || next.alone) {
            self.mode = Mode::Careful(if is_suspicious { FIRST } else { 1 });
        }
        if is_own {
            let attempt = next.attempt();
            if self.is_in_doubt {
                self.write(next, lease).await?;
            }
            return Ok(attempt);
        }
        if !next.alone && (is_single || self.is_careful()) {
            // It is not said that it was this one.
            next = Note::of(event);
            next.alone = true;
        }
        let Note { ended, attempts, .. } = next;
        if next.alone && ended >= self.most && self.pardoned != Some(event.position) {
            return Ok(Attempt::GivenUp { ended, attempts });
        }
        if is_suspicious {
            tracing::warn!(
                reader = self.reader,
                position = %event.position,
                "processes ended at this event or behind it: the next ones are tried one by one"
            );
        }
        next.attempts += u32::from(next.alone);
        next.by = Some(lease.owner.clone());
        let attempt = next.attempt();
        self.write(next, lease).await?;
        Ok(attempt)
    }

    /// Returns whether what an event does is to be written before the next is tried.
    pub(crate) fn is_careful(&self) -> bool {
        matches!(self.mode, Mode::Careful(_))
    }

    /// Returns whether the first events of this tenure are noted together, with no outcome yet.
    pub(crate) fn is_noted(&self, lease: &Lease) -> bool {
        self.mode == Mode::Fresh && !self.is_in_doubt && self.is_under_way(lease)
    }

    /// So many events are done.
    pub(crate) fn done(&mut self, events: usize) {
        self.mode = match self.mode {
            Mode::Careful(left) if left > events => Mode::Careful(left - events),
            _ => Mode::Calm,
        };
    }

    /// Everything is done.
    pub(crate) fn all_done(&mut self, lease: &Lease) {
        self.enter(lease);
        self.mode = Mode::Calm;
    }

    /// Notes that the event failed, and ended nobody. Returns how often it was tried now.
    pub(crate) async fn failed(&mut self, event: &RecordedEvent, lease: &Lease) -> Result<u32, CommitError> {
        self.enter(lease);
        let known = self.read(lease).await?;
        let before = known.filter(|note| note.names(event) && note.alone);
        let attempts = match before {
            Some(note) if note.is_tried_by(lease) => note.attempts,
            before => before.map_or(0, |note| note.attempts).saturating_add(1),
        };
        if !self.is_careful() {
            self.mode = Mode::Careful(1);
        }
        self.note(event, attempts, lease).await?;
        Ok(attempts)
    }

    /// Notes that the event has failed so often, and is to be tried alone from now on.
    pub(crate) async fn note(
        &mut self,
        event: &RecordedEvent,
        attempts: u32,
        lease: &Lease,
    ) -> Result<(), CommitError> {
        self.enter(lease);
        let mut note = Note::of(event);
        (note.attempts, note.alone) = (attempts, true);
        self.write(note, lease).await
    }

    /// What was tried last ended nobody, and is not counted.
    pub(crate) async fn clear(&mut self, lease: &Lease) -> Result<(), CommitError> {
        if self.is_under_way(lease) {
            self.write(Note::default(), lease).await?;
        }
        Ok(())
    }

    /// Before the lease is given back: what is cut off is as if it had not been tried.
    pub(crate) async fn close(&mut self, lease: &Lease) -> Result<(), CommitError> {
        if !self.is_under_way(lease) {
            return Ok(());
        }
        let mut note = self.read(lease).await?.cloned().unwrap_or_default();
        if note.is_tried_by(lease) {
            note.attempts = note.attempts.saturating_sub(1);
            note.by = None;
            if note.attempts == 0 && note.ended == 0 {
                note = Note::default();
            }
        }
        // In any case: one whose answer is missing may still be on its way to the store.
        self.write(note, lease).await
    }

    /// Has the event tried once more, also if it has ended too many processes.
    pub(crate) fn pardon(&mut self, position: Option<Position>) {
        self.pardoned = position;
    }

    /// Forgets every attempt: the reader begins again.
    pub(crate) async fn forget(&mut self, lease: &Lease) -> Result<(), CommitError> {
        self.enter(lease);
        self.mode = Mode::Fresh;
        match self.read(lease).await? {
            Some(_) => self.write(Note::default(), lease).await,
            None => Ok(()),
        }
    }

    /// Returns whether something may be noted as tried whose outcome is not known yet.
    fn is_under_way(&self, lease: &Lease) -> bool {
        let note = self.kept.as_ref().and_then(|kept| kept.value.as_ref());
        let is_own = self.is_in_doubt || note.is_some_and(|note| note.is_tried_by(lease));
        self.epoch == Some(lease.epoch) && self.mode != Mode::Calm && is_own
    }

    /// Forgets what was known in another tenure: others may have tried since.
    fn enter(&mut self, lease: &Lease) {
        if self.epoch != Some(lease.epoch) {
            (self.epoch, self.kept, self.is_in_doubt, self.mode) = (Some(lease.epoch), None, false, Mode::Fresh);
        }
    }

    /// Returns the note, and reads it if it is not known.
    async fn read(&mut self, lease: &Lease) -> Result<Option<&Note>, CommitError> {
        if self.kept.is_none() || self.is_in_doubt {
            let now = self.state.get().await?;
            let is_later = |note: &Note| note.epoch >= lease.epoch && !note.is_written_under(lease);
            if now.value.as_ref().is_some_and(is_later) && !self.is_held(lease).await? {
                let lease = lease.name.clone();
                return Err(CommitError::LeaseLost { lease });
            }
            self.kept = Some(now);
        }
        Ok(self.kept.as_ref().and_then(|kept| kept.value.as_ref()))
    }

    /// Returns whether the lease is held. The epoch of a note alone does not tell: leases may lie in another store, which was
    /// restored or is new.
    async fn is_held(&self, lease: &Lease) -> Result<bool, StoreError> {
        let now = self.cursors.lease(&lease.name).await?;
        Ok(now.is_some_and(|now| now.epoch == lease.epoch && now.owner.is_none_or(|owner| owner == lease.owner)))
    }

    /// Puts the note in the place of the one that is there.
    async fn write(&mut self, note: Note, lease: &Lease) -> Result<(), CommitError> {
        let note = Note {
            owner: lease.owner.clone(),
            epoch: lease.epoch,
            ..note
        };
        loop {
            self.read(lease).await?;
            let Some(kept) = &mut self.kept else { continue };
            // If this fails or is dropped, it is read again.
            self.is_in_doubt = true;
            if self.state.save(kept, Some(&note)).await? {
                (kept.sequence, kept.value) = (kept.sequence + 1, Some(note));
                self.is_in_doubt = false;
                return Ok(());
            }
        }
    }
}

fn state_of(states: &Arc<dyn StateStore>, reader: &str) -> OwnState<Note> {
    OwnState::new(states, "attempts", reader)
}

/// Removes the note of a reader that is removed.
pub(crate) async fn remove_attempts(states: &Arc<dyn StateStore>, reader: &str) -> Result<(), StoreError> {
    state_of(states, reader).remove().await
}

#[cfg(test)]
mod tests;
