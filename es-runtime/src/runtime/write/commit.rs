//! From appends to their known outcomes.

use super::WriteError;
use crate::runtime::{Receipt, Runtime};
use crate::store::{Append, AppendError, AppendRef, Appended, IdempotencyKey};
use crate::{EventStore, ExecuteError, ExpectedVersion, StoreError, StoreErrorKind, Version};

/// The known outcome of an append.
pub(in crate::runtime) enum Committed {
    Stored(Appended),
    /// Definitely not stored, and without an error that says why.
    Not,
}

/// Appends, and asks what became of it if that was not learnt. An error [`Indeterminate`](AppendError::Indeterminate) is
/// returned only if that could not be learnt either.
pub(in crate::runtime) async fn commit(runtime: &Runtime, append: Append) -> Result<Committed, AppendError> {
    let store = &*runtime.0.store;
    let appended = match runtime.0.projections.inline() {
        None => store.append(append).await,
        Some(inline) => inline.append(append).await,
    };
    match appended {
        Ok(appended) => Ok(Committed::Stored(appended)),
        Err(AppendError::Indeterminate { append, source }) => learn(store, append, source).await,
        Err(error) => Err(error),
    }
}

/// Appends each only if the one before it was stored, and asks what became of those of which that was not learnt. Returns the
/// outcomes of the first ones: what is behind them is definitely not stored.
pub(super) async fn commit_chain(store: &dyn EventStore, appends: Vec<Append>) -> Vec<Result<Committed, AppendError>> {
    let references: Vec<_> = appends.iter().map(AppendRef::of).collect();
    let mut outcomes: Vec<_> = Vec::with_capacity(references.len());
    let answers = store.append_chain(appends).await;
    let behind = references.into_iter().skip(answers.len());
    for answer in answers {
        outcomes.push(match answer {
            Ok(appended) => Ok(Committed::Stored(appended)),
            Err(AppendError::Indeterminate { append, source }) => learn(store, append, source).await,
            Err(error) => Err(error),
        });
    }
    for append in behind.map(Box::new) {
        let outcome = match outcomes.last() {
            // A store that does not answer is not asked for each of them.
            Some(Err(AppendError::Indeterminate { source, .. })) => {
                let source = source.copy();
                Err(AppendError::Indeterminate { append, source })
            }
            Some(Err(AppendError::UnderReplicated { .. })) => match store.resolve(&append).await {
                Ok(None) => break,
                Ok(Some(_)) => Err(AppendError::UnderReplicated { append }),
                Err(source) => Err(AppendError::Indeterminate { append, source }),
            },
            Some(Ok(Committed::Stored(before))) if !before.repeated => match store.resolve(&append).await {
                Ok(None) => break,
                Ok(Some(appended)) => Ok(now(appended)),
                Err(source) => Err(AppendError::Indeterminate { append, source }),
            },
            _ => break,
        };
        outcomes.push(outcome);
    }
    outcomes
}

/// Asks what became of an append.
async fn learn(store: &dyn EventStore, append: Box<AppendRef>, source: StoreError) -> Result<Committed, AppendError> {
    match store.resolve(&append).await {
        Ok(Some(appended)) => Ok(now(appended)),
        Ok(None) => Ok(Committed::Not),
        Err(error) => {
            tracing::warn!(%append, %error, "the outcome of an append could not be learnt");
            Err(AppendError::Indeterminate { append, source })
        }
    }
}

/// Stored by this call, as has turned out.
fn now(appended: Appended) -> Committed {
    Committed::Stored(Appended {
        repeated: false,
        ..appended
    })
}

/// The result of an earlier request with the same idempotency key.
pub(in crate::runtime) async fn done_before<R>(
    store: &dyn EventStore,
    key: Option<&IdempotencyKey>,
) -> Result<Option<Appended>, ExecuteError<R>> {
    let Some(key) = key else { return Ok(None) };
    match store.find_key(&key.key).await? {
        Some(record) if record.fingerprint == key.fingerprint => Ok(Some(record.appended)),
        Some(_) => Err(ExecuteError::IdempotencyMismatch {
            what: format!("idempotency key `{}`", key.key),
        }),
        None => Ok(None),
    }
}

/// An append to a stream that is at `version`.
pub(in crate::runtime) fn exactly(version: Version) -> ExpectedVersion {
    if version == Version::ZERO {
        ExpectedVersion::NoStream
    } else {
        ExpectedVersion::Exact(version)
    }
}

/// The append was cut short at each attempt, and each time it turned out that nothing was stored.
pub(in crate::runtime) fn lost() -> StoreError {
    let message = "the append was cut short at each attempt; nothing is stored, try again later";
    StoreError::new(StoreErrorKind::Unavailable, message)
}

/// The receipt of an append to one stream.
pub(super) fn receipt(appended: Appended) -> Result<Receipt, WriteError> {
    let missing = || StoreError::new(StoreErrorKind::Corrupt, "the store answered an append without a stream");
    Ok(Receipt::of(appended).next().ok_or_else(missing)?)
}

/// A request whose append fails: what its error says of it.
#[derive(Clone, Copy)]
pub(in crate::runtime) struct Failing {
    pub(in crate::runtime) attempts: u32,
    /// The request demands the version that it expects.
    pub(in crate::runtime) demanded: bool,
    /// The request is done once, however often it is sent.
    pub(in crate::runtime) keyed: bool,
}

impl Failing {
    /// The error of the request.
    pub(in crate::runtime) fn with<E>(self, error: AppendError) -> ExecuteError<E> {
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
