//! What is tried is noted in the store before it is, so that whoever comes after a process that ended meanwhile knows what ended it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::store::{Advance, CommitError, CursorStore, Lease, Parked};
use crate::{EventId, Position, RecordedEvent, StoreError};

/// So many events are tried one by one after a suspicion, and so many together at first.
pub(crate) const FIRST: usize = 1_000;

/// How many processes an event may end on its own before it is not tried any more.
pub(crate) const ENDED: u32 = 3;

/// After how many processes that ended behind the same place events are tried one by one.
const SUSPICIOUS: u32 = 2;

/// The attempts of one reader.
///
/// The first events of a tenure are noted, and nothing else once they are done. Where that did not end well twice, each of the next events
/// is noted before it is tried alone.
pub(crate) struct Trial {
    store: Arc<dyn CursorStore>,
    /// Under this name the note is kept: the one event that is parked there.
    reader: String,
    /// How many processes an event may end.
    most: u32,
    /// The tenure of which the rest tells, by the epoch of its lease.
    epoch: u64,
    /// Whether the store is known to hold `note`.
    is_known: bool,
    note: Option<Note>,
    mode: Mode,
    /// The event that is tried whatever became of those who tried it before.
    pardoned: Option<Position>,
}

/// How it is done.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Nothing is done yet.
    Fresh,
    /// So many events more are noted, and tried one by one.
    Careful(usize),
    /// Nothing is noted.
    Calm,
}

/// What may be done with the next events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Turn {
    /// They may be tried together.
    Together,
    /// The first of them may be tried alone, and what it does is to be written before the next is.
    Alone,
    /// The first of them is not tried: so many processes ended while it was, of so many attempts.
    Ended { times: u32, attempts: u32 },
}

/// What is tried.
#[derive(Clone, PartialEq)]
struct Note {
    /// The event, or the first of several.
    position: Position,
    event: EventId,
    /// How often it was tried alone.
    attempts: u32,
    how: How,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct How {
    /// Who tries it. `None` if it is known what came of that.
    by: Option<String>,
    /// Whether alone, or with those behind it.
    alone: bool,
    /// How many processes ended at it, one after the other, before this one.
    ended: u32,
}

impl Note {
    fn of(event: &RecordedEvent) -> Self {
        Self {
            position: event.position,
            event: event.id,
            attempts: 0,
            how: How {
                by: None,
                alone: false,
                ended: 0,
            },
        }
    }

    fn names(&self, event: &RecordedEvent) -> bool {
        (self.position, self.event) == (event.position, event.id)
    }

    fn is_by(&self, lease: &Lease) -> bool {
        self.how.by.as_ref() == Some(&lease.owner)
    }

    /// As it is stored. Parked events have a place for text.
    fn parked(&self) -> Parked {
        Parked {
            position: self.position,
            event: self.event,
            error: serde_json::to_string(&self.how)
                .unwrap_or_else(|_| unreachable!("names and numbers have a JSON form")),
            attempts: self.attempts,
        }
    }

    /// What can be read of it by this build.
    fn read(parked: &Parked) -> Self {
        Self {
            position: parked.position,
            event: parked.event,
            attempts: parked.attempts,
            how: serde_json::from_str(&parked.error).unwrap_or(How {
                by: None,
                alone: false,
                ended: 0,
            }),
        }
    }
}

impl Trial {
    /// Keeps its note under the name `reader`.
    pub(crate) fn new(store: &Arc<dyn CursorStore>, reader: &str, most: u32) -> Self {
        Self {
            store: Arc::clone(store),
            reader: reader.to_owned(),
            most,
            epoch: 0,
            is_known: false,
            note: None,
            mode: Mode::Fresh,
            pardoned: None,
        }
    }

    /// Before `event`, and those behind it, are tried. `is_single` says that it is tried alone in any case.
    pub(crate) async fn begin(
        &mut self,
        event: &RecordedEvent,
        is_single: bool,
        lease: &Lease,
    ) -> Result<Turn, CommitError> {
        self.enter(lease);
        if self.mode == Mode::Calm {
            return Ok(Turn::Together);
        }
        self.look().await?;
        let known = self.note.as_ref().filter(|note| note.names(event)).cloned();
        // This process lives: it was kept from trying, or from noting what came of it.
        let is_own = known.as_ref().is_some_and(|note| note.is_by(lease));
        let mut next = known.unwrap_or_else(|| Note::of(event));
        next.how.ended += u32::from(next.how.by.is_some() && !is_own);
        let is_suspicious = next.how.ended >= if next.how.alone { 1 } else { SUSPICIOUS };
        if self.mode == Mode::Fresh && (is_suspicious || next.how.alone) {
            self.mode = Mode::Careful(if is_suspicious { FIRST } else { 1 });
        }
        if is_own {
            return Ok(next.turn());
        }
        if !next.how.alone && (is_single || self.is_careful()) {
            // It is not said that it was this one.
            next = Note::of(event);
            next.how.alone = true;
        }
        let How { alone, ended, .. } = next.how;
        if alone && ended >= self.most && self.pardoned != Some(event.position) {
            let attempts = next.attempts;
            return Ok(Turn::Ended { times: ended, attempts });
        }
        if is_suspicious {
            tracing::warn!(
                reader = self.reader,
                position = %event.position,
                "processes ended at this event or behind it: the next ones are tried one by one"
            );
        }
        next.attempts += u32::from(alone);
        next.how.by = Some(lease.owner.clone());
        let turn = next.turn();
        self.write(Some(next), lease).await?;
        Ok(turn)
    }

    /// Whether what an event does is to be written before the next is tried.
    pub(crate) fn is_careful(&self) -> bool {
        matches!(self.mode, Mode::Careful(_))
    }

    /// Returns whether the first events of this tenure are noted together, with no outcome yet.
    pub(crate) fn is_noted(&self, lease: &Lease) -> bool {
        self.mode == Mode::Fresh && self.is_under_way(lease)
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

    /// The event failed, and ended nobody: how often it was tried now, which is kept.
    pub(crate) async fn failed(&mut self, event: &RecordedEvent, lease: &Lease) -> Result<u32, CommitError> {
        self.enter(lease);
        self.look().await?;
        let before = self.note.as_ref().filter(|note| note.names(event) && note.how.alone);
        let attempts = match before {
            Some(note) if note.is_by(lease) => note.attempts,
            before => before.map_or(0, |note| note.attempts).saturating_add(1),
        };
        let mut note = Note::of(event);
        (note.attempts, note.how.alone) = (attempts, true);
        if !self.is_careful() {
            self.mode = Mode::Careful(1);
        }
        self.write(Some(note), lease).await?;
        Ok(attempts)
    }

    /// The event has failed so often beside others, and is to be tried alone from now on.
    pub(crate) async fn note(
        &mut self,
        event: &RecordedEvent,
        attempts: u32,
        lease: &Lease,
    ) -> Result<(), CommitError> {
        self.enter(lease);
        let mut note = Note::of(event);
        (note.attempts, note.how.alone) = (attempts, true);
        self.write(Some(note), lease).await
    }

    /// What was tried last ended nobody, and is not counted.
    pub(crate) async fn clear(&mut self, lease: &Lease) -> Result<(), CommitError> {
        if self.is_under_way(lease) {
            self.write(None, lease).await?;
        }
        Ok(())
    }

    /// Before the lease is given back: what is cut off is as if it had not been tried.
    pub(crate) async fn close(&mut self, lease: &Lease) -> Result<(), CommitError> {
        if !self.is_under_way(lease) {
            return Ok(());
        }
        let mut note = self.note.clone();
        if let Some(note) = &mut note {
            note.attempts = note.attempts.saturating_sub(1);
            note.how.by = None;
        }
        let is_worth_keeping = |note: &Note| note.attempts > 0 || note.how.ended > 0;
        self.write(note.filter(is_worth_keeping), lease).await
    }

    /// Has the event tried once more, also if it has ended too many processes.
    pub(crate) fn pardon(&mut self, position: Option<Position>) {
        self.pardoned = position;
    }

    /// Removes the note.
    pub(crate) async fn forget(&mut self, lease: &Lease) -> Result<(), CommitError> {
        self.enter(lease);
        (self.is_known, self.mode) = (false, Mode::Fresh);
        self.store.forget(&self.reader, lease).await
    }

    /// What is written to see whether the store lets itself be written to.
    pub(crate) fn nothing(&self, lease: &Lease) -> Advance {
        Advance::new(&self.reader, lease, Position::ZERO, Position::ZERO)
    }

    /// Whether something is noted as tried of which nobody knows yet what came of it.
    fn is_under_way(&self, lease: &Lease) -> bool {
        let is_own = self.note.as_ref().is_some_and(|note| note.is_by(lease));
        self.epoch == lease.epoch && self.mode != Mode::Calm && is_own
    }

    /// In each tenure it begins anew: others may have tried meanwhile.
    fn enter(&mut self, lease: &Lease) {
        if self.epoch != lease.epoch {
            (self.epoch, self.is_known, self.note, self.mode) = (lease.epoch, false, None, Mode::Fresh);
        }
    }

    /// Reads the note, unless it is known.
    async fn look(&mut self) -> Result<(), StoreError> {
        if !self.is_known {
            let parked = self.store.parked(&self.reader, Position::ZERO, 1).await?;
            self.note = parked.first().map(Note::read);
            self.is_known = true;
        }
        Ok(())
    }

    /// Puts the note in the place of the one that is there.
    async fn write(&mut self, note: Option<Note>, lease: &Lease) -> Result<(), CommitError> {
        self.look().await?;
        let old = self.note.as_ref().map(|note| note.position);
        let new = note.as_ref().map(|note| note.position);
        // If this fails or is dropped, it is read again.
        self.is_known = false;
        self.note = note;
        let advance = Advance {
            park: self.note.iter().map(Note::parked).collect(),
            unpark: old.filter(|_| old != new).into_iter().collect(),
            ..self.nothing(lease)
        };
        self.store.advance(advance).await?;
        self.is_known = true;
        Ok(())
    }
}

impl Note {
    fn turn(&self) -> Turn {
        if self.how.alone { Turn::Alone } else { Turn::Together }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{MemoryStore, Metadata, StreamId, Timestamp, Version};

    /// A process with the lease. The one before has none any more.
    struct Process {
        trial: Trial,
        lease: Lease,
    }

    impl Process {
        async fn start(store: &Arc<dyn CursorStore>, owner: &str) -> Self {
            if let Some(state) = store.lease("reader").await.unwrap()
                && let Some(before) = state.owner
            {
                let (name, epoch) = ("reader".to_owned(), state.epoch);
                let owner = before;
                store.release(&Lease { name, owner, epoch }).await.unwrap();
            }
            let lease = store.acquire("reader", owner, Duration::from_secs(60)).await.unwrap();
            Self {
                trial: Trial::new(store, "reader trial", ENDED),
                lease: lease.expect("nobody has it"),
            }
        }

        async fn begin(&mut self, position: u64) -> Turn {
            self.trial.begin(&event(position), false, &self.lease).await.unwrap()
        }

        async fn failed(&mut self, position: u64) -> u32 {
            self.trial.failed(&event(position), &self.lease).await.unwrap()
        }

        async fn close(&mut self) {
            self.trial.close(&self.lease).await.unwrap();
        }
    }

    fn event(position: u64) -> RecordedEvent {
        RecordedEvent {
            id: EventId(uuid::Uuid::from_u128(position.into())),
            stream: StreamId::new("account", "1"),
            version: Version(position),
            position: Position(position),
            name: "opened".into(),
            shape_version: 1,
            payload: "{}".into(),
            metadata: Metadata::default(),
            recorded_at: Timestamp::MIN,
        }
    }

    fn store() -> Arc<dyn CursorStore> {
        Arc::new(MemoryStore::new())
    }

    #[tokio::test]
    async fn what_ends_processes_is_found_alone_and_not_tried_any_more() {
        let store = store();
        for owner in ["a", "b"] {
            // Ended by event 2, 3 or any other behind 1.
            assert_eq!(Process::start(&store, owner).await.begin(1).await, Turn::Together);
        }
        let mut third = Process::start(&store, "c").await;
        assert_eq!(third.begin(1).await, Turn::Alone);
        third.trial.done(1);
        assert_eq!(third.begin(2).await, Turn::Alone);
        for owner in ["d", "e"] {
            assert_eq!(Process::start(&store, owner).await.begin(2).await, Turn::Alone);
        }
        let (times, attempts) = (3, 3);
        for owner in ["f", "g"] {
            let mut next = Process::start(&store, owner).await;
            assert_eq!(next.begin(2).await, Turn::Ended { times, attempts });
            next.close().await;
        }
        let mut pardoning = Process::start(&store, "h").await;
        pardoning.trial.pardon(Some(Position(2)));
        assert_eq!(pardoning.begin(2).await, Turn::Alone);
        let (times, attempts) = (4, 4);
        assert_eq!(
            Process::start(&store, "i").await.begin(2).await,
            Turn::Ended { times, attempts }
        );
    }

    #[tokio::test]
    async fn behind_what_ended_processes_one_event_is_tried_after_the_other() {
        let store = store();
        for owner in ["a", "b"] {
            Process::start(&store, owner).await.begin(1).await;
        }
        let mut careful = Process::start(&store, "c").await;
        for position in 1..=FIRST as u64 {
            assert_eq!(careful.begin(position).await, Turn::Alone);
            careful.trial.done(1);
        }
        assert_eq!(careful.begin(FIRST as u64 + 1).await, Turn::Together);
    }

    #[tokio::test]
    async fn a_single_event_that_ends_processes_is_to_blame_at_once() {
        let store = store();
        for owner in ["a", "b", "c"] {
            let Process { mut trial, lease } = Process::start(&store, owner).await;
            assert_eq!(trial.begin(&event(1), true, &lease).await.unwrap(), Turn::Alone);
        }
        let (times, attempts) = (3, 3);
        assert_eq!(
            Process::start(&store, "d").await.begin(1).await,
            Turn::Ended { times, attempts }
        );
    }

    #[tokio::test]
    async fn who_ends_in_good_order_or_lives_on_is_not_counted() {
        let store = store();
        for owner in ["a", "b", "c", "d", "e"] {
            let mut stopped = Process::start(&store, owner).await;
            assert_eq!(stopped.begin(1).await, Turn::Together);
            stopped.close().await;
        }
        for _ in 0..5 {
            // It lost the lease, and got it again.
            assert_eq!(Process::start(&store, "f").await.begin(1).await, Turn::Together);
        }
        for owner in ["g", "h", "i"] {
            Process::start(&store, owner).await.begin(1).await;
        }
        for owner in ["j", "k", "l", "m"] {
            let mut stopped = Process::start(&store, owner).await;
            assert_eq!(stopped.begin(1).await, Turn::Alone);
            stopped.close().await;
        }
    }

    #[tokio::test]
    async fn once_something_is_done_nothing_is_noted() {
        let store = store();
        let mut process = Process::start(&store, "a").await;
        process.begin(1).await;
        process.trial.done(1);
        let noted = store.parked("reader trial", Position::ZERO, 10).await.unwrap();
        assert_eq!(noted.len(), 1);
        assert_eq!(process.begin(2).await, Turn::Together);
        process.close().await;
        assert_eq!(store.parked("reader trial", Position::ZERO, 10).await.unwrap(), noted);
    }

    #[tokio::test]
    async fn attempts_that_fail_are_counted_beyond_the_end_of_a_process() {
        let store = store();
        let mut first = Process::start(&store, "a").await;
        first.begin(7).await;
        assert_eq!(first.failed(7).await, 1);
        first.begin(7).await;
        assert_eq!(first.failed(7).await, 2);
        first.close().await;
        let mut second = Process::start(&store, "b").await;
        assert_eq!(second.begin(7).await, Turn::Alone);
        // Killed meanwhile, it has tried nevertheless.
        let mut third = Process::start(&store, "c").await;
        assert_eq!(third.begin(7).await, Turn::Alone);
        assert_eq!(third.failed(7).await, 4);
        // Only those that end one after the other count.
        for owner in ["d", "e", "f"] {
            assert_eq!(Process::start(&store, owner).await.begin(7).await, Turn::Alone);
        }
        let (times, attempts) = (3, 7);
        assert_eq!(
            Process::start(&store, "g").await.begin(7).await,
            Turn::Ended { times, attempts }
        );
        assert_eq!(
            Process::start(&store, "h").await.begin(8).await,
            Turn::Together,
            "another event"
        );
    }
}
