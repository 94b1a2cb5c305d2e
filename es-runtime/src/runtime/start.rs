//! Checks of a build against its store at the start.

use std::sync::Arc;
use std::time::Duration;

use super::builder::Builder;
use super::cache::Cache;
use super::caps::{CapError, Caps, UnwritableEvent, lines};
use super::event_check::{Readable, Registered, StoredKind, compare};
use super::snapshot::Snapshots;
use super::{Catalog, Inner, ProjectionInfo, Runtime};
use crate::consumer::Cursors;
use crate::projection::{Failure, NotLevel, Projections};
use crate::publication::{self, SinkError};
use crate::store::{Checked, StateStore};
use crate::subscription::{SubscriptionError, Subscriptions};
use crate::{EventStore, Position, StoreError, process};

/// Why a runtime was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store holds events of a registered aggregate that this build cannot read.
    /// [`allow_unreadable_events`](Builder::allow_unreadable_events) starts it all the same.
    #[error("{}", lines("the store holds events that this build cannot read", .0))]
    UnreadableEvents(Vec<StoredKind>),
    /// Events of a registered aggregate may only be written in versions that this build cannot write.
    #[error("{}", lines("events may not be written as this build writes them", .0))]
    UnwritableEvents(Vec<UnwritableEvent>),
    /// A dependency turns on the feature `arbitrary_precision` of `serde_json`, under which this build stores numbers in tagged
    /// and untagged enums and in flattened structs, and cannot read them.
    #[error(
        "something in this build turns on the feature `arbitrary_precision` of serde_json, under which some numbers are stored and \
         cannot be read: turn on the feature of the same name of es-runtime too, `es-runtime = {{ version = \"…\", features = \
         [\"arbitrary_precision\"] }}`"
    )]
    ArbitraryPrecision,
    /// An [inline](mod@crate::projection#inline) projection cannot take in what was appended without it. Mend its method, or start it without
    /// `inline` and [skip](crate::ProjectionHandle::skip) the event.
    #[error("inline projection `{projection}` cannot take in what was appended without it: {}", .failure.error)]
    Inline {
        /// The projection's name.
        projection: &'static str,
        /// The failure, and the event that caused it.
        failure: Failure,
    },
    /// An [inline](mod@crate::projection#inline) projection has not applied what was appended without it, and for a minute nothing has
    /// moved. Look at the process that runs it.
    #[error(
        "inline projection `{projection}` has stood at position {position} for {waited:?}, though the log is at {head}: {}",
        owner.as_ref().map_or_else(|| "nobody runs it".to_owned(), |owner| format!("`{owner}` runs it, and does not move it"))
    )]
    InlineBehind {
        /// The projection's name.
        projection: &'static str,
        /// The position that it has reached.
        position: Position,
        /// The position of the last event.
        head: Position,
        /// The time for which nothing has moved.
        waited: Duration,
        /// The owner of its lease.
        owner: Option<String>,
    },
    /// The rows of this version are kept in another number of [segments](mod@crate::projection#segments) than this build declares: give it
    /// another version, which is built next to the old one.
    #[error(
        "version {version} of projection `{projection}` is kept in {kept} {}, and this build has it in {segments}: raise its version, and it \
         is built anew beside; or take `segments` back",
        if *.kept == 1 { "segment" } else { "segments" }
    )]
    Segments {
        /// The projection's name.
        projection: &'static str,
        /// Its version.
        version: u32,
        /// The number of segments that this build declares.
        segments: u32,
        /// The number of segments in the store.
        kept: u32,
    },
    /// A process manager cannot follow the log.
    #[error("process manager `{process}` does not start")]
    ProcessManager {
        /// Its name.
        process: &'static str,
        /// The reason.
        source: Box<SubscriptionError>,
    },
    /// A publication cannot follow the log.
    #[error("publication `{publication}` does not start")]
    Publication {
        /// Its name.
        publication: &'static str,
        /// The reason.
        source: Box<SubscriptionError>,
    },
    /// The sink of a publication cannot keep its promise for its topic.
    #[error("publication `{publication}` cannot publish to `{topic}`")]
    Sink {
        /// Its name.
        publication: &'static str,
        /// The topic.
        topic: &'static str,
        /// The reason.
        source: SinkError,
    },
    /// The projection has [segments](mod@crate::projection#segments), and the store of its rows keeps no
    /// [states](crate::EventStore::state_store), among which their number would be noted: leave `segments` out.
    #[error(
        "projection `{projection}` has {segments} segments, and the store keeps no states, where their number is noted: leave `segments` out, \
         or take a store that implements `EventStore::state_store`"
    )]
    SegmentsUnsupported {
        /// The projection's name.
        projection: &'static str,
        /// The number of segments that this build declares.
        segments: u32,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NotLevel> for StartError {
    fn from(error: NotLevel) -> Self {
        match error {
            NotLevel::Stuck(projection, failure) => Self::Inline { projection, failure },
            NotLevel::Still {
                projection,
                position,
                head,
                waited,
                owner,
            } => Self::InlineBehind {
                projection,
                position,
                head,
                waited,
                owner,
            },
            NotLevel::Store(error) => Self::Store(error),
        }
    }
}

impl From<CapError> for StartError {
    fn from(error: CapError) -> Self {
        match error {
            CapError::Unwritable(events) => Self::UnwritableEvents(events),
            CapError::Unsupported => unreachable!("what nothing keeps is not read"),
            CapError::Store(error) => Self::Store(error),
        }
    }
}

/// The readers that follow the log with the runtime, besides its projections.
struct Followers {
    processes: Vec<process::Plan>,
    publications: Vec<publication::Plan>,
}

impl<S: EventStore> Builder<S> {
    /// Starts the runtime and its projections, after checking that this build can read and write the events of the
    /// store. Waits until its [inline](mod@crate::projection#inline) projections have applied the events that were
    /// appended without them, and until the aggregates to [preload](Self::preload) are in memory.
    ///
    /// # Errors
    ///
    /// [`StartError::UnreadableEvents`] if the store holds events of a [registered](Self::aggregate) aggregate that this build
    /// cannot read; [`StartError::UnwritableEvents`] if a cap forbids all versions that it can write;
    /// [`StartError::Store`] if the store cannot be reached, or refuses the table of a projection;
    /// [`StartError::Inline`] if an inline projection is held before an event that was appended without it;
    /// [`StartError::InlineBehind`] if one does not move for a minute;
    /// [`StartError::Segments`] if a projection was partitioned otherwise before;
    /// [`StartError::SegmentsUnsupported`] if it is partitioned and nothing keeps how.
    pub async fn start(mut self) -> Result<Runtime, StartError> {
        let preloads = std::mem::take(&mut self.preloads);
        let (runtime, followers) = self.checked().await?;
        for plan in followers.processes {
            let process = plan.registered.name;
            let started = plan.start(&runtime).await;
            started.map_err(|source| StartError::ProcessManager {
                process,
                source: Box::new(source),
            })?;
        }
        for plan in followers.publications {
            plan.start(&runtime).await?;
        }
        runtime.0.projections.level().await?;
        for preload in preloads {
            preload(&runtime).await?;
        }
        Ok(runtime)
    }

    /// Opens the runtime like [`start`](Self::start), but runs no projection, process manager or publication: takes no lease,
    /// creates no table, waits for nothing and [preloads](Self::preload) nothing. For command lines, schema steps, and programs
    /// that look at a store while others work on it.
    ///
    /// Reads and commands work as ever. Rows [in memory](mod@crate::projection#rows-in-memory) are never built.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start), but for what only running a projection finds.
    pub async fn open(mut self) -> Result<Runtime, StartError> {
        for plan in &mut self.plans {
            plan.runs = false;
        }
        let (runtime, _followers) = self.checked().await?;
        Ok(runtime)
    }

    /// Checks the build against the store, and starts the projections that are to run. Returns what else is to follow the log,
    /// of which nothing is started.
    async fn checked(self) -> Result<(Runtime, Followers), StartError> {
        if crate::json::numbers_are_unreadable() {
            return Err(StartError::ArbitraryPrecision);
        }
        crate::metrics::describe();
        let (store, caps) = (Arc::new(self.store), Caps::default());
        let log: Arc<dyn EventStore> = Arc::new(Checked::new(Arc::clone(&store)));
        let cursors = match self.cursors {
            Some(cursors) => Some(Cursors::elsewhere(Arc::clone(&log), Arc::new(Checked::new(cursors)))),
            None => Cursors::of(&log),
        };
        let states = match self.states {
            Some(states) => Some(Arc::new(Checked::new(states)) as Arc<dyn StateStore>),
            None => Arc::clone(&log).state_store(),
        };
        log.head().await?;
        caps.reload(states.as_ref(), &self.aggregates).await?;
        check_readable(&*log, &self.aggregates, self.allows_unreadable).await?;
        let projections = Projections::start(self.plans, &store, &self.clock, self.build_rate).await?;
        let catalog = Catalog {
            aggregates: self.aggregates.iter().map(|aggregate| aggregate.any.info()).collect(),
            projections: projections.all().iter().map(ProjectionInfo::of).collect(),
        };
        let processes = self.processes.iter().map(|plan| plan.registered.clone()).collect();
        let runtime = Runtime(Arc::new(Inner {
            store: log,
            cursors,
            snapshots: Snapshots::new(states.clone()),
            states,
            clock: self.clock,
            retry: self.retry,
            queue: self.queue,
            cache: Cache::new(self.cache),
            caps,
            aggregates: self.aggregates,
            catalog,
            projections,
            subscriptions: Subscriptions::new(),
            processes,
            publications: self.publications.iter().map(publication::Plan::cursor).collect(),
        }));
        let followers = Followers {
            processes: self.processes,
            publications: self.publications,
        };
        Ok((runtime, followers))
    }
}

async fn check_readable(
    store: &dyn EventStore,
    aggregates: &[Registered],
    allows_unreadable: bool,
) -> Result<(), StartError> {
    if aggregates.is_empty() {
        return Ok(());
    }
    let report = compare(store, aggregates).await?;
    let (mut unreadable, mut foreign) = (Vec::new(), Vec::new());
    for stored in report.stored {
        match stored.readable {
            Readable::NotRegistered => foreign.push(stored.kind.category),
            readable if readable.is_unreadable() => unreadable.push(stored),
            _ => {}
        }
    }
    foreign.dedup();
    if !foreign.is_empty() {
        tracing::info!(categories = ?foreign, "the store holds events of aggregates that are not registered");
    }
    if unreadable.is_empty() {
        return Ok(());
    }
    if !allows_unreadable {
        return Err(StartError::UnreadableEvents(unreadable));
    }
    for stored in unreadable {
        tracing::warn!("started with events that cannot be read: {stored}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    /// Also run with `--features serde_json/arbitrary_precision`, as a dependency would turn it on.
    #[tokio::test]
    async fn a_build_whose_numbers_cannot_be_read_does_not_start() {
        let kept: serde_json::Value = serde_json::from_str("1.10").unwrap();
        let keeps_digits = format!("{kept}") == "1.10";
        let started = Runtime::builder(MemoryStore::new()).start().await;
        if keeps_digits && cfg!(not(feature = "arbitrary_precision")) {
            assert!(matches!(started, Err(StartError::ArbitraryPrecision)), "{started:?}");
        } else {
            started.unwrap();
        }
    }
}
