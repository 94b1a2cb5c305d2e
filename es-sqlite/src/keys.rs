//! Idempotency keys that are forgotten.

use es_runtime::Timestamp;

use crate::error::Problem;
use crate::projections::ProjectionWriter;

/// Forgets keys in the order of the keys, a few in each transaction.
#[derive(Default)]
pub(crate) struct Purge {
    /// The keys up to this one are done.
    after: String,
    pub(crate) forgotten: u64,
}

impl Purge {
    /// Goes on to the next keys. Returns none at the end.
    pub(crate) fn step(&self, writer: &mut ProjectionWriter<'_>, before: Timestamp) -> Result<Option<Self>, Problem> {
        let last = writer.statements.get(
            "SELECT max(idempotency_key) FROM (
                 SELECT idempotency_key FROM appends WHERE idempotency_key > ?1 ORDER BY idempotency_key LIMIT 1000)",
        )?;
        let Some(last) = last.query_row([&self.after], |row| row.get::<_, Option<String>>(0))? else {
            return Ok(None);
        };
        let forget = writer.statements.get(
            "UPDATE appends SET idempotency_key = NULL
              WHERE idempotency_key > ?1 AND idempotency_key <= ?2 AND recorded_at < ?3",
        )?;
        let forgotten = forget.execute((&self.after, &last, before.as_micros()))?;
        Ok(Some(Self {
            after: last,
            forgotten: self.forgotten + forgotten as u64,
        }))
    }
}
