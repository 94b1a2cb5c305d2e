//! The writer's work for inline projections, in the transaction of an append.

use bytes::Bytes;
use es_runtime::Position;
use es_runtime::projection::sql::{InlineSteps, WriteError};
use es_runtime::store::{AppendError, CommitError, InlineError, InlineReader, InlineRows, RowChange};
use rusqlite::OptionalExtension as _;

use super::table::TableSql;
use super::writer::{Outcome, ProjectionWriter};
use crate::error::Problem;
use crate::request::Inline;
use crate::rows;

impl ProjectionWriter<'_> {
    /// Folds the rows of all projections, which are returned, and runs their steps. What is refused has left nothing
    /// behind; otherwise [`keep_inline`](Self::keep_inline) ends it.
    pub(crate) fn run_inline(&mut self, inline: &Inline) -> Outcome<Vec<Vec<RowChange>>, InlineError> {
        let of_steps = inline.steps.iter().map(|steps| &steps.projection);
        let of_rows = inline.rows.iter().map(|rows| &rows.projection);
        for (projection, reader) in of_steps.chain(of_rows).enumerate() {
            if !self.is_level(reader)? {
                return Ok(Err(InlineError::Behind { projection }));
            }
        }
        let mut changes = Vec::with_capacity(inline.rows.len());
        for (index, rows) in inline.rows.iter().enumerate() {
            match self.fold(inline.steps.len() + index, rows)? {
                Ok(of_rows) => changes.push(of_rows),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        if inline.steps.is_empty() {
            return Ok(Ok(changes));
        }
        self.savepoint()?;
        for (projection, InlineSteps { steps, .. }) in inline.steps.iter().enumerate() {
            if let Err(error) = self.run(steps)? {
                self.undo()?;
                return Ok(Err(refused(projection, error)));
            }
        }
        Ok(Ok(changes))
    }

    /// The append is written, behind `before` and up to `last`: writes the rows, and moves the checkpoints there.
    pub(crate) fn keep_inline(
        &mut self,
        inline: &Inline,
        changes: Vec<Vec<RowChange>>,
        before: Position,
        last: Position,
    ) -> Result<(), Problem> {
        let event = self.event_at(last)?;
        for InlineSteps { projection, .. } in &inline.steps {
            self.stand(&projection.reader, last, event)?;
        }
        for (InlineRows { projection, table, .. }, changes) in inline.rows.iter().zip(changes) {
            let changes: Vec<_> = changes.into_iter().map(|change| change.behind(before)).collect();
            self.write_rows(table, &changes)?;
            self.stand(&projection.reader, last, event)?;
        }
        if inline.steps.is_empty() {
            return Ok(());
        }
        self.keep()
    }

    /// Folds the rows as they are in this transaction, and returns their changes.
    fn fold(&mut self, projection: usize, rows: &InlineRows) -> Outcome<Vec<RowChange>, InlineError> {
        if let Err(absent) = self.check_table(&rows.table)? {
            return Ok(Err(AppendError::from(absent).into()));
        }
        let sql = TableSql::new(&rows.table).data();
        let mut data = Vec::with_capacity(rows.fold.keys().len());
        for key in rows.fold.keys() {
            let read = |row: &rusqlite::Row<'_>| Ok(Bytes::copy_from_slice(rows::bytes(row, 0)?));
            data.push(self.statements.get(&sql)?.query_row([key], read).optional()?);
        }
        Ok(rows.fold.run(projection, &data))
    }

    /// Returns whether the projection has taken in all events of its categories. Nobody else writes in the meantime.
    fn is_level(&mut self, projection: &InlineReader) -> Result<bool, Problem> {
        let is_marked = "SELECT 1 FROM checkpoints WHERE reader = ?1";
        if !self.statements.get(is_marked)?.exists([&projection.mark])? {
            return Ok(false);
        }
        // A checkpoint at which another event stands now is not one of this log. The log is searched from its end.
        let is_behind = "WITH at AS (
                SELECT c.position, c.event_id FROM checkpoints AS c WHERE c.reader = ?1
                UNION ALL SELECT 0, NULL ORDER BY 1 DESC LIMIT 1
            )
            SELECT 1 FROM at
             WHERE at.event_id IS NOT NULL
               AND at.event_id IS NOT (SELECT e.event_id FROM recorded_events AS e WHERE e.position = at.position)
                OR EXISTS (
                    SELECT 1 FROM recorded_events AS e CROSS JOIN streams AS s ON s.id = e.stream
                     WHERE e.position > (SELECT position FROM at)
                       AND s.category IN (SELECT value FROM json_each(?2)))";
        let categories = serde_json::to_string(&projection.categories);
        let categories = categories.unwrap_or_else(|_| unreachable!("text has a JSON form"));
        let arguments = (&projection.reader, categories);
        Ok(!self.statements.get(is_behind)?.exists(arguments)?)
    }
}

fn refused(projection: usize, error: WriteError) -> InlineError {
    match error {
        WriteError::Poison { index, error } => InlineError::Poison {
            projection,
            event: index,
            error,
        },
        WriteError::Commit(CommitError::Store(error)) => InlineError::Append(error.into()),
        other => InlineError::Append(AppendError::Store(super::writer::rejected(other.to_string()))),
    }
}
