//! The answer to each error.

use std::error::Error as StdError;

use es_runtime::projection::ReadError;
use es_runtime::store::{AppendError, AppendRef, CheckpointError};
use es_runtime::{
    AnyRefusal, ExecuteError, Invalid, LimitExceeded, LoadError, Receipt, StoreError, StoreErrorKind, Version,
};
use serde_json::json;
use uuid::Uuid;

use crate::Problem;

/// The seconds after which a client may try again.
const SOON: u32 = 1;

/// The answer to a command that was not done, or is not known to have been. Its receipt, if it was done after all.
///
/// `content` is the field under which a content is [`Invalid`] that is not of the command's shape.
pub(crate) fn of_command<E: StdError + Send + Sync + 'static>(
    error: ExecuteError<E>,
    content: &str,
    refused: impl FnOnce(E) -> Problem,
) -> Result<Receipt, Problem> {
    Err(match error {
        ExecuteError::Refused(refusal) => refused(refusal),
        ExecuteError::Invalid(invalid) => self::invalid(&invalid, content),
        ExecuteError::NotFound { .. } => Problem::new(404, "not-found").detail(error.to_string()),
        ExecuteError::AlreadyExists { .. } => Problem::new(409, "already-exists").detail(error.to_string()),
        ExecuteError::Conflict {
            demanded: true, actual, ..
        } => outdated(Some(actual)),
        ExecuteError::Conflict { demanded: false, .. } => contended(),
        ExecuteError::Busy { waiting, .. } => Problem::new(429, "busy")
            .detail(error.to_string())
            .with("waiting", waiting)
            .retry_after(SOON),
        ExecuteError::IdempotencyMismatch { .. } => mismatched(),
        ExecuteError::Indeterminate { append, keyed, source } => indeterminate(&append, keyed, &source),
        ExecuteError::NotProjected { receipt, .. } => return Ok(*receipt),
        ExecuteError::Append(error) => of_append(error),
        ExecuteError::Load(error) => of_load(error),
        // Mistakes of a handler or of this build, and variants that are younger than this crate.
        error if error.is_callers_fault() => Problem::new(422, "refused").detail(error.to_string()),
        error if error.is_retryable() => unavailable(&error),
        error => internal(&error),
    })
}

fn of_append(error: AppendError) -> Problem {
    match error {
        AppendError::LimitExceeded(error) => too_large(&error),
        AppendError::Store(error) => of_store(&error),
        AppendError::Indeterminate { append, source } => indeterminate(&append, false, &source),
        AppendError::ProjectionBehind { projection, source } => {
            tracing::warn!(projection, error = %source, "an append waits for an inline projection");
            Problem::new(503, "projection-behind")
                .detail(format!(
                    "projection `{projection}` has not taken in what was appended without it"
                ))
                .with("projection", projection)
                .retry_after(SOON)
        }
        AppendError::UnderReplicated { append } => Problem::new(503, "under-replicated")
            .detail("the events are stored, but fewer replicas than demanded have confirmed them")
            .with("append", &*append),
        AppendError::Conflict { .. } => contended(),
        AppendError::IdempotencyMismatch { .. } => mismatched(),
        AppendError::Invalid { reason } => self::invalid(&Invalid::new("append", reason), ""),
        error => internal(&error),
    }
}

fn contended() -> Problem {
    Problem::new(409, "conflict")
        .detail("other writers were first at each attempt")
        .retry_after(SOON)
}

fn mismatched() -> Problem {
    Problem::new(422, "idempotency-mismatch")
        .detail("the idempotency key was used before for another request: use a new key for a new request")
}

fn indeterminate(append: &AppendRef, keyed: bool, source: &StoreError) -> Problem {
    tracing::warn!(%append, error = %source, "the outcome of a command could not be learnt");
    let problem = Problem::new(503, "outcome-unknown").with("append", append);
    if keyed {
        let detail =
            "it is not known whether the command was done: send it again with the same key, and it is done once";
        return problem.detail(detail).retry_after(SOON);
    }
    // Without `Retry-After`, as an unattended repetition might do it twice.
    problem.detail("it is not known whether the command was done: look before you send it again, next time with an `Idempotency-Key`")
}

/// The answer if the events of a stream could not be loaded.
pub(crate) fn of_load(error: LoadError) -> Problem {
    match error {
        LoadError::Store(error) => of_store(&error),
        error => internal(&error),
    }
}

/// The answer if rows could not be read.
pub(crate) fn of_read(error: ReadError) -> Problem {
    match error {
        ReadError::Timeout {
            projection, after, at, ..
        } => Problem::new(503, "not-there-yet")
            .detail(format!(
                "projection `{projection}` is at position {at}, and not at {after} yet"
            ))
            .with("at", at.0)
            .with("after", after.0)
            .retry_after(SOON),
        ReadError::NotReady {
            projection,
            done,
            total,
            ..
        } => Problem::new(503, "not-ready")
            .detail(format!("the rows of projection `{projection}` are being built"))
            .with("at", done.0)
            .with("after", total.0)
            .retry_after(SOON),
        ReadError::Held {
            projection,
            position,
            error,
        } => {
            tracing::error!(projection, %position, error, "a projection holds");
            Problem::new(503, "held")
                .detail(format!(
                    "projection `{projection}` holds before the event at position {position}"
                ))
                .with("at", position.0)
                .retry_after(SOON)
        }
        ReadError::UnknownField { ref field, .. }
        | ReadError::FieldType { ref field, .. }
        | ReadError::NotIndexed { ref field, .. } => {
            let detail = error.to_string();
            Problem::new(400, "bad-query")
                .detail(&*detail)
                .with("errors", [json!({"parameter": field, "detail": detail})])
        }
        ReadError::Store(error) | ReadError::Checkpoint(CheckpointError::Store(error)) => of_store(&error),
        error => internal(&error),
    }
}

pub(crate) fn of_store(error: &StoreError) -> Problem {
    match error.kind() {
        StoreErrorKind::Unavailable | StoreErrorKind::Full | StoreErrorKind::Closed => unavailable(error),
        _ => internal(error),
    }
}

fn unavailable(error: &(dyn StdError + 'static)) -> Problem {
    tracing::error!(error, "a request could not be served");
    Problem::new(503, "unavailable")
        .detail("try again later")
        .retry_after(SOON)
}

/// The answer to an error that strangers must not learn: an id, under which the log of the process has it.
pub(crate) fn internal(error: &(dyn StdError + 'static)) -> Problem {
    let id = Uuid::now_v7();
    tracing::error!(%id, error, "a request failed");
    Problem::new(500, "internal").with("id", id)
}

/// The answer if the stream is not at the version that the sender demanded.
pub(crate) fn outdated(actual: Option<Version>) -> Problem {
    let problem = Problem::new(412, "precondition-failed").detail("the version is another one: read it again");
    match actual {
        Some(actual) => problem.with("version", actual.0),
        None => problem,
    }
}

pub(crate) fn invalid(invalid: &Invalid, content: &str) -> Problem {
    let Invalid { field, reason } = invalid;
    let pointer = if field == content {
        "#".to_owned()
    } else {
        format!("#/{}", field.replace('~', "~0").replace('/', "~1").replace('.', "/"))
    };
    Problem::new(400, "invalid")
        .detail(if field == content {
            reason.to_string()
        } else {
            invalid.to_string()
        })
        .with("errors", [json!({"pointer": pointer, "detail": reason})])
}

/// A header or parameter that cannot be read.
pub(crate) fn malformed(name: &str, detail: &str) -> Problem {
    Problem::new(400, "malformed")
        .detail(format!("`{name}`: {detail}"))
        .with("errors", [json!({"parameter": name, "detail": detail})])
}

pub(crate) fn too_large(error: &LimitExceeded) -> Problem {
    Problem::new(413, "too-large")
        .detail(error.to_string())
        .with("limit", error.limit)
        .with("actual", error.actual)
}

/// The answer to a refusal for which there is no hook.
pub(crate) fn refused(refusal: &AnyRefusal) -> Problem {
    Problem::new(422, "refused").detail(refusal.to_string())
}

#[cfg(test)]
mod tests;
