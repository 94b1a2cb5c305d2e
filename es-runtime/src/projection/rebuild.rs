//! Rows that are built anew beside those that are shown, and then take their place.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::reader::failure;
use super::standing::Standing;
use super::worker::{Trouble, Worker, refused};
use super::{ControlError, Rebuilt, Status};
use crate::consumer::{backoff, guarded, next, position_of};
use crate::store::{Advance, CheckpointError, CommitError, Difference, Lease, Replace};
use crate::{Position, StoreError};

/// With how many events left to apply the rows that are shown may stand still until they are replaced.
const HARDLY_ANY: u64 = 4_000;

/// How many rows that differ are told, and how many characters of each.
const TOLD: u32 = 10;
const LONGEST_ROW: usize = 500;

/// How rows are to be built anew. Kept with what is reported, so that who takes the projection over goes on in the same way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rebuild {
    /// How many events in a second at most.
    #[serde(default)]
    pub(crate) throttle: Option<u32>,
    /// Whether to tell which rows differ.
    #[serde(default)]
    pub(crate) compare: bool,
    /// Whether to keep the old rows if some do.
    #[serde(default)]
    pub(crate) keep: bool,
}

/// Builds beside.
pub(crate) struct Rebuilder {
    /// Writes the table beside.
    pub(crate) worker: Worker,
    /// What comes of it once the rows are replaced, which may have happened without our knowing.
    pub(crate) outcome: Option<Rebuilt>,
}

impl Rebuilder {
    /// Begins at the first event, also if a build was under way.
    pub(crate) async fn begin(&mut self, lease: &Lease) -> Result<(), ControlError> {
        let Standing { name, reader, .. } = &*self.worker.standing;
        self.outcome = None;
        self.worker.sequences.doubt();
        self.worker.fold.set_up().await?;
        let forgotten = self.worker.fold.forget(reader, lease).await;
        forgotten.map_err(|error| refused(name, error))?;
        let forgotten = self.worker.attempts.forget(lease).await;
        forgotten.map_err(|error| refused(name, error))?;
        // From now on a build is under way, whoever has the lease.
        let begun = Advance::new(reader, lease, Position::ZERO, Position::ZERO);
        let begun = self.worker.cursors.advance(begun).await;
        begun.map_err(|error| refused(name, error))?;
        tracing::info!(
            projection = name,
            "a projection is built anew, beside the rows that are shown"
        );
        Ok(())
    }

    /// Whether a build is under way.
    pub(crate) async fn is_under_way(&self) -> Result<bool, StoreError> {
        match self.worker.cursors.checkpoint(&self.worker.standing.reader).await {
            Ok(checkpoint) => Ok(checkpoint.is_some()),
            // It is begun anew.
            Err(CheckpointError::Diverged { .. }) => Ok(true),
            Err(CheckpointError::Store(error)) => Err(error),
        }
    }

    /// Builds until hardly anything is left to do. What fails is tried again; what comes back is that the lease is lost.
    pub(crate) async fn build(&mut self, how: Rebuild, lease: &Lease) -> Result<(), Trouble> {
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(10));
        self.worker.throttle = how.throttle;
        loop {
            let (error, position): (Box<dyn std::error::Error + Send + Sync>, _) =
                match guarded("building", self.catch_up(lease)).await {
                    Ok(()) => return Ok(()),
                    Err(Trouble::LeaseLost) => return Err(Trouble::LeaseLost),
                    Err(Trouble::Diverged(error)) => {
                        if let Err(error) = guarded("beginning anew", self.begin(lease)).await {
                            tracing::warn!(%error, "a build was not begun anew");
                        }
                        (Box::new(error), None)
                    }
                    Err(Trouble::Held { position, error }) => (Box::new(error), Some(position)),
                    Err(Trouble::Store(error) | Trouble::Moved(error)) => (Box::new(error), None),
                };
            if std::mem::take(&mut self.worker.progressed) {
                failing = backoff(Duration::from_millis(50), Duration::from_secs(10));
            }
            let name = self.worker.standing.name;
            tracing::warn!(projection = name, error = %error, "a build does not go on");
            let kind = position.map_or(Status::Retrying, |_| Status::Held);
            self.worker.standing.metrics.failed(kind);
            let at = self.worker.clock.now();
            self.worker.standing.update(|state| {
                let before = state.failure.take();
                state.failure = Some(failure(before, &*error, position, at));
            });
            sleep(next(&mut failing)).await;
        }
    }

    async fn catch_up(&mut self, lease: &Lease) -> Result<(), Trouble> {
        loop {
            let head = self.worker.cursors.log.head().await?;
            self.worker.advance(head, lease).await?;
            self.worker.standing.update(|state| state.failure = None);
            // A log that was restored meanwhile may end before.
            let left = self.worker.cursors.log.head().await?.0.saturating_sub(head.0);
            if left <= HARDLY_ANY {
                return Ok(());
            }
        }
    }

    /// Brings both to the same event, compares them if asked, and puts what was built in the place of what is shown.
    pub(crate) async fn finish(&mut self, shown: &mut Worker, how: Rebuild, lease: &Lease) -> Result<Rebuilt, Trouble> {
        self.worker.throttle = None;
        let head = shown.cursors.log.head().await?;
        match shown.advance(head, lease).await {
            // It may be for the very event before which it holds that it is built anew.
            Ok(()) | Err(Trouble::Held { .. }) => {}
            Err(trouble) => return Err(trouble),
        }
        self.worker.advance(head, lease).await?;
        let (Standing { reader, table, .. }, beside) = (&*shown.standing, &*self.worker.standing);
        let mut differences = None;
        if how.compare {
            let mut found = shown.rows.differences(table, &beside.table, TOLD).await?;
            found.first.iter_mut().for_each(shorten);
            differences = Some(found);
        }
        let keeps = how.keep && differences.as_ref().is_some_and(|found| found.count > 0);
        let rebuilt = Rebuilt {
            at: self.worker.clock.now(),
            replaced: !keeps,
            differences,
        };
        if keeps {
            self.discard(lease).await?;
            return Ok(rebuilt);
        }
        let stands = async |reader: &str| Ok::<_, Trouble>(position_of(shown.cursors.checkpoint(reader).await?));
        let replace = Replace {
            lease: lease.clone(),
            reader: reader.clone(),
            table: table.clone(),
            from: stands(reader).await?,
            beside: beside.reader.clone(),
            table_beside: beside.table.clone(),
            to: stands(&beside.reader).await?,
        };
        self.outcome = Some(rebuilt.clone());
        shown.sequences.doubt();
        shown.rows.replace(replace).await?;
        self.outcome = None;
        self.worker.standing.metrics.leave();
        Ok(rebuilt)
    }

    /// Drops what was built.
    pub(crate) async fn discard(&mut self, lease: &Lease) -> Result<(), CommitError> {
        let Standing { reader, table, .. } = &*self.worker.standing;
        let readers = std::slice::from_ref(reader);
        self.worker.rows.drop_table(table, readers, lease).await?;
        self.worker.standing.metrics.leave();
        Ok(())
    }
}

/// What is told of a row goes into a report.
fn shorten(difference: &mut Difference) {
    for data in [&mut difference.old, &mut difference.new].into_iter().flatten() {
        if let Some((at, _)) = data.char_indices().nth(LONGEST_ROW) {
            data.truncate(at);
            data.push('…');
        }
    }
}
