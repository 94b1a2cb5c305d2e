use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::runtime::SnapshotsHealth;
use crate::store::Differences;
use crate::subscription::SubscriptionHealth;
use crate::{Position, Timestamp};

/// The status of a runtime's projections, subscriptions, process managers, publications and snapshots:
/// [`Runtime::health`](crate::Runtime::health).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// The position of the last event.
    pub head: Position,
    /// Every projection of this runtime, in the order in which they were given to its builder.
    pub projections: Vec<ProjectionHealth>,
    /// Every subscription of this runtime that has not ended, in the order in which they were started.
    pub subscriptions: Vec<SubscriptionHealth>,
    /// Every [process manager](crate::process) of this runtime, in the order in which they were given to its builder.
    pub process_managers: Vec<SubscriptionHealth>,
    /// Every [publication](mod@crate::publication) of this runtime, in the order in which they were given to its builder, each named with its
    /// version: `accounts@1`.
    pub publications: Vec<SubscriptionHealth>,
    /// The [snapshots](crate::docs::snapshots) used, written and rejected.
    pub snapshots: SnapshotsHealth,
}

/// The status of a projection, whichever process runs it. For another process it is that process's last report, usually
/// a second old.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProjectionHealth {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: u32,
    /// The status.
    pub status: Status,
    /// True if its rows are visible: once they have caught up with the log for the first time after a build.
    pub ready: bool,
    /// Every event up to here is in the rows, whichever process put it there.
    pub position: Position,
    /// The number of positions of the log that it is behind, including those of events that it does not need.
    pub lag_events: u64,
    /// The time since the next event behind its position was recorded; zero if there is none.
    pub lag: Duration,
    /// The time at which its checkpoint was last moved, by the store's clock; `None` if it never was.
    pub progressed_at: Option<Timestamp>,
    /// The number of events applied per second, recently.
    pub rate: f64,
    /// The last error, until it succeeds again.
    pub last_error: Option<Failure>,
    /// The number of panics of its code in the runtime that runs it, or ran it last.
    pub panics: u64,
    /// The runtime that runs it; `None` if none does at the moment.
    pub owner: Option<String>,
    /// True if that is this one.
    pub runs_here: bool,
    /// The number of parked events.
    pub parked: u64,
    /// Each of its [segments](mod@crate::projection#segments), in order. One that is not partitioned has one, of which the above tells; of
    /// several it tells the status that is worst, with its error, the sums of rate, panics and parked events, and else of the segment
    /// that is furthest behind.
    pub segments: Vec<SegmentHealth>,
    /// The progress of a build of its rows, if one is in progress: the first one, or a rebuild.
    pub build: Option<Build>,
    /// The result of the last [`rebuild`](crate::ProjectionHandle::rebuild).
    pub rebuilt: Option<Rebuilt>,
}

impl ProjectionHealth {
    /// Returns the time until it will have caught up, at the present rate. `None` if it makes no progress.
    pub fn remaining(&self) -> Option<Duration> {
        remaining(self.lag_events, self.rate)
    }
}

/// The status of a segment of a projection, whichever process runs it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SegmentHealth {
    /// The status.
    pub status: Status,
    /// Every event of its streams up to here is in the rows.
    pub position: Position,
    /// The number of positions of the log that it is behind, including those of events that it does not need.
    pub lag_events: u64,
    /// The time since the next event behind its position was recorded; zero if there is none.
    pub lag: Duration,
    /// The time at which its checkpoint was last moved, by the store's clock; `None` if it never was.
    pub progressed_at: Option<Timestamp>,
    /// The number of events applied per second, recently.
    pub rate: f64,
    /// The last error, until it succeeds again.
    pub last_error: Option<Failure>,
    /// The number of panics of the projection's code in the runtime that runs the segment, or ran it last.
    pub panics: u64,
    /// The runtime that runs it; `None` if none does at the moment.
    pub owner: Option<String>,
    /// True if that is this one.
    pub runs_here: bool,
    /// The number of its parked events.
    pub parked: u64,
}

/// The progress of rows that are being built.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Build {
    /// Every event up to here is in them.
    pub done: Position,
    /// The position to reach: that of the last event.
    pub total: Position,
    /// The number of events applied per second, recently.
    pub rate: f64,
    /// The last error, until it succeeds again.
    pub last_error: Option<Failure>,
}

impl Build {
    /// Returns the time until they will be built, at the present rate. `None` if that makes no progress.
    pub fn remaining(&self) -> Option<Duration> {
        remaining(self.total.0.saturating_sub(self.done.0), self.rate)
    }
}

fn remaining(events: u64, rate: f64) -> Option<Duration> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let seconds = events as f64 / rate;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The result of a rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rebuilt {
    /// The time at which it ended, by the clock of its process.
    pub at: Timestamp,
    /// True if the new rows are visible. The old ones stay if they were to be
    /// [kept](crate::runtime::RebuildProjection::keep_if_different) and some differ.
    pub replaced: bool,
    /// The rows that differ, if they were [compared](crate::runtime::RebuildProjection::compare): their number, and the first
    /// ten with up to 500 characters of their old and new content.
    pub differences: Option<Differences>,
}

/// The status of a projection or a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// No process runs it at the moment: each process that has it asks for the lease from time to time.
    Standby,
    /// It applies events that were stored before.
    CatchingUp,
    /// It has caught up, and follows the log.
    Live,
    /// The store failed; it tries again, for ever.
    Retrying,
    /// It stopped before an event that it cannot apply, and tries it again from time to time:
    /// [`last_error`](ProjectionHealth::last_error) names it. Start a build that can apply it, or
    /// [`skip`](crate::ProjectionHandle::skip) the event.
    Held,
    /// It stands aside for a newer build of a [process manager](crate::process#rolling-deploys) or a
    /// [publication](mod@crate::publication), which hears more: call `accept_fewer` of its handle
    /// ([process manager](crate::process::ProcessManagerHandle::accept_fewer),
    /// [publication](crate::publication::PublicationHandle::accept_fewer)), if this build is to replace it.
    Outdated,
    /// The store was restored to an earlier point than the rows: [`rebuild`](crate::ProjectionHandle::rebuild) it.
    Diverged,
    /// The runtime was shut down.
    Stopped,
}

impl Status {
    /// The higher, the more it needs to be looked at.
    pub(crate) fn severity(self) -> u8 {
        match self {
            Self::Live => 0,
            Self::CatchingUp => 1,
            Self::Standby => 2,
            Self::Stopped => 3,
            Self::Retrying => 4,
            Self::Held => 5,
            Self::Outdated => 6,
            Self::Diverged => 7,
        }
    }

    /// Whether it does not go on by itself.
    pub(crate) fn is_trouble(self) -> bool {
        matches!(self, Self::Retrying | Self::Held | Self::Outdated | Self::Diverged)
    }
}

/// The last failure of a projection or a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error, with its causes.
    pub error: String,
    /// The event that could not be applied, if it is the event's fault.
    pub position: Option<Position>,
    /// The number of attempts since the last success.
    pub attempts: u32,
    /// The time of the failure, by the clock of its process.
    pub at: Timestamp,
}
