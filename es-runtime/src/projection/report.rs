//! What the process that runs a projection says of it, so that every other one can tell.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::standing::{Standing, State};
use super::store::{Lease, LeaseState, ProjectionStore};
use super::{Failure, Status};

/// How often is reported at most. Nothing is written if there is nothing new to say.
const INTERVAL: Duration = Duration::from_secs(1);

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
}

impl Said {
    fn of(state: State) -> Self {
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
        }
    }
}

/// Reports for as long as this lives.
pub(crate) struct Reporter {
    store: Arc<dyn ProjectionStore>,
    standing: Arc<Standing>,
    lease: Lease,
    task: JoinHandle<()>,
}

impl Reporter {
    pub(crate) fn start(store: &Arc<dyn ProjectionStore>, standing: &Arc<Standing>, lease: &Lease) -> Self {
        let (store, standing, lease) = (Arc::clone(store), Arc::clone(standing), lease.clone());
        let task = {
            let (store, standing, lease) = (Arc::clone(&store), Arc::clone(&standing), lease.clone());
            tokio::spawn(async move { keep_reporting(&*store, &standing, &lease).await })
        };
        Self {
            store,
            standing,
            lease,
            task,
        }
    }

    /// Reports a last time.
    pub(crate) async fn end(self) {
        self.task.abort();
        report(&*self.store, &self.lease, &Said::of(self.standing.state())).await;
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What was not reported is reported the next time; it is no reason to stop.
async fn keep_reporting(store: &dyn ProjectionStore, standing: &Standing, lease: &Lease) {
    let mut last = None;
    loop {
        sleep(INTERVAL).await;
        let said = Said::of(standing.state());
        if last.as_ref() != Some(&said) && report(store, lease, &said).await {
            last = Some(said);
        }
    }
}

/// Whether it is written.
async fn report(store: &dyn ProjectionStore, lease: &Lease, said: &Said) -> bool {
    let text = serde_json::to_string(said).unwrap_or_else(|_| unreachable!("numbers and text have a JSON form"));
    matches!(timeout(INTERVAL, store.report(lease, &text)).await, Ok(Ok(true)))
}

/// How a projection is, whichever process runs it.
pub(crate) struct Seen {
    pub(crate) status: Status,
    pub(crate) rate: f64,
    pub(crate) failure: Option<Failure>,
    pub(crate) panics: u64,
    pub(crate) owner: Option<String>,
    pub(crate) runs_here: bool,
}

impl Seen {
    /// By what the runtime called `us` knows itself, and by what the store has of the lease.
    pub(crate) fn new(state: State, us: &str, lease: Option<LeaseState>) -> Self {
        let runs_here = state.done.is_some();
        let own = |owner| Self {
            status: state.status,
            rate: state.rate,
            failure: state.failure.clone(),
            panics: state.panics,
            owner,
            runs_here,
        };
        if runs_here {
            return own(Some(us.to_owned()));
        }
        let Some(LeaseState { owner, epoch, report }) = lease else {
            return own(None);
        };
        let said: Option<(Said, u64)> =
            report.and_then(|report| Some((serde_json::from_str(&report.text).ok()?, report.epoch)));
        match (owner, said) {
            (Some(owner), Some((said, of_epoch))) if owner != us => {
                let is_new = of_epoch != epoch;
                Self {
                    // Who has it only just now has said nothing yet.
                    status: if is_new { Status::CatchingUp } else { said.status },
                    rate: if is_new { 0.0 } else { said.rate },
                    failure: said.failure,
                    panics: said.panics,
                    owner: Some(owner),
                    runs_here,
                }
            }
            (Some(owner), None) if owner != us => Self {
                status: Status::CatchingUp,
                ..own(Some(owner))
            },
            // Given back by a process that could not go on, and says why.
            (None, Some((said, _))) if said.status.is_trouble() && !state.status.is_trouble() => Self {
                status: said.status,
                rate: 0.0,
                failure: said.failure,
                panics: said.panics,
                owner: None,
                runs_here,
            },
            (_, _) => own(None),
        }
    }
}
