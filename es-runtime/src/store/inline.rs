//! Rows of inline projections, which change with an append: the part that a store does.

use std::sync::Arc;

use bytes::Bytes;

use super::{Append, AppendError, RowChange, RowTable};
use crate::projection::ApplyError;
use crate::{Position, metrics};

/// An inline projection, as a reader of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineReader {
    /// The name of its checkpoint.
    pub reader: String,
    /// The name of the checkpoint that exists if it has ever caught up with the log.
    pub mark: String,
    /// The categories of the events that it applies: all events of these, and no others.
    pub categories: Vec<String>,
}

impl InlineReader {
    /// Returns whether it takes in an event of the append.
    pub fn takes_in(&self, append: &Append) -> bool {
        let mut parts = append.streams.iter().filter(|part| !part.events.is_empty());
        parts.any(|part| self.categories.iter().any(|own| own == part.stream.category()))
    }
}

/// The work of an inline projection of rows on an append: for
/// [`ProjectionStore::append_rows`](super::ProjectionStore::append_rows).
pub struct InlineRows {
    /// The projection.
    pub projection: Arc<InlineReader>,
    /// The table of its rows.
    pub table: RowTable,
    /// The change of its rows.
    pub fold: InlineFold,
}

/// The change that the events of an append make to some rows. The runtime makes one from the methods of a projection;
/// tests of a store write their own.
pub struct InlineFold {
    keys: Vec<String>,
    fold: Box<Fold>,
    /// The time that it has run.
    pub(crate) spent: metrics::Spent,
}

type Fold = dyn Fn(&[Option<Bytes>]) -> Result<Vec<RowChange>, (usize, ApplyError)> + Send + Sync;

impl InlineFold {
    /// Changes the rows of `keys`, each of which stands there once. `fold` gets their data in this order, `None` where
    /// there is no row, and returns the rows that change, each once. The position of a change is the number of its
    /// event among those of the append, from 1. If an event cannot be applied, it returns the index of that event.
    pub fn new(
        keys: Vec<String>,
        fold: impl Fn(&[Option<Bytes>]) -> Result<Vec<RowChange>, (usize, ApplyError)> + Send + Sync + 'static,
    ) -> Self {
        Self {
            keys,
            fold: Box::new(fold),
            spent: metrics::Spent::new(),
        }
    }

    /// The keys of the rows that it may change.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Folds the events into these rows, which are those of [`keys`](Self::keys), in their order. May be called again
    /// with other rows. It neither waits nor panics, so it may run within a transaction.
    ///
    /// # Errors
    ///
    /// [`Poison`](InlineError::Poison) of the `projection` with this index.
    pub fn run(&self, projection: usize, rows: &[Option<Bytes>]) -> Result<Vec<RowChange>, InlineError> {
        let timer = metrics::Timer::start();
        let changes = (self.fold)(rows);
        self.spent.add(&timer);
        let poison = |(event, error)| InlineError::Poison {
            projection,
            event: Some(event),
            error,
        };
        let changes = changes.map_err(poison)?;
        for change in &changes {
            let event = usize::try_from(change.position.0.saturating_sub(1)).unwrap_or(usize::MAX);
            change
                .check()
                .map_err(|error| poison((event, ApplyError::Rejected(error))))?;
        }
        Ok(changes)
    }
}

impl RowChange {
    /// Returns the change with its position in the log, for an append whose first event follows `before`.
    #[must_use]
    pub fn behind(self, before: Position) -> Self {
        Self {
            position: Position(before.0 + self.position.0),
            ..self
        }
    }
}

/// Why an append with inline projections was not done, or is not known to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InlineError {
    /// An inline projection cannot apply an event.
    #[error("an inline projection cannot apply an event")]
    Poison {
        /// The projection: its index among all.
        projection: usize,
        /// The event: its index among those of the append. `None` if it is one of them, but not known which.
        event: Option<usize>,
        /// Why.
        #[source]
        error: ApplyError,
    },
    /// An inline projection has not applied all events that were appended before. It has to catch up first.
    #[error("an inline projection has not taken in all that was appended before")]
    Behind {
        /// The projection: its index among all.
        projection: usize,
    },
    /// As for an append without them.
    #[error(transparent)]
    Append(#[from] AppendError),
}
