//! Follows the log under a lease.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::time::Instant;

use super::feed::Feed;
use super::fold::{Fold, FoldError};
use super::standing::{Standing, position_of};
use super::store::{CheckpointError, Commit, CommitError, Lease, Parked, ProjectionStore, RowChange};
use super::wake::Waiter;
use super::{CommandError, Poison, Status, Unprojectable};
use crate::store::ReadLog;
use crate::{Position, RecordedEvent, StoreError, StoreErrorKind};

/// For how long the checkpoint may stay behind if only events went by that the projection does not need.
const CHECKPOINT: Duration = Duration::from_millis(250);

/// Applies events to one projection. Everything here is done by one task, and may be dropped at any await: what is in memory is
/// read anew when it is taken up again.
pub(crate) struct Worker {
    pub(crate) store: Arc<dyn ProjectionStore>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) fold: Box<dyn Fold>,
    pub(crate) poison: Poison,
    pub(crate) waiter: Waiter,
    /// How many events are written at once.
    pub(crate) limit: usize,
    /// Whether something was written, or all was found done, since the last trouble.
    pub(crate) progressed: bool,
}

/// How many events are written at once, as a rule.
pub(crate) const LIMIT: usize = 4_000;

/// Why the log is not followed any more.
pub(crate) enum Trouble {
    /// Another owner has the lease.
    LeaseLost,
    /// An event cannot be applied.
    Held { position: Position, error: Unprojectable },
    /// The checkpoint is not one of this log.
    Diverged(CheckpointError),
    /// The store failed.
    Store(StoreError),
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
                Self::Store(StoreError::new(StoreErrorKind::Unavailable, stale.to_string()))
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
        let mut is_marked = self.standing.read_mark(&*self.store).await?.is_some();
        self.standing.update(|state| state.status = Status::CatchingUp);
        loop {
            let head = self.store.head().await?;
            if place.done < head {
                self.waiter.found();
                self.catch_up(&mut place, head, lease).await?;
            }
            if !is_marked {
                self.mark(place.done, lease).await?;
                is_marked = true;
            }
            self.standing.update(|state| {
                state.status = Status::Live;
                state.failure = None;
            });
            self.progressed = true;
            let longest = self.keep_checkpoint(&mut place, lease).await?;
            self.waiter.wait(longest).await;
        }
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
            stored_at: now,
            reckoned_at: now,
            applied: 0,
        })
    }

    /// Applies all events up to `head`.
    async fn catch_up(&mut self, place: &mut Place, head: Position, lease: &Lease) -> Result<(), Trouble> {
        let mut feed = Feed::new(Arc::clone(&self.store), self.fold.filter(), place.done, head);
        loop {
            let batch = feed.next().await?;
            let to = match batch.events.last() {
                Some(last) if !batch.ends => last.position,
                _ => head,
            };
            self.write(place, &batch.events, to, lease).await?;
            if batch.ends {
                return Ok(());
            }
        }
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
        while let Some(last) = events[..events.len().min(at_once)].last() {
            let (part, rest) = events.split_at(events.len().min(at_once));
            let until = if rest.is_empty() { to } else { last.position };
            match self.fold.fold(part).await {
                Ok(rows) => {
                    self.commit(place, until, rows, Aside::default(), part.len(), lease)
                        .await?;
                    events = rest;
                    at_once = self.limit;
                }
                Err(FoldError::Store(error)) => return Err(error.into()),
                Err(FoldError::Poison { index: 0, error }) => {
                    self.fold.reset();
                    self.refuse(place, &part[0], error, lease).await?;
                    events = &events[1..];
                    at_once = self.limit;
                }
                // Those before it are applied on their own.
                Err(FoldError::Poison { index, .. }) => {
                    self.fold.reset();
                    at_once = index;
                }
            }
        }
        place.done = place.done.max(to);
        let done = place.done;
        self.standing.update(|state| state.done = Some(done));
        Ok(())
    }

    /// Holds before an event that cannot be applied, or parks it.
    async fn refuse(
        &mut self,
        place: &mut Place,
        event: &RecordedEvent,
        error: Unprojectable,
        lease: &Lease,
    ) -> Result<(), Trouble> {
        let position = event.position;
        let name = self.standing.name;
        if self.poison == Poison::Hold {
            return Err(Trouble::Held { position, error });
        }
        tracing::error!(projection = name, %position, %error, "a projection parks an event that it cannot apply");
        let aside = Aside {
            park: vec![parked(event, &error, 1)],
            ..Aside::default()
        };
        self.commit(place, position, Vec::new(), aside, 1, lease).await
    }

    /// Writes what came of so many events up to `to`. If nothing did, the checkpoint has time.
    async fn commit(
        &mut self,
        place: &mut Place,
        to: Position,
        rows: Vec<RowChange>,
        aside: Aside,
        events: usize,
        lease: &Lease,
    ) -> Result<(), Trouble> {
        let has_time = rows.is_empty() && aside.park.is_empty() && aside.unpark.is_empty();
        if !has_time {
            let commit = Commit {
                table: Some(self.standing.table.clone()),
                rows,
                park: aside.park,
                unpark: aside.unpark,
                ..checkpoint(self.standing.reader.clone(), place.stored, to, lease)
            };
            if let Err(error) = self.store.commit(commit).await {
                if matches!(&error, CommitError::Store(error) if error.kind() == StoreErrorKind::Rejected) {
                    // One event may be to blame: those before it need not wait for it.
                    self.limit = (events / 2).max(1);
                }
                return Err(error.into());
            }
            self.limit = (self.limit * 2).min(LIMIT);
            self.progressed = true;
            place.stored = to;
            place.stored_at = Instant::now();
        }
        self.fold.committed();
        place.done = to;
        place.applied += events;
        let rate = place.rate();
        self.standing.update(|state| {
            state.done = Some(to);
            if let Some(rate) = rate {
                state.rate = rate;
            }
        });
        Ok(())
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

    /// Says that the rows may be shown: they are as new as the log was.
    async fn mark(&mut self, done: Position, lease: &Lease) -> Result<(), Trouble> {
        let commit = checkpoint(self.standing.mark.clone(), Position::ZERO, done, lease);
        self.store.commit(commit).await?;
        self.standing.read_mark(&*self.store).await?;
        tracing::info!(projection = self.standing.name, position = %done, "a projection is built");
        Ok(())
    }

    /// Removes all rows, so that the next [`follow`](Self::follow) begins at the first event.
    pub(crate) async fn rebuild(&mut self, lease: &Lease) -> Result<(), CommandError> {
        let Standing {
            name,
            reader,
            mark,
            table,
            ..
        } = &*self.standing;
        // Before the rows go, so that nobody who waits for them takes them for there.
        self.standing.update(|state| state.done = Some(Position::ZERO));
        // The mark first: whoever reads a row now finds it gone when he looks again.
        for (reader, table) in [(mark, None), (reader, Some(table))] {
            let forgotten = self.store.forget(reader, table, lease).await;
            forgotten.map_err(|error| refused(self.standing.name, error))?;
        }
        self.standing.read_mark(&*self.store).await?;
        tracing::info!(projection = name, "a projection is built anew");
        Ok(())
    }

    /// Applies a parked event, or the one before which the projection holds, with today's code.
    pub(crate) async fn retry(&mut self, position: Position, lease: &Lease) -> Result<(), CommandError> {
        let mut place = self.place().await?;
        let Some(parked) = self.parked(position).await? else {
            return self.retry_held(&mut place, position, lease).await;
        };
        let event = self.event(position).await?;
        let (to, unpark) = (place.stored, vec![position]);
        match self.fold.fold(std::slice::from_ref(&event)).await {
            Ok(rows) => {
                let aside = Aside {
                    unpark,
                    ..Aside::default()
                };
                self.write_aside(&mut place, to, rows, aside, lease).await
            }
            Err(FoldError::Store(error)) => Err(error.into()),
            Err(FoldError::Poison { error, .. }) => {
                self.fold.reset();
                let aside = Aside {
                    park: vec![self::parked(&event, &error, parked.attempts.saturating_add(1))],
                    ..Aside::default()
                };
                self.write_aside(&mut place, to, Vec::new(), aside, lease).await?;
                Err(CommandError::Failed(error))
            }
        }
    }

    async fn retry_held(&mut self, place: &mut Place, position: Position, lease: &Lease) -> Result<(), CommandError> {
        let projection = self.standing.name;
        if position <= place.stored || position > self.store.head().await? {
            return Err(CommandError::NotParked { projection, position });
        }
        match self.catch_up(place, position, lease).await {
            Err(Trouble::Held { position: at, error }) if at == position => Err(CommandError::Failed(error)),
            caught_up => caught_up.map_err(|trouble| trouble.refused(projection, position)),
        }
    }

    /// Gives up a parked event, or the one before which the projection holds.
    pub(crate) async fn skip(&mut self, position: Position, reason: &str, lease: &Lease) -> Result<(), CommandError> {
        let mut place = self.place().await?;
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
        self.write_aside(&mut place, to, Vec::new(), aside, lease).await?;
        tracing::warn!(projection = self.standing.name, %position, reason, "an event was given up");
        Ok(())
    }

    async fn write_aside(
        &mut self,
        place: &mut Place,
        to: Position,
        rows: Vec<RowChange>,
        aside: Aside,
        lease: &Lease,
    ) -> Result<(), CommandError> {
        let commit = Commit {
            table: Some(self.standing.table.clone()),
            rows,
            park: aside.park,
            unpark: aside.unpark,
            ..checkpoint(self.standing.reader.clone(), place.stored, to, lease)
        };
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
        let mut feed = Feed::new(Arc::clone(&self.store), self.fold.filter(), place.done, position);
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
                let folded = self.fold.fold(std::slice::from_ref(&event)).await;
                self.fold.reset();
                return match folded {
                    Ok(_) => Err(not_parked),
                    Err(FoldError::Poison { .. }) => Ok(event),
                    Err(FoldError::Store(error)) => Err(error.into()),
                };
            }
        }
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
fn checkpoint(reader: String, from: Position, to: Position, lease: &Lease) -> Commit {
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
            Self::Store(error) => CommandError::Store(error),
        }
    }
}

fn refused(projection: &'static str, error: CommitError) -> CommandError {
    // It names no event, so that no position is told.
    Trouble::from(error).refused(projection, Position::ZERO)
}

fn parked(event: &RecordedEvent, error: &Unprojectable, attempts: u32) -> Parked {
    Parked {
        position: event.position,
        event: event.id,
        // Which no database takes in text.
        error: error.to_string().replace('\0', "\u{fffd}"),
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
