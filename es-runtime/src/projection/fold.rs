use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use foldhash::{HashMap, HashMapExt as _};

use super::cache::{Cached, Rows};
use super::row::RowProjection;
use super::source::{Apply, Change, Sources, contain};
use super::sql::WriteError;
use super::{ApplyError, RowMismatch};
use crate::consumer::Keys;
use crate::store::{Advance, Commit, CommitError, EventFilter, Lease, Row, RowChange, RowStore, RowTable};
use crate::{Position, RecordedEvent, StoreError};

/// Applies events, for one projection. Everything that is written of it goes through here, so that it may be rows, or what
/// methods of the user write.
#[async_trait]
pub(crate) trait Fold: Send + Sync {
    /// Which events it needs.
    fn filter(&self) -> EventFilter;

    /// The sequences in which the event stands.
    fn keys(&self, event: &RecordedEvent) -> Keys;

    /// Makes what it writes to, if that is not there.
    async fn set_up(&self) -> Result<(), StoreError>;

    /// Takes up the events, and says whether they change anything. Nothing of it counts before it is written.
    async fn fold(&mut self, events: &[RecordedEvent]) -> Result<bool, FoldError>;

    /// Writes what was taken up last, and moves the checkpoint, in one transaction. Nothing was taken up after a [`reset`](Self::reset).
    async fn write(&mut self, advance: Advance) -> Result<(), WriteError>;

    /// Whether the event can be applied. Nothing is written.
    async fn attempt(&mut self, event: &RecordedEvent) -> Result<(), FoldError>;

    /// What was taken up last counts: it was written, or changed nothing.
    fn committed(&mut self);

    /// What was taken up last is not stored, or others may have written since.
    fn reset(&mut self);

    /// No event counts yet: what may be there, though its checkpoint is gone, is none of it.
    async fn begin(&self, _reader: &str, _lease: &Lease) -> Result<(), CommitError> {
        Ok(())
    }

    /// Removes all that was written, so that the next event is the first.
    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError>;
}

/// Why events were not taken up.
pub(crate) enum FoldError {
    /// The event of this index cannot be applied; those before it can.
    Poison { index: usize, error: ApplyError },
    /// The rows could not be read.
    Store(StoreError),
}

impl From<FoldError> for WriteError {
    fn from(error: FoldError) -> Self {
        match error {
            FoldError::Poison { index, error } => Self::Poison {
                index: Some(index),
                error,
            },
            FoldError::Store(error) => Self::Commit(CommitError::Store(error)),
        }
    }
}

impl From<StoreError> for FoldError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Folds events into the rows of `P`.
pub(crate) struct RowFold<P: 'static> {
    store: Arc<dyn RowStore>,
    table: RowTable,
    sources: Sources<Change<P>>,
    cache: Rows<P>,
    /// The rows of the last batch.
    uncommitted: Vec<(String, Cached<P>)>,
    /// What becomes of them.
    changes: Vec<RowChange>,
}

/// A row while events are folded into it.
pub(super) struct Open<P> {
    pub(super) row: Option<P>,
    /// The event that changed it last; `None` if none has.
    pub(super) changed: Option<Position>,
    /// What the row is stored as, if it was asked for after that event.
    pub(super) data: Option<Bytes>,
    /// The size of the stored form that was read.
    stored: usize,
}

impl<P: RowProjection> Open<P> {
    /// The row that is stored so, or none.
    pub(super) fn read(key: &str, data: Option<&[u8]>) -> Result<Self, ApplyError> {
        let row = data.map(crate::json::from_slice).transpose();
        Ok(Self {
            row: row.map_err(|source| ApplyError::Row {
                key: key.to_owned(),
                source,
            })?,
            changed: None,
            data: None,
            stored: data.map_or(0, <[u8]>::len),
        })
    }

    /// Applies the event at `position`. With `storable` the row then goes through its stored form, to find the event that
    /// took that away, and so that the next one finds what it would find after a restart.
    pub(super) fn apply(
        &mut self,
        key: &str,
        apply: Box<Apply<P>>,
        position: Position,
        storable: bool,
    ) -> Result<(), ApplyError> {
        let mismatch = |mismatch: RowMismatch| ApplyError::Mismatch {
            key: key.to_owned(),
            mismatch,
        };
        let row = self.row.take();
        self.row = contain(|| apply(row).map_err(mismatch))?;
        self.changed = Some(position);
        if storable {
            (self.row, self.data) = stored(key, self.row.take())?;
        }
        Ok(())
    }
}

impl<P: RowProjection> RowFold<P> {
    pub(crate) fn new(store: Arc<dyn RowStore>, table: RowTable) -> Self {
        Self {
            store,
            table,
            sources: Sources::new(P::EVENTS.iter().map(|event| &event.0)),
            cache: Rows::new(),
            uncommitted: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Folds the events, with `storable_each` so that every row is [storable](Open::apply) after each event.
    async fn run(&mut self, events: &[RecordedEvent], storable_each: bool) -> Result<Vec<RowChange>, FoldError> {
        let mut changes = Vec::with_capacity(events.len());
        let mut poison = None;
        for (index, event) in events.iter().enumerate() {
            breathe(index).await;
            match self.sources.changes(event) {
                Ok(of_event) => changes.extend(of_event.into_iter().map(|change| (index, change))),
                Err(error) => {
                    poison = Some(FoldError::Poison { index, error });
                    break;
                }
            }
        }
        // Those before it may fail too, and are nearer.
        let mut rows = self.open(&changes).await?;
        for (at, (index, Change { key, apply })) in changes.into_iter().enumerate() {
            breathe(at).await;
            let open = rows
                .get_mut(&key)
                .unwrap_or_else(|| unreachable!("it was opened above"));
            open.apply(&key, apply, events[index].position, storable_each)
                .map_err(|error| FoldError::Poison { index, error })?;
        }
        match poison {
            Some(poison) => Err(poison),
            None => self.close(events, rows),
        }
    }

    /// The rows that the changes need: those in the cache, and the others at once from the store.
    async fn open(&mut self, changes: &[(usize, Change<P>)]) -> Result<HashMap<String, Open<P>>, FoldError> {
        let mut rows = HashMap::with_capacity(changes.len());
        let (mut missing, mut first) = (Vec::new(), Vec::new());
        for (index, Change { key, .. }) in changes {
            if rows.contains_key(key) {
                continue;
            }
            let cached = self.cache.take(key);
            if cached.is_none() {
                missing.push(key.clone());
                first.push(*index);
            }
            let Cached { row, stored } = cached.unwrap_or(Cached { row: None, stored: 0 });
            let open = Open {
                row,
                changed: None,
                data: None,
                stored,
            };
            rows.insert(key.clone(), open);
        }
        if missing.is_empty() {
            return Ok(rows);
        }
        let stored = self.store.rows(&self.table, &missing).await?;
        for ((key, index), stored) in missing.into_iter().zip(first).zip(stored) {
            let Some(Row { data, .. }) = stored else { continue };
            let open = Open::read(&key, Some(&data)).map_err(|error| FoldError::Poison { index, error })?;
            rows.insert(key, open);
        }
        Ok(rows)
    }

    /// The changes of the rows, in the order of their keys.
    fn close(&mut self, events: &[RecordedEvent], rows: HashMap<String, Open<P>>) -> Result<Vec<RowChange>, FoldError> {
        let mut changes = Vec::with_capacity(rows.len());
        for (key, open) in rows {
            let Open {
                row,
                changed,
                data,
                stored: size,
            } = open;
            let Some(position) = changed else {
                self.uncommitted.push((key, Cached { row, stored: size }));
                continue;
            };
            let (row, data) = match data {
                Some(data) => (row, Some(data)),
                None => stored(&key, row).map_err(|error| FoldError::Poison {
                    index: events.len(),
                    error,
                })?,
            };
            let stored = data.as_ref().map_or(0, Bytes::len);
            self.uncommitted.push((key.clone(), Cached { row, stored }));
            changes.push(RowChange { key, data, position });
        }
        // The same order for all writers, so that the locks of a database are too.
        changes.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        Ok(changes)
    }
}

/// Lets other tasks of the thread run now and then.
async fn breathe(round: usize) {
    if round % 1_000 == 999 {
        tokio::task::yield_now().await;
    }
}

/// The row as it will be read, and as it is stored.
fn stored<P: RowProjection>(key: &str, row: Option<P>) -> Result<(Option<P>, Option<Bytes>), ApplyError> {
    let Some(row) = row else { return Ok((None, None)) };
    contain(|| {
        let mut data = Vec::new();
        let read = crate::json::store(&row, P::is_plain(), &mut data).map_err(|error| ApplyError::Unstorable {
            key: key.to_owned(),
            source: error.into(),
        })?;
        Ok((Some(read.unwrap_or(row)), Some(data.into())))
    })
}

#[async_trait]
impl<P: RowProjection> Fold for RowFold<P> {
    fn filter(&self) -> EventFilter {
        self.sources.filter()
    }

    fn keys(&self, event: &RecordedEvent) -> Keys {
        self.sources.keys(event, |change| &change.key)
    }

    async fn set_up(&self) -> Result<(), StoreError> {
        self.store.create_table(&self.table).await
    }

    async fn fold(&mut self, events: &[RecordedEvent]) -> Result<bool, FoldError> {
        // What is in one batch must not matter to what a row is.
        self.changes = match self.run(events, !P::is_plain()).await {
            Err(FoldError::Poison { index, .. }) if index == events.len() => {
                self.reset();
                self.run(events, true).await?
            }
            folded => folded?,
        };
        Ok(!self.changes.is_empty())
    }

    async fn write(&mut self, advance: Advance) -> Result<(), WriteError> {
        let commit = Commit {
            advance,
            table: self.table.clone(),
            rows: std::mem::take(&mut self.changes),
        };
        Ok(self.store.commit(commit).await?)
    }

    async fn attempt(&mut self, event: &RecordedEvent) -> Result<(), FoldError> {
        let folded = self.fold(std::slice::from_ref(event)).await;
        self.reset();
        folded.map(drop)
    }

    fn committed(&mut self) {
        for (key, cached) in self.uncommitted.drain(..) {
            self.cache.put(key, cached);
        }
    }

    fn reset(&mut self) {
        self.changes.clear();
        self.uncommitted.clear();
        self.cache.clear();
    }

    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        self.store.clear(&self.table, reader, lease).await
    }
}
