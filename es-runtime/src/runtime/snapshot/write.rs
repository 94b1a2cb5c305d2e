//! Writing the snapshot of one instance.

use std::pin::Pin;

use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::time::timeout;

use super::SnapshotError;
use super::counts::Outcome;
use super::fold::Folded;
use super::kept::{key, sealed};
use super::policy::{Header, SnapshotPolicy};
use crate::aggregate::HasSnapshots;
use crate::error::chain;
use crate::runtime::Runtime;
use crate::runtime::load::Until;
use crate::runtime::state::Current;
use crate::store::{Demand, Purge, StateChange, StateStore};
use crate::{EventSourced, Key, StoreError, StreamId, Version};

/// The time that a snapshot waits for the turn of its instance, before it is made of the events in the store.
const PATIENCE: Duration = Duration::from_millis(100);

impl Runtime {
    /// Writes a [snapshot](crate::docs::snapshots) of the aggregate instance `key` as it is now, and returns its version.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::NotFound`] if there is no such instance; [`SnapshotError::Unsupported`] if nothing keeps snapshots;
    /// [`SnapshotError::State`] if the state has no stored form that is read as the same state.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the snapshot may be written or not.
    pub fn snapshot<K: Key>(&self, key: K) -> Pin<Box<dyn Future<Output = Result<Version, SnapshotError>> + Send + '_>>
    where
        K::Aggregate: EventSourced + HasSnapshots,
    {
        let stream = key.stream_id();
        Box::pin(async move {
            let written = self.write_newest::<K::Aggregate>(&stream).await?;
            written.ok_or(SnapshotError::NotFound { stream })
        })
    }

    /// The stream has grown by the events of an append.
    pub(in crate::runtime) fn appended<A: EventSourced>(&self, stream: &StreamId, before: Version, after: Version) {
        if let Some(policy) = A::SNAPSHOTS
            && policy.is_due(before, after)
            && self.0.snapshots.of::<A>().is_some()
        {
            self.queue_snapshot::<A>(stream, false);
        }
    }

    /// Has a snapshot written in the background, in the place of one that `is_unfit`.
    pub(super) fn queue_snapshot<A: EventSourced>(&self, stream: &StreamId, is_unfit: bool) {
        if !self
            .0
            .snapshots
            .queue
            .push(self, stream, write_in_background::<A>, is_unfit)
        {
            self.0.snapshots.counts.add::<A>(Outcome::Skipped);
        }
    }

    /// Writes a snapshot of the state in the cache; of the newest one if there is none.
    async fn write_cached<A: EventSourced>(&self, stream: &StreamId, is_unfit: bool) -> Result<(), SnapshotError> {
        let Some((policy, states)) = self.0.snapshots.of::<A>() else {
            return Ok(());
        };
        if is_unfit {
            forget::<A>(&**states, stream).await?;
        }
        let Some(change) = self.cached_change(&policy, stream).await else {
            return self.write_newest::<A>(stream).await.map(drop);
        };
        match change? {
            Some(change) => self.save::<A>(&**states, change).await,
            None => Ok(()),
        }
    }

    /// The snapshot of the state in the cache, if there is one within a short time: commands without a pause keep the turn for
    /// themselves, and other snapshots wait meanwhile.
    async fn cached_change<A: EventSourced>(
        &self,
        policy: &SnapshotPolicy<A>,
        stream: &StreamId,
    ) -> Option<Result<Option<StateChange>, SnapshotError>> {
        let slot = self.0.cache.cached(stream)?;
        let turn = match slot.try_turn(&self.0.cache) {
            Some(turn) => turn,
            None => timeout(PATIENCE, slot.turn(&self.0.cache)).await.ok()?,
        };
        let (cached, _) = turn.take()?;
        let current = cached.typed::<A>();
        let change = change(policy, stream, &current);
        turn.keep(current);
        Some(change)
    }

    /// Writes a snapshot of the newest state, unless it is kept. Returns its version; `None` if there is no state.
    async fn write_newest<A: EventSourced>(&self, stream: &StreamId) -> Result<Option<Version>, SnapshotError> {
        let (policy, states) = self.0.snapshots.of::<A>().ok_or(SnapshotError::Unsupported)?;
        let Folded {
            current,
            from,
            is_unfit,
        } = self.fold_from(&policy, &**states, stream, Until::Now).await?;
        let Some(change) = change(&policy, stream, &current)? else {
            return Ok(None);
        };
        if is_unfit {
            forget::<A>(&**states, stream).await?;
        }
        if from < current.version {
            self.save::<A>(&**states, change).await?;
        }
        Ok(Some(current.version))
    }

    async fn save<A: EventSourced>(&self, states: &dyn StateStore, change: StateChange) -> Result<(), SnapshotError> {
        states.save(vec![change], Demand::Newer).await?;
        self.0.snapshots.counts.add::<A>(Outcome::Written);
        self.uses_snapshots_of::<A>();
        Ok(())
    }
}

/// Removes a snapshot that cannot be used. Its version may be higher than any that the stream will have, so that no other would ever
/// replace it.
async fn forget<A: EventSourced>(states: &dyn StateStore, stream: &StreamId) -> Result<(), StoreError> {
    states.purge(Purge::entities([key::<A>(stream)])).await.map(drop)
}

fn write_in_background<'a, A: EventSourced>(
    runtime: &'a Runtime,
    stream: &'a StreamId,
    is_unfit: bool,
) -> BoxFuture<'a, ()> {
    Box::pin(async move {
        if let Err(error) = runtime.write_cached::<A>(stream, is_unfit).await {
            let why = chain(&error);
            runtime.0.snapshots.counts.report::<A>(Outcome::Failed, stream, &why);
        }
    })
}

/// The snapshot of a state; `None` if the stream has no events.
fn change<A: EventSourced>(
    policy: &SnapshotPolicy<A>,
    stream: &StreamId,
    current: &Current<A>,
) -> Result<Option<StateChange>, SnapshotError> {
    let Some(state) = &*current.state else { return Ok(None) };
    let header = Header {
        position: current.position,
        recorded_at: current.recorded_at,
    };
    let form = policy.encode(&header, state).map_err(|source| SnapshotError::State {
        stream: stream.clone(),
        source,
    })?;
    Ok(Some(sealed::<A>(key::<A>(stream), current.version, &form)))
}
