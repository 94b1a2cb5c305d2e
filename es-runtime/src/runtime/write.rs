use super::decide::{Batch, Written, checked, decline, valid, write};
use super::receipt::Receipt;
use super::state::Current;
use super::{Runtime, enclosing};
use crate::command::Declined;
use crate::store::{Append, AppendError, Appended, IdempotencyKey, StreamAppend};
use crate::{
    AppendId, Context, EventEnum as _, EventSourced, EventStore, ExecuteError, ExpectedVersion, Metadata, StoreError,
    StoreErrorKind, StreamId, Timestamp, Version, metrics,
};

/// One write to one aggregate instance: load, decide, append, and again on a conflict.
pub(super) struct Write<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) stream: StreamId,
    pub(super) expected: Option<Version>,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) metadata: Metadata,
    /// The times of the events that have one of their own, by their index.
    pub(super) times: Vec<Option<Timestamp>>,
}

/// Decides on a state. A trait object, so that the loop is compiled once for an aggregate and not for each command; the
/// refusal itself stays with the caller.
pub(super) type Decide<'a, A> =
    dyn FnMut(Option<&A>, &Context) -> Result<Vec<<A as EventSourced>::Event>, Declined<()>> + Send + 'a;

/// The error of a write, whose caller knows the refusal.
pub(crate) type WriteError = ExecuteError<()>;

impl Write<'_> {
    pub(super) async fn run<A: EventSourced>(&self, decide: &mut Decide<'_, A>) -> Result<Receipt, WriteError> {
        enclosing::check(self.runtime, &self.stream)?;
        if let Some(appended) = done_before(self.store(), self.key.as_ref()).await? {
            return receipt(appended);
        }
        let turn = self.runtime.0.cache.enter(&self.stream).await;
        let cached = turn.take();
        metrics::looked_up(A::NAME, cached.is_some());
        let (mut current, mut fresh) = match cached {
            Some((cached, moved)) => (cached.typed::<A>(), moved),
            None => (Current::default(), true),
        };
        if fresh {
            current.catch_up(self.store(), &self.stream).await?;
        }
        let append = AppendId::new();
        let mut attempts = 1;
        loop {
            let decision = self.decide(&current, attempts, decide);
            // Only an append proves that a cached state is the newest. Whatever ends without one is decided on the newest.
            let ends = decision.as_ref().map_or(true, Vec::is_empty);
            if ends && !fresh {
                fresh = true;
                if current.catch_up(self.store(), &self.stream).await? {
                    continue;
                }
            }
            let events = match decision {
                Ok(events) if !events.is_empty() || self.key.is_some() => events,
                ended => {
                    let receipt = ended.map(|_| self.nothing(&current));
                    turn.keep(current.into());
                    // The same request may have been done meanwhile, and be why this one is declined.
                    return match done_before(self.store(), self.key.as_ref()).await? {
                        Some(appended) => self::receipt(appended),
                        None => receipt,
                    };
                }
            };
            let batch = Batch {
                id: append,
                first: 0,
                metadata: &self.metadata,
                times: &self.times,
            };
            let exists = current.state.is_some();
            let Written { stored, read } = write::<A, ()>(&self.runtime.0.caps, &self.stream, exists, events, &batch)?;
            let part = StreamAppend {
                stream: self.stream.clone(),
                expected: exactly(current.version),
                events: stored,
            };
            let batch = Append {
                id: append,
                key: self.key.clone(),
                streams: vec![part],
            };
            match commit(self.runtime, batch).await {
                Ok(Committed::Stored(appended)) => {
                    let receipt = receipt(appended)?;
                    metrics::stored(A::NAME, &receipt);
                    if !receipt.repeated && advance(&mut current, read, &receipt) {
                        turn.keep(current.into());
                    }
                    return Ok(receipt);
                }
                Ok(Committed::Not) if self.runtime.0.retry.allows_another(attempts) => {}
                Ok(Committed::Not) => return Err(lost().into()),
                Err(AppendError::Conflict { actual, .. }) if self.may_retry(attempts) => {
                    // The log was restored to an earlier point: what was folded is not in it.
                    if actual < current.version {
                        current = Current::default();
                    }
                }
                Err(error) => return Err(self.failing(attempts).with(error)),
            }
            metrics::retried(A::NAME);
            Box::pin(self.runtime.0.retry.pause(attempts)).await;
            attempts += 1;
            current.catch_up(self.store(), &self.stream).await?;
            fresh = true;
        }
    }

    fn store(&self) -> &dyn EventStore {
        &*self.runtime.0.store
    }

    fn may_retry(&self, attempts: u32) -> bool {
        self.expected.is_none() && self.runtime.0.retry.allows_another(attempts)
    }

    fn failing(&self, attempts: u32) -> Failing {
        Failing {
            attempts,
            demanded: self.expected.is_some(),
            keyed: self.key.is_some(),
        }
    }

    fn decide<A: EventSourced>(
        &self,
        current: &Current<A>,
        attempts: u32,
        decide: &mut Decide<'_, A>,
    ) -> Result<Vec<A::Event>, WriteError> {
        let actual = current.version;
        if let Some(expected) = self.expected.filter(|expected| *expected != actual) {
            let expected = ExpectedVersion::Exact(expected);
            return Err(ExecuteError::Conflict {
                stream: self.stream.clone(),
                expected,
                actual,
                attempts,
                demanded: true,
            });
        }
        let now = self.runtime.0.clock.now();
        let context = Context::new(self.stream.clone(), actual, now, self.metadata.clone());
        let events = decide((*current.state).as_ref(), &context).map_err(|declined| decline(&self.stream, declined))?;
        valid::<A, _>(&events)?;
        checked::<A, _>(&self.stream, current.state.is_some(), &events)?;
        Ok(events)
    }

    /// The receipt of a command that changed nothing.
    fn nothing<A>(&self, current: &Current<A>) -> Receipt {
        let Current { version, position, .. } = *current;
        Receipt {
            stream: self.stream.clone(),
            version,
            position,
            events: 0,
            repeated: false,
        }
    }
}

/// Folds what was stored. Returns whether the state is whole.
fn advance<A: EventSourced>(current: &mut Current<A>, events: Vec<A::Event>, receipt: &Receipt) -> bool {
    current.version = receipt.version;
    current.position = receipt.position;
    events.into_iter().all(|event| event.apply(&mut current.state).is_ok())
}

/// The result of an earlier request with the same idempotency key.
pub(super) async fn done_before(
    store: &dyn EventStore,
    key: Option<&IdempotencyKey>,
) -> Result<Option<Appended>, WriteError> {
    let Some(key) = key else { return Ok(None) };
    match store.find_key(&key.key).await? {
        Some(record) if record.fingerprint == key.fingerprint => Ok(Some(record.appended)),
        Some(_) => Err(ExecuteError::IdempotencyMismatch {
            what: format!("idempotency key `{}`", key.key),
        }),
        None => Ok(None),
    }
}

/// The known outcome of an append.
pub(super) enum Committed {
    Stored(Appended),
    /// Definitely not stored, and without an error that says why.
    Not,
}

/// Appends, and asks what became of it if that was not learnt. An error [`Indeterminate`](AppendError::Indeterminate) is
/// returned only if that could not be learnt either.
pub(super) async fn commit(runtime: &Runtime, append: Append) -> Result<Committed, AppendError> {
    let store = &*runtime.0.store;
    let appended = match runtime.0.projections.inline() {
        None => store.append(append).await,
        Some(inline) => inline.append(append).await,
    };
    match appended {
        Ok(appended) => Ok(Committed::Stored(appended)),
        Err(AppendError::Indeterminate { append, source }) => match store.resolve(&append).await {
            Ok(Some(appended)) => Ok(Committed::Stored(Appended {
                repeated: false,
                ..appended
            })),
            Ok(None) => Ok(Committed::Not),
            Err(error) => {
                tracing::warn!(%append, %error, "the outcome of an append could not be learnt");
                Err(AppendError::Indeterminate { append, source })
            }
        },
        Err(error) => Err(error),
    }
}

/// An append to a stream that is at `version`.
pub(super) fn exactly(version: Version) -> ExpectedVersion {
    if version == Version::ZERO {
        ExpectedVersion::NoStream
    } else {
        ExpectedVersion::Exact(version)
    }
}

/// The append was cut short at each attempt, and each time it turned out that nothing was stored.
pub(super) fn lost() -> StoreError {
    let message = "the append was cut short at each attempt; nothing is stored, try again later";
    StoreError::new(StoreErrorKind::Unavailable, message)
}

/// A request whose append fails: what its error says of it.
#[derive(Clone, Copy)]
pub(super) struct Failing {
    pub(super) attempts: u32,
    /// The request demands the version that it expects.
    pub(super) demanded: bool,
    /// The request is done once, however often it is sent.
    pub(super) keyed: bool,
}

impl Failing {
    /// The error of the request.
    pub(super) fn with<E>(self, error: AppendError) -> ExecuteError<E> {
        let Self {
            attempts,
            demanded,
            keyed,
        } = self;
        match error {
            AppendError::Conflict {
                stream,
                expected,
                actual,
            } => ExecuteError::Conflict {
                stream,
                expected,
                actual,
                attempts,
                demanded,
            },
            AppendError::IdempotencyMismatch { what } => ExecuteError::IdempotencyMismatch { what },
            AppendError::Indeterminate { append, source } => ExecuteError::Indeterminate { append, keyed, source },
            AppendError::Invalid { reason } => ExecuteError::Invalid(crate::Invalid::new("append", reason)),
            AppendError::DuplicateEventId(_) => ExecuteError::Invalid(crate::Invalid::new("append", error.to_string())),
            AppendError::ProjectionFailed { .. }
            | AppendError::ProjectionBehind { .. }
            | AppendError::LimitExceeded(_)
            | AppendError::UnderReplicated { .. }
            | AppendError::Store(_) => ExecuteError::Append(error),
        }
    }
}

fn receipt(appended: Appended) -> Result<Receipt, WriteError> {
    let missing = || StoreError::new(StoreErrorKind::Corrupt, "the store answered an append without a stream");
    Ok(Receipt::of(appended).next().ok_or_else(missing)?)
}
