//! Follows the log under a lease.

mod orders;
mod pace;
mod park;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::feed::{EVENTS, Feed};
use super::fold::Fold;
use super::sql::WriteError;
use super::standing::Standing;
use super::{ApplyError, OnFailure, Status};
use crate::consumer::{Attempt, AttemptLog, Cursors, Sequences, Waiter, count_parked, position_of};
use crate::store::{Advance, CheckpointError, CommitError, Lease, Parked, RowStore};
use crate::{Clock, Position, RecordedEvent, StoreError, StoreErrorKind, metrics};

pub(crate) use orders::refused;
use pace::Pace;
use park::Part;

/// For how long the checkpoint may stay behind if only events went by that the projection does not need.
const CHECKPOINT: Duration = Duration::from_millis(250);

/// After how long without events the rate is that of the time since.
const IDLE: Duration = Duration::from_secs(2);

/// How often is told how far it is.
const TELLING: Duration = Duration::from_secs(5);

/// Applies events to one projection. Everything here is done by one task, and may be dropped at any await: what is in memory is
/// read anew when it is taken up again.
pub(crate) struct Worker {
    pub(crate) cursors: Cursors,
    /// Where the rows are that are built beside others.
    pub(crate) rows: Arc<dyn RowStore>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) fold: Box<dyn Fold>,
    pub(crate) attempts: AttemptLog,
    /// The parked events, and those that stand behind them.
    pub(crate) sequences: Sequences,
    pub(crate) poison: OnFailure,
    pub(crate) waiter: Waiter,
    pub(crate) clock: Arc<dyn Clock>,
    /// How many events are written at once.
    pub(crate) limit: usize,
    /// How many events are applied in a second at most while rows are built.
    pub(crate) throttle: Option<u32>,
    /// Whether something was written, or all was found done, since the last trouble.
    pub(crate) progressed: bool,
}

/// How many events are written at once at most: all that were read together.
pub(crate) const LIMIT: usize = EVENTS;

/// How long it may take to write events before half of them are tried the next time.
const LONGEST: Duration = Duration::from_secs(1);

/// Why the log is not followed any more.
pub(crate) enum Trouble {
    /// Another owner has the lease.
    LeaseLost,
    /// An event cannot be applied.
    Held { position: Position, error: ApplyError },
    /// The checkpoint is not one of this log.
    Diverged(CheckpointError),
    /// The checkpoint was moved by another one.
    Moved(StoreError),
    /// The store failed.
    Store(StoreError),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseLost => f.write_str("another owner has the lease"),
            Self::Held { position, error } => write!(f, "the event at {position} cannot be applied: {error}"),
            Self::Diverged(error) => error.fmt(f),
            Self::Moved(error) | Self::Store(error) => error.fmt(f),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<CheckpointError> for Trouble {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Store(error) => Self::Store(error),
            diverged @ CheckpointError::Diverged { .. } => Self::Diverged(diverged),
        }
    }
}

impl From<CommitError> for Trouble {
    /// After each of these the checkpoint is read before anything else is done: it tells what became of the commit.
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::LeaseLost { .. } => Self::LeaseLost,
            CommitError::Store(error) | CommitError::Indeterminate(error) => Self::Store(error),
            // Somebody was faster: what is there now is read before it is tried again.
            stale @ (CommitError::Moved { .. } | CommitError::NotParked { .. }) => {
                let message = stale.to_string();
                Self::Moved(StoreError::new(StoreErrorKind::Unavailable, message).caused_by(stale))
            }
        }
    }
}

/// How far the projection is.
struct Place {
    /// Its checkpoint.
    stored: Position,
    /// Up to here nothing is left to apply: above `stored` if the last events were none that it needs.
    done: Position,
    /// The end of the log, or how far it is to come.
    head: Position,
    /// When the checkpoint was written last.
    stored_at: Instant,
    /// When the rate was reckoned last, and how many events were applied since.
    reckoned_at: Instant,
    applied: usize,
}

/// What is written besides rows.
#[derive(Default)]
struct Aside {
    park: Vec<Parked>,
    unpark: Vec<Position>,
}

impl Worker {
    /// Applies what is there, and then what comes.
    pub(crate) async fn follow(&mut self, lease: &Lease) -> Result<Infallible, Trouble> {
        let mut place = self.place(lease).await?;
        self.begin(&place, lease).await?;
        let mut is_marked = self.standing.read_mark(&self.cursors).await?.is_some();
        if metrics::ON
            && let Ok(parked) = count_parked(&*self.cursors.store, &self.standing.reader).await
        {
            self.standing.metrics.has_parked(parked);
        }
        self.standing.update(|state| state.status = Status::CatchingUp);
        loop {
            let head = self.cursors.log.head().await?;
            if head < place.done {
                // The log was restored to an earlier point: the checkpoint tells whether it is one of this log.
                place = self.place(lease).await?;
            } else if self.standing.inline && place.done < head {
                // The appends may have taken in their events.
                place = self.place_beside_appends(place, lease).await?;
            }
            if place.done < head {
                self.waiter.found();
                let throttle = self.throttle.filter(|_| !is_marked);
                match self.catch_up(&mut place, head, throttle, lease).await {
                    Err(Trouble::Moved(_)) if self.standing.inline => continue,
                    caught_up => caught_up?,
                }
            }
            self.attempts.all_done(lease);
            self.stand(&place, None);
            if !is_marked {
                self.mark(place.done, lease).await?;
                is_marked = true;
            }
            self.standing.update(|state| {
                state.status = Status::Live;
                state.failure = None;
            });
            self.progressed = true;
            let longest = match self.keep_checkpoint(&mut place, lease).await {
                Err(Trouble::Moved(_)) if self.standing.inline => {
                    place = self.place_beside_appends(place, lease).await?;
                    continue;
                }
                longest => longest?,
            };
            self.waiter.wait(longest).await;
            if place.reckoned_at.elapsed() > IDLE
                && let Some(rate) = place.rate()
            {
                self.standing.update(|state| state.rate = rate);
            }
        }
    }

    /// Sees to it that nothing is there if no event counts yet.
    async fn begin(&self, place: &Place, lease: &Lease) -> Result<(), CommitError> {
        // Before the first segment began, nothing was there.
        if place.stored > Position::ZERO || !self.standing.segment.is_whole() {
            return Ok(());
        }
        // From then on the first append may write rows at any moment.
        if self.standing.inline && self.standing.is_marked(&self.cursors).await? {
            return Ok(());
        }
        self.fold.begin(&self.standing.reader, lease).await
    }

    /// Where the projection stands, as the store has it.
    async fn place(&mut self, lease: &Lease) -> Result<Place, CheckpointError> {
        self.fold.reset();
        self.enter(lease).await?;
        let stored = position_of(self.cursors.checkpoint(&self.standing.reader).await?);
        self.standing.update(|state| state.done = Some(stored));
        let now = Instant::now();
        Ok(Place {
            stored,
            done: stored,
            head: stored,
            stored_at: now,
            reckoned_at: now,
            applied: 0,
        })
    }

    /// Where an inline projection stands, whose checkpoint appends move too. What is between it and what was done needs nothing.
    async fn place_beside_appends(&mut self, before: Place, lease: &Lease) -> Result<Place, CheckpointError> {
        let place = self.place(lease).await?;
        let stored = place.stored;
        if stored < before.stored {
            // It begins anew.
            return Ok(place);
        }
        let done = before.done.max(stored);
        self.standing.update(|state| state.done = Some(done));
        let head = before.head.max(done);
        Ok(Place {
            stored,
            done,
            head,
            ..before
        })
    }

    /// Applies all events up to `head`, and moves the checkpoint there.
    pub(crate) async fn advance(&mut self, head: Position, lease: &Lease) -> Result<(), Trouble> {
        let mut place = self.place(lease).await?;
        self.begin(&place, lease).await?;
        if place.done < head {
            self.catch_up(&mut place, head, self.throttle, lease).await?;
        }
        if place.stored < place.done {
            let commit = Advance::new(&self.standing.reader, lease, place.stored, place.done);
            self.cursors.advance(commit).await?;
        }
        Ok(())
    }

    /// Its events behind `after` and up to `to`.
    fn feed(&self, after: Position, to: Position) -> Feed {
        let (log, filter) = (Arc::clone(&self.cursors.log), self.fold.filter());
        Feed::new(log, filter, self.standing.segment, after, to)
    }

    /// Applies all events up to `head`, so many in a second at most.
    async fn catch_up(
        &mut self,
        place: &mut Place,
        head: Position,
        throttle: Option<u32>,
        lease: &Lease,
    ) -> Result<(), Trouble> {
        let mut feed = self.feed(place.done, head);
        let mut limiter = throttle.map(Pace::new);
        let mut told = None;
        place.head = head;
        loop {
            let batch = feed.next().await?;
            let to = match batch.events.last() {
                Some(last) if !batch.ends => last.position,
                _ => head,
            };
            let at_once = limiter.as_ref().map_or(usize::MAX, Pace::at_once);
            let mut events = &*batch.events;
            while let Some((part, rest)) = events.split_at_checked(at_once)
                && let (Some(limiter), Some(last)) = (&mut limiter, part.last())
                && !rest.is_empty()
            {
                self.write(place, part, last.position, lease).await?;
                limiter.keep(part.len()).await;
                self.tell(place, &mut told);
                events = rest;
            }
            self.write(place, events, to, lease).await?;
            if batch.ends {
                return Ok(());
            }
            if let Some(limiter) = &mut limiter {
                limiter.keep(events.len()).await;
            }
            self.tell(place, &mut told);
        }
    }

    /// Measures how far it is behind: `next` is the first event that is not applied.
    fn stand(&self, place: &Place, next: Option<&RecordedEvent>) {
        let next = next.map(|event| event.recorded_at);
        let Place { done, head, .. } = *place;
        self.standing.metrics.stand(done, head, next, &*self.clock);
    }

    /// Says how far it is, if it is time and the rate is known.
    fn tell(&self, place: &Place, told: &mut Option<Instant>) {
        if told.is_some_and(|told| told.elapsed() < TELLING) {
            return;
        }
        let rate = self.standing.state().rate;
        if rate <= 0.0 {
            return;
        }
        *told = Some(Instant::now());
        let Place { done, head, .. } = *place;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = head.0.saturating_sub(done.0) as f64 / rate;
        tracing::info!(
            projection = self.standing.name,
            version = self.standing.version,
            beside = self.standing.table.beside,
            segment = self.standing.segment.number(),
            done = done.0,
            total = head.0,
            rate,
            seconds,
            "a projection catches up"
        );
    }

    /// Applies `events`, which are all that is to be applied up to `to`.
    async fn write(
        &mut self,
        place: &mut Place,
        mut events: &[RecordedEvent],
        to: Position,
        lease: &Lease,
    ) -> Result<(), Trouble> {
        let mut at_once = self.limit;
        while let Some(first) = events.first() {
            self.stand(place, Some(first));
            let behind = self.park_behind(place, events, lease).await?;
            if behind > 0 {
                events = &events[behind..];
                continue;
            }
            let most = events.len().min(at_once);
            let count = match self.attempts.begin(first, most == 1, lease).await? {
                Attempt::Together => most,
                Attempt::Alone => 1,
                Attempt::GivenUp { ended, attempts } => {
                    let error = ApplyError::Ended { times: ended };
                    self.refuse(place, first, error, attempts, lease).await?;
                    (events, at_once) = (&events[1..], self.limit);
                    continue;
                }
            };
            let part = self.part(&events[..count]);
            let (taken, rest) = events.split_at(part.taken);
            let until = if rest.is_empty() {
                to
            } else {
                taken[taken.len() - 1].position
            };
            match self.apply(place, &part, until, lease).await {
                Ok(()) => {
                    self.attempts.done(part.taken);
                    events = rest;
                    at_once = self.limit;
                }
                Err(WriteError::Commit(error)) => return Err(error.into()),
                Err(WriteError::Poison { index, error }) => {
                    self.fold.reset();
                    self.take_back(&part);
                    // Those before it are applied on their own; where nobody can tell which it is, the first half.
                    at_once = part.place_of(index.unwrap_or(part.free().len() / 2));
                    if at_once == 0 {
                        self.refuse(place, first, error, 1, lease).await?;
                        events = &events[1..];
                        at_once = self.limit;
                    }
                }
            }
        }
        place.done = place.done.max(to);
        let done = place.done;
        self.standing.update(|state| state.done = Some(done));
        Ok(())
    }

    /// Applies those events that stand behind nothing, parks the others, and writes it together. If nothing changes, the checkpoint has time.
    async fn apply(
        &mut self,
        place: &mut Place,
        part: &Part<'_>,
        to: Position,
        lease: &Lease,
    ) -> Result<(), WriteError> {
        let (timer, began) = (metrics::Timer::start(), Instant::now());
        let events = part.free();
        let changes = self.fold.fold(events).await?;
        if changes || self.attempts.is_careful() || !part.behind.is_empty() {
            let aside = Aside {
                park: part.behind.clone(),
                ..Aside::default()
            };
            let mut advance = self.moved(place, to, aside, lease);
            advance.event = events.last().filter(|last| last.position == to).map(|last| last.id);
            if let Err(error) = self.write_with(advance).await {
                return Err(if changes {
                    self.blame(place, error, events.len(), lease).await
                } else {
                    error
                });
            }
            if began.elapsed() > LONGEST {
                self.limit = (part.taken / 2).max(1);
            } else if part.taken >= self.limit {
                self.limit = (self.limit * 2).min(LIMIT);
            }
            self.written(place, to);
        }
        self.fold.committed();
        self.parked_behind(part);
        self.standing.metrics.took(events.len());
        self.standing.metrics.worked(timer);
        self.done(place, to, part.taken);
        Ok(())
    }

    /// Writes what was folded last together with the new checkpoint.
    async fn write_with(&mut self, mut advance: Advance) -> Result<(), WriteError> {
        self.cursors.identify(&mut advance).await?;
        self.fold.write(advance).await
    }

    /// The error of a write of what so many events change. If the store will refuse it again, one of several events is to blame, and
    /// a single one if the store takes all else.
    async fn blame(&mut self, place: &Place, error: WriteError, events: usize, lease: &Lease) -> WriteError {
        match error {
            WriteError::Commit(CommitError::Store(error)) if error.kind() == StoreErrorKind::Rejected => {
                self.fold.reset();
                let nothing = self.moved(place, place.stored, Aside::default(), lease);
                if events == 1 && self.write_with(nothing).await.is_err() {
                    return WriteError::Commit(CommitError::Store(error));
                }
                // They may be too much for it together.
                self.limit = (events / 2).max(1);
                let error = ApplyError::Rejected(error);
                WriteError::Poison { index: None, error }
            }
            error => error,
        }
    }

    /// What is written when the checkpoint goes to `to`, but for what is folded.
    fn moved(&self, place: &Place, to: Position, aside: Aside, lease: &Lease) -> Advance {
        Advance {
            park: aside.park,
            unpark: aside.unpark,
            ..Advance::new(&self.standing.reader, lease, place.stored, to)
        }
    }

    /// The checkpoint is at `to`.
    fn written(&mut self, place: &mut Place, to: Position) {
        self.progressed = true;
        place.stored = to;
        place.stored_at = Instant::now();
    }

    /// So many events more are applied, up to `to`.
    fn done(&self, place: &mut Place, to: Position, events: usize) {
        place.done = to;
        place.applied += events;
        let rate = place.rate();
        self.standing.update(|state| {
            state.done = Some(to);
            if let Some(rate) = rate {
                state.rate = rate;
            }
        });
    }

    /// Writes the checkpoint if it is due, and gives the time until it may be.
    async fn keep_checkpoint(&mut self, place: &mut Place, lease: &Lease) -> Result<Duration, Trouble> {
        if place.done == place.stored {
            return Ok(Duration::MAX);
        }
        let waited = place.stored_at.elapsed();
        if waited < CHECKPOINT {
            return Ok(CHECKPOINT.saturating_sub(waited));
        }
        let commit = Advance::new(&self.standing.reader, lease, place.stored, place.done);
        self.cursors.advance(commit).await?;
        place.stored = place.done;
        place.stored_at = Instant::now();
        Ok(Duration::MAX)
    }

    /// Says that the rows may be shown: they are as new as the log was. Of several segments, the last one says it.
    async fn mark(&mut self, done: Position, lease: &Lease) -> Result<(), Trouble> {
        let mut is_own = true;
        for mark in self.standing.marks() {
            let is_there = self.cursors.checkpoint(&mark).await?.is_some();
            if is_own && !is_there {
                self.cursors
                    .advance(Advance::new(mark, lease, Position::ZERO, done))
                    .await?;
            } else if !is_there {
                return Ok(());
            }
            is_own = false;
        }
        let commit = Advance::new(&self.standing.mark, lease, Position::ZERO, done);
        match self.cursors.advance(commit).await {
            // Two were the last at once.
            Err(CommitError::Moved { .. }) if !self.standing.segment.is_whole() => {}
            marked => marked?,
        }
        self.standing.read_mark(&self.cursors).await?;
        tracing::info!(projection = self.standing.name, position = %done, "a projection is built");
        Ok(())
    }
}

impl Place {
    /// Events in a second, smoothed; `None` if it is too early to say.
    fn rate(&mut self) -> Option<f64> {
        let seconds = self.reckoned_at.elapsed().as_secs_f64();
        if seconds < 0.25 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let rate = self.applied as f64 / seconds;
        (self.reckoned_at, self.applied) = (Instant::now(), 0);
        Some(rate)
    }
}
