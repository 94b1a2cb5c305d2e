use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::command::{Order, What};
use super::held::Asked;
use super::segment::Segment;
use super::{ApplyError, ControlError, Failure, Projection, ReadError, Rebuild, Rebuilt, Status};
use crate::consumer::{Cursors, position_of};
use crate::store::{Checkpoint, CheckpointError, RowTable};
use crate::{Position, StoreError, metrics, outlived};

/// What the tasks and the callers of a runtime know of one of its projections, or of one segment of it.
pub(crate) struct Standing {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    /// Of which streams it is.
    pub(crate) segment: Segment,
    /// The name without segments: that of checkpoint and lease where there are none.
    pub(crate) root: String,
    /// Whether appends write its rows too, so that its task is not the only one to move the checkpoint.
    pub(crate) inline: bool,
    /// Whether its rows are kept by this process alone, and found without an index.
    pub(crate) is_in_memory: bool,
    /// The name of the checkpoint and of the lease.
    pub(crate) reader: String,
    /// The name of the checkpoint that was written when the rows were as new as the log for the first time: those of all segments.
    pub(crate) mark: String,
    pub(crate) table: RowTable,
    pub(crate) metrics: metrics::Reader,
    state: watch::Sender<State>,
    orders: mpsc::Sender<Order>,
    pub(super) asked: Asked,
    /// The mark as it was seen last.
    seen_mark: Mutex<Option<Checkpoint>>,
}

/// What a version of a projection has in the store.
pub(crate) struct OfVersion {
    /// The name of its lease, or of that under which it is partitioned.
    pub(crate) root: String,
    /// The names of the leases of its segments.
    pub(crate) segments: Vec<String>,
    /// Its tables, each with the readers that have written it: rows that are built beside, then those that are shown.
    pub(crate) tables: [(RowTable, Vec<String>); 2],
}

/// What the task of a projection says of itself.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) status: Status,
    /// Up to here every event is in the rows. `None` where another process may write them.
    pub(crate) done: Option<Position>,
    pub(crate) failure: Option<Failure>,
    /// Events in a second.
    pub(crate) rate: f64,
    /// How often the projection's code has panicked.
    pub(crate) panics: u64,
    /// How rows are built beside, if they are.
    pub(crate) rebuild: Option<Rebuild>,
    /// What came of the last time.
    pub(crate) rebuilt: Option<Rebuilt>,
    /// Tells that the tokio runtime of the task has ended.
    pub(crate) cut_off: bool,
    /// Tells that there is no task in this process: the rows are only read.
    pub(crate) only_reads: bool,
}

impl State {
    fn new() -> Self {
        Self {
            status: Status::Standby,
            done: None,
            failure: None,
            rate: 0.0,
            panics: 0,
            rebuild: None,
            rebuilt: None,
            cut_off: false,
            only_reads: false,
        }
    }
}

impl Standing {
    /// Whoever waits for another process looks again after this time at first, and after more and more.
    pub(crate) const SHORTEST: Duration = Duration::from_millis(2);
    pub(crate) const LONGEST: Duration = Duration::from_millis(100);
    /// Who has come to such pauses asks whether there is anything to wait for.
    pub(crate) const ASKING: Duration = Duration::from_millis(16);

    /// That of each segment of `P`.
    pub(crate) fn all<P: Projection>() -> impl Iterator<Item = (Self, mpsc::Receiver<Order>)> {
        const {
            assert!(
                P::SEGMENTS >= 1 && P::SEGMENTS <= Segment::MOST,
                "a projection has 1 to 64 segments"
            );
        };
        Segment::all(P::SEGMENTS).map(Self::new::<P>)
    }

    fn new<P: Projection>(segment: Segment) -> (Self, mpsc::Receiver<Order>) {
        let (orders, received) = mpsc::channel(16);
        let (state, _) = watch::channel(State::new());
        let root = root_of(P::NAME, P::VERSION);
        let reader = reader_of(&root, segment);
        let indexes: Vec<_> = P::INDEXES.iter().map(|field| Cow::Borrowed(*field)).collect();
        let standing = Self {
            name: P::NAME,
            version: P::VERSION,
            segment,
            inline: false,
            is_in_memory: false,
            mark: mark_of(&root),
            root,
            reader,
            table: RowTable {
                projection: P::NAME.into(),
                version: P::VERSION,
                indexes: indexes.into(),
                beside: false,
            },
            metrics: metrics::Reader::of_projection(P::NAME, P::VERSION, segment.number()),
            state,
            orders,
            asked: Asked::default(),
            seen_mark: Mutex::new(None),
        };
        (standing, received)
    }

    /// That of the rows that are built beside these.
    pub(crate) fn beside(&self) -> Self {
        let (orders, _) = mpsc::channel(1);
        let (state, _) = watch::channel(State::new());
        let reader = beside_of(&self.reader);
        Self {
            name: self.name,
            version: self.version,
            segment: self.segment,
            root: self.root.clone(),
            inline: false,
            is_in_memory: self.is_in_memory,
            mark: mark_of(&reader),
            reader,
            table: RowTable {
                beside: true,
                ..self.table.clone()
            },
            metrics: self.metrics.beside(),
            state,
            orders,
            asked: Asked::default(),
            seen_mark: Mutex::new(None),
        }
    }

    /// What another version of the projection, of so many segments, has in the store.
    pub(crate) fn of_version(&self, version: u32, segments: u32) -> OfVersion {
        let root = root_of(self.name, version);
        let segments: Vec<String> = Segment::all(segments)
            .map(|segment| reader_of(&root, segment))
            .collect();
        let (mut readers, mut readers_beside) = (vec![mark_of(&root)], Vec::new());
        for reader in &segments {
            readers.extend([reader.clone(), mark_of(reader)]);
            readers_beside.push(beside_of(reader));
        }
        let shown = RowTable {
            version,
            ..self.table.clone()
        };
        let beside = RowTable {
            beside: true,
            ..shown.clone()
        };
        OfVersion {
            root,
            segments,
            tables: [(beside, readers_beside), (shown, readers)],
        }
    }

    /// The names of the checkpoints that were written when the rows of each segment were as new as the log for the first time, its own
    /// first. None where there is but one segment.
    pub(crate) fn marks(&self) -> impl Iterator<Item = String> {
        let Segment { index, of } = self.segment;
        let own_first = (0..of).map(move |number| Segment {
            index: (index + number) % of,
            of,
        });
        let several = own_first.filter(|segment| !segment.is_whole());
        several.map(|segment| mark_of(&reader_of(&self.root, segment)))
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    /// Refuses to wait for a task that has been cut off.
    pub(crate) fn check_runs(&self) -> Result<(), StoreError> {
        if self.state.borrow().cut_off {
            return Err(outlived::ended());
        }
        Ok(())
    }

    /// Notes that the task has been cut off. Waiters learn of it at once.
    pub(crate) fn cut_off(&self) {
        self.update(|state| (state.cut_off, state.done, state.rate) = (true, None, 0.0));
    }

    /// Counts the error, if it is a panic of the projection's code.
    pub(crate) fn count(&self, error: &ApplyError) {
        if matches!(error, ApplyError::Panicked(_)) {
            self.update(|state| state.panics += 1);
            self.metrics.panicked();
        }
    }

    /// Waits until every event up to `position` is in the rows, whichever process puts them there.
    ///
    /// # Errors
    ///
    /// [`ReadError::Held`] at once if that never comes, as far as any process knows; [`ReadError::Timeout`] at the deadline, which is
    /// `waited` from when it was asked.
    pub(crate) async fn reach(
        &self,
        cursors: &Cursors,
        position: Position,
        deadline: Instant,
        waited: Duration,
    ) -> Result<(), ReadError> {
        let mut state = self.state.subscribe();
        let mut pause = Self::SHORTEST;
        loop {
            let local = state.borrow_and_update().done.filter(|_| !self.inline);
            let at = match local {
                Some(done) => done,
                None => position_of(cursors.checkpoint(&self.reader).await?),
            };
            if at >= position {
                return Ok(());
            }
            let is_over = Instant::now() >= deadline;
            let obstacle = if local.is_some() {
                self.holds_here()
            } else if self.says_held() || pause >= Self::ASKING || is_over {
                self.held(&*cursors.store, at).await?
            } else {
                None
            };
            match obstacle {
                // All that was before the event is in the rows.
                Some(hold) if hold.position > position => return Ok(()),
                Some(hold) => return Err(hold.of(self.name)),
                None if is_over => {
                    return Err(ReadError::Timeout {
                        projection: self.name,
                        after: position,
                        at,
                        waited,
                    });
                }
                None => {}
            }
            self.check_runs()?;
            if local.is_some() {
                // The sender lives as long as `self`; what ends the wait else is the time.
                drop(timeout_at(deadline, state.changed()).await);
            } else {
                sleep_until(deadline.min(Instant::now() + pause)).await;
                pause = (pause * 2).min(Self::LONGEST);
            }
        }
    }

    /// The mark as it is now, which is kept.
    pub(crate) async fn read_mark(&self, cursors: &Cursors) -> Result<Option<Checkpoint>, CheckpointError> {
        let mark = cursors.checkpoint(&self.mark).await?;
        self.seen_mark
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&mark);
        Ok(mark)
    }

    /// Whether the mark is there, of this log or of another one.
    pub(crate) async fn is_marked(&self, cursors: &Cursors) -> Result<bool, StoreError> {
        match self.read_mark(cursors).await {
            Ok(mark) => Ok(mark.is_some()),
            Err(CheckpointError::Diverged { .. }) => Ok(true),
            Err(CheckpointError::Store(error)) => Err(error),
        }
    }

    /// The mark as it was seen last.
    pub(crate) fn last_mark(&self) -> Option<Checkpoint> {
        self.seen_mark.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the projection's task do something.
    pub(crate) async fn order(&self, what: What) -> Result<(), ControlError> {
        if self.state.borrow().only_reads {
            return Err(ControlError::Elsewhere {
                reader: self.name.to_owned(),
            });
        }
        let ended = || {
            self.check_runs()
                .map_or_else(ControlError::from, |()| ControlError::ShutDown)
        };
        Order::give(&self.orders, what).await.unwrap_or_else(|| Err(ended()))
    }
}

fn root_of(name: &str, version: u32) -> String {
    format!("{name}@{version}")
}

/// The name of the checkpoint and the lease of a segment.
fn reader_of(root: &str, segment: Segment) -> String {
    match segment {
        Segment::WHOLE => root.to_owned(),
        Segment { index, of } => format!("{root}#{index}/{of}"),
    }
}

fn mark_of(reader: &str) -> String {
    format!("{reader} ready")
}

/// The name of the checkpoint of rows that are built beside.
fn beside_of(reader: &str) -> String {
    format!("{reader} new")
}
