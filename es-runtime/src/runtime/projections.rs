use std::cmp::Reverse;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::time::Instant;

use super::Runtime;
use crate::consumer::{Cursors, all_parked, count_parked, position_of, remove_attempts};
use crate::projection::{
    Build, ControlError, Health, OfVersion, Projection, ProjectionHealth, ReadError, Rebuild, Running, Seen,
    SegmentHealth, Standing, Status, What, refused, segments_of,
};
use crate::store::{CheckpointError, Lease, Parked, ReadLog};
use crate::subscription::Kind;
use crate::{Position, StoreError};

/// A handle to operate one projection: [`Runtime::projection`], or one of [`Runtime::projections`].
///
/// Only the process that runs the projection carries out orders. If none does, this one takes it over; if another one
/// does, they fail with [`Elsewhere`](ControlError::Elsewhere).
#[derive(Clone, Copy)]
pub struct ProjectionHandle<'a> {
    runtime: &'a Runtime,
    running: &'a Running,
}

impl<'a> ProjectionHandle<'a> {
    /// Returns its name.
    pub fn name(&self) -> &'static str {
        self.running.standing.name
    }

    /// Returns its version.
    pub fn version(&self) -> u32 {
        self.running.standing.version
    }

    /// Returns its status, whichever process runs it.
    pub async fn status(&self) -> Result<ProjectionHealth, StoreError> {
        let head = self.runtime.0.store.head().await?;
        self.runtime.projection_health(self.running, head).await
    }

    /// Returns all events that it has parked, in the order of their positions.
    pub async fn parked(&self) -> Result<Vec<Parked>, StoreError> {
        let mut all = Vec::new();
        for segment in &*self.running.segments {
            all.extend(all_parked(&*self.running.storage.cursors.store, &segment.reader).await?);
        }
        all.sort_by_key(|parked| parked.position);
        Ok(all)
    }

    /// Waits until every event up to `position` is in its rows.
    ///
    /// # Errors
    ///
    /// [`Timeout`](ReadError::Timeout) if that takes longer than `timeout`, with the position that it has reached.
    pub async fn wait_for(&self, position: impl Into<Position>, timeout: Duration) -> Result<(), ReadError> {
        self.running
            .reach(position.into(), None, Instant::now() + timeout, timeout)
            .await
    }

    /// Applies the event at `position`, which is parked or held, with the code of this build, and then the events
    /// [parked behind it](mod@crate::projection#parked-in-sequence), in order, until one fails, which stays parked.
    ///
    /// # Errors
    ///
    /// [`Failed`](ControlError::Failed) if the event fails again, which is counted; it stays where it is.
    /// [`Behind`](ControlError::Behind) if another parked event comes first.
    pub async fn retry(&self, position: impl Into<Position>) -> Result<(), ControlError> {
        let position = position.into();
        let segment = self.running.of_event(position).await?;
        segment.order(What::Retry(position)).await
    }

    /// Skips the event at `position`, which is parked or held: the rows do not show it, unless a rebuild reaches it
    /// again. Writes the reason to the log of the process.
    pub async fn skip(&self, position: impl Into<Position>, reason: impl Into<String>) -> Result<(), ControlError> {
        let position = position.into();
        let segment = self.running.of_event(position).await?;
        segment.order(What::Skip(position, reason.into())).await
    }

    /// Rebuilds all rows from the first event. Await the result, or set options first.
    ///
    /// Returns when the rebuild has begun: [`status`](Self::status) shows its progress and its result, in every
    /// process. If the process is killed, another one continues.
    ///
    /// The current rows stay visible and up to date until the new ones have caught up: these replace them in one
    /// transaction, with the events that were parked meanwhile. A reader never waits, sees no mix, and does not go
    /// back. Rows that are not visible, because they were never built or the store was restored to an earlier point,
    /// are removed first; reads then wait, and fail with [`NotReady`](ReadError::NotReady).
    ///
    /// # Errors
    ///
    /// [`Segmented`](ControlError::Segmented) if it has several segments: raise its version instead.
    pub fn rebuild(&self) -> RebuildProjection<'a> {
        RebuildProjection {
            running: self.running,
            how: Rebuild::default(),
        }
    }

    /// Cancels a [`rebuild`](Self::rebuild) and drops its new rows. The current rows stay.
    ///
    /// # Errors
    ///
    /// [`NotRebuilding`](ControlError::NotRebuilding) if none is in progress: it may just have ended.
    pub async fn cancel_rebuild(&self) -> Result<(), ControlError> {
        self.running.standing.order(What::CancelRebuild).await
    }

    /// Returns the versions of this projection that have rows or tables in the store, in ascending order: this one, and
    /// those of older and newer builds.
    pub async fn versions(&self) -> Result<Vec<u32>, StoreError> {
        self.running.storage.rows.versions(self.running.standing.name).await
    }

    /// Drops the rows or tables of another version, with its checkpoint and parked events. A build that still reads
    /// them then fails: end all of its processes first.
    ///
    /// # Errors
    ///
    /// [`Elsewhere`](ControlError::Elsewhere) if a process runs that version; [`InUse`](ControlError::InUse) if it is one of this
    /// runtime's.
    pub async fn drop_version(&self, version: u32) -> Result<(), ControlError> {
        let Running { standing, storage, .. } = self.running;
        let projection = standing.name;
        let is_own = |own: &Running| own.standing.name == projection && own.standing.version == version;
        if self.runtime.0.projections.all().iter().any(is_own) {
            return Err(ControlError::InUse { projection, version });
        }
        let mut leases = Vec::new();
        let dropped = self.drop_under(version, &mut leases).await;
        let mut released = Ok(());
        for lease in &leases {
            released = released.and(storage.cursors.store.release(lease).await);
        }
        dropped?;
        Ok(released?)
    }

    /// Drops it under leases that are given back by the caller: all that the version has.
    async fn drop_under(&self, version: u32, leases: &mut Vec<Lease>) -> Result<(), ControlError> {
        let Running { standing, storage, .. } = self.running;
        let (projection, owner) = (standing.name, &self.runtime.0.projections.owner);
        let elsewhere = || ControlError::Elsewhere {
            reader: projection.to_owned(),
        };
        let mut take = async |name: &str| {
            let lease = storage.cursors.store.acquire(name, owner, DROPPING).await?;
            leases.push(lease.ok_or_else(elsewhere)?);
            Ok::<_, ControlError>(())
        };
        let OfVersion { root, .. } = standing.of_version(version, 1);
        take(&root).await?;
        let said = storage.states.as_ref().map(|states| segments_of(states, &root));
        let mut segments = None;
        if let Some(said) = &said {
            let kept = said.get().await?;
            segments = kept.value;
            // Nobody says a number from now on, not even one whose lease has just run out.
            if segments.is_none() && !said.save(&kept, None).await? {
                return Err(elsewhere());
            }
        }
        let of_version = standing.of_version(version, segments.unwrap_or(1));
        for segment in of_version.segments.iter().filter(|segment| **segment != root) {
            take(segment).await?;
        }
        let mut dropped = Ok(());
        for (table, readers) in &of_version.tables {
            dropped = dropped.and(storage.rows.drop_table(table, readers, &leases[0]).await);
        }
        dropped.map_err(|error| refused(projection, error))?;
        if let Some(states) = &storage.states {
            for reader in of_version.tables.iter().flat_map(|(_, readers)| readers) {
                remove_attempts(states, reader).await?;
            }
        }
        // Only now: while anything is left of the version, nobody may come with another number.
        match said {
            Some(said) => Ok(said.remove().await?),
            None => Ok(()),
        }
    }
}

/// Rebuilds the rows of a projection: `runtime.projection::<Balance>().rebuild().await`, with options before the
/// `await`.
#[must_use = "nothing is built until it is awaited"]
pub struct RebuildProjection<'a> {
    running: &'a Running,
    how: Rebuild,
}

impl RebuildProjection<'_> {
    /// Applies at most `events_per_second`, to leave the store time for other work.
    pub fn throttle(mut self, events_per_second: u32) -> Self {
        self.how.throttle = Some(events_per_second);
        self
    }

    /// Compares the new rows with the current ones, both at the same event, before they replace them:
    /// [`rebuilt`](ProjectionHealth::rebuilt) reports how many differ, and which.
    pub fn compare(mut self) -> Self {
        self.how.compare = true;
        self
    }

    /// [Compares](Self::compare), and keeps the old rows if any row differs. The new ones are then dropped.
    pub fn keep_if_different(mut self) -> Self {
        (self.how.compare, self.how.keep) = (true, true);
        self
    }
}

impl<'a> IntoFuture for RebuildProjection<'a> {
    type Output = Result<(), ControlError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let standing = &self.running.standing;
            match self.running.segments.len() {
                1 => standing.order(What::Rebuild(self.how)).await,
                _ => Err(ControlError::Segmented {
                    projection: standing.name,
                    segments: standing.segment.of,
                }),
            }
        })
    }
}

/// The time that dropping a version may take before another process may start it.
const DROPPING: Duration = Duration::from_secs(60);

/// Shuts the runtime down: `runtime.shutdown().await`, with a [deadline](Self::within) before the `await`.
#[must_use = "nothing is shut down until it is awaited"]
pub struct Shutdown<'a> {
    runtime: &'a Runtime,
    within: Duration,
}

impl Shutdown<'_> {
    /// Sets how long subscriptions and projections may take to stop: ten seconds unless set.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }
}

impl<'a> IntoFuture for Shutdown<'a> {
    type Output = Result<(), StoreError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            if self.runtime.0.projections.is_stopped() {
                return Ok(());
            }
            let deadline = Instant::now() + self.within;
            let delivered = self.runtime.0.subscriptions.stop(deadline, self.within).await;
            let stopped = self.runtime.0.projections.stop(deadline, self.within).await;
            self.runtime.0.snapshots.close(deadline).await;
            // Closed in any case; the first failure is reported.
            let closed = self.runtime.0.store.close().await;
            delivered.and(stopped).and(closed)
        })
    }
}

/// Waits for a signal, then shuts down: `runtime.run_until(signal).await`, with a [deadline](Self::within) before the
/// `await`.
#[must_use = "nothing is awaited until it is"]
pub struct RunUntil<'a, F> {
    shutdown: Shutdown<'a>,
    signal: F,
}

impl<F> RunUntil<'_, F> {
    /// Sets how long subscriptions and projections may take to stop: ten seconds unless set.
    pub fn within(mut self, time: Duration) -> Self {
        self.shutdown = self.shutdown.within(time);
        self
    }
}

impl<'a, F: Future + Send + 'a> IntoFuture for RunUntil<'a, F> {
    type Output = Result<(), StoreError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.signal.await;
            self.shutdown.await
        })
    }
}

impl Runtime {
    /// Returns a handle to one projection of this runtime.
    ///
    /// # Panics
    ///
    /// If `P` was not given to the builder of the runtime.
    #[track_caller]
    pub fn projection<P: Projection>(&self) -> ProjectionHandle<'_> {
        ProjectionHandle {
            runtime: self,
            running: self.0.projections.of::<P>(),
        }
    }

    /// Returns a handle to each projection of this runtime, in the order in which they were given to its builder.
    pub fn projections(&self) -> impl Iterator<Item = ProjectionHandle<'_>> {
        let running = self.0.projections.all().iter();
        running.map(|running| ProjectionHandle { runtime: self, running })
    }

    /// Returns the status of this runtime's projections and subscriptions.
    ///
    /// # Errors
    ///
    /// If the store fails; [`Closed`](crate::StoreErrorKind::Closed) also if the tokio runtime has ended on which they were started.
    pub async fn health(&self) -> Result<Health, StoreError> {
        self.0.subscriptions.check_runs()?;
        let head = self.0.store.head().await?;
        let mut projections = Vec::new();
        for running in self.0.projections.all() {
            projections.push(self.projection_health(running, head).await?);
        }
        let mut subscriptions = Vec::new();
        for standing in self.0.subscriptions.all() {
            if standing.kind == Kind::Subscription {
                subscriptions.push(self.health_of(&standing, head).await?);
            }
        }
        let mut process_managers = Vec::new();
        for registered in &self.0.processes {
            process_managers.push(self.registered_health(Kind::Process, registered.name, head).await?);
        }
        let mut publications = Vec::new();
        for name in &self.0.publications {
            publications.push(self.registered_health(Kind::Publication, name, head).await?);
        }
        Ok(Health {
            head,
            projections,
            subscriptions,
            process_managers,
            publications,
            snapshots: self.0.snapshots.health(),
        })
    }

    /// Stops subscriptions and projections, releases their leases and closes the store, for every clone of this
    /// runtime. A started batch of a projection is written as a whole or not at all. A subscription delivers nothing
    /// more, and waits for the deliveries in hand. A second call does nothing.
    ///
    /// This closes the store for every other runtime over a clone of it, too. If several share one, drop all but the
    /// last instead: a dropped runtime releases its leases as well.
    ///
    /// # Errors
    ///
    /// If one of them had to be cut off, or the store had lost trust in itself. It is closed all the same.
    pub fn shutdown(&self) -> Shutdown<'_> {
        Shutdown {
            runtime: self,
            within: Duration::from_secs(10),
        }
    }

    /// Waits until this runtime or a clone of it is [shut down](Self::shutdown), or the last clone is dropped: for what should end with it,
    /// such as connections that stay open.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.0.projections.stopped();
        async move {
            // An error says that the runtime was dropped.
            drop(stop.wait_for(|stopped| *stopped).await);
        }
    }

    /// Runs until `signal` resolves, such as `tokio::signal::ctrl_c()`, then [shuts down](Self::shutdown): the last line of a
    /// program that only projects.
    ///
    /// # Errors
    ///
    /// Those of [`shutdown`](Self::shutdown).
    pub fn run_until<F: Future>(&self, signal: F) -> RunUntil<'_, F> {
        RunUntil {
            shutdown: self.shutdown(),
            signal,
        }
    }

    async fn projection_health(&self, running: &Running, head: Position) -> Result<ProjectionHealth, StoreError> {
        let Running {
            standing,
            beside,
            storage,
            ..
        } = running;
        running.check_runs()?;
        let (ready, is_diverged) = match storage.cursors.seen(&standing.mark).await {
            Ok(mark) => (mark.is_some(), false),
            Err(CheckpointError::Diverged { .. }) => (false, true),
            Err(CheckpointError::Store(error)) => return Err(error),
        };
        let mut segments = Vec::with_capacity(running.segments.len());
        let mut beside_of = None;
        for segment in &*running.segments {
            let lease = storage.cursors.store.lease(&segment.reader).await?;
            let seen = Seen::new(segment, beside.as_deref(), &self.0.projections.owner, lease);
            segments.push(self.segment_health(&storage.cursors, segment, &seen, head).await?);
            beside_of = beside.as_deref().map(|beside| (beside, seen));
        }
        let behind = segments.iter().min_by_key(|segment| segment.position);
        let worst = segments
            .iter()
            .min_by_key(|segment| (Reverse(segment.status.severity()), segment.position));
        let (Some(behind), Some(worst)) = (behind, worst) else {
            unreachable!("a projection has a segment");
        };
        let rate = segments.iter().map(|segment| segment.rate).sum();
        let (mut build, mut rebuilt) = (None, None);
        if let Some((beside, seen)) = beside_of {
            if ready && seen.rebuilds {
                build = Some(Build {
                    done: built(&storage.cursors, beside).await?,
                    total: head,
                    rate: seen.build_rate,
                    last_error: seen.build_failure,
                });
            }
            rebuilt = seen.rebuilt;
        }
        if !ready {
            build = Some(Build {
                done: behind.position,
                total: head,
                rate,
                last_error: worst.last_error.clone(),
            });
        }
        Ok(ProjectionHealth {
            name: standing.name,
            version: standing.version,
            status: if is_diverged { Status::Diverged } else { worst.status },
            ready,
            position: behind.position,
            lag_events: behind.lag_events,
            lag: behind.lag,
            progressed_at: behind.progressed_at,
            rate,
            last_error: worst.last_error.clone(),
            panics: segments.iter().map(|segment| segment.panics).sum(),
            owner: behind.owner.clone(),
            runs_here: behind.runs_here,
            parked: segments.iter().map(|segment| segment.parked).sum(),
            segments,
            build,
            rebuilt,
        })
    }

    async fn segment_health(
        &self,
        cursors: &Cursors,
        segment: &Standing,
        seen: &Seen,
        head: Position,
    ) -> Result<SegmentHealth, StoreError> {
        let done = segment.state().done;
        let (stored, is_diverged) = match cursors.seen(&segment.reader).await {
            Ok(stored) => (stored, false),
            Err(CheckpointError::Diverged { .. }) => (None, true),
            Err(CheckpointError::Store(error)) => return Err(error),
        };
        let progressed_at = stored.as_ref().map(|stored| stored.updated_at);
        let stored = position_of(stored);
        let position = done.map_or(stored, |done| done.max(stored));
        Ok(SegmentHealth {
            status: if is_diverged { Status::Diverged } else { seen.status },
            position,
            lag_events: head.0.saturating_sub(position.0),
            lag: self.age_of_next(position, head).await?,
            progressed_at,
            rate: seen.rate,
            last_error: seen.failure.clone(),
            panics: seen.panics,
            owner: seen.owner.clone(),
            runs_here: seen.runs_here,
            parked: count_parked(&*cursors.store, &segment.reader).await?,
        })
    }

    /// Returns the time since the first event behind `position` was recorded.
    pub(super) async fn age_of_next(&self, position: Position, head: Position) -> Result<Duration, StoreError> {
        if position >= head {
            return Ok(Duration::ZERO);
        }
        let next = ReadLog::new().from(position.next()).limit(1);
        let Some(event) = self.0.store.read_log(next).try_next().await? else {
            return Ok(Duration::ZERO);
        };
        let micros = self.0.clock.now().as_micros() - event.recorded_at.as_micros();
        Ok(Duration::from_micros(u64::try_from(micros).unwrap_or_default()))
    }
}

/// Returns the position of the rows that are being rebuilt.
async fn built(cursors: &Cursors, beside: &Standing) -> Result<Position, StoreError> {
    match cursors.seen(&beside.reader).await {
        Ok(built) => Ok(position_of(built)),
        // It starts again.
        Err(CheckpointError::Diverged { .. }) => Ok(Position::ZERO),
        Err(CheckpointError::Store(error)) => Err(error),
    }
}

impl fmt::Debug for ProjectionHandle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectionHandle")
            .field("name", &self.name())
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Shutdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RebuildProjection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RebuildProjection")
            .field("how", &self.how)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for RunUntil<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunUntil")
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}
