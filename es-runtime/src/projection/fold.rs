use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use foldhash::{HashMap, HashMapExt as _};

use super::cache::{Cached, Rows};
use super::row::RowProjection;
use super::source::{Change, Sources, contain};
use super::store::{ProjectionStore, Row, RowChange, RowTable};
use super::{Misfit, Unprojectable};
use crate::store::EventFilter;
use crate::{Position, RecordedEvent, StoreError};

/// Turns events into what is written, for one projection.
#[async_trait]
pub(crate) trait Fold: Send + Sync {
    /// Which events it needs.
    fn filter(&self) -> EventFilter;

    /// What the events change. Nothing of it counts before [`committed`](Self::committed).
    async fn fold(&mut self, events: &[RecordedEvent]) -> Result<Vec<RowChange>, FoldError>;

    /// What was folded last is stored.
    fn committed(&mut self);

    /// What was folded last is not stored, or others may have written since.
    fn reset(&mut self);
}

/// Why events were not folded.
pub(crate) enum FoldError {
    /// The event of this index cannot be applied; those before it can.
    Poison { index: usize, error: Unprojectable },
    /// The rows could not be read.
    Store(StoreError),
}

impl From<StoreError> for FoldError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Folds events into the rows of `P`.
pub(crate) struct RowFold<P: 'static> {
    store: Arc<dyn ProjectionStore>,
    table: RowTable,
    sources: Sources<P>,
    cache: Rows<P>,
    /// The rows of the last batch.
    uncommitted: Vec<(String, Cached<P>)>,
}

/// A row while events are folded into it.
struct Open<P> {
    row: Option<P>,
    /// The event that changed it last; `None` if none has.
    changed: Option<Position>,
    /// The size of the stored form that was read.
    stored: usize,
}

impl<P: RowProjection> RowFold<P> {
    pub(crate) fn new(store: Arc<dyn ProjectionStore>, table: RowTable) -> Self {
        Self {
            store,
            table,
            sources: Sources::new(),
            cache: Rows::new(),
            uncommitted: Vec::new(),
        }
    }

    /// Folds the events. With `storable_each` every row is checked to have a stored form after each event, to find the one
    /// that took it away.
    async fn run(&mut self, events: &[RecordedEvent], storable_each: bool) -> Result<Vec<RowChange>, FoldError> {
        let mut changes = Vec::with_capacity(events.len());
        let mut poison = None;
        for (index, event) in events.iter().enumerate() {
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
        for (index, Change { key, apply }) in changes {
            let fail = |error| FoldError::Poison { index, error };
            let open = rows
                .get_mut(&key)
                .unwrap_or_else(|| unreachable!("it was opened above"));
            let misfit = |misfit: Misfit| Unprojectable::Misfit {
                key: key.clone(),
                misfit,
            };
            let row = open.row.take();
            open.row = contain(|| apply(row).map_err(misfit)).map_err(fail)?;
            open.changed = Some(events[index].position);
            if storable_each {
                encode(&key, open.row.as_ref()).map_err(fail)?;
            }
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
            let row = crate::json::from_slice(&data).map_err(|source| FoldError::Poison {
                index,
                error: Unprojectable::Row {
                    key: key.clone(),
                    source,
                },
            })?;
            let open = Open {
                row: Some(row),
                changed: None,
                stored: data.len(),
            };
            rows.insert(key, open);
        }
        Ok(rows)
    }

    /// The changes of the rows, in the order of their keys.
    fn close(&mut self, events: &[RecordedEvent], rows: HashMap<String, Open<P>>) -> Result<Vec<RowChange>, FoldError> {
        let mut changes = Vec::with_capacity(rows.len());
        for (key, Open { row, changed, stored }) in rows {
            let Some(position) = changed else {
                self.uncommitted.push((key, Cached { row, stored }));
                continue;
            };
            let data = encode(&key, row.as_ref()).map_err(|error| FoldError::Poison {
                index: events.len(),
                error,
            })?;
            let stored = data.as_ref().map_or(0, Bytes::len);
            self.uncommitted.push((key.clone(), Cached { row, stored }));
            changes.push(RowChange { key, data, position });
        }
        // The same order for all writers, so that the locks of a database are too.
        changes.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        Ok(changes)
    }
}

fn encode<P: RowProjection>(key: &str, row: Option<&P>) -> Result<Option<Bytes>, Unprojectable> {
    let Some(row) = row else { return Ok(None) };
    contain(|| {
        let mut data = Vec::new();
        crate::json::encode(row, &mut data).map_err(|source| Unprojectable::Unstorable {
            key: key.to_owned(),
            source,
        })?;
        Ok(Some(data.into()))
    })
}

#[async_trait]
impl<P: RowProjection> Fold for RowFold<P> {
    fn filter(&self) -> EventFilter {
        self.sources.filter()
    }

    async fn fold(&mut self, events: &[RecordedEvent]) -> Result<Vec<RowChange>, FoldError> {
        match self.run(events, false).await {
            Err(FoldError::Poison { index, .. }) if index == events.len() => {
                self.reset();
                self.run(events, true).await
            }
            folded => folded,
        }
    }

    fn committed(&mut self) {
        for (key, cached) in self.uncommitted.drain(..) {
            self.cache.put(key, cached);
        }
    }

    fn reset(&mut self) {
        self.uncommitted.clear();
        self.cache.clear();
    }
}
