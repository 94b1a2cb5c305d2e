//! In how many segments a version of a projection is kept: all processes that write it agree on that.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::standing::Standing;
use crate::consumer::TTL;
use crate::store::{CursorStore, OwnState, StateStore};
use crate::{StartError, StoreError, StoreErrorKind};

/// Returns the number of segments of a version of a projection, as the store of its rows has it noted. `root` is the name of its
/// lease, or of that of which its segments are.
pub(crate) fn segments_of(states: &Arc<dyn StateStore>, root: &str) -> OwnState<u32> {
    OwnState::new(states, "segments", root)
}

/// Prevents readers of another number of segments from ever writing the same rows: the first of all processes to come says the
/// number, and it stays for as long as the version is there.
///
/// Several are said under the lease of the whole, so that nobody [drops](crate::ProjectionHandle::drop_version) the version meanwhile.
pub(crate) async fn agree(
    cursors: &dyn CursorStore,
    states: Option<&Arc<dyn StateStore>>,
    standing: &Standing,
    owner: &str,
) -> Result<(), StartError> {
    let (projection, segments) = (standing.name, standing.segment.of);
    let Some(states) = states else {
        return match segments {
            1 => Ok(()),
            _ => Err(StartError::SegmentsUnsupported { projection, segments }),
        };
    };
    let said = segments_of(states, &standing.root);
    let deadline = Instant::now() + TTL * 2;
    loop {
        let kept = said.get().await?;
        if let Some(kept) = kept.value {
            return check_equal(standing, kept);
        }
        if segments == 1 {
            said.save(&kept, Some(&1)).await?;
        } else if let Some(lease) = cursors.acquire(&standing.root, owner, TTL).await? {
            let saved = said.save(&kept, Some(&segments)).await;
            cursors.release(&lease).await?;
            saved?;
        } else if Instant::now() < deadline {
            sleep(Duration::from_millis(20)).await;
        } else {
            let message = format!("another process drops or starts `{}`: start again later", standing.root);
            return Err(StoreError::new(StoreErrorKind::Unavailable, message).into());
        }
    }
}

/// Checks the number of segments for whoever only reads the rows, and so says none.
pub(super) async fn look(states: Option<&Arc<dyn StateStore>>, standing: &Standing) -> Result<(), StartError> {
    let Some(states) = states else { return Ok(()) };
    let kept = segments_of(states, &standing.root).get().await?;
    kept.value.map_or(Ok(()), |kept| check_equal(standing, kept))
}

/// Checks that this reader may write, under its lease: the version may have been dropped since it was started, and started otherwise.
pub(crate) async fn check(states: Option<&Arc<dyn StateStore>>, standing: &Standing) -> Result<(), StoreError> {
    let Some(states) = states else { return Ok(()) };
    let said = segments_of(states, &standing.root);
    loop {
        let kept = said.get().await?;
        if kept.value.is_some() || !standing.segment.is_whole() {
            let checked = check_equal(standing, kept.value.unwrap_or(1));
            return checked.map_err(|error| StoreError::new(StoreErrorKind::Rejected, error.to_string()));
        }
        said.save(&kept, Some(&1)).await?;
    }
}

fn check_equal(standing: &Standing, kept: u32) -> Result<(), StartError> {
    let segments = standing.segment.of;
    if kept == segments {
        return Ok(());
    }
    Err(StartError::Segments {
        projection: standing.name,
        version: standing.version,
        segments,
        kept,
    })
}
