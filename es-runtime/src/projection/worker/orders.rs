//! What is done to a projection on command, in the place of following the log.

use std::collections::VecDeque;

use futures_util::future::try_join_all;

use super::{Aside, Place, Trouble, Worker};
use crate::consumer::{Attempt, sequence};
use crate::error::chain;
use crate::projection::sql::WriteError;
use crate::projection::standing::Standing;
use crate::projection::{ApplyError, ControlError, OnFailure, Status};
use crate::store::{CommitError, Lease, Parked};
use crate::{Position, RecordedEvent, StoreError};

/// The number of parked events that are applied together.
const TOGETHER: usize = 100;

impl Worker {
    /// Removes all rows, so that the next [`follow`](Self::follow) begins at the first event.
    pub(crate) async fn rebuild(&mut self, lease: &Lease) -> Result<(), ControlError> {
        let Standing { name, reader, mark, .. } = &*self.standing;
        // Before the rows go, so that nobody who waits for them takes them for there.
        self.standing.update(|state| state.done = Some(Position::ZERO));
        self.sequences.doubt();
        // The mark first: whoever reads a row now finds it gone when he looks again.
        let forgotten = self.cursors.store.forget(mark, lease).await;
        forgotten.map_err(|error| refused(name, error))?;
        let forgotten = self.fold.forget(reader, lease).await;
        forgotten.map_err(|error| refused(name, error))?;
        let forgotten = self.attempts.forget(lease).await;
        forgotten.map_err(|error| refused(name, error))?;
        self.standing.read_mark(&self.cursors).await?;
        tracing::info!(projection = name, "a projection is built anew");
        Ok(())
    }

    /// Applies a parked event, or the one before which the projection holds, with today's code.
    pub(crate) async fn retry(&mut self, position: Position, lease: &Lease) -> Result<(), ControlError> {
        let mut place = self.place(lease).await?;
        let begun = self.begin(&place, lease).await;
        begun.map_err(|error| refused(self.standing.name, error))?;
        let Some(parked) = self.parked(position).await? else {
            return self.retry_held(&mut place, position, lease).await;
        };
        if let Some(first) = self.sequences.ahead(position) {
            return Err(ControlError::Behind {
                reader: self.standing.name.to_owned(),
                position,
                first,
            });
        }
        let event = self.cursors.parked_event_at(position).await?;
        // Before it is tried, as that may end the process.
        let attempts = parked.attempts.saturating_add(1);
        let aside = Aside {
            park: vec![Parked { attempts, ..parked }],
            ..Aside::default()
        };
        self.write_aside(&place, place.stored, aside, lease).await?;
        let behind = self.sequences.behind(position);
        match self.unpark(&place, std::slice::from_ref(&event), lease).await {
            Ok(()) => Box::pin(self.retry_behind(&place, behind, lease)).await,
            Err(WriteError::Commit(error)) => Err(refused(self.standing.name, error)),
            Err(WriteError::Poison { error, .. }) => {
                self.park_again(&place, &event, &error, attempts, lease).await?;
                Err(ControlError::Failed(error))
            }
        }
    }

    /// Applies those of the parked events that stand behind nothing any more, in order. One that cannot be applied stays parked, and
    /// what stands behind it.
    async fn retry_behind(&mut self, place: &Place, behind: Vec<Position>, lease: &Lease) -> Result<(), ControlError> {
        let projection = self.standing.name;
        let (mut left, mut at_once) = (VecDeque::from(behind), TOGETHER);
        while !left.is_empty() {
            let mut sequences = self.sequences.clone();
            let mut next = Vec::new();
            while next.len() < at_once
                && let Some(position) = left.pop_front()
            {
                if sequences.ahead(position).is_none() {
                    sequences.unpark(position);
                    next.push(position);
                }
            }
            let events = next.iter().map(|position| self.cursors.parked_event_at(*position));
            let events = try_join_all(events).await?;
            let failed = match self.unpark(place, &events, lease).await {
                Ok(()) => {
                    at_once = TOGETHER;
                    continue;
                }
                Err(WriteError::Commit(error)) => return Err(refused(projection, error)),
                Err(WriteError::Poison { index, error }) => (index.unwrap_or(events.len() / 2), error),
            };
            let (index, error) = failed;
            self.fold.reset();
            if index == 0 {
                let parked = self.parked(next[0]).await?;
                let attempts = parked.map_or(0, |parked| parked.attempts).saturating_add(1);
                self.park_again(place, &events[0], &error, attempts, lease).await?;
                (1..next.len()).rev().for_each(|place| left.push_front(next[place]));
                at_once = TOGETHER;
            } else {
                next.iter().rev().for_each(|position| left.push_front(*position));
                at_once = index;
            }
        }
        Ok(())
    }

    /// The event stays parked.
    async fn park_again(
        &mut self,
        place: &Place,
        event: &RecordedEvent,
        error: &ApplyError,
        attempts: u32,
        lease: &Lease,
    ) -> Result<(), ControlError> {
        self.fold.reset();
        self.standing.count(error);
        let aside = Aside {
            park: vec![sequence::parked(event, error.park_reason(), &chain(error), attempts)],
            ..Aside::default()
        };
        self.write_aside(place, place.stored, aside, lease).await
    }

    /// Applies events that are parked, together.
    async fn unpark(&mut self, place: &Place, events: &[RecordedEvent], lease: &Lease) -> Result<(), WriteError> {
        self.fold.fold(events).await?;
        let unpark: Vec<_> = events.iter().map(|event| event.position).collect();
        let aside = Aside {
            unpark: unpark.clone(),
            ..Aside::default()
        };
        self.sequences.doubt();
        if let Err(error) = self.write_with(self.moved(place, place.stored, aside, lease)).await {
            let error = self.blame(place, error, events.len(), lease).await;
            if matches!(error, WriteError::Poison { .. }) {
                self.sequences.trust();
            }
            return Err(error);
        }
        self.unparked(unpark);
        self.standing.metrics.took(events.len());
        Ok(())
    }

    /// They are parked no more.
    fn unparked(&mut self, positions: Vec<Position>) {
        for position in positions {
            self.sequences.unpark(position);
        }
        self.sequences.trust();
        if self.poison == OnFailure::Park {
            // It holds only where no more can be parked, and one less is now.
            self.standing.update(|state| {
                if state.status == Status::Held {
                    state.status = Status::CatchingUp;
                }
            });
        }
    }

    async fn retry_held(&mut self, place: &mut Place, position: Position, lease: &Lease) -> Result<(), ControlError> {
        let projection = self.standing.name;
        if position <= place.stored || position > self.cursors.log.head().await? {
            return Err(not_parked(projection, position));
        }
        self.attempts.pardon(Some(position));
        match self.catch_up(place, position, None, lease).await {
            Err(Trouble::Held { position: at, error }) if at == position => Err(ControlError::Failed(error)),
            caught_up => caught_up.map_err(|trouble| trouble.refused(projection, position)),
        }
    }

    /// Gives up a parked event, or the one before which the projection holds.
    pub(crate) async fn skip(&mut self, position: Position, reason: &str, lease: &Lease) -> Result<(), ControlError> {
        let mut place = self.place(lease).await?;
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
            unpark: unpark.clone(),
            ..Aside::default()
        };
        self.sequences.doubt();
        self.write_aside(&place, to, aside, lease).await?;
        self.unparked(unpark);
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
        let not_parked = not_parked(projection, position);
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
        if let Attempt::GivenUp { .. } = self.attempts.begin(event, true, lease).await.map_err(refused)? {
            return Ok(true);
        }
        let applied = match self.fold.attempt(event).await {
            Ok(()) => {
                let event = std::slice::from_ref(event);
                let part = self.part(event);
                self.apply(place, &part, event[0].position, lease).await
            }
            Err(error) => Err(error.into()),
        };
        let is_held = match applied {
            Ok(()) => false,
            Err(WriteError::Poison { .. }) => true,
            Err(WriteError::Commit(error)) => return Err(refused(error)),
        };
        self.fold.reset();
        self.attempts.clear(lease).await.map_err(refused)?;
        Ok(is_held)
    }

    async fn parked(&self, position: Position) -> Result<Option<Parked>, StoreError> {
        let before = Position(position.0.saturating_sub(1));
        let parked = self.cursors.store.parked(&self.standing.reader, before, 1).await?;
        Ok(parked.into_iter().find(|parked| parked.position == position))
    }
}

impl Trouble {
    /// As the answer to an order about the event at `position`.
    fn refused(self, projection: &'static str, position: Position) -> ControlError {
        match self {
            Self::LeaseLost => ControlError::Elsewhere {
                reader: projection.to_owned(),
            },
            Self::Held { .. } => not_parked(projection, position),
            Self::Diverged(error) => ControlError::Checkpoint(error),
            Self::Moved(error) | Self::Store(error) => ControlError::Store(error),
        }
    }
}

fn not_parked(projection: &str, position: Position) -> ControlError {
    let reader = projection.to_owned();
    ControlError::NotParked { reader, position }
}

pub(crate) fn refused(projection: &'static str, error: CommitError) -> ControlError {
    // It names no event, so that no position is told.
    Trouble::from(error).refused(projection, Position::ZERO)
}
