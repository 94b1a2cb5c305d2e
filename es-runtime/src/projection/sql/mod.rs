//! SQL projections: `#[apply]` methods that write tables of the user, within the transaction that moves the checkpoint.

mod fold;
mod inline;
mod steps;
mod store;
mod when;

use futures_core::future::BoxFuture;

use super::Projection;
use super::source::Source;
use crate::{Applied, BelongsToOneAggregate, Error, Event, EventSourced};

pub use inline::InlineSteps;
pub use steps::{Step, Steps};
pub use store::{SqlSchema, SqlStore, WriteError};
pub use when::{MetaOf, Tells, When};

pub(crate) use fold::SqlFold;
pub(crate) use inline::{SqlAppends, add};

/// The transaction of a store, as the methods of SQL projections get it. One type for all lifetimes stands for them, that with
/// `'static`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the transaction of a store",
    label = "not the transaction of a store",
    note = "take `tx: &mut PgTransaction<'_>` in an `async fn` for PostgreSQL, or `tx: &mut SqliteTransaction<'_>` in a plain `fn` for SQLite"
)]
pub trait SqlTransaction: 'static {
    /// The same with another lifetime.
    type At<'t>;
}

/// A transaction whose statements are done when the call returns: methods that take it are plain functions.
#[diagnostic::on_unimplemented(
    message = "an `#[apply]` that takes `{Self}` is an `async fn`",
    label = "its statements are awaited",
    note = "write `async fn`, and `.await` each statement"
)]
pub trait Blocking: SqlTransaction {}

/// A transaction whose statements are awaited: methods that take it are `async`.
#[diagnostic::on_unimplemented(
    message = "an `#[apply]` that takes `{Self}` is a plain `fn`",
    label = "its statements are done when the call returns",
    note = "remove `async`, and each `.await` of a statement"
)]
pub trait Awaited: SqlTransaction {}

/// The tables of an SQL projection. Written by `#[projection(…, schema = "…")]` on the struct.
#[diagnostic::on_unimplemented(
    message = "projection `{Self}` writes tables of its own, but does not say which",
    label = "no `schema = \"…\"`",
    note = "write `#[projection(name = \"…\", schema = \"totals.sql\")]` above `struct {Self}`, with the file that creates the tables"
)]
pub trait SqlTables: Projection {
    /// The statements that create them.
    const SCHEMA: &'static str;
}

/// A projection whose methods write its own tables, one method per event. Written by `#[projection]` on the impl block.
pub trait SqlProjection: Projection<Rows: When> {
    /// What its methods get.
    type Tx: SqlTransaction;

    /// Every event that it applies.
    const EVENTS: &'static [SqlEvent<Self>];
}

/// Applies event `E`. Written by `#[projection]` for each `#[apply]` method.
pub trait ApplySql<E: BelongsToOneAggregate<Aggregate: EventSourced>>: SqlProjection {
    /// Writes what the event changes. With a [`Blocking`] transaction the future is ready at once.
    fn apply<'a>(
        tx: &'a mut <Self::Tx as SqlTransaction>::At<'_>,
        event: E,
        meta: &'a MetaOf<Self, E>,
    ) -> BoxFuture<'a, Result<(), Error>>;
}

/// An event that projection `P` applies. Made from its type, by [`of`](Self::of).
pub struct SqlEvent<P: SqlProjection>(pub(crate) Source<Box<dyn Step<P::Tx>>>);

impl<P: SqlProjection> SqlEvent<P> {
    /// Event `E`.
    pub const fn of<E: Event + BelongsToOneAggregate<Aggregate = A> + Applied<A>, A: EventSourced>() -> Self
    where
        P: ApplySql<E>,
    {
        Self(Source::of::<E, A>(false, steps::steps::<P, E, A>))
    }
}
