//! Comparing snapshots with what all events fold to.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::BuildHasher as _;
use std::marker::PhantomData;

use foldhash::fast::RandomState;
use futures_util::TryStreamExt as _;

use super::SnapshotError;
use super::fold::replay;
use super::kept::{Kept, namespace, opened};
use super::policy::{Header, SnapshotPolicy};
use crate::aggregate::HasSnapshots;
use crate::runtime::load::Until;
use crate::runtime::{Runtime, Start, Started};
use crate::store::{StateChange, StateKey, StateStore};
use crate::{EventSourced, LoadError, StreamId, Version};

/// The most differences that are listed.
const LISTED: usize = 1_000;

/// The result of a [comparison](Runtime::verify_snapshots) of snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedSnapshots {
    /// The number of snapshots that were compared.
    pub checked: u64,
    /// The number of those that differ.
    pub different: u64,
    /// The first 1,000 of those.
    pub differences: Vec<SnapshotDifference>,
}

/// A snapshot that is not what the events fold to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotDifference {
    /// The stream of the instance.
    pub stream: StreamId,
    /// The version of the snapshot.
    pub version: Version,
    /// The difference.
    pub difference: String,
}

impl fmt::Display for SnapshotDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stream,
            version,
            difference,
        } = self;
        write!(f, "the snapshot of `{stream}` at version {version}: {difference}")
    }
}

/// Compares snapshots with what all events fold to: `runtime.verify_snapshots::<Board>().await`, with options before the `await`.
#[must_use = "nothing is compared until it is awaited"]
pub struct VerifySnapshots<'a, A> {
    runtime: &'a Runtime,
    sample: Option<usize>,
    aggregate: PhantomData<fn() -> A>,
    start: Start<'a, Self, Result<VerifiedSnapshots, SnapshotError>>,
}

impl Runtime {
    /// Folds each instance of `A` that has a [snapshot](crate::docs::snapshots) of this build from the first event, and compares.
    ///
    /// It finds what the fingerprint of the snapshots does not see, such as a change of a function that an `#[apply]` method calls: raise
    /// the `version` in `#[es(snapshot(version = 2))]` then.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Unsupported`] if nothing keeps snapshots; [`SnapshotError::Load`] if a stream cannot be folded.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub fn verify_snapshots<A: EventSourced + HasSnapshots>(&self) -> VerifySnapshots<'_, A> {
        VerifySnapshots {
            runtime: self,
            sample: None,
            aggregate: PhantomData,
            start: |this| Box::pin(this.run()),
        }
    }
}

impl<A> VerifySnapshots<'_, A> {
    /// Compares at most so many, chosen at random: all of them unless set.
    pub fn sample(mut self, snapshots: usize) -> Self {
        self.sample = Some(snapshots);
        self
    }
}

impl<A: EventSourced> VerifySnapshots<'_, A> {
    async fn run(self) -> Result<VerifiedSnapshots, SnapshotError> {
        let snapshots = &self.runtime.0.snapshots;
        let (policy, states) = snapshots.of::<A>().ok_or(SnapshotError::Unsupported)?;
        let mut found = VerifiedSnapshots {
            checked: 0,
            different: 0,
            differences: Vec::new(),
        };
        match self.sample {
            None => {
                let mut changes = states.load(&namespace::<A>());
                while let Some(change) = changes.try_next().await? {
                    self.compare(&policy, &change, &mut found).await?;
                }
            }
            Some(count) => {
                for key in sampled::<A>(&**states, count).await? {
                    if let Some(change) = states.get(&key).await? {
                        self.compare(&policy, &change, &mut found).await?;
                    }
                }
            }
        }
        Ok(found)
    }

    async fn compare(
        &self,
        policy: &SnapshotPolicy<A>,
        change: &StateChange,
        found: &mut VerifiedSnapshots,
    ) -> Result<(), LoadError> {
        let stream = StreamId::new(A::NAME, &*change.key.id);
        let difference = match opened(change, policy) {
            Ok(None) => return Ok(()),
            Ok(Some(kept)) => self.difference(policy, &stream, &kept).await?,
            Err(unfit) => Some(unfit.why),
        };
        found.checked += 1;
        if let Some(difference) = difference {
            found.different += 1;
            if found.differences.len() < LISTED {
                found.differences.push(SnapshotDifference {
                    stream,
                    version: Version(change.sequence),
                    difference,
                });
            }
        }
        Ok(())
    }

    async fn difference(
        &self,
        policy: &SnapshotPolicy<A>,
        stream: &StreamId,
        kept: &Kept<A>,
    ) -> Result<Option<String>, LoadError> {
        let Kept {
            version, header, state, ..
        } = kept;
        let replayed = replay::<A>(&*self.runtime.0.store, stream, Until::Version(*version)).await?;
        let last = Header {
            position: replayed.position,
            recorded_at: replayed.recorded_at,
        };
        Ok(match &*replayed.state {
            _ if replayed.version < *version => Some(format!("the stream ends at version {}", replayed.version)),
            _ if last != *header => Some("it was made of another event of this version".to_owned()),
            Some(replayed) => {
                let place = policy.difference(replayed, state);
                place.map(|place| format!("{place} is not what the events fold to"))
            }
            None => Some("the events fold to no state".to_owned()),
        })
    }
}

/// The keys of so many snapshots, each as likely as the others.
async fn sampled<A: EventSourced>(states: &dyn StateStore, count: usize) -> Result<Vec<StateKey>, SnapshotError> {
    let random = RandomState::default();
    // Those with the lowest hashes; a store may return one twice.
    let mut lowest: BTreeSet<(u64, StateKey)> = BTreeSet::new();
    let mut changes = states.load(&namespace::<A>());
    while let Some(change) = changes.try_next().await? {
        lowest.insert((random.hash_one(&change.key), change.key));
        if lowest.len() > count {
            lowest.pop_last();
        }
    }
    Ok(lowest.into_iter().map(|(_, key)| key).collect())
}

impl<'a, A> IntoFuture for VerifySnapshots<'a, A> {
    type Output = Result<VerifiedSnapshots, SnapshotError>;
    type IntoFuture = Started<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.start)(self)
    }
}

impl<A> fmt::Debug for VerifySnapshots<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifySnapshots")
            .field("sample", &self.sample)
            .finish_non_exhaustive()
    }
}
