use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;

use super::{ProjectionRow, Runtime};
use crate::projection::{KeyOfRow, LiveError, RowProjection, Wanted, fold_live};
use crate::{Position, Timestamp};

/// Folds rows: `runtime.live::<Statement>().of(alice).await`, with options before the `await`. All rows, ordered by
/// key, unless [`of`](Self::of) chooses one.
#[must_use = "nothing is folded until it is awaited"]
pub struct FoldLive<'a, P, K = ()> {
    runtime: &'a Runtime,
    key: K,
    bounds: Bounds,
    row: PhantomData<fn() -> P>,
}

/// The bounds of the events that are folded.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    to: Position,
    until: Timestamp,
    occurred: Timestamp,
}

impl<'a, P: RowProjection> FoldLive<'a, P> {
    /// Folds only the row with this key.
    ///
    /// If each method applies its event to the row of the event's stream, only the streams of this id are read. If a
    /// method says `key = …` or `keys = …`, all events of its aggregates are.
    pub fn of(self, key: impl KeyOfRow<P::Key>) -> FoldLive<'a, P, String> {
        FoldLive {
            runtime: self.runtime,
            key: key.into_row_key(),
            bounds: self.bounds,
            row: PhantomData,
        }
    }
}

impl<P, K> FoldLive<'_, P, K> {
    /// Shows the rows as they were when the store's head was at this position.
    pub fn up_to(mut self, position: impl Into<Position>) -> Self {
        self.bounds.to = position.into();
        self
    }

    /// Shows the rows as they were at this time: with the events recorded up to and including it.
    pub fn as_of(mut self, time: Timestamp) -> Self {
        self.bounds.until = time;
        self
    }

    /// Shows the rows as they were at this time by the times at which events [happened](crate::Recorded::occurred_at):
    /// folds, in the order of the log, the events that had happened up to and including it. With
    /// [`as_of`](Self::as_of), only those known then.
    pub fn as_of_occurred(mut self, time: Timestamp) -> Self {
        self.bounds.occurred = time;
        self
    }
}

impl<'a, P: RowProjection> IntoFuture for FoldLive<'a, P> {
    type Output = Result<Vec<ProjectionRow<P>>, LiveError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(fold(self.runtime, None, self.bounds))
    }
}

impl<'a, P: RowProjection> IntoFuture for FoldLive<'a, P, String> {
    type Output = Result<Option<ProjectionRow<P>>, LiveError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let rows = fold(self.runtime, Some(self.key), self.bounds).await?;
            Ok(rows.into_iter().next())
        })
    }
}

async fn fold<P: RowProjection>(
    runtime: &Runtime,
    key: Option<String>,
    bounds: Bounds,
) -> Result<Vec<ProjectionRow<P>>, LiveError> {
    let Bounds { to, until, occurred } = bounds;
    let wanted = Wanted {
        key,
        to,
        until,
        occurred,
    };
    let rows = fold_live::<P>(&*runtime.0.store, &wanted).await?;
    let shown = |(key, (row, position))| ProjectionRow { row, key, position };
    Ok(rows.into_iter().map(shown).collect())
}

impl Runtime {
    /// Folds the rows of projection `P` now, from the events themselves: they contain everything that has happened,
    /// without waiting. Await the result, or first choose a key, or a time.
    ///
    /// It keeps nothing, so `P` need not be given to the builder. It may be any projection with rows, even a stored
    /// one, whose past it shows.
    ///
    /// # Errors
    ///
    /// [`LiveError::NotApplied`] if an event cannot be applied: nothing is skipped.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub fn live<P: RowProjection>(&self) -> FoldLive<'_, P> {
        FoldLive {
            runtime: self,
            key: (),
            bounds: Bounds {
                to: Position::MAX,
                until: Timestamp::MAX,
                occurred: Timestamp::MAX,
            },
            row: PhantomData,
        }
    }
}

impl<P, K> fmt::Debug for FoldLive<'_, P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoldLive")
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
