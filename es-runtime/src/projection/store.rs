//! What a store keeps for projections and subscriptions: leases, checkpoints, rows, parked events.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{EventId, EventStore, Position, StoreError, Timestamp};

/// A store that keeps read models beside the events. What a projection did with a batch of events is one transaction: its
/// rows, its checkpoint and the proof that it is still the one to write them.
///
/// `es-conformance` checks what these methods promise, on every store alike.
#[async_trait]
pub trait ProjectionStore: EventStore {
    /// Takes the lease for `owner` until `ttl` from now, by the store's own clock: those of the processes do not matter. `None`
    /// if another owner holds it. The owner that holds it gets it again, with the same epoch.
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError>;

    /// Keeps the lease until `ttl` from now. `false` if another owner has taken it since: then nothing may be written under it.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives the lease back, so that another owner need not wait for its end. Nothing happens if it was lost.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// How far the reader of this name has come; `None` if it has never begun.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Diverged`] if the event that stood at the checkpoint does not stand there now: the store was restored
    /// to an earlier point.
    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError>;

    /// Writes what a reader did with the events after `from` up to `to`: all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`CommitError::Indeterminate`] if the outcome could not be learnt: read the [`checkpoint`](Self::checkpoint), which has
    /// moved if it was written. After every other error nothing is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the commit done as a whole or not at all.
    async fn commit(&self, commit: Commit) -> Result<(), CommitError>;

    /// Removes the checkpoint, the rows and the parked events of a reader, so that it begins anew.
    async fn forget(&self, reader: &str, table: Option<&RowTable>, lease: &Lease) -> Result<(), CommitError>;

    /// Creates the table and its indexes, if they are not there.
    async fn create_table(&self, table: &RowTable) -> Result<(), StoreError>;

    /// The rows with these keys, in the order of the keys.
    async fn rows(&self, table: &RowTable, keys: &[String]) -> Result<Vec<Option<Row>>, StoreError>;

    /// The rows that a query asks for, in its order.
    async fn list_rows(&self, table: &RowTable, query: &RowQuery) -> Result<Vec<Row>, StoreError>;

    /// The events that a reader has parked, in the order of their positions, from `after` on.
    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError>;
}

/// The right to write under a name, until another owner takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: String,
    /// Who holds it.
    pub owner: String,
    /// Rises each time that another owner takes it: what is written under an older one is refused.
    pub epoch: u64,
}

/// How far a reader of the log has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Every event up to here is done.
    pub position: Position,
    /// When it was moved last, by the store's clock.
    pub updated_at: Timestamp,
}

/// What a reader did with a stretch of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The reader's name.
    pub reader: String,
    /// The lease under which it works.
    pub lease: Lease,
    /// Where its checkpoint stands: [`Position::ZERO`] if it has none.
    pub from: Position,
    /// Where its checkpoint goes: an event of the log. The store keeps the event's id with it.
    pub to: Position,
    /// The table of `rows`.
    pub table: Option<RowTable>,
    /// The rows that change, each key once.
    pub rows: Vec<RowChange>,
    /// Events that are put aside.
    pub park: Vec<Parked>,
    /// Positions of parked events that are done now.
    pub unpark: Vec<Position>,
}

/// The table of one version of a projection. Another version has a table of its own, beside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowTable {
    /// The projection's name.
    pub projection: Cow<'static, str>,
    /// The projection's version.
    pub version: u32,
    /// The fields by which rows are looked up or ordered: paths such as `owner` or `address.city`.
    pub indexes: Cow<'static, [Cow<'static, str>]>,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// The key.
    pub key: String,
    /// The row in JSON; `None` deletes it.
    pub data: Option<Bytes>,
    /// The event that changed it last.
    pub position: Position,
}

/// A row of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: String,
    /// The row in JSON, as it was written.
    pub data: Bytes,
    /// The event that changed it last.
    pub position: Position,
}

/// An event that a reader could not handle and put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The event's number in the store.
    pub position: Position,
    /// The event.
    pub event: EventId,
    /// What went wrong at the last attempt.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// Which rows to list: all in the order of their keys, unless told otherwise.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowQuery {
    /// What the rows must fulfil, all of it.
    pub filters: Vec<RowFilter>,
    /// By which field they are ordered, then by key; by key alone if `None`. Numbers go before text; rows without the field are
    /// left out.
    pub order_by: Option<Cow<'static, str>>,
    /// From the largest to the smallest.
    pub descending: bool,
    /// Only rows behind this one in the order: where the page before ended.
    pub after: Option<RowCursor>,
    /// How many at most.
    pub limit: Option<u32>,
}

/// A condition on one field of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct RowFilter {
    /// The path of the field, such as `owner` or `address.city`.
    pub field: Cow<'static, str>,
    /// How it compares.
    pub compare: Compare,
    /// With what.
    pub value: FieldValue,
}

/// How a field compares with a value. A field of another type than the value does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// It is equal.
    Equal,
    /// It is less.
    Less,
    /// It is less or equal.
    AtMost,
    /// It is greater.
    Greater,
    /// It is greater or equal.
    AtLeast,
}

/// A field's value, as far as rows are filtered and ordered by it.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// `true` or `false`, in this order: `false` first.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// Text, ordered by its bytes.
    Text(String),
}

/// The place of a row in the order of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct RowCursor {
    /// The row's value of the field by which is ordered.
    pub value: Option<FieldValue>,
    /// The row's key.
    pub key: String,
}

/// Why a checkpoint was not given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The event that stood at the checkpoint does not stand there now: the store was restored to an earlier point.
    #[error(
        "`{reader}` stands at position {position} with event {expected}, but {}: the store was restored to an earlier point. Rebuild it",
        match found { Some(found) => format!("event {found} stands there now"), None => "no event stands there now".to_owned() }
    )]
    Diverged {
        /// The reader.
        reader: String,
        /// Where its checkpoint stands.
        position: Position,
        /// The event that stood there.
        expected: EventId,
        /// The event that stands there now.
        found: Option<EventId>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a commit was not done, or is not known to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Another owner has the lease: stop.
    #[error("`{lease}` is held by another owner")]
    LeaseLost {
        /// The lease's name.
        lease: String,
    },
    /// The checkpoint does not stand where the stretch begins.
    #[error("the checkpoint of `{reader}` stands at {actual}, not at {expected}")]
    Moved {
        /// The reader.
        reader: String,
        /// Where it was said to stand.
        expected: Position,
        /// Where it stands.
        actual: Position,
    },
    /// It is not known whether the commit was done: read the checkpoint.
    #[error("it is not known whether the batch was written")]
    Indeterminate(#[source] StoreError),
    /// The store failed; nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
