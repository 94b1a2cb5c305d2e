//! The part of a store that readers of the log use: leases, checkpoints, and the events that they have put aside.

use std::time::Duration;

use async_trait::async_trait;

use super::row_query::rejected;
use crate::{EventId, Position, StoreError, Timestamp};

/// Keeps the cursors of readers of a log. It need not be the store of the events, and does not look into the log.
///
/// Readers, leases and owners have names: the runtime passes none that [`check_name`] refuses.
///
/// `es-conformance` checks the promises of these methods, on every store alike.
#[async_trait]
pub trait CursorStore: Send + Sync + 'static {
    /// Takes the lease for `owner` until `ttl` from now, by the store's own clock: the clocks of the processes do not
    /// matter. `None` if another owner holds it. An owner that has not lost it gets it again, with the same epoch.
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError>;

    /// Renews the lease until `ttl` from now. `false` if another owner has taken it since: then nothing may be written
    /// under it.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError>;

    /// Releases the lease, so that another owner need not wait for its end. Has no effect if it was lost.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Stores the owner's report, for [`lease`](Self::lease), replacing the last one. `false` if another owner has
    /// taken the lease since, or it was released: then nothing is stored.
    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError>;

    /// Returns the owner of the lease, by the store's own clock, and its last report; `None` if it was never taken.
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError>;

    /// Returns the checkpoint of the reader of this name, with the event that was recorded there; `None` if it has
    /// never begun.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Diverged`] if the store itself knows that the log has been replaced since. The runtime
    /// detects that another event is at the checkpoint now.
    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError>;

    /// Moves the checkpoint of a reader, and parks or unparks events: all of it or nothing. An expired lease is valid
    /// until another owner takes it.
    ///
    /// # Errors
    ///
    /// [`CommitError::Indeterminate`] if the outcome is unknown: read the [`checkpoint`](Self::checkpoint), which has
    /// moved if it was written. After every other error nothing is written.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it done as a whole or not at all.
    async fn advance(&self, advance: Advance) -> Result<(), CommitError>;

    /// Removes the checkpoint and the parked events of a reader, so that it begins again.
    ///
    /// # Errors
    ///
    /// As for [`advance`](Self::advance).
    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError>;

    /// Returns the events that a reader has parked above `after`, in the order of their positions.
    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError>;
}

/// The right to write under a name, until another owner takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The name of the lease.
    pub name: String,
    /// Its holder.
    pub owner: String,
    /// Rises each time that it is taken again, after another owner or after it was released: writes under an older
    /// epoch are refused.
    pub epoch: u64,
}

impl Lease {
    /// The longest time for which a lease is granted, whatever is requested.
    pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
}

/// The state of a lease, as any process sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseState {
    /// Its owner. `None` if it was released or has expired: the next to ask gets it.
    pub owner: Option<String>,
    /// The epoch in which it was last taken.
    pub epoch: u64,
    /// The last report. It stays when the lease is released or taken by another owner.
    pub report: Option<Report>,
}

/// An owner's report about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The text of the report.
    pub text: String,
    /// The epoch of the lease in which it was made.
    pub epoch: u64,
    /// The time at which it was made, by the store's clock.
    pub at: Timestamp,
}

impl Report {
    /// The most bytes in a report.
    pub const LONGEST: usize = 64 << 10;

    /// Checks that it can be stored in every database as it is.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected) if the text is longer than [`LONGEST`](Self::LONGEST), or holds a NUL.
    pub fn check(text: &str) -> Result<(), StoreError> {
        if text.len() > Self::LONGEST || text.contains('\0') {
            return Err(rejected(format!(
                "a report has up to {} bytes without NUL, this one has {} bytes",
                Self::LONGEST,
                text.len()
            )));
        }
        Ok(())
    }
}

/// The progress of a reader of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Every event up to here is done.
    pub position: Position,
    /// The event that stood there when it was moved; `None` at the beginning.
    pub event: Option<EventId>,
    /// The time at which it was last moved, by the store's clock.
    pub updated_at: Timestamp,
}

/// A move of a reader's checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The reader's name.
    pub reader: String,
    /// The lease under which it works.
    pub lease: Lease,
    /// The position of its checkpoint: [`Position::ZERO`] if it has none.
    pub from: Position,
    /// The new position of its checkpoint: an event of the log, or [`Position::ZERO`] for a reader that begins at the
    /// beginning. Not below `from`.
    pub to: Position,
    /// The event at `to`, by which it is known later whether the log is still the same.
    pub event: Option<EventId>,
    /// Events to park, at any position; for one that is already parked, replaces its error and attempts.
    pub park: Vec<Parked>,
    /// Positions of parked events that are done now. If one of them is not parked, nothing is written: of two that
    /// handle the same event, only one succeeds.
    pub unpark: Vec<Position>,
}

impl Advance {
    /// Moves the checkpoint of `reader`, and nothing else.
    pub fn new(reader: impl Into<String>, lease: &Lease, from: Position, to: Position) -> Self {
        Self {
            reader: reader.into(),
            lease: lease.clone(),
            from,
            to,
            event: None,
            park: Vec::new(),
            unpark: Vec::new(),
        }
    }

    /// Checks that each part can be stored in every database as it is.
    ///
    /// # Errors
    ///
    /// [`Rejected`](crate::StoreErrorKind::Rejected), for the first thing found.
    pub fn check(&self) -> Result<(), StoreError> {
        check_name("reader", &self.reader)?;
        check_name("lease", &self.lease.name)?;
        if self.to < self.from {
            return Err(rejected(format!(
                "the checkpoint of `{}` cannot go back from {} to {}: forget the reader to begin anew",
                self.reader, self.from, self.to
            )));
        }
        let parked = self.park.iter().find(|parked| parked.error.contains('\0'));
        parked.map_or(Ok(()), |parked| {
            Err(rejected(format!(
                "the error of position {} holds a NUL",
                parked.position
            )))
        })
    }
}

/// Checks that a reader, a lease or an owner can be named so in every database.
///
/// # Errors
///
/// [`Rejected`](crate::StoreErrorKind::Rejected) unless it has 1 to 512 bytes without NUL.
pub fn check_name(what: &str, name: &str) -> Result<(), StoreError> {
    if name.is_empty() || name.len() > 512 || name.contains('\0') {
        return Err(rejected(format!(
            "{name:?} cannot name a {what}: use 1 to 512 bytes without NUL"
        )));
    }
    Ok(())
}

/// An event that a reader could not handle and put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The event's number in the store.
    pub position: Position,
    /// The event.
    pub event: EventId,
    /// The reason why it is parked.
    pub reason: ParkReason,
    /// The error of the last attempt.
    pub error: String,
    /// The number of attempts.
    pub attempts: u32,
}

/// The reason for which a reader has parked an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParkReason {
    /// It could not be handled.
    Failed,
    /// It stands behind another parked event, and was not tried.
    Behind,
    /// Processes ended while they tried it. It is not even read before it is tried again.
    EndedProcesses,
}

impl ParkReason {
    const NAMES: [(Self, &str); 3] = [
        (Self::Failed, "failed"),
        (Self::Behind, "behind"),
        (Self::EndedProcesses, "ended_processes"),
    ];

    /// Returns the name under which stores keep it.
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.into_iter().find(|(reason, _)| *reason == self);
        named.map_or("", |(_, name)| name)
    }

    /// Returns the reason of this name; `None` if this build knows none.
    pub fn named(name: &str) -> Option<Self> {
        let reason = Self::NAMES.into_iter().find(|(_, known)| *known == name);
        reason.map(|(reason, _)| reason)
    }
}

/// Why a checkpoint was not given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The event that stood at the checkpoint does not stand there now: the store was restored to an earlier point.
    #[error(
        "`{reader}` stands at position {position} with event {expected}, but {}: the store was restored to an earlier point. Rebuild it",
        match found {
            Some(found) if found == expected => "the log was marked as another one since".to_owned(),
            Some(found) => format!("event {found} stands there now"),
            None => "no event stands there now".to_owned(),
        }
    )]
    Diverged {
        /// The reader.
        reader: String,
        /// The position of its checkpoint.
        position: Position,
        /// The event that stood there.
        expected: EventId,
        /// The event that stands there now. The same if the log was given a new epoch since.
        found: Option<EventId>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a commit was not done, or is not known to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Another owner has the lease: stop.
    #[error("`{lease}` is held by another owner")]
    LeaseLost {
        /// The lease's name.
        lease: String,
    },
    /// The checkpoint does not stand where the stretch begins.
    #[error("the checkpoint of `{reader}` stands at {actual}, not at {expected}")]
    Moved {
        /// The reader.
        reader: String,
        /// The position that the caller expected.
        expected: Position,
        /// Its actual position.
        actual: Position,
    },
    /// An event that was to be parked no more is not parked: it was done meanwhile.
    #[error("position {position} is not parked for `{reader}`")]
    NotParked {
        /// The reader.
        reader: String,
        /// The position of the event.
        position: Position,
    },
    /// It is not known whether the commit was done: read the checkpoint.
    #[error("it is not known whether the batch was written")]
    Indeterminate(#[source] StoreError),
    /// The store failed; nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
