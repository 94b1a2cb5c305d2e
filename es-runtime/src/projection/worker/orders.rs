//! What is done to a projection on command, in the place of following the log.

use futures_util::TryStreamExt as _;

use super::{Aside, Place, Trouble, Worker};
use crate::consumer::Turn;
use crate::projection::sql::WriteError;
use crate::projection::standing::Standing;
use crate::projection::{ControlError, Status};
use crate::store::{CommitError, Lease, Parked, ReadLog};
use crate::{Position, RecordedEvent, StoreError, StoreErrorKind};

impl Worker {
    /// Removes all rows, so that the next [`follow`](Self::follow) begins at the first event.
    pub(crate) async fn rebuild(&mut self, lease: &Lease) -> Result<(), ControlError> {
        let Standing { name, reader, mark, .. } = &*self.standing;
        // Before the rows go, so that nobody who waits for them takes them for there.
        self.standing.update(|state| state.done = Some(Position::ZERO));
        // The mark first: whoever reads a row now finds it gone when he looks again.
        let forgotten = self.cursors.store.forget(mark, lease).await;
        forgotten.map_err(|error| refused(name, error))?;
        let forgotten = self.fold.forget(reader, lease).await;
        forgotten.map_err(|error| refused(name, error))?;
        let forgotten = self.trial.forget(lease).await;
        forgotten.map_err(|error| refused(name, error))?;
        self.standing.read_mark(&self.cursors).await?;
        tracing::info!(projection = name, "a projection is built anew");
        Ok(())
    }

    /// Applies a parked event, or the one before which the projection holds, with today's code.
    pub(crate) async fn retry(&mut self, position: Position, lease: &Lease) -> Result<(), ControlError> {
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
                    park: vec![super::parked(&event, &error, attempts)],
                    ..Aside::default()
                };
                self.write_aside(&place, place.stored, aside, lease).await?;
                Err(ControlError::Failed(error))
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
        match self.write_with(self.moved(place, place.stored, aside, lease)).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.blame(error, 1, lease).await),
        }
    }

    async fn retry_held(&mut self, place: &mut Place, position: Position, lease: &Lease) -> Result<(), ControlError> {
        let projection = self.standing.name;
        if position <= place.stored || position > self.cursors.log.head().await? {
            return Err(ControlError::NotParked { projection, position });
        }
        self.trial.pardon(Some(position));
        match self.catch_up(place, position, None, lease).await {
            Err(Trouble::Held { position: at, error }) if at == position => Err(ControlError::Failed(error)),
            caught_up => caught_up.map_err(|trouble| trouble.refused(projection, position)),
        }
    }

    /// Gives up a parked event, or the one before which the projection holds.
    pub(crate) async fn skip(&mut self, position: Position, reason: &str, lease: &Lease) -> Result<(), ControlError> {
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
        if to == position {
            // Nobody waits in vain any more.
            self.standing.update(|state| {
                state.status = Status::CatchingUp;
                state.done = Some(to);
            });
        }
        tracing::warn!(projection = self.standing.name, %position, reason, "an event was given up");
        Ok(())
    }

    async fn write_aside(
        &mut self,
        place: &Place,
        to: Position,
        aside: Aside,
        lease: &Lease,
    ) -> Result<(), ControlError> {
        let committed = self.cursors.advance(self.moved(place, to, aside, lease)).await;
        committed.map_err(|error| refused(self.standing.name, error))
    }

    /// The event at `position`, if it is the next that cannot be applied. Those before it are.
    async fn held(
        &mut self,
        place: &mut Place,
        position: Position,
        lease: &Lease,
    ) -> Result<RecordedEvent, ControlError> {
        let projection = self.standing.name;
        let not_parked = ControlError::NotParked { projection, position };
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
                return self
                    .is_held(place, &event, lease)
                    .await?
                    .then_some(event)
                    .ok_or(not_parked);
            }
        }
    }

    /// Whether the event cannot be applied. If it can, it is applied: only the store itself says what it takes.
    async fn is_held(&mut self, place: &mut Place, event: &RecordedEvent, lease: &Lease) -> Result<bool, ControlError> {
        let name = self.standing.name;
        let refused = |error| refused(name, error);
        if let Turn::Ended { .. } = self.trial.begin(event, true, lease).await.map_err(refused)? {
            return Ok(true);
        }
        let applied = match self.fold.attempt(event).await {
            Ok(()) => {
                let event = std::slice::from_ref(event);
                self.apply(place, event, event[0].position, lease).await
            }
            Err(error) => Err(error.into()),
        };
        let is_held = match applied {
            Ok(()) => false,
            Err(WriteError::Poison { .. }) => true,
            Err(WriteError::Commit(error)) => return Err(refused(error)),
        };
        self.fold.reset();
        self.trial.clear(lease).await.map_err(refused)?;
        Ok(is_held)
    }

    async fn parked(&self, position: Position) -> Result<Option<Parked>, StoreError> {
        let before = Position(position.0.saturating_sub(1));
        let parked = self.cursors.store.parked(&self.standing.reader, before, 1).await?;
        Ok(parked.into_iter().find(|parked| parked.position == position))
    }

    async fn event(&self, position: Position) -> Result<RecordedEvent, StoreError> {
        let query = ReadLog::new().from(position).to(position);
        let event = self.cursors.log.read_log(query).try_next().await?;
        event.ok_or_else(|| {
            let message = format!("the parked event at position {position} is not in the log");
            StoreError::new(StoreErrorKind::Corrupt, message)
        })
    }
}

impl Trouble {
    /// As the answer to an order about the event at `position`.
    fn refused(self, projection: &'static str, position: Position) -> ControlError {
        match self {
            Self::LeaseLost => ControlError::Elsewhere { projection },
            Self::Held { .. } => ControlError::NotParked { projection, position },
            Self::Diverged(error) => ControlError::Checkpoint(error),
            Self::Moved(error) | Self::Store(error) => ControlError::Store(error),
        }
    }
}

pub(crate) fn refused(projection: &'static str, error: CommitError) -> ControlError {
    // It names no event, so that no position is told.
    Trouble::from(error).refused(projection, Position::ZERO)
}
