//! Folding an append into the rows of an inline projection.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use foldhash::{HashMap, HashMapExt as _};

use crate::RecordedEvent;
use crate::projection::fold::Open;
use crate::projection::source::{Change, Numbered, Sources};
use crate::projection::{ApplyError, RowProjection};
use crate::store::{InlineFold, RowChange};

/// A projection of rows, without its type.
pub(super) trait Rows: Send + Sync {
    /// Returns the changes that the events make. Fails with the index of the event that cannot be applied.
    fn fold(&self, events: &Arc<[RecordedEvent]>) -> Result<InlineFold, (usize, ApplyError)>;
}

/// Folds events into rows of `P`.
pub(super) struct FoldOf<P: 'static>(Arc<Sources<Change<P>>>);

impl<P> Clone for FoldOf<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: RowProjection> FoldOf<P> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Sources::new(P::EVENTS.iter().map(|event| &event.0))))
    }

    pub(super) fn categories(&self) -> Vec<String> {
        self.0.categories().map(str::to_owned).collect()
    }

    fn changes(&self, events: &[RecordedEvent]) -> Result<Numbered<Change<P>>, (usize, ApplyError)> {
        let mut changes = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            let of_event = self.0.changes(event).map_err(|error| (index, error))?;
            changes.extend(of_event.into_iter().map(|change| (index, change)));
        }
        Ok(changes)
    }
}

impl<P: RowProjection> Rows for FoldOf<P> {
    fn fold(&self, events: &Arc<[RecordedEvent]>) -> Result<InlineFold, (usize, ApplyError)> {
        let changes = self.changes(events)?;
        // Each once, with the event that needs it first.
        let mut keys: Vec<(usize, String)> = Vec::with_capacity(changes.len());
        let mut known = HashMap::with_capacity(changes.len());
        for (index, Change { key, .. }) in &changes {
            known
                .entry(key.clone())
                .or_insert_with(|| keys.push((*index, key.clone())));
        }
        let (of, events) = (self.clone(), Arc::clone(events));
        let first: Vec<usize> = keys.iter().map(|(index, _)| *index).collect();
        let keys: Vec<String> = keys.into_iter().map(|(_, key)| key).collect();
        let (named, changes) = (keys.clone(), Mutex::new(Some(changes)));
        Ok(InlineFold::new(keys, move |rows| {
            let made = changes.lock().unwrap_or_else(PoisonError::into_inner).take();
            // They are used up when they are applied.
            let changes = made.map_or_else(|| of.changes(&events), Ok)?;
            folded(&named, &first, changes, &events, rows)
        }))
    }
}

/// Applies the changes to the rows of `keys`, of which each is first needed for the event with the index in `first`.
fn folded<P: RowProjection>(
    keys: &[String],
    first: &[usize],
    changes: Numbered<Change<P>>,
    events: &[RecordedEvent],
    rows: &[Option<Bytes>],
) -> Result<Vec<RowChange>, (usize, ApplyError)> {
    let mut open: HashMap<&str, Open<P>> = HashMap::with_capacity(keys.len());
    for ((key, data), first) in keys.iter().zip(rows).zip(first) {
        let read = Open::read(key, data.as_deref()).map_err(|error| (*first, error))?;
        open.insert(key, read);
    }
    for (index, Change { key, apply }) in changes {
        let row = open
            .get_mut(&*key)
            .unwrap_or_else(|| unreachable!("the keys are those of the changes"));
        row.apply(&key, apply, events[index].position, true)
            .map_err(|error| (index, error))?;
    }
    let written = keys.iter().filter_map(|key| {
        let Open { changed, data, .. } = open.remove(&**key)?;
        Some(RowChange {
            key: key.clone(),
            data,
            position: changed?,
        })
    });
    Ok(written.collect())
}
