//! The table of errors and answers. A variant that is not in it fails here; one without a sample does not compile.

use axum::response::IntoResponse as _;
use es_runtime::__private::every_error;
use es_runtime::AnyRefusal;

use super::*;

/// The status and the kind of the answer to each error of a command.
const COMMANDS: &[(&str, u16, &str)] = &[
    ("demanded Conflict", 412, "precondition-failed"),
    ("keyed Indeterminate", 503, "outcome-unknown"),
    ("Error::Refused", 422, "refused"),
    ("Error::Invalid", 400, "invalid"),
    ("Error::InvalidEvent", 500, "internal"),
    ("Error::NotFound", 404, "not-found"),
    ("Error::AlreadyExists", 409, "already-exists"),
    ("Error::Conflict", 409, "conflict"),
    ("Error::IdempotencyMismatch", 422, "idempotency-mismatch"),
    ("Error::InTransaction", 500, "internal"),
    ("Error::Busy", 429, "busy"),
    ("Error::Misapplied", 500, "internal"),
    ("Error::Encode", 500, "internal"),
    ("Error::Indeterminate", 503, "outcome-unknown"),
    ("Error::NotProjected", 200, "done"),
    ("Error::Append", 503, "unavailable"),
    ("Error::Load", 503, "unavailable"),
    ("EncodeError::NotReadBack", 500, "internal"),
    ("AppendError::Conflict", 409, "conflict"),
    ("AppendError::IdempotencyMismatch", 422, "idempotency-mismatch"),
    ("AppendError::DuplicateEventId", 500, "internal"),
    ("AppendError::Invalid", 400, "invalid"),
    ("AppendError::ProjectionFailed", 500, "internal"),
    ("AppendError::ProjectionBehind", 503, "projection-behind"),
    ("AppendError::LimitExceeded", 413, "too-large"),
    ("AppendError::Indeterminate", 503, "outcome-unknown"),
    ("AppendError::UnderReplicated", 503, "under-replicated"),
    ("AppendError::Store", 503, "unavailable"),
    ("StoreErrorKind::Unavailable", 503, "unavailable"),
    ("StoreErrorKind::Full", 503, "unavailable"),
    ("StoreErrorKind::Closed", 503, "unavailable"),
    ("StoreErrorKind::Rejected", 500, "internal"),
    ("StoreErrorKind::Corrupt", 500, "internal"),
    ("load LoadError::UnknownEvent", 500, "internal"),
    ("load LoadError::UnreadableEvent", 500, "internal"),
    ("load LoadError::Store", 503, "unavailable"),
    ("load StoreErrorKind::Unavailable", 503, "unavailable"),
    ("load StoreErrorKind::Full", 503, "unavailable"),
    ("load StoreErrorKind::Closed", 503, "unavailable"),
    ("load StoreErrorKind::Rejected", 500, "internal"),
    ("load StoreErrorKind::Corrupt", 500, "internal"),
];

/// The same for reads of rows.
const READS: &[(&str, u16, &str)] = &[
    ("ReadError::Timeout", 503, "not-there-yet"),
    ("ReadError::NotReady", 503, "not-ready"),
    ("ReadError::Held", 503, "held"),
    ("ReadError::UnknownField", 400, "bad-query"),
    ("ReadError::FieldType", 400, "bad-query"),
    ("ReadError::NotIndexed", 400, "bad-query"),
    ("ReadError::Row", 500, "internal"),
    ("ReadError::Checkpoint", 500, "internal"),
    ("ReadError::Store", 503, "unavailable"),
    ("StoreErrorKind::Unavailable", 503, "unavailable"),
    ("StoreErrorKind::Full", 503, "unavailable"),
    ("StoreErrorKind::Closed", 503, "unavailable"),
    ("StoreErrorKind::Rejected", 500, "internal"),
    ("StoreErrorKind::Corrupt", 500, "internal"),
];

/// Compares what is answered with the table: each line once, in this order.
fn check(table: &[(&str, u16, &str)], answers: Vec<(String, Problem)>) {
    let found: Vec<_> = answers
        .iter()
        .map(|(name, problem)| (&**name, problem.status(), problem.kind()))
        .collect();
    assert_eq!(found, table);
    for (name, problem) in answers {
        let retries = problem.clone().into_response().headers().contains_key("retry-after");
        let unattended = !["Indeterminate", "UnderReplicated"]
            .iter()
            .any(|end| name.ends_with(end))
            || name.starts_with("keyed");
        let passes = problem.status() == 503 || ["busy", "conflict"].contains(&problem.kind());
        assert_eq!(retries, passes && unattended, "{name}");
        let told = format!("{problem:?}");
        assert!(!told.contains("secret"), "{name}: {told}");
    }
}

#[test]
fn each_error_of_a_command_has_its_answer() {
    let answers = every_error::execute_errors().into_iter().map(|(name, error)| {
        let answer = of_command(error, "open", |refusal| refused(&AnyRefusal::new(refusal)));
        let problem = match answer {
            Failed::Problem(problem) => problem,
            Failed::Done(receipt) => {
                assert_eq!((receipt.version.0, receipt.position.0), (7, 9), "{name}");
                return (name, None);
            }
        };
        (name, Some(problem))
    });
    let (done, problems): (Vec<_>, Vec<_>) = answers.partition(|(_, problem)| problem.is_none());
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].0, "Error::NotProjected");
    let table: Vec<_> = COMMANDS
        .iter()
        .copied()
        .filter(|(_, _, kind)| *kind != "done")
        .collect();
    check(
        &table,
        problems
            .into_iter()
            .filter_map(|(name, problem)| Some((name, problem?)))
            .collect(),
    );
}

#[test]
fn each_error_of_a_read_has_its_answer() {
    let answers = every_error::read_errors().into_iter();
    check(READS, answers.map(|(name, error)| (name, of_read(error))).collect());
}

#[test]
fn what_is_invalid_is_pointed_at() {
    let pointed = |field: &'static str| invalid(&Invalid::new(field, "no"), "open").body();
    assert_eq!(pointed("address.city")["errors"][0]["pointer"], "#/address/city");
    assert_eq!(pointed("a/b~c")["errors"][0]["pointer"], "#/a~1b~0c");
    assert_eq!(pointed("open")["errors"][0]["pointer"], "#");
}
