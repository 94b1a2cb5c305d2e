use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::SubscriptionHandle;
use crate::error::chain;
use crate::projection::{Failure, Status, failure};
use crate::{Clock, Position, StoreError, StoreErrorKind, metrics, outlived};

/// The status of a subscription, as this process sees it: [`Runtime::health`](crate::Runtime::health).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SubscriptionHealth {
    /// Its name.
    pub name: String,
    /// The status.
    pub status: Status,
    /// Every event up to here is done, whichever process did it.
    pub position: Position,
    /// The number of positions of the log that it is behind, including those of events that it does not want.
    pub lag_events: u64,
    /// The time since the next event behind its position was recorded; zero if there is none.
    pub lag: Duration,
    /// The last error, until it succeeds again. Only in the process that runs it.
    pub last_error: Option<Failure>,
    /// The runtime that runs it, if it is this one. The work of another process shows only in the position.
    pub owner: Option<String>,
    /// The number of parked events.
    pub parked: u64,
}

/// A kind of reader that follows the log under a name: the names of the kinds are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Subscription,
    Process,
    Publication,
}

impl Kind {
    /// The name of the checkpoint and of the lease.
    pub(crate) fn reader(self, name: &str) -> String {
        match self {
            Self::Subscription => format!("subscription/{name}"),
            Self::Process => format!("process/{name}"),
            Self::Publication => format!("publication/{name}"),
        }
    }
}

/// What a runtime knows of one of its subscriptions.
pub(crate) struct Standing {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// The name of the checkpoint and of the lease.
    pub(crate) reader: String,
    /// Who has the lease, if it is this subscription and not another one of this name.
    pub(crate) owner: String,
    /// Whether another one has taken over.
    pub(crate) is_lost: AtomicBool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: metrics::Reader,
    state: Mutex<State>,
}

#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) status: Status,
    pub(crate) owns: bool,
    /// The epoch of the lease, while a handler works under it.
    pub(crate) epoch: Option<u64>,
    pub(crate) failure: Option<Failure>,
    /// Tells that the tokio runtime of the task has ended.
    pub(crate) cut_off: bool,
}

impl Standing {
    /// Refuses what the task was to do, if it has been cut off.
    pub(crate) fn check_runs(&self) -> Result<(), StoreError> {
        if self.state().cut_off {
            return Err(outlived::ended());
        }
        Ok(())
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it does now. Where it goes well, or another process has taken it up, nothing is wrong any more.
    pub(crate) fn is(&self, status: Status) {
        let mut state = self.state();
        state.status = status;
        if matches!(status, Status::Live | Status::Standby) {
            state.failure = None;
        }
        if matches!(status, Status::Standby | Status::Stopped) {
            self.metrics.leave();
        }
    }

    /// Notes what went wrong, and counts it.
    pub(crate) fn fail(&self, status: Status, error: &(dyn std::error::Error + 'static), position: Option<Position>) {
        self.metrics.failed(status);
        self.note(status, error, position);
    }

    /// Notes what went wrong.
    pub(crate) fn note(&self, status: Status, error: &(dyn std::error::Error + 'static), position: Option<Position>) {
        let error_chain = chain(error);
        tracing::warn!(
            subscription = self.name,
            error = error_chain,
            "a subscription does not go on"
        );
        let at = self.clock.now();
        let mut state = self.state();
        state.status = status;
        state.failure = Some(failure(state.failure.take(), error, position, at));
    }
}

/// The subscriptions of a runtime, each with its task. When it is dropped, the tasks end by themselves.
pub(crate) struct Subscriptions {
    running: Mutex<Vec<Running>>,
    stop: watch::Sender<bool>,
}

struct Running {
    standing: Arc<Standing>,
    /// If it has a handler.
    handle: Option<SubscriptionHandle>,
    task: JoinHandle<()>,
}

impl Subscriptions {
    pub(crate) fn new() -> Self {
        Self {
            running: Mutex::default(),
            stop: watch::Sender::new(false),
        }
    }

    /// What becomes true when they are to stop.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// A subscription that is to run.
    pub(crate) fn standing(kind: Kind, name: &str, clock: &Arc<dyn Clock>) -> Arc<Standing> {
        let state = State {
            status: Status::Standby,
            owns: false,
            epoch: None,
            failure: None,
            cut_off: false,
        };
        Arc::new(Standing {
            kind,
            name: name.to_owned(),
            reader: kind.reader(name),
            owner: format!("process {} subscriber {}", std::process::id(), Uuid::now_v7()),
            is_lost: AtomicBool::new(false),
            clock: Arc::clone(clock),
            metrics: metrics::Reader::of_subscription(&match kind {
                Kind::Subscription => name.to_owned(),
                Kind::Process | Kind::Publication => kind.reader(name),
            }),
            state: Mutex::new(state),
        })
    }

    pub(crate) fn run(
        &self,
        standing: Arc<Standing>,
        handle: Option<SubscriptionHandle>,
        life: impl Future<Output = ()> + Send + 'static,
    ) {
        standing.metrics.begin();
        let (cut, stop) = (Arc::clone(&standing), self.stopped());
        let cut_off = move || {
            // The runtime may be gone, or have cut it off as it was late to stop.
            if stop.has_changed().is_ok() && !*stop.borrow() {
                cut.state().cut_off = true;
            }
        };
        let task = outlived::spawn(life, cut_off);
        let mut running = self.running();
        // One that has been cut off is kept, to be told of, until it is started again.
        running.retain(|running| {
            let is_cut_off = running.standing.check_runs().is_err();
            !running.task.is_finished() || (is_cut_off && running.standing.reader != standing.reader)
        });
        running.push(Running { standing, handle, task });
    }

    /// Refuses to tell of them if one has been cut off.
    pub(crate) fn check_runs(&self) -> Result<(), StoreError> {
        self.running()
            .iter()
            .try_for_each(|running| running.standing.check_runs())
    }

    /// Those that run, in the order in which they were started.
    pub(crate) fn all(&self) -> Vec<Arc<Standing>> {
        let running = self.running();
        let live = running.iter().filter(|running| !running.task.is_finished());
        live.map(|running| Arc::clone(&running.standing)).collect()
    }

    /// The one of this name that has a handler: that which was started last.
    pub(crate) fn handle(&self, kind: Kind, name: &str) -> Option<SubscriptionHandle> {
        let running = self.running();
        let mut handles = running.iter().rev().filter_map(|running| running.handle.as_ref());
        handles
            .find(|handle| handle.standing.kind == kind && handle.name() == name)
            .cloned()
    }

    /// Stops all of them, once what is in hand is done.
    pub(crate) async fn stop(&self, deadline: Instant, within: Duration) -> Result<(), StoreError> {
        self.stop.send_replace(true);
        let running = std::mem::take(&mut *self.running());
        let mut late = Vec::new();
        for mut running in running {
            if timeout_at(deadline, &mut running.task).await.is_err() {
                running.task.abort();
                late.push(running.standing.name.clone());
            }
        }
        if late.is_empty() {
            return Ok(());
        }
        let message = format!(
            "subscriptions `{}` did not stop within {within:?} and were cut off: what was not acknowledged comes again",
            late.join("`, `")
        );
        Err(StoreError::new(StoreErrorKind::Unavailable, message))
    }

    fn running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
