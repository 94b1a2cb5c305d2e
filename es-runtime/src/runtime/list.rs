use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use super::read::{ProjectionRow, Reading, reading_setters, shown};
use super::{Runtime, Start, Started};
use crate::Position;
use crate::projection::{Fields, ReadError, RowProjection};
use crate::store::{Compare, FieldValue, RowCount, RowCursor, RowFilter, RowGroup, RowQuery};

/// Rows in the requested order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page<P> {
    /// The rows.
    pub rows: Vec<ProjectionRow<P>>,
    /// The beginning of the next page, for [`List::page`]; `None` after the last row.
    pub next: Option<RowCursor>,
}

/// Lists rows: `runtime.list::<Balance>().await`, with options before the `await`. By default all rows, ordered by key.
#[must_use = "nothing is read until it is awaited"]
pub struct List<'a, P> {
    reading: Reading,
    query: RowQuery,
    start: Start<'a, Self, Result<Page<P>, ReadError>>,
}

impl<'a, P: RowProjection> List<'a, P> {
    reading_setters!();

    /// Lists only rows whose field, such as `owner` or `address.city`, compares like this with `value`. All conditions
    /// must hold; none holds for `null`. Fast on a field of `#[projection(index = […])]`.
    ///
    /// Fails with [`ReadError::UnknownField`] if the row does not have the field, and with [`ReadError::FieldType`] if
    /// the value never compares with it.
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

    /// Orders by this field, then by key. Rows in which it is `null` come last, in either direction. Text is ordered by
    /// its first 1,024 bytes.
    pub fn order_by(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.query.order_by = Some(field.into());
        self
    }

    /// Puts rows first in which the field of [`order_by`](Self::order_by) is `null`.
    pub fn nulls_first(mut self) -> Self {
        self.query.nulls_first = true;
        self
    }

    /// Lists the largest first.
    pub fn descending(mut self) -> Self {
        self.query.descending = true;
        self
    }

    /// Lists at most `rows` rows; [`Page::next`] is the beginning of the next page.
    pub fn limit(mut self, rows: u32) -> Self {
        self.query.limit = Some(rows);
        self
    }

    /// Continues after a page of the same list. Rows that move in the order between two pages may be seen twice or not
    /// at all; every other row is seen once.
    pub fn page(mut self, next: RowCursor) -> Self {
        self.query.after = Some(next);
        self
    }

    /// Counts the rows that pass the filters: `runtime.list::<Balance>().filter(…).count().await`. Order, limit and
    /// page do not matter.
    pub fn count(self) -> Count<'a, P> {
        Count(self)
    }

    /// Counts the rows for each value of a field, in the order of the values: the cases of each channel. Order, limit
    /// and page do not matter.
    ///
    /// The field must have an index, `#[projection(index = ["channel"])]`, unless the rows are kept in memory.
    /// Otherwise fails with [`ReadError::NotIndexed`].
    pub fn group_by(self, field: impl Into<Cow<'static, str>>) -> GroupBy<'a, P> {
        GroupBy {
            list: self,
            field: field.into(),
        }
    }
}

impl<P: RowProjection> List<'_, P> {
    /// Counts the rows of the filters.
    async fn counted(&self, group_by: Option<Cow<'static, str>>) -> Result<Vec<RowGroup>, ReadError> {
        let count = RowCount {
            filters: Fields::<P>::filters(self.query.filters.clone())?,
            group_by,
        };
        let (rows, table) = self.reading.place();
        self.reading.read(None, || rows.count_rows(table, &count)).await
    }
}

impl<P: RowProjection> List<'_, P> {
    async fn run(self) -> Result<Page<P>, ReadError> {
        let query = &Fields::<P>::query(self.query)?;
        let (rows, table) = self.reading.place();
        let rows = self.reading.read(None, || rows.list_rows(table, query)).await?;
        let is_full = query.limit.is_some_and(|limit| rows.len() == limit as usize);
        let next = rows.last().filter(|_| is_full).map(|last| query.cursor(last));
        let rows = rows.into_iter().map(shown).collect::<Result<_, _>>()?;
        Ok(Page { rows, next })
    }
}

impl<'a, P> IntoFuture for List<'a, P> {
    type Output = Result<Page<P>, ReadError>;
    type IntoFuture = Started<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.start)(self)
    }
}

/// Counts rows: [`List::count`].
#[must_use = "nothing is counted until it is awaited"]
pub struct Count<'a, P>(List<'a, P>);

impl<'a, P: RowProjection> IntoFuture for Count<'a, P> {
    type Output = Result<u64, ReadError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let all = self.0.counted(None).await?;
            Ok(all.iter().map(|group| group.count).sum())
        })
    }
}

/// Counts rows for each value of a field: [`List::group_by`].
#[must_use = "nothing is counted until it is awaited"]
pub struct GroupBy<'a, P> {
    list: List<'a, P>,
    field: Cow<'static, str>,
}

impl<'a, P: RowProjection> IntoFuture for GroupBy<'a, P> {
    type Output = Result<Vec<RowGroup>, ReadError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { list, field } = self;
            let path = Fields::<P>::ordered(&field)?;
            list.reading.check_index(&path, &field)?;
            let mut groups = list.counted(Some(path)).await?;
            for group in &mut groups {
                group.value = group.value.take().map(|value| Fields::<P>::typed(&field, value));
            }
            Ok(groups)
        })
    }
}

impl Runtime {
    /// Lists the rows of projection `P`. Await the result, or first set filters and the order.
    ///
    /// # Panics
    ///
    /// If `P` was not given to the builder of the runtime.
    #[track_caller]
    pub fn list<P: RowProjection>(&self) -> List<'_, P> {
        List {
            reading: Reading::new(self.0.projections.of::<P>()),
            query: RowQuery::default(),
            start: |this| Box::pin(this.run()),
        }
    }
}

impl<P> fmt::Debug for List<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}

impl<P> fmt::Debug for Count<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Count").field(&self.0).finish()
    }
}

impl<P> fmt::Debug for GroupBy<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBy")
            .field("list", &self.list)
            .field("field", &self.field)
            .finish()
    }
}
