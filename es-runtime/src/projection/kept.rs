//! Where the rows of a projection are kept.

use std::sync::Arc;

use super::ProjectionStore;
use super::local::Local;
use crate::EventStore;

/// In the store, for all processes together: unless said otherwise.
#[derive(Debug)]
pub enum InStore {}

/// In the memory of each process that runs the projection, folded anew when it starts: `#[projection(memory)]`.
#[derive(Debug)]
pub enum InMemory {}

/// In the store, in tables of the user that are written in the transaction of the append: `#[projection(inline, schema = "…")]`.
#[derive(Debug)]
pub enum Inline {}

/// Nowhere: folded whenever they are asked for, `#[projection(live)]`.
#[derive(Debug)]
pub enum Live {}

/// Where [`Projection::Rows`](super::Projection::Rows) are kept by a runtime over store `S`.
#[diagnostic::on_unimplemented(
    message = "a projection whose rows are `{Self}` cannot be given to the builder of a runtime on store `{S}`",
    label = "cannot be given to this builder",
    note = "rows that are `Live` are not kept: ask for them with `runtime.live::<…>()`, without `.projection::<…>()`"
)]
pub trait Keep<S> {
    /// Whether that is the memory of each process.
    const IN_MEMORY: bool = false;

    /// What keeps them.
    fn beside(store: &Arc<S>) -> Arc<dyn ProjectionStore>;
}

impl<S: ProjectionStore> Keep<S> for InStore {
    fn beside(store: &Arc<S>) -> Arc<dyn ProjectionStore> {
        Arc::clone(store) as Arc<dyn ProjectionStore>
    }
}

impl<S: EventStore> Keep<S> for InMemory {
    const IN_MEMORY: bool = true;

    fn beside(store: &Arc<S>) -> Arc<dyn ProjectionStore> {
        Arc::new(Local::beside(Arc::clone(store) as Arc<dyn EventStore>))
    }
}
