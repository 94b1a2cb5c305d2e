//! Appends that change rows.

use async_trait::async_trait;

use super::rows::write;
use super::{Log, MemoryStore, usize_of};
use crate::RecordedEvent;
use crate::store::{
    Append, AppendError, Appended, InlineError, InlineReader, InlineRows, ProjectionStore, Row, RowChange,
};

#[async_trait]
impl ProjectionStore for MemoryStore {
    async fn append_rows(&self, append: Append, inline: Vec<InlineRows>) -> Result<Appended, InlineError> {
        let now = self.clock.now();
        let mut log = self.log();
        if let Some(appended) = log.repeated(&append)? {
            return Ok(appended);
        }
        log.check_versions(&append)?;
        let changes = log.fold(&inline)?;
        let before = log.head();
        let recorded_at = now.max(log.last_recorded_at());
        let appended = log.write(append, recorded_at);
        let (head, last) = (log.head(), log.events.last().map(|event| event.id));
        for (InlineRows { projection, table, .. }, changes) in inline.iter().zip(changes) {
            let rows = log.tables.of(table).map_err(AppendError::from)?;
            for change in changes {
                write(rows, change.behind(before));
            }
            log.cursors.stand(&projection.reader, head, last, now);
        }
        self.wakes.wake(head);
        Ok(appended)
    }
}

impl Log {
    /// Folds the rows of each projection, and returns their changes. Nothing is written.
    fn fold(&mut self, inline: &[InlineRows]) -> Result<Vec<Vec<RowChange>>, InlineError> {
        if let Some(projection) = inline.iter().position(|rows| !self.is_level(&rows.projection)) {
            return Err(InlineError::Behind { projection });
        }
        let mut all = Vec::with_capacity(inline.len());
        for (projection, InlineRows { table, fold, .. }) in inline.iter().enumerate() {
            let rows = self.tables.of(table).map_err(AppendError::from)?;
            let data = |key| rows.get(key).map(|row: &Row| row.data.clone());
            let before: Vec<_> = fold.keys().iter().map(data).collect();
            all.push(fold.run(projection, &before)?);
        }
        Ok(all)
    }

    /// Returns whether the projection has applied every event of its categories.
    fn is_level(&self, projection: &InlineReader) -> bool {
        if self.cursors.position(&projection.mark).is_none() {
            return false;
        }
        let (at, event) = self.cursors.position(&projection.reader).unwrap_or_default();
        let at = usize_of(at.0);
        // A checkpoint at which another event stands now is not one of this log.
        if event.is_some() && event != at.checked_sub(1).and_then(|at| Some(self.events.get(at)?.id)) {
            return false;
        }
        let is_own = |event: &RecordedEvent| projection.categories.iter().any(|own| own == event.stream.category());
        !self.events.get(at..).unwrap_or_default().iter().any(is_own)
    }
}
