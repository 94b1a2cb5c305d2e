use std::sync::Arc;

use tokio::sync::mpsc;

use super::command::Order;
use super::fold::{Fold, RowFold};
use super::kept::Keep;
use super::standing::Standing;
use super::{Poison, ProjectionStore, RowProjection};

/// A projection that runs on store `S`: [`Builder::projection`](crate::Builder::projection). Row projections run on every store
/// that keeps rows, and those that keep their rows in memory on every other one too.
#[diagnostic::on_unimplemented(
    message = "projection `{Self}` does not run on store `{S}`",
    label = "does not run on this store",
    note = "a projection is a struct with `#[projection(name = \"…\")]` and an impl block with `#[projection]`"
)]
pub trait Project<S>: Sized + 'static {
    /// What a runtime needs to run it.
    fn plan() -> Plan<S>;
}

impl<S, P: RowProjection<Rows: Keep<S>>> Project<S> for P {
    fn plan() -> Plan<S> {
        let (standing, orders) = Standing::new::<P>();
        Plan {
            standing: Arc::new(standing),
            orders,
            poison: P::POISON,
            rebuilds_beside: true,
            store: <P::Rows as Keep<S>>::beside,
            fold: |store, standing| Box::new(RowFold::<P>::new(store, standing.table.clone())),
        }
    }
}

/// How a projection is run on store `S`.
pub struct Plan<S> {
    pub(crate) standing: Arc<Standing>,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) poison: Poison,
    /// Whether its rows can be built in a table beside.
    pub(crate) rebuilds_beside: bool,
    pub(crate) store: fn(&Arc<S>) -> Arc<dyn ProjectionStore>,
    pub(crate) fold: fn(Arc<dyn ProjectionStore>, &Standing) -> Box<dyn Fold>,
}
