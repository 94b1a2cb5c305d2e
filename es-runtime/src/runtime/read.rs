use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::time::Instant;

use super::{Runtime, Start, Started};
use crate::nearest::nearest_first;
use crate::projection::{KeyOfRow, ReadError, RowProjection, Running, Standing};
use crate::store::{Row, RowStore, RowTable};
use crate::{Position, StoreError};

/// A row of a projection, with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectionRow<P> {
    /// The row.
    pub row: P,
    /// Its key.
    pub key: String,
    /// The position of the event that changed it last.
    pub position: Position,
}

impl<P> Deref for ProjectionRow<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.row
    }
}

/// The settings that all reads of rows share.
pub(super) struct Reading {
    projection: Running,
    pub(super) after: Position,
    pub(super) timeout: Duration,
}

impl Reading {
    pub(super) fn new(projection: &Running) -> Self {
        Self {
            projection: projection.clone(),
            after: Position::ZERO,
            timeout: Running::TIMEOUT,
        }
    }

    /// Returns the place of the rows.
    pub(super) fn place(&self) -> (&dyn RowStore, &RowTable) {
        (&*self.projection.storage.rows, &self.projection.standing.table)
    }

    /// Checks that rows may be grouped by this field, which the user calls `field`.
    pub(super) fn check_index(&self, path: &str, field: &str) -> Result<(), ReadError> {
        let Standing {
            name,
            table,
            is_in_memory,
            ..
        } = &*self.projection.standing;
        if *is_in_memory || table.indexes.iter().any(|index| index == path) {
            return Ok(());
        }
        let indexes = nearest_first(field, table.indexes.iter().map(|index| &**index));
        Err(ReadError::NotIndexed {
            projection: name,
            field: field.to_owned(),
            indexes: indexes.into_iter().map(str::to_owned).collect(),
        })
    }

    /// Reads rows that may be shown: of a table that was not started again meanwhile. Nothing if there is no event. If
    /// there is a `key`, waits only for its segment.
    pub(super) async fn read<'s, T: Default>(
        &'s self,
        key: Option<&str>,
        ask: impl Fn() -> BoxFuture<'s, Result<T, StoreError>> + Send,
    ) -> Result<T, ReadError> {
        let Running { standing, storage, .. } = &self.projection;
        let deadline = Instant::now() + self.timeout;
        if self.after > Position::ZERO {
            self.projection.reach(self.after, key, deadline, self.timeout).await?;
        }
        // The event of the mark may be there still, as it stands further back.
        self.projection.check_diverged().await?;
        loop {
            let Some(mark) = self.projection.ready(deadline).await? else {
                return Ok(T::default());
            };
            let answer = ask().await?;
            if storage.cursors.is_still(&standing.mark, &mark).await? {
                return Ok(answer);
            }
        }
    }
}

macro_rules! reading_setters {
    () => {
        /// Waits until the effects of all events up to this position are shown, such as that of a
        /// [`Receipt`](crate::Receipt): your own write.
        pub fn after(mut self, position: impl Into<Position>) -> Self {
            self.reading.after = position.into();
            self
        }

        /// Sets how long to wait for [`after`](Self::after), and for rows that are being built: five seconds unless
        /// set.
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.reading.timeout = timeout;
            self
        }
    };
}

pub(super) use reading_setters;

/// Reads a row: `runtime.get::<Balance>(id).await`, with options before the `await`.
#[must_use = "nothing is read until it is awaited"]
pub struct Get<'a, P> {
    reading: Reading,
    key: String,
    start: Start<'a, Self, Result<Option<ProjectionRow<P>>, ReadError>>,
}

impl<P> Get<'_, P> {
    reading_setters!();
}

impl<P: RowProjection> Get<'_, P> {
    async fn run(self) -> Result<Option<ProjectionRow<P>>, ReadError> {
        let Self { reading, key, .. } = &self;
        let (store, table) = reading.place();
        let rows = reading
            .read(Some(key), || store.rows(table, std::slice::from_ref(key)))
            .await?;
        rows.into_iter().flatten().next().map(shown).transpose()
    }
}

impl<'a, P> IntoFuture for Get<'a, P> {
    type Output = Result<Option<ProjectionRow<P>>, ReadError>;
    type IntoFuture = Started<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.start)(self)
    }
}

pub(super) fn shown<P: RowProjection>(row: Row) -> Result<ProjectionRow<P>, ReadError> {
    let Row { key, data, position } = row;
    match crate::json::from_slice(&data) {
        Ok(row) => Ok(ProjectionRow { row, key, position }),
        Err(source) => Err(ReadError::Row {
            projection: P::NAME,
            key,
            source,
        }),
    }
}

impl Runtime {
    /// Reads the row of projection `P` with this key. Await the result, or set options first.
    ///
    /// A row shows the state after some event: use [`after`](Get::after) to see at least your own writes. Rows that are
    /// built for the first time become visible when they have caught up with the log; until then the read waits.
    ///
    /// # Panics
    ///
    /// If `P` was not given to the builder of the runtime.
    #[track_caller]
    pub fn get<P: RowProjection>(&self, key: impl KeyOfRow<P::Key>) -> Get<'_, P> {
        Get {
            reading: Reading::new(self.0.projections.of::<P>()),
            key: key.into_row_key(),
            start: |this| Box::pin(this.run()),
        }
    }
}

impl<P> fmt::Debug for Get<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").field("key", &self.key).finish_non_exhaustive()
    }
}
