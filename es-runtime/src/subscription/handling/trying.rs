//! Has events tried that were taken in, and deals with the outcome.

use futures_core::future::BoxFuture;
use tokio::time::Instant;

use super::Handling;
use crate::Position;
use crate::consumer::Attempt;
use crate::projection::Status;
use crate::subscription::handler::Trouble;
use crate::subscription::work::{Ended, Failed, Work};

/// The most events that the handler of batches is given at once, and the most bytes.
pub(super) const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;

impl<T: Send + 'static> Handling<'_, T> {
    /// Has as many events tried as may be.
    pub(super) async fn begin(&mut self) -> Result<(), Trouble> {
        while self.tenure.held.now() == Some(true) {
            let (now, is_in_order) = (Instant::now(), self.is_in_order());
            let has_room = self.lanes.begun() < if is_in_order { 1 } else { self.manner.at_once };
            let next = match is_in_order {
                _ if !has_room => None,
                true => self.lanes.next_in_order(now),
                false => self.lanes.next(now),
            };
            let first_held = self.held.first();
            let Some(position) = next.filter(|next| first_held.is_none_or(|held| next < held)) else {
                return Ok(());
            };
            if self.note_again(position).await? {
                self.start(position);
            }
        }
        Ok(())
    }

    /// Before an event is tried alone once more. Whether it may be.
    pub(super) async fn note_again(&mut self, position: Position) -> Result<bool, Trouble> {
        let is_in_order = self.is_in_order();
        let Some(waiting) = self
            .lanes
            .get(position)
            .filter(|waiting| is_in_order && waiting.attempts > 0)
        else {
            return Ok(true);
        };
        let event = waiting.event.clone();
        let turn = self.attempts.begin(&event, false, self.lease()).await;
        if let Attempt::GivenUp { ended, attempts } = turn.map_err(|error| self.failure(error))? {
            self.refuse(&event, Failed::ended(ended), attempts).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Has the handler take the event, and if it takes batches, those behind it.
    pub(super) fn start(&mut self, position: Position) {
        let mut positions = vec![position];
        if let Work::Many(_) = self.manner.work
            && !self.attempts.is_careful()
            && self.lanes.get(position).is_some_and(|waiting| waiting.attempts == 0)
        {
            let (most, mut bytes) = (self.batch, 0);
            let first_held = self.held.first().copied();
            let mut count = 0;
            positions = self.lanes.batch(|waiting| {
                bytes += waiting.event.size();
                count += 1;
                let is_before = first_held.is_none_or(|held| waiting.event.position < held);
                is_before && count <= most && (count == 1 || bytes <= BATCH_BYTES)
            });
        }
        let attempt = self.attempt(&positions);
        self.in_flight.push(attempt);
    }

    /// Calls the handler for these events.
    pub(super) fn attempt(&mut self, positions: &[Position]) -> BoxFuture<'static, Ended> {
        let mut events = Vec::with_capacity(positions.len());
        for position in positions {
            self.lanes.begin(*position);
            let Some(waiting) = self.lanes.get(*position) else {
                continue;
            };
            let items = match waiting.items.take() {
                Some(items) => Ok(items),
                None => self.manner.read(&waiting.event),
            };
            match items {
                Ok(items) => events.push((*position, items)),
                Err(failed) => {
                    let ended = Ended::failed(*position, failed);
                    return Box::pin(async { ended });
                }
            }
        }
        self.is_worth_storing = true;
        self.manner.work.call(events, &self.cursor.standing)
    }

    /// Notes what came of a call.
    pub(super) async fn ended(&mut self, ended: Ended) -> Result<(), Trouble> {
        let Ended {
            done,
            failed,
            left,
            divides,
        } = ended;
        self.batch = if divides { (left.len() / 2).max(1) } else { BATCH };
        for position in left {
            self.lanes.put_back(position);
        }
        for position in done {
            self.done(position, true).await?;
        }
        match failed {
            Some((position, failed)) => self.failed(position, failed).await,
            None => Ok(()),
        }
    }

    /// The event is done, or was not wanted.
    pub(super) async fn done(&mut self, position: Position, was_wanted: bool) -> Result<(), Trouble> {
        self.lanes.remove(position);
        self.held.remove(&position);
        self.window.done(position, 0);
        self.cursor.standing.metrics.took(usize::from(was_wanted));
        self.written(position).await
    }

    /// The event is no more in the way. One that was noted before it was tried is not, once that is written.
    pub(super) async fn written(&mut self, position: Position) -> Result<(), Trouble> {
        let is_careful = self.attempts.is_careful();
        if is_careful {
            self.store().await?;
        }
        if is_careful || self.noted == Some(position) {
            self.noted = None;
            self.attempts.done(1);
        }
        Ok(())
    }

    pub(super) async fn failed(&mut self, position: Position, failed: Failed) -> Result<(), Trouble> {
        let is_in_order = self.is_in_order();
        if is_in_order {
            // Events that are done need not wait for it.
            self.store().await?;
        }
        let Some(waiting) = self.lanes.get(position) else {
            return Ok(());
        };
        let event = waiting.event.clone();
        if !failed.counts {
            self.pause(position, failed);
            return Ok(());
        }
        let mut attempts = waiting.attempts.saturating_add(1);
        if is_in_order {
            let counted = self.attempts.failed(&event, self.lease()).await;
            attempts = counted.map_err(|error| self.failure(error))?;
        }
        if let Some(waiting) = self.lanes.get(position) {
            waiting.attempts = attempts;
        }
        if failed.for_good || attempts >= self.manner.attempts {
            return self.refuse(&event, failed, attempts).await;
        }
        self.pause(position, failed);
        Ok(())
    }

    /// Has the event tried again after a while.
    fn pause(&mut self, position: Position, failed: Failed) {
        self.lanes.pause(position);
        self.cursor
            .standing
            .fail(Status::Retrying, &failed.error, Some(position));
    }
}
