//! A sample of each error of a request, for what answers by them in other crates: these enums are not exhaustive there.
//!
//! A `match` here has no wildcard, so that a new variant does not compile before it has a sample.

use std::time::Duration;

use crate::projection::{ApplyError, ReadError};
use crate::store::{AppendError, AppendRef, CheckpointError};
use crate::{
    AppendId, DecodeError, EncodeError, ExecuteError, ExpectedVersion, Invalid, LimitExceeded, LoadError, Misapplied,
    Position, Receipt, StoreError, StoreErrorKind, StreamId, UnknownEvent, UnreadableEvent, Version,
};

/// Adds samples to a list, each under the name of its variant, and checks that no variant is without.
macro_rules! samples {
    ($list:ident, $error:ident { $($variant:ident = $sample:expr;)* }) => {
        let _every_variant = |error: &$error| match error {
            $($error::$variant { .. } => (),)*
        };
        $($list.push((concat!(stringify!($error), "::", stringify!($variant)).to_owned(), $sample.into()));)*
    };
}

/// A sample with its name.
type Named<E> = (String, E);

fn stream() -> StreamId {
    StreamId::new("account", "alice")
}

/// Text that no stranger may read.
const SECRET: &str = "secret";

fn store_errors() -> Vec<Named<StoreError>> {
    let kinds = [
        StoreErrorKind::Unavailable,
        StoreErrorKind::Full,
        StoreErrorKind::Closed,
        StoreErrorKind::Rejected,
        StoreErrorKind::Corrupt,
    ];
    let named = |kind| match kind {
        StoreErrorKind::Unavailable
        | StoreErrorKind::Full
        | StoreErrorKind::Closed
        | StoreErrorKind::Rejected
        | StoreErrorKind::Corrupt => (format!("StoreErrorKind::{kind:?}"), StoreError::new(kind, SECRET)),
    };
    kinds.map(named).into()
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

fn panicked() -> ApplyError {
    ApplyError::Panicked(SECRET.to_owned())
}

fn malformed() -> serde_json::Error {
    serde::de::Error::custom(SECRET)
}

pub fn read_errors() -> Vec<Named<ReadError>> {
    let projection = "balances";
    let mut list = Vec::new();
    samples!(list, ReadError {
        Timeout = ReadError::Timeout { projection, after: Position(9), at: Position(7), waited: Duration::ZERO };
        NotReady = ReadError::NotReady { projection, version: 1, done: Position(7), total: Position(9) };
        Held = ReadError::Held { projection, position: Position(7), error: SECRET.to_owned() };
        UnknownField = ReadError::UnknownField { projection, field: "x".to_owned(), known: vec![] };
        FieldType = ReadError::FieldType { projection, field: "x".to_owned(), is: String::new(), problem: String::new() };
        NotIndexed = ReadError::NotIndexed { projection, field: "x".to_owned(), indexes: vec![] };
        Row = ReadError::Row { projection, key: "x".to_owned(), source: malformed() };
        Checkpoint = CheckpointError::Diverged {
            reader: SECRET.to_owned(),
            position: Position(1),
            expected: AppendId::new().event_id(0),
            found: None,
        };
        Store = ReadError::Store(lost());
    });
    list.extend(store_errors().into_iter().map(|(name, error)| (name, error.into())));
    list
}

pub fn load_errors() -> Vec<Named<LoadError>> {
    let mut list: Vec<Named<LoadError>> = Vec::new();
    samples!(list, LoadError {
        UnknownEvent = UnknownEvent {
            stream: stream(),
            version: Version(1),
            position: Position(1),
            name: SECRET.into(),
            shape_version: 1,
            readable: None,
        };
        UnreadableEvent = UnreadableEvent {
            stream: stream(),
            version: Version(1),
            position: Position(1),
            name: SECRET.into(),
            source: SECRET.into(),
        };
        Store = lost();
    });
    list.extend(store_errors().into_iter().map(|(name, error)| (name, error.into())));
    list
}

fn append_errors() -> Vec<Named<AppendError>> {
    let mut list: Vec<Named<AppendError>> = Vec::new();
    samples!(list, AppendError {
        Conflict = AppendError::Conflict { stream: stream(), expected: ExpectedVersion::NoStream, actual: Version(1) };
        IdempotencyMismatch = AppendError::IdempotencyMismatch { what: SECRET.to_owned() };
        DuplicateEventId = AppendError::DuplicateEventId(AppendId::new().event_id(0));
        Invalid = AppendError::Invalid { reason: "it is so".to_owned() };
        ProjectionFailed = AppendError::ProjectionFailed { projection: "ledger", event: None, source: panicked().into() };
        ProjectionBehind = AppendError::ProjectionBehind { projection: "ledger", source: Box::new(lost().into()) };
        LimitExceeded = LimitExceeded { what: "the append".to_owned(), unit: "events", limit: 1, actual: 2 };
        Indeterminate = AppendError::Indeterminate { append: append().into(), source: lost() };
        UnderReplicated = AppendError::UnderReplicated { append: append().into() };
        Store = lost();
    });
    list.extend(store_errors().into_iter().map(|(name, error)| (name, error.into())));
    list
}

/// Of each error of a command, those that it holds included. Its refusal is an [`Invalid`].
pub fn execute_errors() -> Vec<Named<ExecuteError<Invalid>>> {
    type Error = ExecuteError<Invalid>;
    let conflict = |demanded| Error::Conflict {
        stream: stream(),
        expected: ExpectedVersion::Any,
        actual: Version(7),
        attempts: 10,
        demanded,
    };
    let indeterminate = |keyed| Error::Indeterminate {
        append: append().into(),
        keyed,
        source: lost(),
    };
    let invalid = || Invalid::new("address.city", "it is empty");
    let receipt = Receipt {
        stream: stream(),
        version: Version(7),
        position: Position(9),
        events: 1,
        repeated: false,
    };
    let mut list: Vec<Named<Error>> = vec![
        ("demanded Conflict".to_owned(), conflict(true)),
        ("keyed Indeterminate".to_owned(), indeterminate(true)),
    ];
    samples!(list, Error {
        Refused = Error::Refused(invalid());
        Invalid = invalid();
        InvalidEvent = Error::InvalidEvent { event: SECRET, source: invalid() };
        NotFound = Error::NotFound { stream: stream() };
        AlreadyExists = Error::AlreadyExists { stream: stream() };
        Conflict = conflict(false);
        IdempotencyMismatch = Error::IdempotencyMismatch { what: SECRET.to_owned() };
        InTransaction = Error::InTransaction { stream: StreamId::new("account", SECRET) };
        Busy = Error::Busy { stream: stream(), waiting: 64 };
        Misapplied = Error::Misapplied { stream: stream(), source: Misapplied::NotCreated(SECRET) };
        Encode = EncodeError::Value { name: SECRET, source: malformed() };
        Indeterminate = indeterminate(false);
        NotProjected = Error::NotProjected { receipt: Box::new(receipt), source: Box::new(lost().into()) };
        Append = Error::Append(AppendError::Store(lost()));
        Load = LoadError::Store(lost());
    });
    let not_read_back = EncodeError::NotReadBack {
        name: SECRET,
        shape_version: 1,
        source: Box::new(DecodeError::UnknownName),
    };
    list.push(("EncodeError::NotReadBack".to_owned(), not_read_back.into()));
    list.extend(
        append_errors()
            .into_iter()
            .map(|(name, error)| (name, Error::Append(error))),
    );
    list.extend(
        load_errors()
            .into_iter()
            .map(|(name, error)| (format!("load {name}"), error.into())),
    );
    list
}
