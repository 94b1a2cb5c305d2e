//! What the process that runs a projection says of it, so that every other one can tell.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::held::Hold;
use super::standing::Standing;
use super::{Failure, Rebuild, Rebuilt, Status};
use crate::store::{CursorStore, Lease, LeaseState, Report};
use crate::{StoreError, StoreErrorKind};

/// How often is reported at most. Nothing is written if there is nothing new to say.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a report may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many characters of an error are told.
const LONGEST_ERROR: usize = 2_000;

/// What is said, in the form in which it is stored. Another build may have written it: what it does not say has its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Said {
    status: Status,
    #[serde(default)]
    rate: f64,
    #[serde(default)]
    failure: Option<Failure>,
    #[serde(default)]
    panics: u64,
    /// How rows are built beside, if they are.
    #[serde(default)]
    rebuild: Option<Rebuild>,
    #[serde(default)]
    rebuild_rate: f64,
    #[serde(default)]
    rebuild_failure: Option<Failure>,
    /// What came of the last time.
    #[serde(default)]
    rebuilt: Option<Rebuilt>,
}

impl Said {
    fn of(standing: &Standing, beside: Option<&Standing>) -> Self {
        let state = standing.state();
        let beside = beside.map(Standing::state).filter(|_| state.rebuild.is_some());
        let told = |failure: Failure| Failure {
            error: failure
                .error
                .replace('\0', "\u{fffd}")
                .chars()
                .take(LONGEST_ERROR)
                .collect(),
            ..failure
        };
        Self {
            status: state.status,
            rate: state.rate.round(),
            failure: state.failure.map(told),
            panics: state.panics,
            rebuild: state.rebuild,
            rebuild_rate: beside.as_ref().map_or(0.0, |beside| beside.rate.round()),
            rebuild_failure: beside.and_then(|beside| beside.failure).map(told),
            rebuilt: state.rebuilt,
        }
    }

    /// What can be read of it by this build.
    fn read(report: &Report) -> Option<Self> {
        serde_json::from_str(&report.text).ok()
    }
}

/// Reports for as long as this lives.
pub(crate) struct Reporter {
    store: Arc<dyn CursorStore>,
    standing: Arc<Standing>,
    beside: Option<Arc<Standing>>,
    lease: Lease,
    task: JoinHandle<()>,
}

impl Reporter {
    /// `beside` is what is said of rows that are built beside.
    pub(crate) fn start(
        store: &Arc<dyn CursorStore>,
        standing: &Arc<Standing>,
        beside: Option<&Arc<Standing>>,
        lease: &Lease,
    ) -> Self {
        let (store, standing, beside) = (Arc::clone(store), Arc::clone(standing), beside.cloned());
        let lease = lease.clone();
        let task = {
            let (store, standing, beside) = (Arc::clone(&store), Arc::clone(&standing), beside.clone());
            let lease = lease.clone();
            tokio::spawn(async move { keep_reporting(&*store, &standing, beside.as_deref(), &lease).await })
        };
        Self {
            store,
            standing,
            beside,
            lease,
            task,
        }
    }

    /// Reports a last time.
    pub(crate) async fn end(self) {
        self.task.abort();
        // It is no reason not to end.
        drop(report_now(&*self.store, &self.standing, self.beside.as_deref(), &self.lease).await);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What was not reported is reported the next time; it is no reason to stop.
async fn keep_reporting(store: &dyn CursorStore, standing: &Standing, beside: Option<&Standing>, lease: &Lease) {
    let mut last = None;
    loop {
        sleep(INTERVAL).await;
        let said = Said::of(standing, beside);
        if last.as_ref() != Some(&said) && report(store, lease, &said).await.is_ok() {
            last = Some(said);
        }
    }
}

/// Reports how it is at this moment.
pub(crate) async fn report_now(
    store: &dyn CursorStore,
    standing: &Standing,
    beside: Option<&Standing>,
    lease: &Lease,
) -> Result<(), StoreError> {
    report(store, lease, &Said::of(standing, beside)).await
}

async fn report(store: &dyn CursorStore, lease: &Lease, said: &Said) -> Result<(), StoreError> {
    let text = serde_json::to_string(said).unwrap_or_else(|_| unreachable!("numbers and text have a JSON form"));
    match timeout(PATIENCE, store.report(lease, &text)).await {
        // Whoever has lost the lease learns it elsewhere.
        Ok(reported) => reported.map(drop),
        Err(_) => Err(StoreError::new(StoreErrorKind::Unavailable, "a report took too long")),
    }
}

/// How rows were built beside when it was last reported, and what came of the last time.
pub(crate) async fn said_before(
    store: &dyn CursorStore,
    lease: &str,
) -> Result<(Option<Rebuild>, Option<Rebuilt>), StoreError> {
    let report = store.lease(lease).await?.and_then(|lease| lease.report);
    let said = report.as_ref().and_then(Said::read);
    Ok(said.map_or((None, None), |said| (said.rebuild, said.rebuilt)))
}

/// How a projection is, whichever process runs it.
pub(crate) struct Seen {
    pub(crate) status: Status,
    pub(crate) rate: f64,
    pub(crate) failure: Option<Failure>,
    pub(crate) panics: u64,
    pub(crate) owner: Option<String>,
    pub(crate) runs_here: bool,
    /// Events in a second of a build beside, and what went wrong with it.
    pub(crate) build_rate: f64,
    pub(crate) build_failure: Option<Failure>,
    /// Whether rows are built beside.
    pub(crate) rebuilds: bool,
    pub(crate) rebuilt: Option<Rebuilt>,
}

impl Seen {
    /// The event before which whoever wrote the report holds.
    pub(crate) fn hold(report: &Report) -> Option<Hold> {
        let said = Said::read(report).filter(|said| said.status == Status::Held)?;
        let Failure { error, position, .. } = said.failure?;
        Some(Hold {
            position: position?,
            error,
        })
    }

    /// By what the runtime called `us` knows itself, and by what the store has of the lease.
    pub(crate) fn new(standing: &Standing, beside: Option<&Standing>, us: &str, lease: Option<LeaseState>) -> Self {
        let state = standing.state();
        let runs_here = state.done.is_some();
        let own = Said::of(standing, beside);
        let seen = |said: Said, owner| Self {
            status: said.status,
            rate: said.rate,
            failure: said.failure,
            panics: said.panics,
            owner,
            runs_here,
            build_rate: said.rebuild_rate,
            build_failure: said.rebuild_failure,
            rebuilds: said.rebuild.is_some(),
            rebuilt: said.rebuilt,
        };
        if runs_here {
            return seen(own, Some(us.to_owned()));
        }
        let Some(LeaseState { owner, epoch, report }) = lease else {
            return seen(own, None);
        };
        let is_new = report.as_ref().is_none_or(|report| report.epoch != epoch);
        let said = report.as_ref().and_then(Said::read);
        match (owner, said) {
            (Some(owner), said) if owner != us => {
                let said = said.unwrap_or(Said {
                    status: Status::CatchingUp,
                    ..own
                });
                // Who has it only just now has said nothing yet.
                let (status, rate) = if is_new {
                    (Status::CatchingUp, 0.0)
                } else {
                    (said.status, said.rate)
                };
                seen(Said { status, rate, ..said }, Some(owner))
            }
            // Given back by a process that could not go on, and says why.
            (None, Some(said)) if said.status.is_trouble() && !own.status.is_trouble() => {
                seen(Said { rate: 0.0, ..said }, None)
            }
            (_, Some(said)) => {
                let said = Said {
                    rebuild: said.rebuild,
                    rebuilt: said.rebuilt,
                    ..own
                };
                seen(said, None)
            }
            (_, None) => seen(own, None),
        }
    }
}
