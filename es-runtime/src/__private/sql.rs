use futures_core::future::BoxFuture;

use crate::projection::sql::{ApplySql, Awaited, Blocking, SqlEvent, Tells};
use crate::{Applied, BelongsToOneAggregate, Error, Event, EventSourced};

pub use futures_core::future::BoxFuture as SqlFuture;

pub const fn sql_event<
    P: ApplySql<E>,
    E: Event + BelongsToOneAggregate<Aggregate = A> + Applied<A>,
    A: EventSourced,
>() -> SqlEvent<P> {
    SqlEvent::of::<E, A>()
}

/// Returns the meta in the form that a method takes.
pub fn sql_meta<M>(meta: &impl Tells<M>) -> &M {
    meta.tell()
}

/// Wraps the result of a plain method.
pub fn sql_done<'a, T: Blocking, E: Into<Error>>(result: Result<(), E>) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(std::future::ready(result.map_err(Into::into)))
}

/// An `async` method that runs.
pub fn sql_running<'a, T: Awaited, E: Into<Error>>(
    running: impl Future<Output = Result<(), E>> + Send + 'a,
) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(async move { running.await.map_err(Into::into) })
}
