use std::time::Duration;

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

/// How a projection is, as this process sees it.
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
    /// Events applied in a second, lately; zero where another process runs it.
    pub rate: f64,
    /// What went wrong last, until it goes well again. Only where it runs.
    pub last_error: Option<Failure>,
    /// Which runtime runs it, if it is this one. What another process does is seen by its position only.
    pub owner: Option<String>,
    /// How many events are parked.
    pub parked: u64,
}

impl ProjectionHealth {
    /// How long it takes until it has caught up, at the present rate. `None` if it makes no progress.
    pub fn remaining(&self) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = self.lag_events as f64 / self.rate;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// What a projection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Another process runs it, or none: this one asks for the lease now and then.
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

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The error, with its causes.
    pub error: String,
    /// The event that could not be applied, if it is the event's fault.
    pub position: Option<Position>,
    /// How often it was tried since it went well.
    pub attempts: u32,
    /// When, by the clock of this process.
    pub at: Timestamp,
}
