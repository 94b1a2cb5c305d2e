use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{self, Either};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tracing::Instrument as _;

use super::decide::{checked, decline, encode};
use super::load::{Load, Loaded};
use super::request::{Request, request_setters};
use super::state::Current;
use super::write::{Committed, commit, done_before, exactly, lost, refused};
use super::{Receipt, Runtime};
use crate::store::{Append, AppendError, StreamAppend};
use crate::{
    AppendId, CommandOf, Context, EventEnum as _, EventSourced, ExecuteError, Key, LoadError, Metadata, NewEvent,
    Position, RecordedEvent, StoreError, StreamId, Timestamp, Version,
};

/// Runs several commands as one: `runtime.atomically(async |tx| …).await`, or first its options.
///
/// Gives one receipt for each aggregate that took part, in the order in which they came up, also for those that were only
/// read. An idempotency key stands for the closure as a whole, whose content cannot be compared.
///
/// # Cancel safety
///
/// Dropping the future leaves all events stored or none.
#[must_use = "nothing is executed until it is awaited"]
pub struct Atomically<'a, F> {
    runtime: &'a Runtime,
    commands: F,
    request: Request,
}

impl<'a, F> Atomically<'a, F> {
    pub(super) fn new(runtime: &'a Runtime, commands: F) -> Self {
        Self {
            runtime,
            commands,
            request: Request::default(),
        }
    }

    request_setters!();
}

impl<'a, F, R, E> IntoFuture for Atomically<'a, F>
where
    F: Fn(Transaction) -> R + Send + Sync + 'a,
    R: Future<Output = Result<(), E>> + Send + 'a,
    E: Send + 'a,
{
    type Output = Result<Vec<Receipt>, ExecuteError<E>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run().instrument(tracing::info_span!("es.atomically")))
    }
}

impl<F, R, E> Atomically<'_, F>
where
    F: Fn(Transaction) -> R,
    R: Future<Output = Result<(), E>>,
{
    async fn run(mut self) -> Result<Vec<Receipt>, ExecuteError<E>> {
        self.request.check()?;
        let store = &self.runtime.0.store;
        let retry = self.runtime.0.retry;
        let key = self
            .request
            .key(|| Ok::<_, Infallible>(b"atomically".to_vec()))
            .unwrap_or_else(|never| match never {});
        if let Some(appended) = done_before(&**store, key.as_ref()).await.map_err(without_refusal)? {
            return Ok(Receipt::of(appended).collect());
        }
        let id = AppendId::new();
        let mut attempts = 1;
        loop {
            let (decided, work) = self.attempt(id).await?;
            let failed = match decided {
                Err(refusal) => {
                    // The aggregates were read one after the other: the refusal counts only if none has moved since.
                    match work.moved(self.runtime).await? {
                        None => return Err(ExecuteError::Refused(refusal)),
                        Some(conflict) => refused(conflict, attempts),
                    }
                }
                Ok(()) if work.events == 0 && (key.is_none() || work.parts.is_empty()) => return Ok(work.receipts()),
                Ok(()) => {
                    let append = Append {
                        id,
                        key: key.clone(),
                        streams: work.into_append(),
                    };
                    match commit(&**store, append).await {
                        Ok(Committed::Stored(appended)) => return Ok(Receipt::of(appended).collect()),
                        Ok(Committed::Not) => lost().into(),
                        Err(error @ AppendError::Conflict { .. }) => refused(error, attempts),
                        Err(error) => return Err(refused(error, attempts)),
                    }
                }
            };
            if !retry.allows_another(attempts) {
                return Err(failed);
            }
            retry.pause(attempts).await;
            attempts += 1;
        }
    }

    /// Runs the closure to its end, or to the first failure that is not a refusal.
    async fn attempt(&self, append: AppendId) -> Result<(Result<(), E>, Work), ExecuteError<E>> {
        let (failed, failure) = oneshot::channel();
        let work = Arc::new(AsyncMutex::new(Work::default()));
        let transaction = Transaction {
            runtime: self.runtime.clone(),
            append,
            metadata: self.request.metadata.clone(),
            work: Arc::clone(&work),
            failed: Arc::new(Mutex::new(Some(failed))),
        };
        // If the closure dropped its transaction, no failure can come any more.
        let failure = pin!(async {
            if let Ok(failure) = failure.await {
                failure
            } else {
                future::pending().await
            }
        });
        match future::select(pin!((self.commands)(transaction)), failure).await {
            Either::Left((decided, _)) => Ok((decided, std::mem::take(&mut *work.lock().await))),
            Either::Right((failure, _)) => Err(without_refusal(failure)),
        }
    }
}

impl<F> fmt::Debug for Atomically<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Atomically")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// Sends commands that take effect together, when the closure of [`Runtime::atomically`] has returned `Ok`.
pub struct Transaction {
    runtime: Runtime,
    append: AppendId,
    metadata: Metadata,
    work: Arc<AsyncMutex<Work>>,
    failed: Arc<Mutex<Option<oneshot::Sender<Failure>>>>,
}

/// What ends the closure.
type Failure = ExecuteError<()>;

impl Transaction {
    /// Decides `command` on the state of `key`, as the commands before it in this transaction have left it.
    ///
    /// # Errors
    ///
    /// Only the refusal of the handler: with `?` it is the end of the transaction, and nothing is stored. For a command that
    /// cannot be refused, write `let Ok(()) = tx.execute(…).await;`.
    pub async fn execute<K: Key, C: CommandOf<K::Aggregate>>(&self, key: K, command: C) -> Result<(), C::Refusal>
    where
        K::Aggregate: EventSourced,
    {
        match self.decide(key.stream_id(), command).await {
            Ok(()) => Ok(()),
            Err(ExecuteError::Refused(refusal)) => Err(refusal),
            Err(failure) => self.fail(without_refusal(failure)).await,
        }
    }

    /// Loads `key`, as the commands before it in this transaction have left it. The transaction is run again if it changes
    /// before the transaction is stored.
    pub async fn load<K: Key>(&self, key: K) -> Option<Loaded<K::Aggregate>>
    where
        K::Aggregate: EventSourced,
    {
        match self.copy(key.stream_id()).await {
            Ok(Current {
                state,
                version,
                position,
            }) => state.map(|state| Loaded {
                state,
                version,
                position,
            }),
            Err(failure) => self.fail(failure.into()).await,
        }
    }

    async fn decide<A: EventSourced, C: CommandOf<A>>(
        &self,
        stream: StreamId,
        command: C,
    ) -> Result<(), ExecuteError<C::Refusal>> {
        command.check()?;
        let mut work = self.work.lock().await;
        let first = work.events;
        let Part {
            stream,
            current,
            events: decided,
            ..
        } = work.part::<A>(&self.runtime, stream).await?;
        let current = downcast::<A>(current);
        let now = self.runtime.0.clock.now();
        let context = Context::new(stream.clone(), current.version, now, self.metadata.clone());
        let events = command
            .decide(current.state.as_ref(), &context)
            .map_err(|declined| decline(stream, declined))?;
        checked::<A, _>(stream, current.state.is_some(), &events)?;
        decided.extend(encode::<A>(&events, self.append, first, &self.metadata)?);
        let count = events.len();
        for event in events {
            current.version = current.version.next();
            event
                .apply(&mut current.state)
                .map_err(|source| ExecuteError::Misapplied {
                    stream: stream.clone(),
                    source,
                })?;
        }
        work.events += count;
        Ok(())
    }

    /// A copy of the state, which the transaction itself needs for the commands to come.
    async fn copy<A: EventSourced>(&self, stream: StreamId) -> Result<Current<A>, LoadError> {
        let mut work = self.work.lock().await;
        let part = work.part::<A>(&self.runtime, stream).await?;
        let mut copy = Load::new(&self.runtime, part.stream.clone())
            .at_version(part.start)
            .current()
            .await?;
        for (event, version) in std::iter::zip(&part.events, part.start.0 + 1..) {
            copy.fold(&RecordedEvent {
                id: event.id,
                stream: part.stream.clone(),
                version: Version(version),
                position: copy.position,
                recorded_at: Timestamp::MIN,
                name: event.name.clone(),
                shape_version: event.shape_version,
                payload: event.payload.clone(),
                metadata: event.metadata.clone(),
            })?;
        }
        Ok(copy)
    }

    /// Ends the transaction: the closure is dropped where it waits for this.
    async fn fail<T>(&self, failure: Failure) -> T {
        if let Some(failed) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // If the transaction was dropped already, nobody needs to know.
            let _ = failed.send(failure);
        }
        future::pending().await
    }
}

fn without_refusal<R, E>(error: ExecuteError<R>) -> ExecuteError<E> {
    error.map_refused(|_| unreachable!("a refusal goes to the closure"))
}

/// What a transaction has decided.
#[derive(Default)]
struct Work {
    /// In the order in which they came up.
    parts: Vec<Part>,
    /// How many events there are in all.
    events: usize,
}

/// One aggregate instance of a transaction.
struct Part {
    stream: StreamId,
    /// The version at which it was loaded.
    start: Version,
    /// The position of the last event loaded.
    position: Position,
    /// A `Current<A>` that includes the events decided.
    current: Box<dyn Any + Send + Sync>,
    events: Vec<NewEvent>,
}

fn downcast<A: EventSourced>(current: &mut Box<dyn Any + Send + Sync>) -> &mut Current<A> {
    match current.downcast_mut() {
        Some(current) => current,
        None => panic!(
            "two aggregates are named `{}`: give one of them another `#[es(name = \"…\")]`",
            A::NAME
        ),
    }
}

impl Work {
    async fn part<A: EventSourced>(&mut self, runtime: &Runtime, stream: StreamId) -> Result<&mut Part, LoadError> {
        let index = match self.parts.iter().position(|part| part.stream == stream) {
            Some(index) => index,
            None => {
                let current = Load::<A>::new(runtime, stream.clone()).current().await?;
                let Current {
                    version: start,
                    position,
                    ..
                } = current;
                self.parts.push(Part {
                    stream,
                    start,
                    position,
                    current: Box::new(current),
                    events: Vec::new(),
                });
                self.parts.len() - 1
            }
        };
        Ok(&mut self.parts[index])
    }

    /// The first aggregate that has changed since it was loaded.
    async fn moved(&self, runtime: &Runtime) -> Result<Option<AppendError>, StoreError> {
        for part in &self.parts {
            let actual = runtime.0.store.version(&part.stream).await?;
            if actual != part.start {
                let expected = exactly(part.start);
                return Ok(Some(AppendError::Conflict {
                    stream: part.stream.clone(),
                    expected,
                    actual,
                }));
            }
        }
        Ok(None)
    }

    /// The receipts of a transaction that changed nothing.
    fn receipts(self) -> Vec<Receipt> {
        let receipt = |Part {
                           stream,
                           start,
                           position,
                           ..
                       }| {
            Receipt {
                stream,
                version: start,
                position,
                events: 0,
                repeated: false,
            }
        };
        self.parts.into_iter().map(receipt).collect()
    }

    /// Aggregates that were only read stand there too, without events, so that they must not have moved.
    fn into_append(self) -> Vec<StreamAppend> {
        let append = |Part {
                          stream, start, events, ..
                      }| StreamAppend {
            stream,
            expected: exactly(start),
            events,
        };
        self.parts.into_iter().map(append).collect()
    }
}
