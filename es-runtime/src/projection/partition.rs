//! In how many segments a version of a projection is kept: whoever writes it agrees with all others on that.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::fold::Fold;
use super::standing::Standing;
use crate::consumer::{Cursors, TTL, position_of};
use crate::store::{Advance, CheckpointError, CommitError, CursorStore, Lease, Parked};
use crate::{EventId, Position, StartError, StoreError, StoreErrorKind};

/// Into how many segments a version of a projection is partitioned, as the store has it noted: in the one event that is parked under
/// this name. `None` if it is not noted, as of one that is not partitioned, or was never started.
pub(crate) async fn noted(store: &dyn CursorStore, name: &str) -> Result<Option<u32>, StoreError> {
    let Some(note) = store.parked(name, Position::ZERO, 1).await?.pop() else {
        return Ok(None);
    };
    note.error.parse().map(Some).map_err(|error| {
        let message = format!(
            "`{name}` does not say how many segments there are, but {:?}",
            note.error
        );
        StoreError::new(StoreErrorKind::Corrupt, message).caused_by(error)
    })
}

/// Sees to it that no reader of another number of segments ever writes what this one does.
///
/// A projection that is not partitioned works under the lease and the checkpoint that bear its plain name. One that is takes that
/// lease once, before it begins, finds that there is no such checkpoint, and leaves a note; whoever takes a lease from then on
/// [finds](check) it.
pub(crate) async fn declare(
    cursors: &Cursors,
    standing: &Standing,
    fold: &dyn Fold,
    owner: &str,
) -> Result<(), StartError> {
    let deadline = Instant::now() + TTL * 2;
    loop {
        if is_declared(cursors, standing).await? {
            return Ok(());
        }
        if let Some(lease) = cursors.store.acquire(&standing.root, owner, TTL).await? {
            let declared = declare_under(cursors, standing, fold, &lease).await;
            cursors.store.release(&lease).await?;
            return declared;
        }
        // Declared by another process at this moment, or run by one of which it is not partitioned.
        if Instant::now() >= deadline {
            return Err(differs(standing, 1));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn declare_under(
    cursors: &Cursors,
    standing: &Standing,
    fold: &dyn Fold,
    lease: &Lease,
) -> Result<(), StartError> {
    if is_declared(cursors, standing).await? {
        return Ok(());
    }
    // No event counts yet.
    fold.begin(&standing.root, lease).await.map_err(unwritten)?;
    // That nothing was left to build while there were no events tells nothing of the segments.
    cursors.store.forget(&standing.mark, lease).await.map_err(unwritten)?;
    let mut note = Advance::new(&standing.note, lease, Position::ZERO, Position::ZERO);
    note.park.push(Parked {
        position: Position(1),
        event: EventId(uuid::Uuid::nil()),
        error: standing.segment.of.to_string(),
        attempts: 0,
    });
    cursors.store.advance(note).await.map_err(unwritten)
}

/// Returns whether nothing is left to declare.
///
/// # Errors
///
/// [`StartError::Segments`] if another number is declared.
pub(super) async fn is_declared(cursors: &Cursors, standing: &Standing) -> Result<bool, StartError> {
    let of = standing.segment.of;
    match noted(&*cursors.store, &standing.note).await? {
        Some(noted) if noted == of => Ok(true),
        Some(noted) => Err(differs(standing, noted)),
        None if of == 1 => Ok(true),
        None => match cursors.checkpoint(&standing.root).await {
            Ok(checkpoint) if position_of(checkpoint.clone()) == Position::ZERO => Ok(false),
            Ok(_) | Err(CheckpointError::Diverged { .. }) => Err(differs(standing, 1)),
            Err(CheckpointError::Store(error)) => Err(error.into()),
        },
    }
}

/// Whether this reader may write, asked under its lease: without one, another process might declare something else meanwhile.
pub(crate) async fn check(store: &dyn CursorStore, standing: &Standing) -> Result<(), StoreError> {
    let noted = noted(store, &standing.note).await?.unwrap_or(1);
    if noted == standing.segment.of {
        return Ok(());
    }
    let message = differs(standing, noted).to_string();
    Err(StoreError::new(StoreErrorKind::Rejected, message))
}

fn differs(standing: &Standing, kept: u32) -> StartError {
    StartError::Segments {
        projection: standing.name,
        version: standing.version,
        segments: standing.segment.of,
        kept,
    }
}

fn unwritten(error: CommitError) -> StartError {
    StartError::Store(match error {
        CommitError::Store(error) | CommitError::Indeterminate(error) => error,
        other => StoreError::new(StoreErrorKind::Unavailable, other.to_string()),
    })
}
