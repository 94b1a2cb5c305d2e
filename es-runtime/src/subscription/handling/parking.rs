//! Puts aside an event that cannot be taken, or holds before it.

use super::Handling;
use crate::consumer::{Keys, Sequences, sequence};
use crate::error::chain;
use crate::projection::{ApplyError, OnFailure, Status};
use crate::store::Parked;
use crate::subscription::handler::Trouble;
use crate::subscription::work::Failed;
use crate::{Position, RecordedEvent};

impl<T: Send + 'static> Handling<'_, T> {
    /// Holds before an event that is not tried any more, or parks it.
    pub(super) async fn refuse(&mut self, event: &RecordedEvent, failed: Failed, attempts: u32) -> Result<(), Trouble> {
        let (position, error) = (event.position, failed.error);
        if self.manner.poison == OnFailure::Park && self.sequences.is_full() {
            self.hold_full(event);
            return Ok(());
        }
        if self.manner.poison == OnFailure::Hold {
            if let Some(waiting) = self.lanes.get(position) {
                waiting.attempts = attempts;
            }
            self.lanes.hold(position);
            self.held.insert(position);
            self.cursor.standing.fail(Status::Held, &error, Some(position));
            return Ok(());
        }
        self.cursor.standing.note(Status::CatchingUp, &error, Some(position));
        tracing::error!(subscription = self.cursor.name(), %position, %error, "an event is parked");
        let Some(waiting) = self.lanes.remove(position) else {
            return Ok(());
        };
        self.park(
            event,
            waiting.keys,
            sequence::parked(event, error.park_reason(), &chain(&error), attempts),
        );
        self.park_behind(position);
        self.written(position).await
    }

    /// Parks those that were taken in, and stand behind a parked event now.
    pub(super) fn park_behind(&mut self, position: Position) {
        if self.manner.poison != OnFailure::Park {
            return;
        }
        let behind: Vec<_> = self.lanes.behind(position).map(|(behind, _)| behind).collect();
        for position in behind {
            let Some(waiting) = self.lanes.get(position) else {
                continue;
            };
            let (event, keys) = (waiting.event.clone(), waiting.keys.clone());
            let Some(first) = self.sequences.ahead_of(position, &keys) else {
                continue;
            };
            if self.sequences.is_full() {
                self.hold_full(&event);
                return;
            }
            self.lanes.remove(position);
            self.held.remove(&position);
            self.park(&event, keys, sequence::parked_behind(&event, first));
        }
    }

    /// The event is parked when the cursor is stored the next time.
    pub(super) fn park(&mut self, event: &RecordedEvent, keys: Keys, parked: Parked) {
        self.sequences.doubt();
        let keys = (self.manner.poison == OnFailure::Park).then_some(keys);
        self.sequences.park(event.position, keys);
        self.aside.push(parked);
        self.window.done(event.position, 0);
        self.cursor.standing.metrics.parked();
    }

    /// Holds before an event that is to be parked where no more may be.
    pub(super) fn hold_full(&mut self, event: &RecordedEvent) {
        self.lanes.hold(event.position);
        self.held.insert(event.position);
        let error = ApplyError::TooManyParked {
            parked: Sequences::MOST,
        };
        self.cursor.standing.fail(Status::Held, &error, Some(event.position));
    }

    /// Fails before an event that is held, once everything before it is done.
    pub(super) async fn check_held(&mut self) -> Result<(), Trouble> {
        let Some(position) = self.held.first().copied() else {
            return Ok(());
        };
        if !self.in_flight.is_empty() || self.lanes.first() != Some(position) {
            return Ok(());
        }
        if !self.is_in_order()
            && let Some(waiting) = self.lanes.get(position).filter(|waiting| waiting.attempts > 0)
        {
            // So that the next tenure tries it before all else.
            let (event, attempts) = (waiting.event.clone(), waiting.attempts);
            let noted = self.attempts.note(&event, attempts, self.lease()).await;
            noted.map_err(|error| self.failure(error))?;
        }
        Err(Trouble::Held)
    }
}
