use std::fmt;
use std::marker::PhantomData;

use futures_util::future::try_join_all;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::request::{Request, request_setters};
use super::write::Write;
use super::{AnyRequest, Receipt, Runtime, Start, Started};
use crate::command::Declined;
use crate::projection::{Projection, Running};
use crate::store::IdempotencyKey;
use crate::{
    AnyRefusal, Command, CommandOf, Context, EncodeError, EventSourced, ExecuteError, StreamId, Version, metrics,
};

/// Executes a command: `runtime.execute(id, command).await`, with options before the `await`.
///
/// On a conflict with another writer the aggregate is loaded again and the command decided again, as the
/// [`RetryPolicy`](super::RetryPolicy) says.
///
/// `R` is the command's refusal.
///
/// # Cancel safety
///
/// Dropping the future leaves the events stored as a whole or not at all.
#[must_use = "a command is not executed until it is awaited"]
pub struct Execute<'a, A, C, R> {
    runtime: &'a Runtime,
    stream: StreamId,
    command: C,
    expected: Option<Version>,
    request: Request,
    /// The projections to wait for.
    wait_for: Vec<Running>,
    aggregate: PhantomData<fn() -> A>,
    start: Start<'a, Self, Result<Receipt, ExecuteError<R>>>,
}

impl<'a, A: EventSourced, C: CommandOf<A>> Execute<'a, A, C, C::Refusal> {
    pub(super) fn new(runtime: &'a Runtime, stream: StreamId, command: C) -> Self {
        let request = Request::default();
        Self {
            runtime,
            stream,
            command,
            expected: None,
            request,
            wait_for: Vec::new(),
            aggregate: PhantomData,
            start: |this| {
                let span = tracing::info_span!(
                    "es.execute",
                    category = this.stream.category(),
                    id = this.stream.id(),
                    command = C::NAME,
                );
                Box::pin(this.run().instrument(span))
            },
        }
    }
}

impl<A, C, R> Execute<'_, A, C, R> {
    /// Takes all options from `any`.
    pub(super) fn with(mut self, any: AnyRequest) -> Self {
        (self.expected, self.request) = (any.expected, any.request);
        self
    }

    /// Decides only on this version, 0 for a new aggregate: at any other version, fails with
    /// [`Conflict`](ExecuteError::Conflict), without a retry.
    pub fn expect_version(mut self, version: impl Into<Version>) -> Self {
        self.expected = Some(version.into());
        self
    }

    request_setters!();

    /// Returns only when projection `P` shows the effect of the command, whichever process runs it. May be called for
    /// several.
    ///
    /// If that takes longer than five seconds, the error is [`NotProjected`](ExecuteError::NotProjected), with the receipt: the
    /// command is done.
    ///
    /// # Panics
    ///
    /// If `P` was not given to the builder of the runtime.
    #[track_caller]
    pub fn wait_for<P: Projection>(mut self) -> Self {
        self.wait_for.push(self.runtime.0.projections.of::<P>().clone());
        self
    }
}

impl<A: EventSourced, C: CommandOf<A>> Execute<'_, A, C, C::Refusal> {
    async fn run(mut self) -> Result<Receipt, ExecuteError<C::Refusal>> {
        let wait_for = std::mem::take(&mut self.wait_for);
        let timer = metrics::Timer::start();
        let written = self.write().await;
        metrics::executed(A::NAME, timer, &written);
        let receipt = written?;
        // Boxed, so that a command that waits for nothing has no room for it in its future.
        if !wait_for.is_empty() {
            Box::pin(projected(&wait_for, &receipt)).await?;
        }
        Ok(receipt)
    }

    async fn write(mut self) -> Result<Receipt, ExecuteError<C::Refusal>> {
        self.request.check()?;
        self.command.check()?;
        // It is cloned for each attempt, and a clone of what is too deep exhausts the stack.
        if !crate::json::check_levels(&self.command) {
            return Err(crate::json::too_deep(format_args!("command `{}`", C::NAME)).into());
        }
        let key = fingerprinted(&self.request, &self.stream, &self.command)?;
        let Self {
            runtime,
            stream,
            command,
            expected,
            request,
            ..
        } = self;
        let decide = move |state: Option<&A>, context: &Context| {
            command
                .clone()
                .decide(state, context)
                .map_err(|declined| match declined {
                    Declined::WrongTarget(wrong) => Declined::WrongTarget(wrong),
                    // Wrapped as it is, even one that is an `AnyRefusal` itself: it is taken out below.
                    Declined::Refused(why) => Declined::Refused(AnyRefusal(Box::new(why))),
                })
        };
        let write = Write::new(stream, expected, request.metadata, decide).keyed(key);
        let result = write.run::<A>(runtime).await;
        result.map_err(|error| {
            error.map_refused(|refusal| {
                refusal
                    .downcast()
                    .unwrap_or_else(|_| unreachable!("only this handler refuses, and this is its refusal"))
            })
        })
    }
}

/// Waits until the projections show what the command did.
async fn projected<R>(wait_for: &[Running], receipt: &Receipt) -> Result<(), ExecuteError<R>> {
    let deadline = Instant::now() + Running::TIMEOUT;
    let waits = wait_for
        .iter()
        .map(|projection| projection.reach(receipt.position, None, deadline, Running::TIMEOUT));
    let projected = try_join_all(waits).await;
    projected.map(drop).map_err(|source| ExecuteError::NotProjected {
        receipt: Box::new(receipt.clone()),
        source: Box::new(source),
    })
}

/// The request's idempotency key, with a fingerprint of what is asked of whom.
fn fingerprinted<C: Command>(
    request: &Request,
    stream: &StreamId,
    command: &C,
) -> Result<Option<IdempotencyKey>, EncodeError> {
    request.key(|| {
        let mut json = Vec::new();
        let encoded = crate::json::encode(command, &mut json);
        encoded.map_err(|error| error.of(C::NAME, format_args!("command `{}`", C::NAME)))?;
        let mut content = format!("execute {stream} {} ", C::NAME).into_bytes();
        crate::json::sort_fields(&json, &mut content);
        Ok(content)
    })
}

impl<'a, A, C, R> IntoFuture for Execute<'a, A, C, R> {
    type Output = Result<Receipt, ExecuteError<R>>;
    type IntoFuture = Started<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.start)(self)
    }
}

impl<A, C, R> fmt::Debug for Execute<'_, A, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execute")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
