use std::fmt;
use std::marker::PhantomData;

use super::request::{Request, metadata_setters, occurred_at_setter};
use super::{Start, Started, Transaction};
use crate::{AnyRefusal, CommandOf, Error, EventSourced, ExecuteError, StreamId};

/// Executes a command in a transaction: `tx.execute(id, command).await`, with options before the `await`.
///
/// The events of the command are recorded with the metadata of the [transaction](crate::runtime::Atomically), which these
/// options add to or replace. An idempotency key belongs to the transaction as a whole.
#[must_use = "a command is not executed until it is awaited"]
pub struct ExecuteWithin<'a, A, C> {
    transaction: &'a Transaction,
    stream: StreamId,
    command: C,
    request: Request,
    aggregate: PhantomData<fn() -> A>,
    start: Start<'a, Self, Result<(), Error>>,
}

impl<'a, A: EventSourced, C: CommandOf<A>> ExecuteWithin<'a, A, C> {
    pub(super) fn new(transaction: &'a Transaction, stream: StreamId, command: C) -> Self {
        Self {
            transaction,
            stream,
            command,
            request: Request::with(transaction.metadata.clone()),
            aggregate: PhantomData,
            start: |this| Box::pin(this.run()),
        }
    }

    async fn run(mut self) -> Result<(), Error> {
        let decided = match self.request.check() {
            Ok(()) => {
                let Self { stream, command, .. } = self;
                let metadata = &self.request.metadata;
                self.transaction.decide::<A, C>(stream, command, metadata).await
            }
            Err(invalid) => Err(invalid.into()),
        };
        match decided {
            Ok(()) => Ok(()),
            Err(ExecuteError::Refused(refusal)) => Err(Error(AnyRefusal::new(refusal).0)),
            Err(failure) => self.transaction.fail(failure.map_refused(|_| ())).await,
        }
    }
}

impl<A, C> ExecuteWithin<'_, A, C> {
    metadata_setters!();
    occurred_at_setter!();
}

impl<'a, A, C> IntoFuture for ExecuteWithin<'a, A, C> {
    type Output = Result<(), Error>;
    type IntoFuture = Started<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.start)(self)
    }
}

impl<A, C> fmt::Debug for ExecuteWithin<'_, A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecuteWithin")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
