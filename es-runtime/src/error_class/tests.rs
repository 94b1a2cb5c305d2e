use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use super::*;
use crate::store::{AppendRef, StateKey};
use crate::{
    AppendId, ExpectedVersion, Misapplied, Position, Receipt, StreamId, Timestamp, UnknownEvent, UnreadableEvent,
    Version,
};

type Refused = ExecuteError<Invalid>;

/// One line of the table: an error's variant with its class, or with none if it answers as the error that it holds.
struct Placed {
    error: &'static str,
    variant: &'static str,
    class: Option<Class>,
}

/// Checks a sample of each variant, and takes down its line. A variant without a sample does not compile.
macro_rules! place {
    ($table:ident, $error:ident {
        $($class:ident $variant:ident $([$text:literal])? = $sample:expr;)*
        $(=> $holder:ident = $hold:expr;)*
    }) => {{
        #[allow(unreachable_patterns, reason = "two classes of one variant")]
        let _every_variant = |error: &$error| match error {
            $($error::$variant { .. } => (),)*
            $($error::$holder { .. } => (),)*
        };
        $(
            let variant = concat!("`", stringify!($variant), "`" $(, " ", $text)?);
            assert_eq!($sample.class(), Class::$class, "{} {variant}", stringify!($error));
            $table.push(Placed { error: stringify!($error), variant, class: Some(Class::$class) });
        )*
        $(
            let hold: fn(StoreError) -> $error = $hold;
            let variant = concat!("`", stringify!($holder), "`");
            for (kind, class) in [(StoreErrorKind::Unavailable, Class::Retry), (StoreErrorKind::Corrupt, Class::Other)] {
                let error = hold(StoreError::new(kind, "it is so"));
                assert_eq!(error.class(), class, "{} {variant}", stringify!($error));
            }
            $table.push(Placed { error: stringify!($error), variant, class: None });
        )*
    }};
}

fn stream() -> StreamId {
    StreamId::new("account", "alice")
}

fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "it is so")
}

fn append() -> AppendRef {
    AppendRef {
        append: AppendId::new(),
        stream: stream(),
        first_version: None,
        first_event: None,
    }
}

fn unknown() -> UnknownEvent {
    UnknownEvent {
        stream: stream(),
        version: Version(1),
        position: Position(1),
        name: "opened".into(),
        shape_version: 1,
        readable: None,
    }
}

fn unreadable() -> UnreadableEvent {
    UnreadableEvent {
        stream: stream(),
        version: Version(1),
        position: Position(1),
        name: "opened".into(),
        source: "it is so".into(),
    }
}

fn invalid() -> Invalid {
    Invalid::new("amount", "it must be positive")
}

fn too_large() -> LimitExceeded {
    LimitExceeded {
        what: "the append".to_owned(),
        unit: "events",
        limit: 1,
        actual: 2,
    }
}

fn malformed() -> serde_json::Error {
    serde_json::from_str::<u8>("x").unwrap_err()
}

fn held() -> ReadError {
    ReadError::Held {
        projection: "balance",
        position: Position(1),
        error: "it is so".to_owned(),
    }
}

fn conflict(demanded: bool) -> Refused {
    ExecuteError::Conflict {
        stream: stream(),
        expected: ExpectedVersion::NoStream,
        actual: Version(1),
        attempts: 1,
        demanded,
    }
}

fn indeterminate(keyed: bool) -> Refused {
    ExecuteError::Indeterminate {
        append: append().into(),
        keyed,
        source: lost(),
    }
}

fn requests(table: &mut Vec<Placed>) {
    type ExecuteError = Refused;
    place!(table, SinkErrorKind {
        Retry Retry = SinkErrorKind::Retry;
        Other Rejected = SinkErrorKind::Rejected;
    });
    place!(table, StoreErrorKind {
        Retry Unavailable = StoreErrorKind::Unavailable;
        Retry Full = StoreErrorKind::Full;
        Other Closed = StoreErrorKind::Closed;
        Other Rejected = StoreErrorKind::Rejected;
        Other Corrupt = StoreErrorKind::Corrupt;
    });
    place!(table, ExecuteError {
        Retry Conflict ["of several writers"] = conflict(false);
        Retry Busy = ExecuteError::Busy { stream: stream(), waiting: 1 };
        Retry Indeterminate ["with an idempotency key"] = indeterminate(true);
        Correct Refused = Refused::Refused(invalid());
        Correct Invalid = Refused::Invalid(invalid());
        Correct NotFound = Refused::NotFound { stream: stream() };
        Correct AlreadyExists = Refused::AlreadyExists { stream: stream() };
        Correct Conflict ["with a version that was demanded"] = conflict(true);
        Correct IdempotencyMismatch = Refused::IdempotencyMismatch { what: "key `x`".to_owned() };
        Other InvalidEvent = Refused::InvalidEvent { event: "opened", source: invalid() };
        Other InTransaction = Refused::InTransaction { stream: stream() };
        Other Misapplied = Refused::Misapplied { stream: stream(), source: Misapplied::NotCreated("deposited") };
        Other Encode = Refused::from(EncodeError::NoWayBack { name: "opened", shape_version: 1, writes_from: 2, current: 2 });
        Other Indeterminate ["without one"] = indeterminate(false);
        Other NotProjected = Refused::NotProjected {
            receipt: Box::new(Receipt { stream: stream(), version: Version(1), position: Position(1), events: 1, repeated: false }),
            source: Box::new(ReadError::Timeout { projection: "balance", after: Position(1), at: Position(0), waited: Duration::ZERO }),
        };
        => Append = |error| ExecuteError::from(error);
        => Load = |error| ExecuteError::from(LoadError::from(error));
    });
    place!(table, AppendError {
        Retry Indeterminate = AppendError::Indeterminate { append: append().into(), source: lost() };
        Correct Conflict = AppendError::Conflict { stream: stream(), expected: ExpectedVersion::NoStream, actual: Version(1) };
        Correct IdempotencyMismatch = AppendError::IdempotencyMismatch { what: "key `x`".to_owned() };
        Correct DuplicateEventId = AppendError::DuplicateEventId(AppendId::new().event_id(0));
        Correct Invalid = AppendError::Invalid { reason: "it is so".to_owned() };
        Correct LimitExceeded = AppendError::LimitExceeded(too_large());
        Other ProjectionFailed = AppendError::ProjectionFailed {
            projection: "balance",
            event: None,
            source: Box::new(ApplyError::Panicked("it is so".to_owned())),
        };
        Other UnderReplicated = AppendError::UnderReplicated { append: append().into() };
        => ProjectionBehind = |error| AppendError::ProjectionBehind { projection: "balance", source: Box::new(error.into()) };
        => Store = AppendError::Store;
    });
    place!(table, LoadError {
        Other UnknownEvent = LoadError::UnknownEvent(unknown());
        Other UnreadableEvent = LoadError::UnreadableEvent(unreadable());
        => Store = LoadError::Store;
    });
    place!(table, EncodeError {
        Correct TooDeep = EncodeError::TooDeep(too_large());
        Other Value = EncodeError::Value { name: "opened", source: malformed() };
        Other NoWayBack = EncodeError::NoWayBack { name: "opened", shape_version: 1, writes_from: 2, current: 2 };
        Other NotReadBack = EncodeError::NotReadBack { name: "opened", shape_version: 1, source: Box::new(DecodeError::UnknownName) };
    });
    place!(table, ImportError {
        Correct Refused = ImportError::Refused { item: 1, stream: stream(), source: Box::new(invalid().into()) };
        Correct Foreign = ImportError::Foreign { item: 1, stream: stream(), version: Version(1), name: "opened".into() };
        Correct Changed = ImportError::Changed { item: 1, stream: stream(), version: Version(1), name: "opened".into() };
        Other Source = ImportError::Source { item: 1, source: "it is so".into() };
        => Failed = |error| ImportError::Failed { item: 1, source: Box::new(error.into()) };
    });
}

fn readers(table: &mut Vec<Placed>) {
    let projection = "balance";
    let diverged = || CheckpointError::Diverged {
        reader: "balance@1".to_owned(),
        position: Position(1),
        expected: AppendId::new().event_id(0),
        found: None,
    };
    place!(table, ReadError {
        Retry Timeout = ReadError::Timeout { projection, after: Position(1), at: Position(0), waited: Duration::ZERO };
        Retry NotReady = ReadError::NotReady { projection, version: 1, done: Position(0), total: Position(1) };
        Correct UnknownField = ReadError::UnknownField { projection, field: "x".to_owned(), known: vec![] };
        Correct FieldType = ReadError::FieldType { projection, field: "x".to_owned(), is: String::new(), problem: String::new() };
        Correct NotIndexed = ReadError::NotIndexed { projection, field: "x".to_owned(), indexes: vec![] };
        Other Held = held();
        Other Row = ReadError::Row { projection, key: "x".to_owned(), source: malformed() };
        => Checkpoint = |error| ReadError::Checkpoint(error.into());
        => Store = ReadError::Store;
    });
    place!(table, LiveError {
        Other NotApplied = LiveError::NotApplied {
            projection,
            stream: stream(),
            version: Version(1),
            position: Position(1),
            name: "opened".into(),
            source: Box::new(ApplyError::Panicked("it is so".to_owned())),
        };
        => Store = LiveError::Store;
    });
    place!(table, ControlError {
        Retry Elsewhere = ControlError::Elsewhere { reader: projection.to_owned() };
        Correct InUse = ControlError::InUse { projection, version: 1 };
        Correct NotParked = ControlError::NotParked { reader: projection.to_owned(), position: Position(1) };
        Correct Behind = ControlError::Behind { reader: projection.to_owned(), position: Position(2), first: Position(1) };
        Correct NotRebuilding = ControlError::NotRebuilding { projection };
        Correct Segmented = ControlError::Segmented { projection, segments: 4 };
        Other Failed = ControlError::Failed(ApplyError::Panicked("it is so".to_owned()));
        Other ShutDown = ControlError::ShutDown;
        => Checkpoint = |error| ControlError::Checkpoint(error.into());
        => Store = ControlError::Store;
    });
    place!(table, SubscriptionError {
        Retry LeaseLost = SubscriptionError::LeaseLost("mail".to_owned());
        Retry Elsewhere = SubscriptionError::Elsewhere("mail".to_owned());
        Retry Ended = SubscriptionError::Ended("mail".to_owned());
        Correct NoBeginning = SubscriptionError::NoBeginning("mail".to_owned());
        Other Unsupported = SubscriptionError::Unsupported;
        Other UnknownEvent = SubscriptionError::UnknownEvent(unknown());
        Other UnreadableEvent = SubscriptionError::UnreadableEvent(unreadable());
        Other Unpublishable = SubscriptionError::Unpublishable {
            event: "opened".to_owned(),
            position: Position(1),
            source: Box::new(EncodeError::Value { name: "opened", source: malformed() }),
        };
        => Checkpoint = |error| SubscriptionError::Checkpoint(error.into());
        => Store = SubscriptionError::Store;
    });
    let (process, id) = ("transfer", "7".to_owned());
    place!(table, ProcessError {
        Correct NotFound = ProcessError::NotFound { process, id: id.clone() };
        Correct NotParked = ProcessError::NotParked { process, id: id.clone() };
        Other Unreadable = ProcessError::Unreadable { process, id, reason: "it is so".to_owned() };
        => Order = |error| ProcessError::Order(error.into());
        => Store = ProcessError::Store;
    });
    place!(table, CheckpointError {
        Other Diverged = diverged();
        => Store = CheckpointError::Store;
    });
}

fn starts(table: &mut Vec<Placed>) {
    place!(table, StartError {
        Other UnreadableEvents = StartError::UnreadableEvents(vec![]);
        Other UnwritableEvents = StartError::UnwritableEvents(vec![]);
        Other ArbitraryPrecision = StartError::ArbitraryPrecision;
        Other Inline = StartError::Inline {
            projection: "ledger",
            failure: crate::projection::Failure {
                error: "it is so".to_owned(),
                position: None,
                attempts: 1,
                at: Timestamp::MIN,
            },
        };
        Retry InlineBehind = StartError::InlineBehind {
            projection: "ledger",
            position: Position(1),
            head: Position(2),
            waited: Duration::from_secs(60),
            owner: None,
        };
        Other Segments = StartError::Segments { projection: "ledger", version: 1, segments: 2, kept: 4 };
        Other SegmentsUnsupported = StartError::SegmentsUnsupported { projection: "ledger", segments: 4 };
        Retry Sink ["that may go well later"] = StartError::Sink {
            publication: "accounts",
            topic: "bank.accounts",
            source: SinkError::retry(0, "it is so"),
        };
        Other Sink ["that never will"] = StartError::Sink {
            publication: "accounts",
            topic: "bank.accounts",
            source: SinkError::rejected(0, "it is so"),
        };
        => ProcessManager = |error| StartError::ProcessManager { process: "transfer", source: error.into() };
        => Publication = |error| StartError::Publication { publication: "accounts", source: error.into() };
        => Store = StartError::Store;
    });
    place!(table, CapError {
        Other Unwritable = CapError::Unwritable(vec![]);
        Other Unsupported = CapError::Unsupported;
        => Store = CapError::Store;
    });
}

fn stores(table: &mut Vec<Placed>) {
    place!(table, SnapshotError {
        Correct NotFound = SnapshotError::NotFound { stream: stream() };
        Other Unsupported = SnapshotError::Unsupported;
        Other State = SnapshotError::State { stream: stream(), source: malformed() };
        => Load = |error| SnapshotError::Load(error.into());
        => Save = |error| SnapshotError::Save(error.into());
        => Store = SnapshotError::Store;
    });
    place!(table, CommitError {
        Retry Indeterminate = CommitError::Indeterminate(lost());
        Correct Moved = CommitError::Moved { reader: "balance@1".to_owned(), expected: Position(1), actual: Position(2) };
        Correct NotParked = CommitError::NotParked { reader: "balance@1".to_owned(), position: Position(1) };
        Other LeaseLost = CommitError::LeaseLost { lease: "balance@1".to_owned() };
        => Store = CommitError::Store;
    });
    place!(table, SaveError {
        Retry Indeterminate = SaveError::Indeterminate(lost());
        Correct Conflict = SaveError::Conflict { key: StateKey::new("seats", "seat", "1"), kept: 1, given: 1 };
        Correct LimitExceeded = SaveError::LimitExceeded(too_large());
        Correct Rejected = SaveError::Rejected(lost());
        => Store = SaveError::Store;
    });
    place!(table, RestoreAppendError {
        Retry Indeterminate = RestoreAppendError::Indeterminate(lost());
        Correct Misplaced = RestoreAppendError::Misplaced { append: AppendId::new(), expected: Position(1), actual: Position(2) };
        Correct BackInTime = RestoreAppendError::BackInTime { append: AppendId::new(), recorded_at: Timestamp::MIN, last: Timestamp::MAX };
        Correct Refused = RestoreAppendError::refused(AppendId::new(), AppendError::invalid("it is so"));
        => Store = RestoreAppendError::Store;
    });
    place!(table, ArchiveError {
        Correct Damaged = ArchiveError::Damaged { line: 1, reason: "it is so".to_owned() };
        Correct Cut = ArchiveError::Cut { lines: 1 };
        Correct Differs = ArchiveError::Differs { line: 1, difference: "it is so".to_owned() };
        Correct Refused = ArchiveError::Refused { line: 1, source: Box::new(RestoreAppendError::Store(lost())) };
        Correct StateRefused = ArchiveError::StateRefused { line: 1, source: Box::new(SaveError::Rejected(lost())) };
        Other Format = ArchiveError::Format { found: 2 };
        Other TooLong = ArchiveError::TooLong { line: 1, bytes: 2, limit: 1 };
        Other Unsupported = ArchiveError::Unsupported { what: "keeps no states" };
        Other Io = ArchiveError::Io { line: 1, source: std::io::Error::other("it is so") };
        => Read = ArchiveError::Read;
        => Failed = |source| ArchiveError::Failed { line: 1, source };
    });
    let entity = || StateKey::new("seats", "seat", "1");
    place!(table, PersistError {
        Correct Exists = PersistError::Exists { entity: entity() };
        Correct Missing = PersistError::Missing { entity: entity() };
        Correct Conflict = PersistError::Conflict { entity: entity(), kept: 1, given: 1 };
        Correct LimitExceeded = PersistError::LimitExceeded(too_large());
        Correct Rejected = PersistError::Rejected(lost());
        Other NotRestored = PersistError::NotRestored { namespace: "seats".to_owned() };
        Other NoRepository = PersistError::NoRepository { kind: "seat" };
        Other LeftUnknown = PersistError::LeftUnknown { entity: entity() };
        Other Indeterminate = PersistError::Indeterminate(lost());
        Other Encode = PersistError::Encode {
            entity: entity(),
            source: Box::new(EncodeError::Value { name: "seat", source: malformed() }),
        };
        => Store = PersistError::Store;
    });
    place!(table, RestoreError {
        Other UnknownEntity = RestoreError::UnknownEntity { entity: entity(), version: 2 };
        Other Unreadable = RestoreError::Unreadable { entity: entity(), version: 1, source: DecodeError::UnknownName };
        Other Twice = RestoreError::Twice { entity: entity(), also: "place" };
        => Store = RestoreError::Store;
    });
    place!(table, InlineError {
        Retry Behind = InlineError::Behind { projection: 0 };
        Other Poison = InlineError::Poison { projection: 0, event: None, error: ApplyError::Panicked("it is so".to_owned()) };
        => Append = |error| InlineError::Append(error.into());
    });
    place!(table, WriteError {
        Other Poison = WriteError::Poison { index: None, error: ApplyError::Panicked("it is so".to_owned()) };
        => Commit = |error| WriteError::Commit(error.into());
    });
}

fn placed() -> Vec<Placed> {
    let mut table = Vec::new();
    requests(&mut table);
    readers(&mut table);
    starts(&mut table);
    stores(&mut table);
    table
}

#[test]
fn the_guide_places_every_variant_where_the_code_does() {
    let table = placed();
    let errors: BTreeSet<_> = table.iter().map(|placed| placed.error).collect();
    let lines = errors.into_iter().map(|error| {
        let of_class = |class| {
            let placed = table
                .iter()
                .filter(|placed| placed.error == error && placed.class == class);
            placed.map(|placed| placed.variant).collect::<Vec<_>>().join(", ")
        };
        let [retry, correct, other, held] =
            [Some(Class::Retry), Some(Class::Correct), Some(Class::Other), None].map(of_class);
        format!("| `{error}` | {retry} | {correct} | {other} | {held} |\n")
    });
    let lines: String = lines.collect();
    let guide = include_str!("../../docs/web-service.md");
    assert!(guide.contains(&lines), "the table is to be:\n{lines}");
}

#[test]
fn an_error_whose_type_is_not_known_answers_as_it_did_before() {
    let answers = |error: Error| (error.is_retryable(), error.is_callers_fault());
    assert_eq!(answers(conflict(false).into()), (true, false));
    assert_eq!(answers(conflict(true).into()), (false, true));
    assert_eq!(answers(Refused::Refused(invalid()).into()), (false, true));
    assert_eq!(answers(ExecuteError::<Infallible>::from(lost()).into()), (true, false));
    assert_eq!(
        answers(ExecuteError::<Infallible>::from(held_back()).into()),
        (false, false)
    );
    assert_eq!(answers(LoadError::from(lost()).into()), (true, false));
    assert_eq!(answers(held().into()), (false, false));
    assert_eq!(
        answers(
            ControlError::Elsewhere {
                reader: "balance".to_owned()
            }
            .into()
        ),
        (true, false)
    );
    assert_eq!(
        answers("alice".parse::<crate::Id<()>>().unwrap_err().into()),
        (false, true)
    );
    assert_eq!(answers(AnyRefusal::new(std::fmt::Error).into()), (false, true));
    assert_eq!(
        answers(std::fmt::Error.into()),
        (false, false),
        "nothing is known of what is foreign"
    );
}

fn held_back() -> StoreError {
    StoreError::new(StoreErrorKind::Rejected, "it is so")
}
