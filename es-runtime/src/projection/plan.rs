use std::sync::Arc;

use tokio::sync::mpsc;

use super::command::Order;
use super::fold::{Fold, RowFold};
use super::inline::{AddInline, Inline};
use super::sql::{self, SqlFold, SqlProjection, SqlStore, SqlTables, When};
use super::standing::Standing;
use super::storage::Keep;
use super::{Fields, OnFailure, RowProjection};
use crate::projection::Storage;

/// A projection that runs on store `S`: [`Builder::projection`](crate::Builder::projection). Row projections run on every store
/// that keeps rows, and those that keep their rows in memory on every other one too.
#[diagnostic::on_unimplemented(
    message = "projection `{Self}` does not run on store `{S}`",
    label = "does not run on this store",
    note = "a projection is a struct with `#[projection(name = \"…\")]` and an impl block with `#[projection]`",
    note = "one of rows runs on every store, one with `schema` on that whose transaction its methods take"
)]
pub trait Project<S>: Sized + 'static {
    /// Returns the plan with which a runtime runs it.
    fn plan() -> Plan<S>;
}

impl<S, P: RowProjection<Rows: Keep<S>>> Project<S> for P {
    fn plan() -> Plan<S> {
        const { assert_one_writer(P::SEGMENTS, <P::Rows as Keep<S>>::INLINE) };
        let segments = Standing::all::<P>().map(|(mut standing, orders)| {
            standing.inline = <P::Rows as Keep<S>>::INLINE;
            standing.is_in_memory = <P::Rows as Keep<S>>::IN_MEMORY;
            standing.table.indexes = Fields::<P>::indexes().into();
            (Arc::new(standing), orders)
        });
        Plan {
            segments: segments.collect(),
            poison: P::ON_FAILURE,
            rebuilds_beside: P::SEGMENTS == 1 && !<P::Rows as Keep<S>>::INLINE,
            inline: |store, standing, inline| {
                if let Some(store) = <P::Rows as Keep<S>>::appends(store) {
                    inline.get_or_insert_with(|| Inline::new(store)).add::<P>(standing);
                }
            },
            runs: true,
            storage: <P::Rows as Keep<S>>::storage,
            fold: |_, storage, standing| Box::new(RowFold::<P>::new(Arc::clone(&storage.rows), standing.table.clone())),
        }
    }
}

impl<S> Plan<S> {
    /// Returns the plan for projection `P`, whose methods write their own tables. `#[projection]` implements
    /// [`Project`] with this.
    pub fn sql<P: SqlProjection + SqlTables>() -> Self
    where
        S: SqlStore<P::Tx>,
    {
        const { assert_one_writer(P::SEGMENTS, P::Rows::INLINE) };
        let segments = Standing::all::<P>().map(|(mut standing, orders)| {
            standing.inline = P::Rows::INLINE;
            (Arc::new(standing), orders)
        });
        Self {
            segments: segments.collect(),
            poison: P::ON_FAILURE,
            rebuilds_beside: false,
            inline: if P::Rows::INLINE {
                sql::add::<S, P>
            } else {
                |_, _, _| {}
            },
            runs: true,
            storage: Storage::in_store,
            fold: |store, _, _| Box::new(SqlFold::<S, P>::new(Arc::clone(store))),
        }
    }

    /// Name and version.
    pub(crate) fn id(&self) -> (&'static str, u32) {
        let (standing, _) = &self.segments[0];
        (standing.name, standing.version)
    }
}

/// A segment has one writer, and an inline projection has as many as append.
const fn assert_one_writer(segments: u32, inline: bool) {
    assert!(segments == 1 || !inline, "an inline projection has no segments");
}

/// The plan for running a projection on store `S`.
pub struct Plan<S> {
    /// Each of its segments.
    pub(crate) segments: Vec<(Arc<Standing>, mpsc::Receiver<Order>)>,
    pub(crate) poison: OnFailure,
    /// Whether its rows can be built in a table beside.
    pub(crate) rebuilds_beside: bool,
    pub(crate) inline: AddInline<S>,
    /// True if this process takes part in running it; false if it only reads the rows that others write.
    pub(crate) runs: bool,
    pub(crate) storage: fn(&Arc<S>) -> Storage,
    pub(crate) fold: MakeFold<S>,
}

/// From the runtime's store, and what keeps the projection.
type MakeFold<S> = fn(&Arc<S>, &Storage, &Standing) -> Box<dyn Fold>;
