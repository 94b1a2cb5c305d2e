//! What a store keeps for readers of the log: their leases, their checkpoints, and the events that they have put aside.

use std::time::Duration;

use async_trait::async_trait;

use super::row_query::rejected;
use crate::{EventId, Position, StoreError, Timestamp};

/// Keeps how far readers of a log have come. It need not be the store of the events, and does not look into the log.
///
/// Names are those of readers, of leases and of owners: the runtime hands in none that [`check_name`] refuses.
///
/// `es-conformance` checks what these methods promise, on every store alike.
#[async_trait]
pub trait CursorStore: Send + Sync + 'static {
    /// Takes the lease for `owner` until `ttl` from now, by the store's own clock: those of the processes do not matter. `None`
    /// if another owner holds it. The owner that has not lost it gets it again, with the same epoch.
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError>;

    /// Keeps the lease until `ttl` from now. `false` if another owner has taken it since: then nothing may be written under it.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives the lease back, so that another owner need not wait for its end. Nothing happens if it was lost.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Keeps what the owner says of itself, for [`lease`](Self::lease), in the place of what was said before. `false` if another
    /// owner has taken the lease since, or it was given back: then nothing is kept.
    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError>;

    /// Who has the lease, by the store's own clock, and what was reported under it last; `None` if it was never taken.
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError>;

    /// How far the reader of this name has come, with the event that was said to stand there; `None` if it has never begun.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Diverged`] if the store itself knows that the log is another one since. That another event stands at
    /// the checkpoint now, the runtime finds.
    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError>;

    /// Moves the checkpoint of a reader, and puts events aside or takes them up again: all of it or nothing. A lease that has run
    /// out is good until another owner takes it.
    ///
    /// # Errors
    ///
    /// [`CommitError::Indeterminate`] if the outcome could not be learnt: read the [`checkpoint`](Self::checkpoint), which has
    /// moved if it was written. After every other error nothing is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it done as a whole or not at all.
    async fn advance(&self, advance: Advance) -> Result<(), CommitError>;

    /// Removes the checkpoint and the parked events of a reader, so that it begins anew.
    ///
    /// # Errors
    ///
    /// As for [`advance`](Self::advance).
    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError>;

    /// The events that a reader has parked, in the order of their positions: those above `after`.
    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError>;
}

/// The right to write under a name, until another owner takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: String,
    /// Who holds it.
    pub owner: String,
    /// Rises each time that it is taken anew, after another owner or after it was given back: what is written under an older
    /// one is refused.
    pub epoch: u64,
}

impl Lease {
    /// For how long a lease is given at most, whatever is asked for.
    pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
}

/// A lease as everybody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseState {
    /// Who has it. `None` if it was given back, or has run out: whoever asks gets it.
    pub owner: Option<String>,
    /// The epoch in which it was taken last.
    pub epoch: u64,
    /// What was reported last. It stays when the lease is given back or taken by another owner.
    pub report: Option<Report>,
}

/// What an owner said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it said.
    pub text: String,
    /// In which epoch of the lease.
    pub epoch: u64,
    /// When, by the store's clock.
    pub at: Timestamp,
}

impl Report {
    /// How many bytes a report may have.
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

/// How far a reader of the log has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Every event up to here is done.
    pub position: Position,
    /// The event that stood there when it was moved; `None` at the beginning.
    pub event: Option<EventId>,
    /// When it was moved last, by the store's clock.
    pub updated_at: Timestamp,
}

/// How a reader moves its checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The reader's name.
    pub reader: String,
    /// The lease under which it works.
    pub lease: Lease,
    /// Where its checkpoint stands: [`Position::ZERO`] if it has none.
    pub from: Position,
    /// Where its checkpoint goes: an event of the log, or [`Position::ZERO`] for a reader that begins at the beginning. Not below
    /// `from`.
    pub to: Position,
    /// The event at `to`, by which it is known later whether the log is still the same.
    pub event: Option<EventId>,
    /// Events that are put aside, wherever they stand; of one that is parked already error and attempts are replaced.
    pub park: Vec<Parked>,
    /// Positions of parked events that are done now. All of them are parked, or else nothing is written: what two have in hand
    /// is done by one.
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
    /// What went wrong at the last attempt.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
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
        /// Where its checkpoint stands.
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
        /// Where it was said to stand.
        expected: Position,
        /// Where it stands.
        actual: Position,
    },
    /// An event that was to be parked no more is not parked: it was done meanwhile.
    #[error("position {position} is not parked for `{reader}`")]
    NotParked {
        /// The reader.
        reader: String,
        /// Where the event stands.
        position: Position,
    },
    /// It is not known whether the commit was done: read the checkpoint.
    #[error("it is not known whether the batch was written")]
    Indeterminate(#[source] StoreError),
    /// The store failed; nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
