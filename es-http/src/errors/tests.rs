//! The answer to a sample of each error. The guide on web services lists the variants, and `es-runtime` compares that list
//! with the errors themselves: a variant that is younger than the samples fails here.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::response::IntoResponse as _;
use es_runtime::projection::ApplyError;
use es_runtime::{
    AppendId, DecodeError, EncodeError, EventId, ExpectedVersion, MemoryStore, Misapplied, Position, Runtime, StreamId,
    UnknownEvent, UnreadableEvent,
};
use es_tests::bank::{Account, Open};

use super::*;

type ExecuteError = es_runtime::ExecuteError<Invalid>;

/// A text that no stranger may read.
const SECRET: &str = "secret";

/// An error, with the status and the kind of its answer.
struct Sample<E>(E, u16, &'static str);

impl<E> Sample<E> {
    fn within<O>(self, outer: impl FnOnce(E) -> O) -> Sample<O> {
        Sample(outer(self.0), self.1, self.2)
    }
}

/// Makes a list of samples, of which each variant of the error has one.
macro_rules! samples {
    ($error:ident { $($variant:ident = $sample:expr, $status:literal $kind:literal;)* }) => {{
        let variants = BTreeSet::from([$(stringify!($variant)),*]);
        assert_eq!(variants, variants_of(stringify!($error)), "the variants of `{}`", stringify!($error));
        vec![$({
            let error = $error::from($sample);
            assert!(matches!(error, $error::$variant { .. }), "`{error:?}` is no `{}`", stringify!($variant));
            Sample(error, $status, $kind)
        }),*]
    }};
}

/// The variants of an error that the guide lists.
fn variants_of(error: &str) -> BTreeSet<&'static str> {
    let guide = include_str!("../../../es-runtime/docs/web-service.md");
    let line = guide
        .lines()
        .find_map(|line| line.strip_prefix(&format!("| `{error}` |")));
    let line = line.unwrap_or_else(|| panic!("`{error}` is not in the table"));
    line.split('`').skip(1).step_by(2).collect()
}

fn stream() -> StreamId {
    StreamId::new("account", "alice")
}

fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, SECRET)
}

fn append() -> AppendRef {
    AppendRef {
        append: AppendId::new(),
        stream: stream(),
        first_version: None,
        first_event: None,
    }
}

fn too_large_error() -> LimitExceeded {
    LimitExceeded {
        what: "the append".to_owned(),
        unit: "events",
        limit: 1,
        actual: 2,
    }
}

fn malformed() -> serde_json::Error {
    serde::de::Error::custom(SECRET)
}

fn store_errors() -> Vec<Sample<StoreError>> {
    let kinds = samples!(StoreErrorKind {
        Unavailable = StoreErrorKind::Unavailable, 503 "unavailable";
        Full = StoreErrorKind::Full, 503 "unavailable";
        Closed = StoreErrorKind::Closed, 503 "unavailable";
        Rejected = StoreErrorKind::Rejected, 500 "internal";
        Corrupt = StoreErrorKind::Corrupt, 500 "internal";
    });
    let of_kind = |kind| StoreError::new(kind, SECRET);
    kinds.into_iter().map(|kind| kind.within(of_kind)).collect()
}

fn load_errors() -> Vec<Sample<LoadError>> {
    let unknown = UnknownEvent {
        stream: stream(),
        version: Version(1),
        position: Position(1),
        name: SECRET.into(),
        shape_version: 1,
        readable: None,
    };
    let unreadable = UnreadableEvent {
        stream: stream(),
        version: Version(1),
        position: Position(1),
        name: SECRET.into(),
        source: SECRET.into(),
    };
    let mut samples = samples!(LoadError {
        UnknownEvent = unknown, 500 "internal";
        UnreadableEvent = unreadable, 500 "internal";
        Store = lost(), 503 "unavailable";
    });
    samples.extend(store_errors().into_iter().map(|sample| sample.within(LoadError::Store)));
    samples
}

fn append_errors() -> Vec<Sample<AppendError>> {
    let conflict = AppendError::Conflict {
        stream: stream(),
        expected: ExpectedVersion::NoStream,
        actual: Version(1),
    };
    let failed = AppendError::ProjectionFailed {
        projection: "ledger",
        event: None,
        source: ApplyError::Panicked(SECRET.to_owned()).into(),
    };
    let behind = AppendError::ProjectionBehind {
        projection: "ledger",
        source: Box::new(lost().into()),
    };
    let mut samples = samples!(AppendError {
        Conflict = conflict, 409 "conflict";
        IdempotencyMismatch = AppendError::IdempotencyMismatch { what: SECRET.to_owned() }, 422 "idempotency-mismatch";
        DuplicateEventId = AppendError::DuplicateEventId(EventId(Uuid::nil())), 500 "internal";
        Invalid = AppendError::Invalid { reason: "it is so".to_owned() }, 400 "invalid";
        ProjectionFailed = failed, 500 "internal";
        ProjectionBehind = behind, 503 "projection-behind";
        LimitExceeded = too_large_error(), 413 "too-large";
        Indeterminate = AppendError::Indeterminate { append: append().into(), source: lost() }, 503 "outcome-unknown";
        UnderReplicated = AppendError::UnderReplicated { append: append().into() }, 503 "under-replicated";
        Store = lost(), 503 "unavailable";
    });
    samples.extend(
        store_errors()
            .into_iter()
            .map(|sample| sample.within(AppendError::Store)),
    );
    samples
}

fn read_errors() -> Vec<Sample<ReadError>> {
    let (projection, field) = ("balances", || "x".to_owned());
    let timeout = ReadError::Timeout {
        projection,
        after: Position(9),
        at: Position(7),
        waited: Duration::ZERO,
    };
    let not_ready = ReadError::NotReady {
        projection,
        version: 1,
        done: Position(7),
        total: Position(9),
    };
    let held = ReadError::Held {
        projection,
        position: Position(7),
        error: SECRET.to_owned(),
    };
    let field_type = ReadError::FieldType {
        projection,
        field: field(),
        is: String::new(),
        problem: String::new(),
    };
    let row = ReadError::Row {
        projection,
        key: "x".to_owned(),
        source: malformed(),
    };
    let mut samples = samples!(ReadError {
        Timeout = timeout, 503 "not-there-yet";
        NotReady = not_ready, 503 "not-ready";
        Held = held, 503 "held";
        UnknownField = ReadError::UnknownField { projection, field: field(), known: vec![] }, 400 "bad-query";
        FieldType = field_type, 400 "bad-query";
        NotIndexed = ReadError::NotIndexed { projection, field: field(), indexes: vec![] }, 400 "bad-query";
        Row = row, 500 "internal";
        Checkpoint = ReadError::Checkpoint(CheckpointError::Store(lost())), 503 "unavailable";
        Store = lost(), 503 "unavailable";
    });
    samples.extend(store_errors().into_iter().map(|sample| sample.within(ReadError::Store)));
    samples.extend(
        checkpoint_errors()
            .into_iter()
            .map(|sample| sample.within(ReadError::Checkpoint)),
    );
    samples
}

fn conflict(demanded: bool) -> ExecuteError {
    ExecuteError::Conflict {
        stream: stream(),
        expected: ExpectedVersion::Any,
        actual: Version(7),
        attempts: 10,
        demanded,
    }
}

fn indeterminate_error(keyed: bool) -> ExecuteError {
    ExecuteError::Indeterminate {
        append: append().into(),
        keyed,
        source: lost(),
    }
}

fn encode_errors() -> Vec<Sample<EncodeError>> {
    let no_way_back = EncodeError::NoWayBack {
        name: SECRET,
        shape_version: 1,
        writes_from: 2,
        current: 2,
    };
    let not_read_back = EncodeError::NotReadBack {
        name: SECRET,
        shape_version: 1,
        source: Box::new(DecodeError::UnknownName),
    };
    samples!(EncodeError {
        Value = EncodeError::Value { name: SECRET, source: malformed() }, 500 "internal";
        TooDeep = too_large_error(), 413 "too-large";
        NoWayBack = no_way_back, 500 "internal";
        NotReadBack = not_read_back, 500 "internal";
    })
}

fn checkpoint_errors() -> Vec<Sample<CheckpointError>> {
    let diverged = CheckpointError::Diverged {
        reader: SECRET.to_owned(),
        position: Position(1),
        expected: EventId(Uuid::nil()),
        found: None,
    };
    samples!(CheckpointError {
        Diverged = diverged, 500 "internal";
        Store = lost(), 503 "unavailable";
    })
}

/// The errors of a command that was done once with this receipt.
fn execute_errors(receipt: Receipt) -> Vec<Sample<ExecuteError>> {
    let invalid = || Invalid::new("address.city", "it is empty");
    let in_transaction = ExecuteError::InTransaction {
        stream: StreamId::new("account", SECRET),
    };
    let misapplied = ExecuteError::Misapplied {
        stream: stream(),
        source: Misapplied::NotCreated(SECRET),
    };
    let not_projected = ExecuteError::NotProjected {
        receipt: Box::new(receipt),
        source: Box::new(lost().into()),
    };
    let mut samples = samples!(ExecuteError {
        Refused = ExecuteError::Refused(invalid()), 422 "refused";
        Invalid = invalid(), 400 "invalid";
        InvalidEvent = ExecuteError::InvalidEvent { event: SECRET, source: invalid() }, 500 "internal";
        NotFound = ExecuteError::NotFound { stream: stream() }, 404 "not-found";
        AlreadyExists = ExecuteError::AlreadyExists { stream: stream() }, 409 "already-exists";
        Conflict = conflict(false), 409 "conflict";
        IdempotencyMismatch = ExecuteError::IdempotencyMismatch { what: SECRET.to_owned() }, 422 "idempotency-mismatch";
        InTransaction = in_transaction, 500 "internal";
        Busy = ExecuteError::Busy { stream: stream(), waiting: 64 }, 429 "busy";
        Misapplied = misapplied, 500 "internal";
        Encode = EncodeError::Value { name: SECRET, source: malformed() }, 500 "internal";
        Indeterminate = indeterminate_error(false), 503 "outcome-unknown";
        NotProjected = not_projected, 200 "done";
        Append = ExecuteError::Append(AppendError::Store(lost())), 503 "unavailable";
        Load = LoadError::Store(lost()), 503 "unavailable";
    });
    samples.push(Sample(conflict(true), 412, "precondition-failed"));
    samples.push(Sample(indeterminate_error(true), 503, "outcome-unknown"));
    samples.extend(
        encode_errors()
            .into_iter()
            .map(|sample| sample.within(ExecuteError::from)),
    );
    samples.extend(
        append_errors()
            .into_iter()
            .map(|sample| sample.within(ExecuteError::Append)),
    );
    samples.extend(
        load_errors()
            .into_iter()
            .map(|sample| sample.within(ExecuteError::Load)),
    );
    samples
}

/// Checks the answer to an error. It says when to try again wherever that is safe for a client that does not look.
fn check(error: &str, problem: Problem, status: u16, kind: &str, is_safe: bool) {
    assert_eq!((problem.status(), problem.kind()), (status, kind), "{error}");
    let retries = problem.clone().into_response().headers().contains_key("retry-after");
    let passes = status == 503 || ["busy", "conflict"].contains(&kind);
    assert_eq!(retries, passes && is_safe, "{error}");
    let told = format!("{problem:?}");
    assert!(!told.contains(SECRET), "{error}: {told}");
}

#[tokio::test]
async fn each_error_of_a_command_has_its_answer() {
    let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
    let open = Open { owner: "Alice".into() };
    let receipt = runtime.execute(es_runtime::Id::<Account>::new(), open).await.unwrap();
    for Sample(error, status, kind) in execute_errors(receipt.clone()) {
        let is_safe = match &error {
            ExecuteError::Indeterminate { keyed, .. } => *keyed,
            ExecuteError::Append(error) => !matches!(
                error,
                AppendError::Indeterminate { .. } | AppendError::UnderReplicated { .. }
            ),
            _ => true,
        };
        let text = format!("{error:?}");
        match of_command(error, "open", |refusal| refused(&AnyRefusal::new(refusal))) {
            Err(problem) => check(&text, problem, status, kind, is_safe),
            Ok(done) => assert_eq!((done, status, kind), (receipt.clone(), 200, "done"), "{text}"),
        }
    }
}

#[test]
fn each_error_of_a_read_has_its_answer() {
    for Sample(error, status, kind) in read_errors() {
        check(&format!("{error:?}"), of_read(error), status, kind, true);
    }
    for Sample(error, status, kind) in load_errors() {
        check(&format!("{error:?}"), of_load(error), status, kind, true);
    }
}

#[test]
fn what_is_invalid_is_pointed_at() {
    let pointed = |field: &'static str| invalid(&Invalid::new(field, "no"), "open").body();
    assert_eq!(pointed("address.city")["errors"][0]["pointer"], "#/address/city");
    assert_eq!(pointed("a/b~c")["errors"][0]["pointer"], "#/a~1b~0c");
    assert_eq!(pointed("open")["errors"][0]["pointer"], "#");
}
