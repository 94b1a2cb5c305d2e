//! The projections of a runtime.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::try_join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use uuid::Uuid;

use super::inline::Inline;
use super::partition::{agree, look};
use super::reader::ProjectionReader;
use super::rebuild::Rebuilder;
use super::segment::Segment;
use super::standing::Standing;
use super::worker::Worker;
use super::{Failure, Plan, Projection, ReadError, Status};
use crate::consumer::{AttemptLog, Calls, ENDED, FIRST, Processor, Sequences, Waiter, position_of};
use crate::projection::Storage;
use crate::store::{Checkpoint, CheckpointError, EventFilter, ReadLog};
use crate::{Clock, Position, StartError, StoreError, StoreErrorKind, outlived};

/// The projections of a runtime, each with its task. When it is dropped, the tasks end by themselves.
pub(crate) struct Projections {
    running: Vec<Running>,
    /// What appends go through, if any projection is inline.
    inline: Option<Inline>,
    tasks: Mutex<Vec<(&'static str, JoinHandle<()>)>>,
    stop: watch::Sender<bool>,
    pub(crate) owner: Arc<str>,
}

#[derive(Clone)]
pub(crate) struct Running {
    /// What all segments share is asked of the first one.
    pub(crate) standing: Arc<Standing>,
    /// Each of its segments: itself, if it is not partitioned.
    pub(crate) segments: Arc<[Arc<Standing>]>,
    /// That of rows that are built beside; `None` if none are.
    pub(crate) beside: Option<Arc<Standing>>,
    pub(crate) storage: Storage,
    /// True if this process takes part in running it.
    pub(crate) runs: bool,
    /// Which events it needs.
    filter: EventFilter,
}

impl Running {
    /// How long is waited for a projection, unless a time is given.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

    /// Compares what it has applied with what it needs.
    async fn level(&self) -> Result<Level, StoreError> {
        // Before the checkpoint, which others move while this looks.
        let cursors = &self.storage.cursors;
        let head = cursors.log.head().await?;
        let mut level = Level {
            at: Position::ZERO,
            head,
            is_marked: false,
            is_reached: false,
        };
        level.at = match cursors.checkpoint(&self.standing.reader).await {
            Ok(checkpoint) => position_of(checkpoint),
            // The task says so.
            Err(CheckpointError::Diverged { .. }) => return Ok(level),
            Err(CheckpointError::Store(error)) => return Err(error),
        };
        level.is_marked = self.standing.is_marked(cursors).await?;
        if level.is_marked {
            let behind = ReadLog::new()
                .from(level.at.next())
                .to(head)
                .only(self.filter.clone())
                .limit(1);
            level.is_reached = cursors.log.read_log(behind).try_next().await?.is_none();
        }
        Ok(level)
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

    /// Refuses to wait for tasks that have been cut off.
    pub(crate) fn check_runs(&self) -> Result<(), StoreError> {
        self.segments.iter().try_for_each(|segment| segment.check_runs())
    }

    /// The segment that writes the row of `key`.
    fn of_key(&self, key: &str) -> &Arc<Standing> {
        let of = self.standing.segment.of;
        &self.segments[Segment::of_id(key, of).index as usize]
    }

    /// Waits until every event up to `position` is in the rows, or in that of `key`.
    pub(crate) async fn reach(
        &self,
        position: Position,
        key: Option<&str>,
        deadline: Instant,
        waited: Duration,
    ) -> Result<(), ReadError> {
        let segments = key.map_or(&*self.segments, |key| std::slice::from_ref(self.of_key(key)));
        // All at once, so that one that holds is not found behind those that are slow.
        let waits = segments
            .iter()
            .map(|segment| segment.reach(&self.storage.cursors, position, deadline, waited));
        try_join_all(waits).await.map(drop)
    }

    /// Whether a segment has found that its checkpoint is not one of this log.
    pub(crate) async fn check_diverged(&self) -> Result<(), CheckpointError> {
        let diverged = |segment: &&Arc<Standing>| segment.state().status == Status::Diverged;
        for segment in self.segments.iter().filter(diverged) {
            self.storage.cursors.checkpoint(&segment.reader).await?;
        }
        Ok(())
    }

    /// How far the segment has come that is furthest behind.
    ///
    /// # Errors
    ///
    /// [`ReadError::Held`] if one of them does not go on.
    async fn done(&self) -> Result<Position, ReadError> {
        let cursors = &self.storage.cursors;
        let mut done = Position(u64::MAX);
        for segment in &*self.segments {
            let at = position_of(cursors.checkpoint(&segment.reader).await?);
            if let Some(hold) = segment.held(&*cursors.store, at).await? {
                return Err(hold.of(segment.name));
            }
            done = done.min(at);
        }
        Ok(done)
    }

    /// Waits until the rows may be shown, and gives the mark that says so; `None` if there is no event to wait for.
    pub(crate) async fn ready(&self, deadline: Instant) -> Result<Option<Checkpoint>, ReadError> {
        let Self { standing, storage, .. } = self;
        let cursors = &storage.cursors;
        let mut pause = Standing::SHORTEST;
        loop {
            if let Some(mark) = standing.last_mark() {
                return Ok(Some(mark));
            }
            if standing.read_mark(cursors).await?.is_some() {
                continue;
            }
            let total = cursors.log.head().await?;
            if total == Position::ZERO {
                return Ok(None);
            }
            self.check_runs()?;
            let is_over = Instant::now() >= deadline;
            if is_over || pause >= Standing::ASKING || self.segments.iter().any(|segment| segment.says_held()) {
                let done = self.done().await?;
                if is_over {
                    return Err(ReadError::NotReady {
                        projection: standing.name,
                        version: standing.version,
                        done,
                        total,
                    });
                }
            }
            sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(Standing::LONGEST);
        }
    }

    /// The segment of the event at `position`; the first one if there is no such event.
    pub(crate) async fn of_event(&self, position: Position) -> Result<&Standing, StoreError> {
        if self.segments.len() == 1 {
            return Ok(&self.standing);
        }
        let event = self.storage.cursors.event_at(position).await?;
        Ok(event.map_or(&self.standing, |event| self.of_key(event.stream.id())))
    }
}

/// The progress of an inline projection.
struct Level {
    at: Position,
    head: Position,
    is_marked: bool,
    /// True if there is nothing left to do.
    is_reached: bool,
}

/// Why an inline projection is not ready.
pub(crate) enum NotLevel {
    Stuck(&'static str, Failure),
    /// Nobody brings it forward.
    Still {
        projection: &'static str,
        position: Position,
        head: Position,
        waited: Duration,
        owner: Option<String>,
    },
    Store(StoreError),
}

impl From<StoreError> for NotLevel {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The wait of the start for an inline projection that another process is to bring forward.
struct Patience {
    /// Its progress, and the time since then.
    seen: Option<(Position, bool)>,
    since: Instant,
    /// The time after which it is reported next.
    next: Duration,
}

impl Patience {
    /// The time that the start waits without any progress.
    const LONGEST: Duration = Duration::from_secs(60);
    /// The time without any after which it is reported first.
    const FIRST: Duration = Duration::from_secs(1);

    fn new() -> Self {
        Self {
            seen: None,
            since: Instant::now(),
            next: Self::FIRST,
        }
    }

    /// Reports that nothing goes on, from time to time.
    ///
    /// # Errors
    ///
    /// If nothing has gone on for too long.
    async fn keep(&mut self, level: &Level, running: &Running) -> Result<(), NotLevel> {
        let seen = Some((level.at, level.is_marked));
        if self.seen != seen {
            *self = Self { seen, ..Self::new() };
        }
        let (waited, projection) = (self.since.elapsed(), running.standing.name);
        if waited < self.next {
            return Ok(());
        }
        let lease = running.storage.cursors.store.lease(&running.standing.reader).await?;
        let owner = lease.and_then(|lease| lease.owner);
        let Level { at: position, head, .. } = *level;
        if waited >= Self::LONGEST {
            return Err(NotLevel::Still {
                projection,
                position,
                head,
                waited,
                owner,
            });
        }
        self.next *= 2;
        tracing::warn!(
            projection,
            %position,
            %head,
            ?waited,
            owner,
            "the start waits for an inline projection that does not move"
        );
        Ok(())
    }
}

impl Projections {
    /// Creates the tables and starts the tasks, one for each segment. While rows are built, so many events are applied in a second at most.
    pub(crate) async fn start<S>(
        plans: Vec<Plan<S>>,
        store: &Arc<S>,
        clock: &Arc<dyn Clock>,
        throttle: Option<u32>,
    ) -> Result<Self, StartError> {
        let owner: Arc<str> = format!("process {} runtime {}", std::process::id(), Uuid::now_v7()).into();
        let leases = Arc::new(AtomicU32::new(0));
        let (stop, stopped) = watch::channel(false);
        let (mut running, mut lives) = (Vec::new(), Vec::new());
        let mut inline = None;
        for plan in plans {
            let own = store;
            let storage = (plan.storage)(own);
            let segments: Arc<[_]> = plan.segments.iter().map(|(standing, _)| Arc::clone(standing)).collect();
            let standing = Arc::clone(&segments[0]);
            let fold = |standing: &Standing| (plan.fold)(own, &storage, standing);
            let first = fold(&standing);
            if plan.runs {
                first.set_up().await?;
                agree(&*storage.cursors.store, storage.states.as_ref(), &standing, &owner).await?;
            } else {
                look(storage.states.as_ref(), &standing).await?;
            }
            (plan.inline)(own, &standing, &mut inline);
            let work = |standing: &Arc<Standing>| Worker {
                attempts: AttemptLog::new(&storage.cursors.store, storage.states.as_ref(), &standing.reader, ENDED),
                sequences: Sequences::default(),
                cursors: storage.cursors.clone(),
                rows: Arc::clone(&storage.rows),
                standing: Arc::clone(standing),
                fold: fold(standing),
                poison: plan.poison,
                waiter: Waiter::new(storage.cursors.log.wakes()),
                clock: Arc::clone(clock),
                limit: FIRST,
                throttle: throttle.map(|throttle| (throttle / standing.segment.of).max(1)),
                progressed: false,
            };
            let beside = plan.rebuilds_beside.then(|| Arc::new(standing.beside()));
            for (standing, orders) in plan.segments {
                if !plan.runs {
                    standing.update(|state| state.only_reads = true);
                    continue;
                }
                let index = standing.segment.index;
                let reader = ProjectionReader {
                    worker: work(&standing),
                    rebuilder: beside.as_ref().map(|standing| Rebuilder {
                        worker: work(standing),
                        outcome: None,
                    }),
                    states: storage.states.clone(),
                    owner: Arc::clone(&owner),
                    reporter: None,
                };
                let calls = Calls {
                    stop: stopped.clone(),
                    orders,
                };
                let leases = Arc::clone(&leases);
                lives.push(Processor {
                    reader,
                    calls,
                    leases,
                    index,
                });
            }
            running.push(Running {
                filter: first.filter(),
                standing,
                segments,
                beside,
                storage,
                runs: plan.runs,
            });
        }
        // Only now, so that none runs if one could not be set up.
        let start = |life: Processor<ProjectionReader>| {
            let standing = Arc::clone(&life.reader.worker.standing);
            standing.metrics.begin();
            let stop = life.calls.stop.clone();
            let name = standing.name;
            let cut_off = move || {
                // One that is late to stop is cut off too.
                if !*stop.borrow() {
                    standing.cut_off();
                }
            };
            (name, outlived::spawn(life.live(), cut_off))
        };
        Ok(Self {
            running,
            inline,
            tasks: Mutex::new(lives.into_iter().map(start).collect()),
            stop,
            owner,
        })
    }

    /// What appends go through, if any projection is inline.
    pub(crate) fn inline(&self) -> Option<&Inline> {
        self.inline.as_ref()
    }

    /// Waits until each inline projection has taken in what was appended without it.
    ///
    /// # Errors
    ///
    /// If one of them does not go on by itself: its name, and why.
    pub(crate) async fn level(&self) -> Result<(), NotLevel> {
        for running in self.running.iter().filter(|running| running.standing.inline) {
            let mut pause = Duration::from_millis(2);
            let mut patience = Patience::new();
            loop {
                let level = running.level().await?;
                if level.is_reached {
                    break;
                }
                if let Some(failure) = running.stuck() {
                    return Err(NotLevel::Stuck(running.standing.name, failure));
                }
                patience.keep(&level, running).await?;
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

    /// Becomes true when they are told to stop.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
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
        // Each once, however many segments it has.
        late.dedup();
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
