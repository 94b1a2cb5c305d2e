use std::fmt;

use super::decide::{Batch, checked, decline, valid, write};
use super::load::Load;
use super::{Runtime, Start, Started};
use crate::{
    AppendId, CommandOf, Context, EventSourced, ExecuteError, Metadata, Position, StreamId, Timestamp, Version,
};

/// Decides a command without storing anything: `runtime.dry_run(id, command).await`, with options before the `await`.
///
/// `R` is the command's refusal.
#[must_use = "nothing is decided until it is awaited"]
pub struct DryRun<'a, A: EventSourced, C, R> {
    runtime: &'a Runtime,
    stream: StreamId,
    load: Load<'a, A>,
    command: C,
    start: Start<'a, Self, Result<Vec<A::Event>, ExecuteError<R>>>,
}

impl<'a, A: EventSourced, C: CommandOf<A>> DryRun<'a, A, C, C::Refusal> {
    pub(super) fn new(runtime: &'a Runtime, stream: StreamId, command: C) -> Self {
        Self {
            runtime,
            load: Load::new(runtime, stream.clone()),
            stream,
            command,
            start: |this| Box::pin(this.decide()),
        }
    }

    async fn decide(self) -> Result<Vec<A::Event>, ExecuteError<C::Refusal>> {
        self.command.check()?;
        let current = self.load.current().await?;
        let now = self.runtime.0.clock.now();
        let context = Context::new(self.stream, current.version, now, Metadata::EMPTY);
        let events = self
            .command
            .decide((*current.state).as_ref(), &context)
            .map_err(|declined| decline(context.stream(), declined))?;
        valid::<A, _>(&events)?;
        let exists = current.state.is_some();
        checked::<A, _>(context.stream(), exists, &events)?;
        // Refused is what would be refused if it were to be stored.
        let batch = Batch {
            id: AppendId::new(),
            first: 0,
            metadata: context.metadata(),
            times: &[],
        };
        let written = write::<A, _>(&self.runtime.0.caps, context.stream(), exists, events, &batch)?;
        Ok(written.read)
    }
}

impl<A: EventSourced, C, R> DryRun<'_, A, C, R> {
    /// Decides on the state at this version.
    pub fn at_version(mut self, version: impl Into<Version>) -> Self {
        self.load = self.load.at_version(version);
        self
    }

    /// Decides on the state at this time.
    pub fn as_of(mut self, time: Timestamp) -> Self {
        self.load = self.load.as_of(time);
        self
    }

    /// Decides on the state at this time by the times at which events happened, as
    /// [`Load::as_of_occurred`](super::Load::as_of_occurred) does.
    pub fn as_of_occurred(mut self, time: Timestamp) -> Self {
        self.load = self.load.as_of_occurred(time);
        self
    }

    /// Decides on the state when the store's head was at this position.
    pub fn at_position(mut self, position: impl Into<Position>) -> Self {
        self.load = self.load.at_position(position);
        self
    }
}

impl<'a, A: EventSourced, C, R> IntoFuture for DryRun<'a, A, C, R> {
    type Output = Result<Vec<A::Event>, ExecuteError<R>>;
    type IntoFuture = Started<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.start)(self)
    }
}

impl<A: EventSourced, C, R> fmt::Debug for DryRun<'_, A, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DryRun")
            .field("load", &self.load)
            .finish_non_exhaustive()
    }
}
