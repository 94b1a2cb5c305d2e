use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::store::Differences;
use crate::subscription::SubscriptionHealth;
use crate::{Position, Timestamp};

/// How the projections of a runtime are: [`Runtime::health`](crate::Runtime::health).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// The position of the last event.
    pub head: Position,
    /// Every projection of this runtime, in the order in which they were given to its builder.
    pub projections: Vec<ProjectionHealth>,
    /// Every subscription of this runtime that has not ended, in the order in which they were started.
    pub subscriptions: Vec<SubscriptionHealth>,
}

/// How a projection is, whichever process runs it. Of another process is shown what it reported last, a second ago as a rule.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProjectionHealth {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: u32,
    /// What it does.
    pub status: Status,
    /// Whether its rows are shown: since they were as new as the log, for the first time after a build.
    pub ready: bool,
    /// Every event up to here is in the rows, whichever process put it there.
    pub position: Position,
    /// How many positions of the log lie behind, those of events that it does not need included.
    pub lag_events: u64,
    /// How long ago the next event behind its position was recorded; zero if there is none.
    pub lag: Duration,
    /// When its checkpoint was moved last, by the store's clock; `None` if it never was.
    pub progressed_at: Option<Timestamp>,
    /// Events applied in a second, lately.
    pub rate: f64,
    /// What went wrong last, until it goes well again.
    pub last_error: Option<Failure>,
    /// How often its code has panicked in the runtime that runs it, or ran it last.
    pub panics: u64,
    /// Which runtime runs it; `None` if none does at the moment.
    pub owner: Option<String>,
    /// Whether that is this one.
    pub runs_here: bool,
    /// How many events are parked.
    pub parked: u64,
    /// Each of its [segments](mod@crate::projection#segments), in order. One that is not partitioned has one, of which the above tells; of
    /// several it tells the status that is worst, with its error, the sums of rate, panics and parked events, and else of the segment
    /// that is furthest behind.
    pub segments: Vec<SegmentHealth>,
    /// How far a build of its rows is, if one is under way: the first one, or one beside the rows that are shown.
    pub build: Option<Build>,
    /// What came of the last [`rebuild`](crate::ProjectionHandle::rebuild) beside the rows that are shown.
    pub rebuilt: Option<Rebuilt>,
}

impl ProjectionHealth {
    /// How long it takes until it has caught up, at the present rate. `None` if it makes no progress.
    pub fn remaining(&self) -> Option<Duration> {
        remaining(self.lag_events, self.rate)
    }
}

/// How a segment of a projection is, whichever process runs it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SegmentHealth {
    /// What it does.
    pub status: Status,
    /// Every event of its streams up to here is in the rows.
    pub position: Position,
    /// How many positions of the log lie behind, those of events that it does not need included.
    pub lag_events: u64,
    /// How long ago the next event behind its position was recorded; zero if there is none.
    pub lag: Duration,
    /// When its checkpoint was moved last, by the store's clock; `None` if it never was.
    pub progressed_at: Option<Timestamp>,
    /// Events applied in a second, lately.
    pub rate: f64,
    /// What went wrong last, until it goes well again.
    pub last_error: Option<Failure>,
    /// How often the projection's code has panicked in the runtime that runs the segment, or ran it last.
    pub panics: u64,
    /// Which runtime runs it; `None` if none does at the moment.
    pub owner: Option<String>,
    /// Whether that is this one.
    pub runs_here: bool,
    /// How many of its events are parked.
    pub parked: u64,
}

/// How far rows are that are being built.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Build {
    /// Every event up to here is in them.
    pub done: Position,
    /// How far they must come: the position of the last event.
    pub total: Position,
    /// Events applied in a second, lately.
    pub rate: f64,
    /// What went wrong last, until it goes well again.
    pub last_error: Option<Failure>,
}

impl Build {
    /// How long it takes until they are built, at the present rate. `None` if that makes no progress.
    pub fn remaining(&self) -> Option<Duration> {
        remaining(self.total.0.saturating_sub(self.done.0), self.rate)
    }
}

fn remaining(events: u64, rate: f64) -> Option<Duration> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let seconds = events as f64 / rate;
    Duration::try_from_secs_f64(seconds).ok()
}

/// What came of a rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rebuilt {
    /// When, by the clock of the process that did it.
    pub at: Timestamp,
    /// Whether the new rows are shown. The old ones are if they were to be
    /// [kept](crate::runtime::RebuildProjection::keep_if_different) and some differ.
    pub replaced: bool,
    /// Which rows differ, if they were [compared](crate::runtime::RebuildProjection::compare): how many, and the first ten with up to 500
    /// characters of what they held and hold.
    pub differences: Option<Differences>,
}

/// What a projection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// No process runs it at the moment: each that is started with it asks for the lease now and then.
    Standby,
    /// It applies events that were there before.
    CatchingUp,
    /// It has applied everything, and follows.
    Live,
    /// The store failed; it tries again, for ever.
    Retrying,
    /// It stopped before an event that it cannot apply, and tries it again now and then:
    /// [`last_error`](ProjectionHealth::last_error) says which. Give it a build that can, or
    /// [`skip`](crate::ProjectionHandle::skip) the event.
    Held,
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
            Self::Diverged => 6,
        }
    }

    /// Whether it does not go on by itself.
    pub(crate) fn is_trouble(self) -> bool {
        matches!(self, Self::Retrying | Self::Held | Self::Diverged)
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error, with its causes.
    pub error: String,
    /// The event that could not be applied, if it is the event's fault.
    pub position: Option<Position>,
    /// How often it was tried since it went well.
    pub attempts: u32,
    /// When, by the clock of the process in which it did.
    pub at: Timestamp,
}
