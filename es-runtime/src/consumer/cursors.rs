//! The checkpoints of readers of a log, wherever they are kept.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use futures_util::future::try_join;

use crate::store::{Advance, Checkpoint, CheckpointError, CommitError, CursorStore, EventStore, ReadLog};
use crate::{EventId, Position, RecordedEvent, StoreError, StoreErrorKind};

/// A log, and the store of the cursors of its readers.
#[derive(Clone)]
pub(crate) struct Cursors {
    pub(crate) log: Arc<dyn EventStore>,
    pub(crate) store: Arc<dyn CursorStore>,
    /// True if they are two stores, of which one may be restored to an earlier point without the other.
    is_elsewhere: bool,
}

impl Cursors {
    /// Those that the store of the log keeps; `None` if it keeps none.
    pub(crate) fn of(log: &Arc<dyn EventStore>) -> Option<Self> {
        Some(Self::together(Arc::clone(log), Arc::clone(log).cursor_store()?))
    }

    /// Those that are kept in the database of the log.
    pub(crate) fn together(log: Arc<dyn EventStore>, store: Arc<dyn CursorStore>) -> Self {
        Self {
            log,
            store,
            is_elsewhere: false,
        }
    }

    /// Those that another store keeps.
    pub(crate) fn elsewhere(log: Arc<dyn EventStore>, store: Arc<dyn CursorStore>) -> Self {
        Self {
            log,
            store,
            is_elsewhere: true,
        }
    }

    /// Returns the checkpoint of the reader.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Diverged`] if the event that stood at the checkpoint does not stand there now.
    pub(crate) async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        let Some(checkpoint) = self.store.checkpoint(reader).await? else {
            return Ok(None);
        };
        if checkpoint.event.is_some() {
            let found = self.id_at(checkpoint.position).await?;
            same_event(reader, &checkpoint, found)?;
        }
        Ok(Some(checkpoint))
    }

    /// The same for whoever does not follow the log: where the log is another store, that is left to the one who does.
    pub(crate) async fn seen(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        if self.is_elsewhere {
            self.store.checkpoint(reader).await
        } else {
            self.checkpoint(reader).await
        }
    }

    /// Returns whether the reader's checkpoint is still as it was [seen](Self::seen), in one step.
    pub(crate) async fn is_still(&self, reader: &str, seen: &Checkpoint) -> Result<bool, CheckpointError> {
        let now = self.store.checkpoint(reader);
        if self.is_elsewhere || seen.event.is_none() {
            return Ok(now.await?.as_ref() == Some(seen));
        }
        let found = async { Ok(self.id_at(seen.position).await?) };
        let (now, found) = try_join(now, found).await?;
        if now.as_ref() != Some(seen) {
            return Ok(false);
        }
        same_event(reader, seen, found)?;
        Ok(true)
    }

    /// Moves a checkpoint. The event at the new place is looked up, unless it is named already.
    pub(crate) async fn advance(&self, mut advance: Advance) -> Result<(), CommitError> {
        self.identify(&mut advance).await?;
        self.store.advance(advance).await
    }

    /// Names the event to which the checkpoint is to move, before that is written.
    pub(crate) async fn identify(&self, advance: &mut Advance) -> Result<(), StoreError> {
        if self.is_elsewhere {
            // No transaction holds the two stores together: what was followed may not be there any more.
            self.checkpoint(&advance.reader).await.map_err(|error| match error {
                CheckpointError::Store(error) => error,
                diverged @ CheckpointError::Diverged { .. } => {
                    StoreError::new(StoreErrorKind::Unavailable, "the log is not the one that was followed")
                        .caused_by(diverged)
                }
            })?;
        }
        if advance.event.is_none() && advance.to > Position::ZERO {
            advance.event = self.id_at(advance.to).await?;
            if advance.event.is_none() {
                let message = format!(
                    "there is no event at {} for the checkpoint of `{}`",
                    advance.to, advance.reader
                );
                return Err(StoreError::new(StoreErrorKind::Rejected, message));
            }
        }
        Ok(())
    }

    /// Returns the event that stands at `position` now.
    pub(crate) async fn event_at(&self, position: Position) -> Result<Option<RecordedEvent>, StoreError> {
        let query = ReadLog::new().from(position).to(position).limit(1);
        self.log.read_log(query).try_next().await
    }

    /// Returns the event that a reader has parked at `position`.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](StoreErrorKind::Corrupt) if the log has none there.
    pub(crate) async fn parked_event_at(&self, position: Position) -> Result<RecordedEvent, StoreError> {
        self.event_at(position).await?.ok_or_else(|| {
            let message = format!("the parked event at position {position} is not in the log");
            StoreError::new(StoreErrorKind::Corrupt, message)
        })
    }

    async fn id_at(&self, position: Position) -> Result<Option<EventId>, StoreError> {
        Ok(self.event_at(position).await?.map(|event| event.id))
    }
}

/// That the event stands at the checkpoint that stood there when it was written.
fn same_event(reader: &str, checkpoint: &Checkpoint, found: Option<EventId>) -> Result<(), CheckpointError> {
    match checkpoint.event {
        Some(expected) if found != Some(expected) => Err(CheckpointError::Diverged {
            reader: reader.to_owned(),
            position: checkpoint.position,
            expected,
            found,
        }),
        _ => Ok(()),
    }
}

pub(crate) fn position_of(checkpoint: Option<Checkpoint>) -> Position {
    checkpoint.map_or(Position::ZERO, |checkpoint| checkpoint.position)
}
