//! Follows the log under a lease.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::time::{Instant, sleep_until};

use super::feed::{EVENTS, Feed};
use super::fold::{Fold, FoldError};
use super::life::chain;
use super::sql::WriteError;
use super::standing::{Standing, position_of};
use super::store::{CheckpointError, Commit, CommitError, Lease, Parked, ProjectionStore};
use super::trial::{Trial, Turn};
use super::wake::Waiter;
use super::{CommandError, Poison, Status, Unprojectable, count_parked};
use crate::store::ReadLog;
use crate::{Clock, Position, RecordedEvent, StoreError, StoreErrorKind, metrics};

/// For how long the checkpoint may stay behind if only events went by that the projection does not need.
const CHECKPOINT: Duration = Duration::from_millis(250);

/// After how long without events the rate is that of the time since.
const IDLE: Duration = Duration::from_secs(2);

/// How often is told how far it is.
const TELLING: Duration = Duration::from_secs(5);

/// Applies events to one projection. Everything here is done by one task, and may be dropped at any await: what is in memory is
/// read anew when it is taken up again.
pub(crate) struct Worker {
    pub(crate) store: Arc<dyn ProjectionStore>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) fold: Box<dyn Fold>,
    pub(crate) trial: Trial,
    pub(crate) poison: Poison,
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

/// How many are at first. Those that take little time are doubled, so that what is killed again and again gets on all the same.
pub(crate) const FIRST: usize = 1_000;

/// How long it may take to write events before half of them are tried the next time.
const LONGEST: Duration = Duration::from_secs(1);

/// Why the log is not followed any more.
pub(crate) enum Trouble {
    /// Another owner has the lease.
    LeaseLost,
    /// An event cannot be applied.
    Held { position: Position, error: Unprojectable },
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
        let mut place = self.place().await?;
        self.begin(&place, lease).await?;
        let mut is_marked = self.standing.read_mark(&*self.store).await?.is_some();
        if metrics::ON
            && let Ok(parked) = count_parked(&*self.store, &self.standing.reader).await
        {
            self.standing.metrics.has_parked(parked);
        }
        self.standing.update(|state| state.status = Status::CatchingUp);
        loop {
            let head = self.store.head().await?;
            if head < place.done {
                // The log was restored to an earlier point: the checkpoint tells whether it is one of this log.
                place = self.place().await?;
            } else if self.standing.inline && place.done < head {
                // The appends may have taken in their events.
                place = self.place_beside_appends(place).await?;
            }
            if place.done < head {
                self.waiter.found();
                let throttle = self.throttle.filter(|_| !is_marked);
                match self.catch_up(&mut place, head, throttle, lease).await {
                    Err(Trouble::Moved(_)) if self.standing.inline => continue,
                    caught_up => caught_up?,
                }
            }
            self.trial.all_done(lease);
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
                    place = self.place_beside_appends(place).await?;
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
        if self.standing.inline && self.standing.is_marked(&*self.store).await? {
            return Ok(());
        }
        self.fold.begin(&self.standing.reader, lease).await
    }

    /// Where the projection stands, as the store has it.
    async fn place(&mut self) -> Result<Place, CheckpointError> {
        self.fold.reset();
        let stored = position_of(self.store.checkpoint(&self.standing.reader).await?);
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
    async fn place_beside_appends(&mut self, before: Place) -> Result<Place, CheckpointError> {
        let place = self.place().await?;
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
        let mut place = self.place().await?;
        self.begin(&place, lease).await?;
        if place.done < head {
            self.catch_up(&mut place, head, self.throttle, lease).await?;
        }
        if place.stored < place.done {
            let commit = checkpoint(self.standing.reader.clone(), place.stored, place.done, lease);
            self.store.commit(commit).await?;
        }
        Ok(())
    }

    /// Its events behind `after` and up to `to`.
    fn feed(&self, after: Position, to: Position) -> Feed {
        let (store, filter) = (Arc::clone(&self.store), self.fold.filter());
        Feed::new(store, filter, self.standing.segment, after, to)
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
        let seconds = (head.0 - done.0) as f64 / rate;
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
            let most = events.len().min(at_once);
            let count = match self.trial.begin(first, most == 1, lease).await? {
                Turn::Together => most,
                Turn::Alone => 1,
                Turn::Ended { times, attempts } => {
                    let error = Unprojectable::Ended { times };
                    self.refuse(place, first, error, attempts, lease).await?;
                    (events, at_once) = (&events[1..], self.limit);
                    continue;
                }
            };
            let (part, rest) = events.split_at(count);
            let until = if rest.is_empty() { to } else { part[count - 1].position };
            match self.apply(place, part, until, lease).await {
                Ok(()) => {
                    self.trial.done(count);
                    events = rest;
                    at_once = self.limit;
                }
                Err(WriteError::Commit(error)) => return Err(error.into()),
                Err(WriteError::Poison { index, error }) => {
                    self.fold.reset();
                    // Those before it are applied on their own; where nobody can tell which it is, the first half.
                    at_once = index.unwrap_or(part.len() / 2);
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

    /// Applies and writes `events` together. If they change nothing, the checkpoint has time.
    async fn apply(
        &mut self,
        place: &mut Place,
        events: &[RecordedEvent],
        to: Position,
        lease: &Lease,
    ) -> Result<(), WriteError> {
        let (timer, began) = (metrics::Timer::start(), Instant::now());
        let changes = self.fold.fold(events).await?;
        if changes || self.trial.is_careful() {
            let commit = self.commit(place, to, Aside::default(), lease);
            if let Err(error) = self.fold.write(commit).await {
                if matches!(&error, WriteError::Commit(CommitError::Store(error)) if error.kind() == StoreErrorKind::Rejected)
                {
                    // One event may be to blame: those before it need not wait for it.
                    self.limit = (events.len() / 2).max(1);
                }
                return Err(error);
            }
            if began.elapsed() > LONGEST {
                self.limit = (events.len() / 2).max(1);
            } else if events.len() >= self.limit {
                self.limit = (self.limit * 2).min(LIMIT);
            }
            self.written(place, to);
        }
        self.fold.committed();
        self.standing.metrics.took(events.len());
        self.standing.metrics.worked(timer);
        self.done(place, to, events.len());
        Ok(())
    }

    /// Holds before an event that cannot be applied, or parks it.
    async fn refuse(
        &mut self,
        place: &mut Place,
        event: &RecordedEvent,
        error: Unprojectable,
        attempts: u32,
        lease: &Lease,
    ) -> Result<(), Trouble> {
        let position = event.position;
        let name = self.standing.name;
        self.standing.count(&error);
        if self.poison == Poison::Hold {
            if !matches!(error, Unprojectable::Ended { .. }) {
                self.trial.clear(lease).await?;
            }
            return Err(Trouble::Held { position, error });
        }
        tracing::error!(projection = name, %position, %error, "a projection parks an event that it cannot apply");
        let aside = Aside {
            park: vec![parked(event, &error, attempts)],
            ..Aside::default()
        };
        self.store.commit(self.commit(place, position, aside, lease)).await?;
        self.trial.done(1);
        self.standing.metrics.parked();
        self.written(place, position);
        self.done(place, position, 1);
        Ok(())
    }

    /// What is written when the checkpoint goes to `to`, but for what is folded.
    fn commit(&self, place: &Place, to: Position, aside: Aside, lease: &Lease) -> Commit {
        Commit {
            park: aside.park,
            unpark: aside.unpark,
            ..checkpoint(self.standing.reader.clone(), place.stored, to, lease)
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
        let commit = checkpoint(self.standing.reader.clone(), place.stored, place.done, lease);
        self.store.commit(commit).await?;
        place.stored = place.done;
        place.stored_at = Instant::now();
        Ok(Duration::MAX)
    }

    /// Says that the rows may be shown: they are as new as the log was. Of several segments, the last one says it.
    async fn mark(&mut self, done: Position, lease: &Lease) -> Result<(), Trouble> {
        let mut is_own = true;
        for mark in self.standing.marks() {
            let is_there = self.store.checkpoint(&mark).await?.is_some();
            if is_own && !is_there {
                self.store.commit(checkpoint(mark, Position::ZERO, done, lease)).await?;
            } else if !is_there {
                return Ok(());
            }
            is_own = false;
        }
        let commit = checkpoint(self.standing.mark.clone(), Position::ZERO, done, lease);
        match self.store.commit(commit).await {
            // Two were the last at once.
            Err(CommitError::Moved { .. }) if !self.standing.segment.is_whole() => {}
            marked => marked?,
        }
        self.standing.read_mark(&*self.store).await?;
        tracing::info!(projection = self.standing.name, position = %done, "a projection is built");
        Ok(())
    }

    /// Removes all rows, so that the next [`follow`](Self::follow) begins at the first event.
    pub(crate) async fn rebuild(&mut self, lease: &Lease) -> Result<(), CommandError> {
        let Standing { name, reader, mark, .. } = &*self.standing;
        // Before the rows go, so that nobody who waits for them takes them for there.
        self.standing.update(|state| state.done = Some(Position::ZERO));
        // The mark first: whoever reads a row now finds it gone when he looks again.
        let forgotten = self.store.forget(mark, None, lease).await;
        forgotten.map_err(|error| refused(name, error))?;
        let forgotten = self.fold.forget(reader, lease).await;
        forgotten.map_err(|error| refused(name, error))?;
        let forgotten = self.trial.forget(lease).await;
        forgotten.map_err(|error| refused(name, error))?;
        self.standing.read_mark(&*self.store).await?;
        tracing::info!(projection = name, "a projection is built anew");
        Ok(())
    }

    /// Applies a parked event, or the one before which the projection holds, with today's code.
    pub(crate) async fn retry(&mut self, position: Position, lease: &Lease) -> Result<(), CommandError> {
        let mut place = self.place().await?;
        let begun = self.begin(&place, lease).await;
        begun.map_err(|error| refused(self.standing.name, error))?;
        let Some(parked) = self.parked(position).await? else {
            return self.retry_held(&mut place, position, lease).await;
        };
        let event = self.event(position).await?;
        // Before it is tried, as that may end the process.
        let attempts = parked.attempts.saturating_add(1);
        let aside = Aside {
            park: vec![Parked { attempts, ..parked }],
            ..Aside::default()
        };
        self.write_aside(&place, place.stored, aside, lease).await?;
        match self.unpark(&place, &event, lease).await {
            Ok(()) => {
                self.standing.metrics.took(1);
                Ok(())
            }
            Err(WriteError::Commit(error)) => Err(refused(self.standing.name, error)),
            Err(WriteError::Poison { error, .. }) => {
                self.fold.reset();
                self.standing.count(&error);
                let aside = Aside {
                    park: vec![self::parked(&event, &error, attempts)],
                    ..Aside::default()
                };
                self.write_aside(&place, place.stored, aside, lease).await?;
                Err(CommandError::Failed(error))
            }
        }
    }

    /// Applies an event that is parked.
    async fn unpark(&mut self, place: &Place, event: &RecordedEvent, lease: &Lease) -> Result<(), WriteError> {
        self.fold.fold(std::slice::from_ref(event)).await?;
        let aside = Aside {
            unpark: vec![event.position],
            ..Aside::default()
        };
        self.fold.write(self.commit(place, place.stored, aside, lease)).await
    }

    async fn retry_held(&mut self, place: &mut Place, position: Position, lease: &Lease) -> Result<(), CommandError> {
        let projection = self.standing.name;
        if position <= place.stored || position > self.store.head().await? {
            return Err(CommandError::NotParked { projection, position });
        }
        self.trial.pardon(Some(position));
        match self.catch_up(place, position, None, lease).await {
            Err(Trouble::Held { position: at, error }) if at == position => Err(CommandError::Failed(error)),
            caught_up => caught_up.map_err(|trouble| trouble.refused(projection, position)),
        }
    }

    /// Gives up a parked event, or the one before which the projection holds.
    pub(crate) async fn skip(&mut self, position: Position, reason: &str, lease: &Lease) -> Result<(), CommandError> {
        let mut place = self.place().await?;
        let begun = self.begin(&place, lease).await;
        begun.map_err(|error| refused(self.standing.name, error))?;
        let (to, unpark) = match self.parked(position).await? {
            Some(_) => (place.stored, vec![position]),
            None => {
                let held = self.held(&mut place, position, lease).await?;
                (held.position, Vec::new())
            }
        };
        let aside = Aside {
            unpark,
            ..Aside::default()
        };
        self.write_aside(&place, to, aside, lease).await?;
        tracing::warn!(projection = self.standing.name, %position, reason, "an event was given up");
        Ok(())
    }

    async fn write_aside(
        &mut self,
        place: &Place,
        to: Position,
        aside: Aside,
        lease: &Lease,
    ) -> Result<(), CommandError> {
        let commit = self.commit(place, to, aside, lease);
        let committed = self.store.commit(commit).await;
        committed.map_err(|error| refused(self.standing.name, error))
    }

    /// The event at `position`, if it is the next that cannot be applied. Those before it are.
    async fn held(
        &mut self,
        place: &mut Place,
        position: Position,
        lease: &Lease,
    ) -> Result<RecordedEvent, CommandError> {
        let projection = self.standing.name;
        let not_parked = CommandError::NotParked { projection, position };
        if position <= place.stored {
            return Err(not_parked);
        }
        let mut feed = self.feed(place.done, position);
        loop {
            let mut batch = feed.next().await?;
            let last = if batch.ends { batch.events.pop() } else { None };
            if let Some(before) = batch.events.last() {
                let to = before.position;
                let written = self.write(place, &batch.events, to, lease).await;
                written.map_err(|trouble| trouble.refused(projection, position))?;
            }
            if batch.ends {
                let Some(event) = last.filter(|event| event.position == position) else {
                    return Err(not_parked);
                };
                return self.is_held(&event, lease).await?.then_some(event).ok_or(not_parked);
            }
        }
    }

    /// Whether the event cannot be applied.
    async fn is_held(&mut self, event: &RecordedEvent, lease: &Lease) -> Result<bool, CommandError> {
        let refused = |error| refused(self.standing.name, error);
        if let Turn::Ended { .. } = self.trial.begin(event, true, lease).await.map_err(refused)? {
            return Ok(true);
        }
        let is_held = match self.fold.attempt(event).await {
            Ok(()) => false,
            Err(FoldError::Poison { .. }) => true,
            Err(FoldError::Store(error)) => return Err(error.into()),
        };
        self.trial.clear(lease).await.map_err(refused)?;
        Ok(is_held)
    }

    async fn parked(&self, position: Position) -> Result<Option<Parked>, StoreError> {
        let before = Position(position.0.saturating_sub(1));
        let parked = self.store.parked(&self.standing.reader, before, 1).await?;
        Ok(parked.into_iter().find(|parked| parked.position == position))
    }

    async fn event(&self, position: Position) -> Result<RecordedEvent, StoreError> {
        let query = ReadLog::new().from(position).to(position);
        let event = self.store.read_log(query).try_next().await?;
        event.ok_or_else(|| {
            let message = format!("the parked event at position {position} is not in the log");
            StoreError::new(StoreErrorKind::Corrupt, message)
        })
    }
}

/// Moves a checkpoint, and nothing else.
pub(crate) fn checkpoint(reader: String, from: Position, to: Position, lease: &Lease) -> Commit {
    Commit {
        reader,
        lease: lease.clone(),
        from,
        to,
        table: None,
        rows: Vec::new(),
        park: Vec::new(),
        unpark: Vec::new(),
    }
}

impl Trouble {
    /// As the answer to an order about the event at `position`.
    fn refused(self, projection: &'static str, position: Position) -> CommandError {
        match self {
            Self::LeaseLost => CommandError::Elsewhere { projection },
            Self::Held { .. } => CommandError::NotParked { projection, position },
            Self::Diverged(error) => CommandError::Checkpoint(error),
            Self::Moved(error) | Self::Store(error) => CommandError::Store(error),
        }
    }
}

pub(crate) fn refused(projection: &'static str, error: CommitError) -> CommandError {
    // It names no event, so that no position is told.
    Trouble::from(error).refused(projection, Position::ZERO)
}

fn parked(event: &RecordedEvent, error: &Unprojectable, attempts: u32) -> Parked {
    Parked {
        position: event.position,
        event: event.id,
        // Which no database takes in text.
        error: chain(error).replace('\0', "\u{fffd}"),
        attempts,
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

/// Not more than so many events in a second.
struct Pace {
    per_second: u32,
    since: Instant,
    events: u32,
}

impl Pace {
    fn new(per_second: u32) -> Self {
        Self {
            per_second: per_second.max(1),
            since: Instant::now(),
            events: 0,
        }
    }

    /// How many are applied between two looks at the time.
    fn at_once(&self) -> usize {
        usize::try_from(self.per_second / 10).unwrap_or(usize::MAX).max(1)
    }

    /// So many events more were applied: waits until they may have been.
    async fn keep(&mut self, events: usize) {
        self.events = self.events.saturating_add(u32::try_from(events).unwrap_or(u32::MAX));
        let due = Duration::from_secs_f64(f64::from(self.events) / f64::from(self.per_second));
        sleep_until(self.since + due).await;
    }
}
