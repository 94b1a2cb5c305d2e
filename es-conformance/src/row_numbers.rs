//! Tables of numbers, kept as rows of a projection: a row a number, with how often it stands there.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use es_runtime::projection::ApplyError;
use es_runtime::projection::sql::{SqlSchema, WriteError};
use es_runtime::store::{
    Advance, Append, Appended, Commit, CommitError, InlineError, InlineFold, InlineRows, Lease, ProjectionStore,
    RowChange, RowQuery, RowTable,
};
use es_runtime::{Position, StoreError, StoreErrorKind};

use crate::sql_tables::{SqlInline, SqlStep, SqlTables};
use crate::subject::Projections;

/// A store that keeps them.
pub(crate) struct RowNumbers(pub(crate) Projections);

pub(crate) fn table(schema: &SqlSchema) -> RowTable {
    RowTable {
        projection: schema.projection.clone(),
        version: schema.version,
        indexes: Vec::new().into(),
        beside: false,
    }
}

/// The change of the rows of these keys, in which events insert numbers.
fn fold(steps: Vec<(usize, SqlStep)>) -> InlineFold {
    let mut keys: Vec<String> = Vec::new();
    for (_, step) in &steps {
        if let SqlStep::Insert(number) = step
            && !keys.contains(&number.to_string())
        {
            keys.push(number.to_string());
        }
    }
    let named = keys.clone();
    InlineFold::new(keys, move |rows| changes(&named, &steps, rows))
}

fn changes(
    keys: &[String],
    steps: &[(usize, SqlStep)],
    rows: &[Option<Bytes>],
) -> Result<Vec<RowChange>, (usize, ApplyError)> {
    let times = |row: &Option<Bytes>| row.as_ref().map_or(0, |data| times(data));
    let mut changed: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    for (event, step) in steps {
        match step {
            SqlStep::Insert(number) => {
                let number = number.to_string();
                let at = keys.iter().position(|key| *key == number).unwrap_or_default();
                let row = changed.entry(&keys[at]).or_insert_with(|| (times(&rows[at]), 0));
                *row = (row.0 + 1, event + 1);
            }
            SqlStep::InsertAndFail(_) => return Err((*event, ApplyError::Method("it fails".into()))),
            SqlStep::InsertAndPanic(_) => return Err((*event, ApplyError::Panicked("as it was to".to_owned()))),
            SqlStep::Refused => {
                // Which no store can keep.
                let refused = RowChange {
                    key: "refused".to_owned(),
                    data: Some(Bytes::from_static(b"{")),
                    position: Position(*event as u64 + 1),
                };
                return Ok(vec![refused]);
            }
        }
    }
    let change = |(key, (times, event)): (&str, (u64, usize))| RowChange {
        key: key.to_owned(),
        data: Some(times.to_string().into()),
        position: Position(event as u64),
    };
    Ok(changed.into_iter().map(change).collect())
}

fn times(data: &[u8]) -> u64 {
    std::str::from_utf8(data)
        .ok()
        .and_then(|data| data.parse().ok())
        .unwrap_or_default()
}

#[async_trait]
impl SqlTables for RowNumbers {
    fn projections(&self) -> Arc<dyn ProjectionStore> {
        Arc::clone(&self.0.0)
    }

    fn statement(&self, _: u32) -> String {
        String::new()
    }

    async fn create_schema(&self, schema: &SqlSchema) -> Result<(), StoreError> {
        self.0.create_table(&table(schema)).await
    }

    async fn run_steps(
        &self,
        schema: &SqlSchema,
        steps: Vec<SqlStep>,
        advance: Option<Advance>,
    ) -> Result<(), WriteError> {
        let Some(advance) = advance else { return Ok(()) };
        let (table, fold) = (table(schema), fold(steps.into_iter().enumerate().collect()));
        let rows = self.0.rows(&table, fold.keys()).await?;
        let data: Vec<_> = rows.into_iter().map(|row| row.map(|row| row.data)).collect();
        let rows = fold.run(0, &data);
        let rows = rows.map_err(|error| StoreError::new(StoreErrorKind::Rejected, error.to_string()))?;
        let commit = Commit { advance, table, rows };
        Ok(self.0.commit(commit).await?)
    }

    async fn append_with(&self, append: Append, inline: Vec<SqlInline>) -> Result<Appended, InlineError> {
        let rows = inline.into_iter().map(|inline| InlineRows {
            projection: Arc::new(inline.projection),
            table: table(&inline.schema),
            fold: fold(inline.steps),
        });
        self.0.append_rows(append, rows.collect()).await
    }

    async fn forget_schema(&self, schema: &SqlSchema, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.0.clear(&table(schema), reader, lease).await
    }

    async fn numbers(&self, schema: &SqlSchema) -> Option<Vec<i64>> {
        let rows = self.0.list_rows(&table(schema), &RowQuery::default()).await.ok()?;
        let mut numbers = Vec::new();
        for row in rows {
            let number: i64 = row.key.parse().ok()?;
            numbers.extend((0..times(&row.data)).map(|_| number));
        }
        numbers.sort_unstable();
        Some(numbers)
    }
}
