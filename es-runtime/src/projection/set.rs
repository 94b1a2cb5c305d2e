//! The projections of a runtime.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::life::Life;
use super::rebuild::Rebuilder;
use super::sql::Appends;
use super::standing::{Standing, position_of};
use super::store::{CheckpointError, ProjectionStore};
use super::trial::{ENDED, Trial};
use super::wake::Waiter;
use super::worker::{FIRST, Worker};
use super::{Failure, Plan, Projection, ReadError, Status};
use crate::store::{EventFilter, ReadLog};
use crate::{Clock, Position, StoreError, StoreErrorKind};

/// The projections of a runtime, each with its task. When it is dropped, the tasks end by themselves.
pub(crate) struct Projections {
    running: Vec<Running>,
    /// What appends go through, if any projection is inline.
    inline: Option<Box<dyn Appends>>,
    tasks: Mutex<Vec<(&'static str, JoinHandle<()>)>>,
    stop: watch::Sender<bool>,
    pub(crate) owner: Arc<str>,
}

#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) standing: Arc<Standing>,
    /// That of rows that are built beside; `None` if none are.
    pub(crate) beside: Option<Arc<Standing>>,
    pub(crate) store: Arc<dyn ProjectionStore>,
    /// Which events it needs.
    filter: EventFilter,
}

impl Running {
    /// How long is waited for a projection, unless a time is given.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

    /// Whether nothing that it needs lies behind its checkpoint, and it is marked as built.
    async fn is_level(&self) -> Result<bool, StoreError> {
        // Before the checkpoint, which others move while this looks.
        let head = self.store.head().await?;
        let checkpoint = match self.store.checkpoint(&self.standing.reader).await {
            Ok(checkpoint) => position_of(checkpoint),
            // The task says so.
            Err(CheckpointError::Diverged { .. }) => return Ok(false),
            Err(CheckpointError::Store(error)) => return Err(error),
        };
        if !self.standing.is_marked(&*self.store).await? {
            return Ok(false);
        }
        let behind = ReadLog::new()
            .from(checkpoint.next())
            .to(head)
            .only(self.filter.clone())
            .limit(1);
        Ok(self.store.read_log(behind).try_next().await?.is_none())
    }

    /// What keeps the task of this runtime from going on, if it does not by itself. What others say does not count: another build may
    /// be able to.
    fn stuck(&self) -> Option<Failure> {
        /// What passes by itself has passed by then.
        const ATTEMPTS: u32 = 5;
        let state = self.standing.state();
        state.failure.filter(|failure| match state.status {
            Status::Held | Status::Diverged => true,
            Status::Retrying => failure.attempts >= ATTEMPTS,
            _ => false,
        })
    }

    /// Waits until every event up to `position` is in the rows.
    pub(crate) async fn reach(&self, position: Position, deadline: Instant, waited: Duration) -> Result<(), ReadError> {
        let at = self.standing.reach(&*self.store, position, deadline).await?;
        if at >= position {
            return Ok(());
        }
        Err(ReadError::Timeout {
            projection: self.standing.name,
            after: position,
            at,
            waited,
        })
    }
}

/// Why an inline projection is not ready.
pub(crate) enum NotLevel {
    Stuck(&'static str, Failure),
    Store(StoreError),
}

impl From<StoreError> for NotLevel {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Projections {
    /// Creates the tables and starts the tasks. While rows are built, so many events are applied in a second at most.
    pub(crate) async fn start<S>(
        plans: Vec<Plan<S>>,
        store: &Arc<S>,
        clock: &Arc<dyn Clock>,
        throttle: Option<u32>,
    ) -> Result<Self, StoreError> {
        let owner: Arc<str> = format!("process {} runtime {}", std::process::id(), Uuid::now_v7()).into();
        let leases = Arc::new(AtomicU32::new(0));
        let (stop, stopped) = watch::channel(false);
        let (mut running, mut lives) = (Vec::new(), Vec::new());
        let mut inline = None;
        for plan in plans {
            let own = store;
            let store = (plan.store)(own);
            let fold = (plan.fold)(own, Arc::clone(&store), &plan.standing);
            fold.set_up().await?;
            if let Some(add) = plan.inline {
                inline = Some(add(own, &plan.standing, inline));
            }
            let filter = fold.filter();
            let work = |standing: &Arc<Standing>, fold| Worker {
                trial: Trial::new(&store, &standing.trial, ENDED),
                store: Arc::clone(&store),
                standing: Arc::clone(standing),
                fold,
                poison: plan.poison,
                waiter: Waiter::new(store.wakes()),
                clock: Arc::clone(clock),
                limit: FIRST,
                throttle,
                progressed: false,
            };
            let beside = plan.rebuilds_beside.then(|| Arc::new(plan.standing.beside()));
            let rebuilder = beside.as_ref().map(|standing| Rebuilder {
                worker: work(standing, (plan.fold)(own, Arc::clone(&store), standing)),
                outcome: None,
            });
            lives.push(Life {
                worker: work(&plan.standing, fold),
                rebuilder,
                orders: plan.orders,
                stop: stopped.clone(),
                owner: Arc::clone(&owner),
                leases: Arc::clone(&leases),
            });
            let standing = plan.standing;
            running.push(Running {
                standing,
                beside,
                store,
                filter,
            });
        }
        // Only now, so that none runs if one could not be set up.
        let start = |life: Life| (life.worker.standing.name, tokio::spawn(life.live()));
        Ok(Self {
            running,
            inline,
            tasks: Mutex::new(lives.into_iter().map(start).collect()),
            stop,
            owner,
        })
    }

    /// What appends go through, if any projection is inline.
    pub(crate) fn inline(&self) -> Option<&dyn Appends> {
        self.inline.as_deref()
    }

    /// Waits until each inline projection has taken in what was appended without it.
    ///
    /// # Errors
    ///
    /// If one of them does not go on by itself: its name, and why.
    pub(crate) async fn level(&self) -> Result<(), NotLevel> {
        for running in self.running.iter().filter(|running| running.standing.inline) {
            let mut pause = Duration::from_millis(2);
            while !running.is_level().await? {
                if let Some(failure) = running.stuck() {
                    return Err(NotLevel::Stuck(running.standing.name, failure));
                }
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    pub(crate) fn all(&self) -> &[Running] {
        &self.running
    }

    /// The running projection `P`.
    #[track_caller]
    pub(crate) fn of<P: Projection>(&self) -> &Running {
        let named = |running: &&Running| running.standing.name == P::NAME && running.standing.version == P::VERSION;
        match self.running.iter().find(named) {
            Some(running) => running,
            None => panic!(
                "projection `{}` is not one of this runtime's: add `.projection::<{}>()` to its builder",
                P::NAME,
                std::any::type_name::<P>().rsplit("::").next().unwrap_or_default()
            ),
        }
    }

    /// Whether they were told to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Stops all of them: what they have begun is written as a whole or not at all, and their leases are given back.
    pub(crate) async fn stop(&self, deadline: Instant, within: Duration) -> Result<(), StoreError> {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let mut late = Vec::new();
        for (name, mut task) in tasks {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
                late.push(name);
            }
        }
        if late.is_empty() {
            return Ok(());
        }
        let message = format!(
            "projections `{}` did not stop within {within:?} and were cut off: what they had begun is written as a whole or not at all",
            late.join("`, `")
        );
        Err(StoreError::new(StoreErrorKind::Unavailable, message))
    }
}
