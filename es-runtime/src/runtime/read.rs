use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::Runtime;
use crate::Position;
use crate::projection::store::{Compare, FieldValue, Row, RowCursor, RowFilter, RowQuery};
use crate::projection::{ReadError, RowKey, RowProjection, Running};

/// A row of a projection, with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shown<P> {
    /// The row.
    pub row: P,
    /// Its key.
    pub key: String,
    /// The position of the event that changed it last.
    pub position: Position,
}

impl<P> Deref for Shown<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.row
    }
}

/// Rows in the order that was asked for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page<P> {
    /// The rows.
    pub rows: Vec<Shown<P>>,
    /// Where the next page begins, for [`List::page`]; `None` after the last row.
    pub next: Option<RowCursor>,
}

/// What reads of rows have in common.
struct Reading {
    projection: Running,
    after: Position,
    timeout: Duration,
}

impl Reading {
    fn new(projection: &Running) -> Self {
        Self {
            projection: projection.clone(),
            after: Position::ZERO,
            timeout: Running::TIMEOUT,
        }
    }

    /// Reads rows that may be shown: of a table that was not begun anew meanwhile.
    async fn read(&self, wanted: Wanted<'_>) -> Result<Vec<Row>, ReadError> {
        let Running { standing, store, .. } = &self.projection;
        let deadline = Instant::now() + self.timeout;
        if self.after > Position::ZERO {
            let key = match wanted {
                Wanted::Key([key]) => Some(&**key),
                Wanted::Query(_) => None,
            };
            self.projection.reach(self.after, key, deadline, self.timeout).await?;
        }
        // The event of the mark may be there still, as it stands further back.
        self.projection.check_diverged().await?;
        loop {
            let Some(mark) = self.projection.ready(deadline).await? else {
                // There is no event, and so no row.
                return Ok(Vec::new());
            };
            let rows = match wanted {
                Wanted::Key(key) => store.rows(&standing.table, key).await?.into_iter().flatten().collect(),
                Wanted::Query(query) => store.list_rows(&standing.table, query).await?,
            };
            if standing.read_mark(&**store).await?.as_ref() == Some(&mark) {
                return Ok(rows);
            }
        }
    }
}

/// Which rows are read.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Key(&'a [String; 1]),
    Query(&'a RowQuery),
}

macro_rules! reading_setters {
    () => {
        /// Waits until the effects of all events up to this position are shown, such as that of a
        /// [`Receipt`](crate::Receipt): your own write.
        pub fn after(mut self, position: impl Into<Position>) -> Self {
            self.reading.after = position.into();
            self
        }

        /// How long to wait for [`after`](Self::after), and for rows that are being built: five seconds unless set.
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.reading.timeout = timeout;
            self
        }
    };
}

/// Reads a row: `runtime.get::<Balance>(id).await`, or first its options.
#[must_use = "nothing is read until it is awaited"]
pub struct Get<'a, P> {
    reading: Reading,
    key: String,
    runtime: PhantomData<&'a Runtime>,
    row: PhantomData<fn() -> P>,
}

impl<P: RowProjection> Get<'_, P> {
    reading_setters!();
}

impl<'a, P: RowProjection> IntoFuture for Get<'a, P> {
    type Output = Result<Option<Shown<P>>, ReadError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let rows = self.reading.read(Wanted::Key(&[self.key])).await?;
            rows.into_iter().next().map(shown).transpose()
        })
    }
}

/// Lists rows: `runtime.list::<Balance>().await`, or first its options. All, in the order of their keys, unless said otherwise.
#[must_use = "nothing is read until it is awaited"]
pub struct List<'a, P> {
    reading: Reading,
    query: RowQuery,
    runtime: PhantomData<&'a Runtime>,
    row: PhantomData<fn() -> P>,
}

impl<P: RowProjection> List<'_, P> {
    reading_setters!();

    /// Only rows whose field, such as `owner` or `address.city`, compares so with `value`. All conditions must hold. Fast on a
    /// field of `#[projection(index = […])]`.
    pub fn filter(
        mut self,
        field: impl Into<Cow<'static, str>>,
        compare: Compare,
        value: impl Into<FieldValue>,
    ) -> Self {
        self.query.filters.push(RowFilter {
            field: field.into(),
            compare,
            value: value.into(),
        });
        self
    }

    /// In the order of this field, then of the keys. Rows in which it is `null` come last.
    pub fn order_by(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.query.order_by = Some(field.into());
        self
    }

    /// Rows in which the field of [`order_by`](Self::order_by) is `null` come first, in either direction.
    pub fn nulls_first(mut self) -> Self {
        self.query.nulls_first = true;
        self
    }

    /// The largest first.
    pub fn descending(mut self) -> Self {
        self.query.descending = true;
        self
    }

    /// At most so many rows; [`Page::next`] says where to go on.
    pub fn limit(mut self, rows: u32) -> Self {
        self.query.limit = Some(rows);
        self
    }

    /// Goes on where a page of the same list ended. Rows that change between two pages may be seen twice or not at all, if their
    /// place in the order changes; no other row is.
    pub fn page(mut self, next: RowCursor) -> Self {
        self.query.after = Some(next);
        self
    }
}

impl<'a, P: RowProjection> IntoFuture for List<'a, P> {
    type Output = Result<Page<P>, ReadError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let query = &self.query;
            let rows = self.reading.read(Wanted::Query(query)).await?;
            let is_full = query.limit.is_some_and(|limit| rows.len() == limit as usize);
            let next = rows.last().filter(|_| is_full).map(|last| query.cursor(last));
            let rows = rows.into_iter().map(shown).collect::<Result<_, _>>()?;
            Ok(Page { rows, next })
        })
    }
}

fn shown<P: RowProjection>(row: Row) -> Result<Shown<P>, ReadError> {
    let Row { key, data, position } = row;
    match crate::json::from_slice(&data) {
        Ok(row) => Ok(Shown { row, key, position }),
        Err(source) => Err(ReadError::Row {
            projection: P::NAME,
            key,
            source,
        }),
    }
}

impl Runtime {
    /// The row of projection `P` with this key. Await the result, or set options first.
    ///
    /// A row shows a state as it was after some event: use [`after`](Get::after) to see at least what you did yourself. Rows that
    /// are built for the first time, or anew, are shown when they are as new as the log, and waited for until then.
    ///
    /// # Panics
    ///
    /// If `P` was not given to the builder of the runtime.
    #[track_caller]
    pub fn get<P: RowProjection>(&self, key: impl RowKey) -> Get<'_, P> {
        Get {
            reading: Reading::new(self.0.projections.of::<P>()),
            key: key.to_string(),
            runtime: PhantomData,
            row: PhantomData,
        }
    }

    /// The rows of projection `P`. Await the result, or say first which, and in what order.
    ///
    /// # Panics
    ///
    /// If `P` was not given to the builder of the runtime.
    #[track_caller]
    pub fn list<P: RowProjection>(&self) -> List<'_, P> {
        List {
            reading: Reading::new(self.0.projections.of::<P>()),
            query: RowQuery::default(),
            runtime: PhantomData,
            row: PhantomData,
        }
    }
}

impl<P> fmt::Debug for Get<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").field("key", &self.key).finish_non_exhaustive()
    }
}

impl<P> fmt::Debug for List<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}
