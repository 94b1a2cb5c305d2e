//! One write to one aggregate instance: load, decide, append, and again on a conflict.

mod attempt;
mod commit;
mod pending;
mod queue;

use std::sync::{Arc, Mutex};

use super::slot::Turn;
use super::{Receipt, Runtime, enclosing};
use crate::command::Declined;
use crate::store::IdempotencyKey;
use crate::{
    AnyRefusal, AppendId, Context, EventSourced, ExecuteError, ExpectedVersion, Metadata, StreamId, Timestamp, Version,
};

use attempt::Instance;
use commit::receipt;
pub(super) use commit::{Committed, Failing, commit, done_before, exactly, lost};
pub(super) use pending::Pending;
use pending::{Stage, answered};

/// A request to write: its stream, its options, and the function that decides its events.
pub(super) struct Write<D: ?Sized> {
    id: AppendId,
    stream: StreamId,
    expected: Option<Version>,
    key: Option<IdempotencyKey>,
    metadata: Metadata,
    /// The times of the events that have one of their own, by their index.
    times: Vec<Option<Timestamp>>,
    stage: Mutex<Stage>,
    decide: D,
}

/// Decides on a state. A trait object, so that writing is compiled once for an aggregate and not for each command.
type Decide<A> =
    dyn Fn(Option<&A>, &Context) -> Result<Vec<<A as EventSourced>::Event>, Declined<AnyRefusal>> + Send + Sync;

/// A write to an instance of this aggregate.
type WriteTo<A> = Write<Decide<A>>;

/// The error of a write, whose caller knows the type of the refusal.
pub(crate) type WriteError = ExecuteError<AnyRefusal>;

impl<D> Write<D> {
    pub(super) fn new(stream: StreamId, expected: Option<Version>, metadata: Metadata, decide: D) -> Self {
        Self {
            id: AppendId::new(),
            stream,
            expected,
            key: None,
            metadata,
            times: Vec::new(),
            stage: Mutex::default(),
            decide,
        }
    }

    /// Sets the key of the request.
    pub(super) fn keyed(self, key: Option<IdempotencyKey>) -> Self {
        Self { key, ..self }
    }

    /// Sets the times of the events that have one of their own, by their index.
    pub(super) fn timed(self, times: Vec<Option<Timestamp>>) -> Self {
        Self { times, ..self }
    }

    /// Writes alone if nobody else is writing to the instance, and behind the others if somebody is.
    pub(super) async fn run<A: EventSourced>(self, runtime: &Runtime) -> Result<Receipt, WriteError>
    where
        D: Fn(Option<&A>, &Context) -> Result<Vec<A::Event>, Declined<AnyRefusal>> + Send + Sync + 'static,
    {
        enclosing::check(runtime, &self.stream)?;
        if let Some(appended) = done_before(&*runtime.0.store, self.key.as_ref()).await? {
            return receipt(appended);
        }
        let slot = runtime.0.cache.slot(&self.stream);
        match slot.try_turn(&runtime.0.cache) {
            Some(turn) => (&self as &WriteTo<A>).alone(runtime, turn).await,
            None => Box::pin(queue::wait(runtime, slot, Arc::new(self) as Arc<WriteTo<A>>)).await,
        }
    }
}

impl<A: EventSourced> WriteTo<A> {
    async fn alone(&self, runtime: &Runtime, turn: Turn<'_>) -> Result<Receipt, WriteError> {
        let mut instance = Instance::begin(runtime, &self.stream, &turn);
        let mut pending = Pending::own(self);
        loop {
            instance.attempt(std::slice::from_mut(&mut pending)).await;
            if let Some(answer) = pending.answer.take() {
                instance.end(turn);
                return answered(answer);
            }
        }
    }
}
