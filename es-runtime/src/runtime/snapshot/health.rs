use super::Snapshots;
use super::counts::Outcome;

/// The [snapshots](crate::docs::snapshots) used, written and rejected by this runtime since it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotsHealth {
    /// True if a store keeps them: otherwise all events are replayed.
    pub on: bool,
    /// The number of loads that began with one.
    pub used: u64,
    /// The number written.
    pub written: u64,
    /// The number not written because too many others waited.
    pub skipped: u64,
    /// The number that could not be read though they are as they were written: another build wrote them, whose state has another
    /// shape, and whose fingerprint does not show it.
    pub stale: u64,
    /// The number that are not as they were written.
    pub corrupt: u64,
    /// The number that were of a higher version than the stream has: the store of the events was restored to an earlier point.
    pub ahead: u64,
    /// The number whose last event is another one in the stream: the store of the events was restored to an earlier point.
    pub diverged: u64,
    /// The number that could not be read or written: the store failed, or the state has no stored form that is read as the same state.
    pub failed: u64,
    /// The number that wait to be written, or are being written.
    pub queued: usize,
    /// The last of what made events be replayed, or a snapshot not be written.
    pub last_error: Option<String>,
}

impl Snapshots {
    pub(in crate::runtime) fn health(&self) -> SnapshotsHealth {
        let of = |outcome| self.counts.of(outcome);
        SnapshotsHealth {
            on: self.states.is_some(),
            used: of(Outcome::Used),
            written: of(Outcome::Written),
            skipped: of(Outcome::Skipped),
            stale: of(Outcome::Stale),
            corrupt: of(Outcome::Corrupt),
            ahead: of(Outcome::Ahead),
            diverged: of(Outcome::Diverged),
            failed: of(Outcome::Failed),
            queued: self.queue.len(),
            last_error: self.counts.last_error(),
        }
    }
}
