//! Where the rows of a projection are kept.

use std::sync::Arc;

use crate::consumer::Cursors;
use crate::store::{Checked, CursorStore, ProjectionStore, RowStore, StateStore};
use crate::{EventStore, MemoryStore};

/// In the store, for all processes together: unless said otherwise.
#[derive(Debug)]
pub enum InStore {}

/// In the memory of each process that runs the projection, folded again when it starts: `#[projection(memory)]`.
#[derive(Debug)]
pub enum InMemory {}

/// In the store, written in the transaction of the append: `#[projection(inline)]`, or with tables of the user,
/// `#[projection(inline, schema = "…")]`.
#[derive(Debug)]
pub enum Inline {}

/// Nowhere: folded whenever they are asked for, `#[projection(live)]`.
#[derive(Debug)]
pub enum Live {}

/// The place where a runtime over store `S` keeps [`Projection::Rows`](super::Projection::Rows).
#[diagnostic::on_unimplemented(
    message = "a projection whose rows are `{Self}` cannot be given to the builder of a runtime on store `{S}`",
    label = "cannot be given to this builder",
    note = "rows that are `Live` are not kept: ask for them with `runtime.live::<…>()`, without `.projection::<…>()`"
)]
pub trait Keep<S> {
    /// True for rows in the memory of each process.
    const IN_MEMORY: bool = false;

    /// True for rows that are written with the append.
    const INLINE: bool = false;

    /// Returns the storage that keeps them.
    fn storage(store: &Arc<S>) -> Storage;

    /// Returns the store that writes them with the append, if they are inline.
    fn appends(store: &Arc<S>) -> Option<Arc<dyn ProjectionStore>> {
        let _ = store;
        None
    }
}

/// The log that a projection follows, and what keeps its rows together with its checkpoint.
#[derive(Clone)]
pub struct Storage {
    pub(crate) cursors: Cursors,
    pub(crate) rows: Arc<dyn RowStore>,
    /// The store of states next to the rows, if there is one.
    pub(crate) states: Option<Arc<dyn StateStore>>,
}

impl Storage {
    /// The store itself keeps them.
    pub(crate) fn in_store<S: ProjectionStore + ?Sized>(store: &Arc<S>) -> Self {
        let checked = Arc::new(Checked::new(Arc::clone(store)));
        let (log, cursors) = (Arc::clone(&checked), Arc::clone(&checked));
        Self {
            cursors: Cursors::together(log, cursors),
            states: Arc::clone(&checked).state_store(),
            rows: checked,
        }
    }

    /// This process alone keeps them, in memory.
    fn in_memory<S: EventStore>(log: &Arc<S>) -> Self {
        let kept = Arc::new(Checked::new(Arc::new(MemoryStore::new())));
        let log = Arc::new(Checked::new(Arc::clone(log)));
        Self {
            cursors: Cursors::elsewhere(log, Arc::clone(&kept) as Arc<dyn CursorStore>),
            states: Some(Arc::clone(&kept) as Arc<dyn StateStore>),
            rows: kept,
        }
    }
}

impl<S: ProjectionStore> Keep<S> for InStore {
    fn storage(store: &Arc<S>) -> Storage {
        Storage::in_store(store)
    }
}

impl<S: ProjectionStore> Keep<S> for Inline {
    const INLINE: bool = true;

    fn storage(store: &Arc<S>) -> Storage {
        Storage::in_store(store)
    }

    fn appends(store: &Arc<S>) -> Option<Arc<dyn ProjectionStore>> {
        Some(Arc::clone(store) as _)
    }
}

impl<S: EventStore> Keep<S> for InMemory {
    const IN_MEMORY: bool = true;

    fn storage(store: &Arc<S>) -> Storage {
        Storage::in_memory(store)
    }
}
