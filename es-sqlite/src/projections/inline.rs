//! What the writer does for inline projections, beside an append in its transaction.

use es_runtime::Position;
use es_runtime::projection::sql::{InlineError, InlineReader, InlineSteps, WriteError};
use es_runtime::store::{AppendError, CommitError};

use super::sql::SqliteTransaction;
use super::writer::{Outcome, ProjectionWriter};
use crate::error::Problem;

impl ProjectionWriter<'_> {
    /// Runs the steps of all projections. What is refused has left nothing behind; else [`keep_inline`](Self::keep_inline) ends it.
    pub(crate) fn run_inline(
        &mut self,
        inline: &[InlineSteps<SqliteTransaction<'static>>],
    ) -> Outcome<(), InlineError> {
        for (projection, InlineSteps { projection: reader, .. }) in inline.iter().enumerate() {
            if !self.is_level(reader)? {
                return Ok(Err(InlineError::Behind { projection }));
            }
        }
        self.savepoint()?;
        for (projection, InlineSteps { steps, .. }) in inline.iter().enumerate() {
            if let Err(error) = self.run(steps)? {
                self.undo()?;
                return Ok(Err(refused(projection, error)));
            }
        }
        Ok(Ok(()))
    }

    /// The append is written, up to `last`: moves the checkpoints there.
    pub(crate) fn keep_inline(
        &mut self,
        inline: &[InlineSteps<SqliteTransaction<'static>>],
        last: Position,
    ) -> Result<(), Problem> {
        for InlineSteps { projection, .. } in inline {
            let event = self.event_at(last)?;
            self.stand(&projection.reader, last, event)?;
        }
        self.keep()
    }

    /// Whether the projection has taken in all events of its categories. Nobody else writes in the meantime.
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
