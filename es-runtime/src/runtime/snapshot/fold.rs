//! The state of a stream, from a snapshot and the events behind it.

use futures_core::stream::BoxStream;
use futures_util::TryStreamExt as _;
use tokio::time::Instant;

use super::counts::Outcome;
use super::kept::{Kept, Unfit, key, opened};
use super::policy::SnapshotPolicy;
use crate::runtime::Runtime;
use crate::runtime::load::Until;
use crate::runtime::state::Current;
use crate::store::{ReadStream, StateStore};
use crate::{EventSourced, EventStore, LoadError, StoreError, StoredEvent, StreamId, Version, metrics};

/// A state, and what it was made of.
pub(super) struct Folded<A> {
    pub(super) current: Current<A>,
    /// The version of the snapshot that was used; 0 if none was.
    pub(super) from: Version,
    /// True if there is a snapshot that cannot be used, and that no newer one may ever replace.
    pub(super) is_unfit: bool,
}

impl<A> Folded<A> {
    /// The number of events that were read for it.
    fn events(&self) -> u64 {
        self.current.version.0 - self.from.0
    }
}

impl Runtime {
    /// Folds a stream as far as asked. Has a snapshot written if that would have saved much.
    pub(in crate::runtime) async fn fold<A: EventSourced>(
        &self,
        stream: &StreamId,
        until: Until,
    ) -> Result<Current<A>, LoadError> {
        let Some((policy, states)) = self.0.snapshots.of::<A>() else {
            let current = replay(&*self.0.store, stream, until).await?;
            return Ok(current);
        };
        let started = Instant::now();
        let folded = self.fold_from(&policy, &**states, stream, until).await?;
        let is_newest = matches!(until, Until::Now);
        if folded.is_unfit || is_newest && policy.is_worth_keeping(folded.events(), started.elapsed()) {
            self.queue_snapshot::<A>(stream, folded.is_unfit);
        }
        Ok(folded.current)
    }

    /// Folds a stream, from its snapshot if that is not beyond what is asked.
    pub(super) async fn fold_from<A: EventSourced>(
        &self,
        policy: &SnapshotPolicy<A>,
        states: &dyn StateStore,
        stream: &StreamId,
        until: Until,
    ) -> Result<Folded<A>, LoadError> {
        let (store, counts) = (&*self.0.store, &self.0.snapshots.counts);
        let mut is_unfit = false;
        match resumed(policy, states, store, stream, until).await? {
            Ok(Some((current, from))) => {
                counts.add::<A>(Outcome::Used);
                self.uses_snapshots_of::<A>();
                return Ok(Folded {
                    current,
                    from,
                    is_unfit,
                });
            }
            Ok(None) => {}
            Err(Unfit { outcome, why }) => {
                counts.report::<A>(outcome, stream, &why);
                is_unfit = outcome != Outcome::Failed;
            }
        }
        Ok(Folded {
            current: replay(store, stream, until).await?,
            from: Version::ZERO,
            is_unfit,
        })
    }
}

/// Folds all events, from the first one.
pub(super) async fn replay<A: EventSourced>(
    store: &dyn EventStore,
    stream: &StreamId,
    until: Until,
) -> Result<Current<A>, LoadError> {
    let mut current = Current::default();
    let events = store.load_stream(ReadStream::new(stream.clone()).to(until.version()));
    follow(&mut current, events, stream, until).await?;
    Ok(current)
}

/// Folds the events behind a state, as far as asked.
async fn follow<A: EventSourced>(
    current: &mut Current<A>,
    mut events: BoxStream<'_, Result<StoredEvent, StoreError>>,
    stream: &StreamId,
    until: Until,
) -> Result<(), LoadError> {
    let before = current.version;
    while let Some(event) = events.try_next().await? {
        if !until.admits(event.recorded_at, event.position) {
            break;
        }
        current.fold(stream, &event)?;
    }
    metrics::loaded(A::NAME, current.version.0 - before.0);
    Ok(())
}

type Resumed<A> = Result<Option<(Current<A>, Version)>, Unfit>;

/// Folds the events behind the snapshot, if there is one that is not beyond what is asked.
async fn resumed<A: EventSourced>(
    policy: &SnapshotPolicy<A>,
    states: &dyn StateStore,
    store: &dyn EventStore,
    stream: &StreamId,
    until: Until,
) -> Result<Resumed<A>, LoadError> {
    let change = match states.get(&key::<A>(stream)).await {
        Ok(Some(change)) => change,
        Ok(None) => return Ok(Ok(None)),
        Err(error) => return Ok(Err(Unfit::new(Outcome::Failed, error.to_string()))),
    };
    let kept = match opened(&change, policy) {
        Ok(Some(kept)) => kept,
        Ok(None) => return Ok(Ok(None)),
        Err(unfit) => return Ok(Err(unfit)),
    };
    let Kept {
        version,
        header,
        state,
        bytes,
    } = kept;
    if version > until.version() || !until.admits(header.recorded_at, header.position) {
        return Ok(Ok(None));
    }
    // From its own event on, by which the stream is known to be the one that was folded.
    let query = ReadStream::new(stream.clone()).from(version).to(until.version());
    let mut events = store.load_stream(query);
    let last = match events.try_next().await? {
        Some(last)
            if (last.version, last.position, last.recorded_at) == (version, header.position, header.recorded_at) =>
        {
            last.id
        }
        Some(_) => {
            let why = format!("event {version} of the stream is another than the one that it was made of");
            return Ok(Err(Unfit::new(Outcome::Diverged, why)));
        }
        None => {
            let why = format!("it is of version {version}, which the stream does not have");
            return Ok(Err(Unfit::new(Outcome::Ahead, why)));
        }
    };
    let mut current = Current {
        state: Box::new(Some(state)),
        version,
        position: header.position,
        last: Some(last),
        recorded_at: header.recorded_at,
        bytes,
    };
    follow(&mut current, events, stream, until).await?;
    Ok(Ok(Some((current, version))))
}
