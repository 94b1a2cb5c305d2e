use std::convert::Infallible;
use std::fmt;
use std::pin::pin;

use futures_util::future::{self, Either};
use tracing::Instrument as _;

use super::enclosing::Enclosing;
use super::request::{Request, request_setters};
use super::transaction::{Failure, Transaction, Work};
use super::write::{Committed, Failing, commit, done_before, lost};
use super::{Receipt, Runtime, Start, Started};
use crate::store::{Append, AppendError};
use crate::{AnyRefusal, AppendId, Error, ExecuteError, LoadError, StoreError, metrics};

/// Runs several commands as one: `runtime.atomically(async |tx| …).await`, with options before the `await`.
///
/// Returns one receipt for each aggregate that took part, in the order of their first use, including those that were
/// only read. An idempotency key stands for the closure as a whole, whose content cannot be compared.
///
/// # Cancel safety
///
/// Dropping the future leaves all events stored or none.
#[must_use = "nothing is executed until it is awaited"]
pub struct Atomically<'a, F> {
    runtime: &'a Runtime,
    commands: F,
    request: Request,
    start: Start<'a, Self, Result<Vec<Receipt>, ExecuteError<AnyRefusal>>>,
}

/// The result of calling [`atomically`](Runtime::atomically)'s closure: the future that sends the commands.
#[diagnostic::on_unimplemented(
    message = "the closure of `atomically` is not `async`",
    label = "not what an `async` closure gives",
    note = "write `async |tx| {{ tx.execute(…).await?; tx.execute(…).await }}`"
)]
pub trait Commands: Future<Output = Result<(), Error>> + Send {}

impl<R: Future<Output = Result<(), Error>> + Send> Commands for R {}

impl<'a, F, R> Atomically<'a, F>
where
    F: Fn(Transaction) -> R + Send + Sync + 'a,
    R: Commands + 'a,
{
    pub(super) fn new(runtime: &'a Runtime, commands: F) -> Self {
        Self {
            runtime,
            commands,
            request: Request::default(),
            start: |this| {
                let run = async move {
                    let timer = metrics::Timer::start();
                    let result = this.run().await;
                    metrics::executed_atomically(timer, &result);
                    result
                };
                Box::pin(run.instrument(tracing::info_span!("es.atomically")))
            },
        }
    }
}

impl<F> Atomically<'_, F> {
    request_setters!();
}

impl<'a, F> IntoFuture for Atomically<'a, F> {
    type Output = Result<Vec<Receipt>, ExecuteError<AnyRefusal>>;
    type IntoFuture = Started<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.start)(self)
    }
}

impl<F, R> Atomically<'_, F>
where
    F: Fn(Transaction) -> R,
    R: Future<Output = Result<(), Error>>,
{
    async fn run(mut self) -> Result<Vec<Receipt>, ExecuteError<AnyRefusal>> {
        self.request.check()?;
        let store = &self.runtime.0.store;
        let retry = self.runtime.0.retry;
        let key = self
            .request
            .key(|| Ok::<_, Infallible>(b"atomically".to_vec()))
            .unwrap_or_else(|never| match never {});
        let done_before = async || done_before(&**store, key.as_ref()).await;
        if let Some(appended) = done_before().await? {
            return Ok(Receipt::of(appended).collect());
        }
        let id = AppendId::new();
        let mut attempts = 1;
        loop {
            let failing = Failing {
                attempts,
                demanded: false,
                keyed: key.is_some(),
            };
            let (decided, mut work) = match self.attempt(id).await {
                Ok(attempt) => attempt,
                // The same request may have been done meanwhile, and be why this one fails; or is refused, below.
                Err(failure) => match done_before().await? {
                    Some(appended) => return Ok(Receipt::of(appended).collect()),
                    None => return Err(failure),
                },
            };
            let failed = match decided {
                // The aggregates were read one after the other: a refusal counts only if none has moved since.
                Err(refusal) => match (done_before().await?, work.moved(self.runtime).await?) {
                    (Some(appended), _) => return Ok(Receipt::of(appended).collect()),
                    (None, None) => return Err(ExecuteError::Refused(refusal)),
                    (None, Some(conflict)) => failing.with(conflict),
                },
                Ok(()) if work.events == 0 && (key.is_none() || work.is_empty()) => {
                    return Ok(work.unchanged(self.runtime));
                }
                Ok(()) => {
                    let append = Append {
                        id,
                        key: key.clone(),
                        streams: work.take_append(),
                    };
                    match commit(self.runtime, append).await {
                        Ok(Committed::Stored(appended)) => {
                            if !appended.repeated {
                                work.stored(self.runtime, &appended);
                            }
                            let receipts: Vec<_> = Receipt::of(appended).collect();
                            for receipt in &receipts {
                                metrics::stored(receipt.stream.category(), receipt);
                            }
                            return Ok(receipts);
                        }
                        Ok(Committed::Not) => lost().into(),
                        Err(error @ AppendError::Conflict { .. }) => failing.with(error),
                        Err(error) => return Err(failing.with(error)),
                    }
                }
            };
            if !retry.allows_another(attempts) {
                return Err(failed);
            }
            metrics::retried_atomically();
            retry.pause(attempts).await;
            attempts += 1;
        }
    }

    /// Runs the closure to its end, or to the first failure that is not a refusal.
    async fn attempt(&self, append: AppendId) -> Result<(Result<(), AnyRefusal>, Work), ExecuteError<AnyRefusal>> {
        let enclosing = Enclosing::new(self.runtime);
        let (transaction, work, failure) = Transaction::begin(self.runtime, append, &self.request.metadata, &enclosing);
        let failure = pin!(async {
            match failure.await {
                Ok(failure) => failure,
                // The closure dropped its transaction: no failure can come any more.
                Err(_) => future::pending().await,
            }
        });
        let commands = enclosing.run(async { (self.commands)(transaction).await });
        match future::select(pin!(commands), failure).await {
            Either::Left((ended, _)) => {
                let decided = match ended {
                    Ok(()) => Ok(()),
                    Err(error) => Err(refusal(error)?),
                };
                Ok((decided, std::mem::take(&mut *work.lock().await)))
            }
            Either::Right((failure, _)) => Err(without_refusal(failure)),
        }
    }
}

/// Only the closure refuses: an error from outside of it is no refusal.
fn without_refusal(failure: Failure) -> ExecuteError<AnyRefusal> {
    failure.map_refused(|()| unreachable!("a refusal goes to the closure"))
}

/// The error of a closure as a refusal, unless it is a failure of the runtime that the closure asked by itself.
fn refusal(error: Error) -> Result<AnyRefusal, ExecuteError<AnyRefusal>> {
    let error = match error.0.downcast::<LoadError>() {
        Ok(failure) => return Err((*failure).into()),
        Err(error) => error,
    };
    match error.downcast::<StoreError>() {
        Ok(failure) => Err((*failure).into()),
        Err(refusal) => Ok(AnyRefusal::of(refusal)),
    }
}

impl<F> fmt::Debug for Atomically<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Atomically")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
