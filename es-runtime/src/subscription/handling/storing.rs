//! Stores the cursor and the parked events, beside what else goes on.

use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBackoff;
use tokio::time::Instant;

use super::Handling;
use crate::consumer::{backoff, guarded, next};
use crate::error::chain;
use crate::projection::Status;
use crate::store::Parked;
use crate::subscription::SubscriptionError;
use crate::subscription::handler::{SOON, Trouble};
use crate::{Position, StoreError, StoreErrorKind};

impl<T: Send + 'static> Handling<'_, T> {
    /// Stores the cursor if it is time, beside what else goes on.
    pub(super) fn store_soon(&mut self) {
        let is_late = self.stored_at.elapsed() >= SOON;
        let is_idle = self.is_at_end && self.lanes.is_empty() && self.queue.is_empty();
        let is_due = is_late || self.space.is_scarce() || !self.aside.is_empty() || (is_idle && self.is_worth_storing);
        let may = self.not_before.is_none_or(|time| time <= Instant::now());
        if is_due && may && self.storing.is_none() {
            self.begin_storing();
        }
    }

    pub(super) fn begin_storing(&mut self) {
        let to = self.window.done_to();
        if self.stored.is_some_and(|stored| to <= stored) && self.aside.is_empty() {
            return;
        }
        self.parking = std::mem::take(&mut self.aside);
        self.is_worth_storing = false;
        let (cursor, lease, park) = (Arc::clone(self.cursor), self.lease().clone(), self.parking.clone());
        // Taken: until it is known what comes of this, it is not known where the cursor stands.
        let from = self.stored.take();
        self.storing = Some(Box::pin(async move {
            guarded("storing the cursor", cursor.move_to(from, to, park, &lease)).await
        }));
    }

    /// Notes what came of storing the cursor. What fails for a while is tried again.
    pub(super) fn stored(&mut self, stored: Result<Position, SubscriptionError>) -> Result<(), Trouble> {
        match stored {
            Ok(stored) => {
                self.stored = Some(stored);
                self.stored_at = Instant::now();
                while self.rooms.front().is_some_and(|(position, _)| *position <= stored) {
                    self.rooms.pop_front();
                }
                self.parking.clear();
                self.not_before = None;
                if self.aside.is_empty() {
                    self.sequences.trust();
                }
                Ok(())
            }
            Err(error) => {
                let parking = std::mem::take(&mut self.parking);
                self.aside.splice(..0, parking);
                self.is_worth_storing = true;
                if !error.is_transient() {
                    return Err(error.into());
                }
                self.cursor.standing.fail(Status::Retrying, &error, None);
                let done = self.window.done_to();
                if std::mem::replace(&mut self.failed_at, done) < done {
                    self.failing = patience();
                }
                self.not_before = Some(Instant::now() + next(&mut self.failing));
                Ok(())
            }
        }
    }

    /// Stores the cursor now, and waits for it.
    pub(super) async fn store(&mut self) -> Result<(), SubscriptionError> {
        self.settle().await?;
        self.begin_storing();
        self.settle().await
    }

    /// Waits for what is being stored. Where this fails, it is not tried again by itself.
    pub(super) async fn settle(&mut self) -> Result<(), SubscriptionError> {
        // Left in its place until it is done: this may be dropped meanwhile.
        let Some(storing) = &mut self.storing else {
            return Ok(());
        };
        let stored = storing.await;
        self.storing = None;
        let failed = stored.as_ref().err().filter(|error| error.is_transient());
        let failed = failed.map(|error| StoreError::new(StoreErrorKind::Unavailable, chain(error)));
        match self.stored(stored) {
            Err(Trouble::Error(error)) => Err(error),
            Err(Trouble::Call(_) | Trouble::Held) => Err(SubscriptionError::LeaseLost(self.cursor.name().to_owned())),
            Ok(()) => failed.map_or(Ok(()), |error| Err(error.into())),
        }
    }

    /// Writes this at once.
    pub(super) async fn write(&mut self, park: Vec<Parked>, unpark: Vec<Position>) -> Result<(), SubscriptionError> {
        self.store().await?;
        let Some(stored) = self.stored else {
            return Ok(());
        };
        let committed = self.cursor.commit(stored, stored, park, unpark, self.lease()).await;
        committed.map_err(|error| self.failure(error))
    }
}

pub(super) fn patience() -> ExponentialBackoff {
    backoff(Duration::from_millis(50), Duration::from_secs(10))
}
