//! Orders to a subscription, carried out between two calls of its handler.

use super::Handling;
use crate::consumer::{ControlError, sequence};
use crate::error::chain;
use crate::store::Parked;
use crate::subscription::calls::What;
use crate::subscription::work::{Ended, Failed};
use crate::{Position, StoreError};

impl<T: Send + 'static> Handling<'_, T> {
    pub(super) async fn obeying(&mut self, what: &What) -> Result<(), ControlError> {
        // An event that was put aside is there to be found.
        self.store().await?;
        match what {
            What::Retry(position) => self.retry(*position).await,
            What::Skip(position, reason) => self.skip(*position, reason).await,
        }
    }

    /// Has the handler take a parked event, and then what stands behind it; or the one before which it holds.
    async fn retry(&mut self, position: Position) -> Result<(), ControlError> {
        let Some(parked) = self.parked(position).await? else {
            self.attempts.pardon(Some(position));
            self.find(position).await?;
            return self.retry_waiting(position).await;
        };
        if let Some(first) = self.sequences.ahead(position) {
            return Err(ControlError::Behind {
                reader: self.cursor.name().to_owned(),
                position,
                first,
            });
        }
        let behind = self.sequences.behind(position);
        self.retry_parked(parked).await?;
        for position in behind {
            if self.sequences.ahead(position).is_none()
                && let Some(parked) = self.parked(position).await?
            {
                match self.retry_parked(parked).await {
                    // It stays parked, and what stands behind it.
                    Ok(()) | Err(ControlError::Failed(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn retry_parked(&mut self, parked: Parked) -> Result<(), ControlError> {
        let position = parked.position;
        let event = self.cursor.cursors.parked_event_at(position).await?;
        // Before it is tried, as that may end the process.
        let attempts = parked.attempts.saturating_add(1);
        self.write(vec![Parked { attempts, ..parked }], Vec::new()).await?;
        let ended = match self.manner.read(&event) {
            Ok(items) if items.is_empty() => Ended::of(vec![position]),
            Ok(items) => {
                self.manner
                    .work
                    .call(vec![(position, items)], &self.cursor.standing)
                    .await
            }
            Err(failed) => Ended::failed(position, failed),
        };
        if let Some((_, Failed { error, .. })) = ended.failed {
            let parked = sequence::parked(&event, error.park_reason(), &chain(&error), attempts);
            self.write(vec![parked], Vec::new()).await?;
            return Err(ControlError::Failed(error));
        }
        self.cursor.standing.metrics.took(1);
        self.unpark(position).await
    }

    async fn retry_waiting(&mut self, position: Position) -> Result<(), ControlError> {
        self.release(position);
        let is_noted = self.note_again(position).await;
        if !is_noted.map_err(|trouble| trouble.refused(self.cursor.name()))? {
            return Err(self.not_parked(position));
        }
        let ended = self.attempt(&[position]).await;
        let failed = ended.failed.as_ref();
        let outcome = failed.map_or(Ok(()), |(_, failed)| Err(ControlError::Failed(failed.copied())));
        let taken = self.ended(ended).await;
        taken.map_err(|trouble| trouble.refused(self.cursor.name()))?;
        self.store().await?;
        outcome
    }

    /// Gives up a parked event, or the one before which it holds.
    async fn skip(&mut self, position: Position, reason: &str) -> Result<(), ControlError> {
        if self.parked(position).await?.is_some() {
            self.unpark(position).await?;
        } else {
            self.find(position).await?;
            let given_up = self.done(position, false).await;
            given_up.map_err(|trouble| trouble.refused(self.cursor.name()))?;
            self.store().await?;
        }
        tracing::warn!(subscription = self.cursor.name(), %position, reason, "an event was given up");
        Ok(())
    }

    async fn unpark(&mut self, position: Position) -> Result<(), ControlError> {
        self.sequences.doubt();
        self.write(Vec::new(), vec![position]).await?;
        self.sequences.unpark(position);
        self.sequences.trust();
        Ok(())
    }

    /// Sees to it that the event is taken in: one that has failed, or the next that is to be handled.
    async fn find(&mut self, position: Position) -> Result<(), ControlError> {
        loop {
            let first = self.lanes.first();
            if let Some(waiting) = self.lanes.get(position)
                && (waiting.attempts > 0 || first == Some(position))
            {
                return Ok(());
            }
            if first.is_some() || self.next_read().await.is_none_or(|next| next > position) {
                return Err(self.not_parked(position));
            }
            self.known().await;
            let taken = self.take_in(true).await;
            taken.map_err(|trouble| trouble.refused(self.cursor.name()))?;
        }
    }

    async fn parked(&mut self, position: Position) -> Result<Option<Parked>, StoreError> {
        let before = Position(position.0.saturating_sub(1));
        let parked = self
            .cursor
            .cursors
            .store
            .parked(&self.cursor.standing.reader, before, 1)
            .await?;
        Ok(parked.into_iter().find(|parked| parked.position == position))
    }

    fn not_parked(&self, position: Position) -> ControlError {
        ControlError::NotParked {
            reader: self.cursor.name().to_owned(),
            position,
        }
    }
}
