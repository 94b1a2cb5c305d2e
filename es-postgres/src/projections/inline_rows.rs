//! The rows that change with an append: locked and folded before it, written behind it.

use std::collections::HashMap;

use bytes::Bytes;
use deadpool_postgres::Transaction;
use es_runtime::Position;
use es_runtime::store::{Append, InlineError, InlineReader, InlineRows, RowChange};
use tokio_postgres::error::SqlState;

use super::inline::{Ended, before_commit};
use super::no_table;
use super::sql::{BEFORE, Failure};
use crate::PostgresStore;
use crate::error::Problem;
use crate::rows::{Json, column, number};

const LOCK: &str = "SELECT level, keys, data FROM \"es\".lock_rows($1, $2, $3, $4, $5)";
const WRITE: &str = "SELECT \"es\".take_in_rows($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// The changes to the rows of a projection.
pub(super) struct Folded {
    projection: usize,
    changes: Vec<RowChange>,
    /// The keys of which there was no row.
    missing: Vec<String>,
}

impl PostgresStore {
    /// Locks the rows, and folds them.
    pub(super) async fn fold(
        &self,
        transaction: &Transaction<'_>,
        projection: usize,
        rows: &InlineRows,
        append: &Append,
    ) -> Result<Folded, Ended> {
        let InlineReader {
            reader,
            mark,
            categories,
        } = &*rows.projection;
        let (table, keys) = (rows.table.name(), rows.fold.keys());
        let locking = async {
            let statement = transaction.prepare_cached(&self.schema.render(LOCK)).await?;
            transaction
                .query_one(&statement, &[reader, mark, categories, &table, &keys])
                .await
        };
        let locked = self.answered(BEFORE, locking).await.map_err(|failure| match failure {
            Failure::Problem(problem, _) if problem.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                before_commit(no_table(&rows.table).into(), append)
            }
            failure => before_commit(failure, append),
        })?;
        let read = || {
            let level: bool = locked.try_get(0)?;
            let keys: Option<Vec<&str>> = locked.try_get(1)?;
            let data: Option<Vec<Json<'_>>> = locked.try_get(2)?;
            Ok((level, keys.unwrap_or_default(), data.unwrap_or_default()))
        };
        let (level, found, data) = read()
            .map_err(|error: tokio_postgres::Error| before_commit(Failure::Problem(error.into(), BEFORE), append))?;
        if !level {
            return Err(Ended::Refused(InlineError::Behind { projection }));
        }
        let found: HashMap<&str, Json<'_>> = found.into_iter().zip(data).collect();
        let before = keys
            .iter()
            .map(|key| found.get(&**key).map(|data| Bytes::copy_from_slice(data.0)));
        let before: Vec<_> = before.collect();
        let missing = keys
            .iter()
            .filter(|key| !found.contains_key(&***key))
            .cloned()
            .collect();
        let changes = rows.fold.run(projection, &before).map_err(Ended::Refused)?;
        Ok(Folded {
            projection,
            changes,
            missing,
        })
    }

    /// Writes the rows, for an append of the events from `first` to `last`.
    pub(super) async fn write_folded(
        &self,
        transaction: &Transaction<'_>,
        rows: &InlineRows,
        folded: Folded,
        (first, last): (i64, i64),
        append: &Append,
    ) -> Result<(), Ended> {
        let InlineReader {
            reader,
            mark,
            categories,
        } = &*rows.projection;
        let before = Position(number(first - 1));
        let mut changes: Vec<_> = folded.changes.into_iter().map(|change| change.behind(before)).collect();
        // An index is written from left to right.
        changes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let (mut keys, mut data, mut positions, mut deleted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for change in &changes {
            match &change.data {
                None => deleted.push(&*change.key),
                Some(json) => {
                    keys.push(&*change.key);
                    data.push(Json(json));
                    positions.push(column(change.position.0));
                }
            }
        }
        let table = rows.table.name();
        let writing = async {
            let statement = transaction.prepare_cached(&self.schema.render(WRITE)).await?;
            let row = transaction
                .query_one(
                    &statement,
                    &[
                        reader,
                        mark,
                        categories,
                        &first,
                        &last,
                        &table,
                        &keys,
                        &data,
                        &positions,
                        &deleted,
                        &folded.missing,
                    ],
                )
                .await?;
            row.try_get::<_, String>(0)
        };
        let written = self.answered(BEFORE, writing).await;
        match written.map_err(|failure| before_commit(failure, append))?.as_str() {
            "done" => Ok(()),
            "behind" => Err(Ended::Refused(InlineError::Behind {
                projection: folded.projection,
            })),
            _ => Err(Ended::Repeat(Problem::Refused(
                "another append has made a row that was missing".to_owned(),
            ))),
        }
    }
}
