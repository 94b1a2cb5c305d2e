use std::fmt::{Debug, Display};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Meta;
use super::source::RowEvent;
use crate::EventSourced;

/// A read model: its name, and its rows. Written by `#[projection]` on the struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection",
    label = "not a projection",
    note = "add `#[projection(name = \"…\")]` to `struct {Self}`"
)]
pub trait Projection: Send + Sync + Sized + 'static {
    /// The name of its table, its checkpoint and its lease.
    const NAME: &'static str;

    /// Rises when the rows are to be built anew. Each version has rows and a checkpoint of its own.
    const VERSION: u32;

    /// How many readers share its work, each of which takes some of the streams: 1 to 64. What one is to write, no other may, so that
    /// each row is that of one stream id. Never changes without the version.
    const SEGMENTS: u32 = 1;

    /// The fields by which rows are found or ordered fast: paths such as `owner` or `address.city`.
    const INDEXES: &'static [&'static str] = &[];

    /// Where its rows are kept: [`InStore`](super::InStore), and [`Inline`](super::Inline) with the append, [`InMemory`](super::InMemory), or
    /// nowhere, [`Live`](super::Live).
    type Rows;

    /// What becomes of an event that it cannot apply.
    const ON_FAILURE: OnFailure = OnFailure::Hold;
}

/// The treatment of an event that a projection cannot apply: one that this build does not know or cannot read, one that
/// does not fit the row, one whose method panics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The projection stops before it, reports it in [`Health`](super::Health), and tries again from time to time.
    #[default]
    Hold,
    /// The event is parked with its error, and so are later events of its [sequence](mod@super#parked-in-sequence). The
    /// projection continues with the others.
    Park,
    /// The event is parked with its error, and the projection continues behind it.
    ParkAlone,
}

/// The stored form of a row. Written by `#[projection]` on the struct, unless it says `schema = …`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection of rows",
    label = "not a projection of rows",
    note = "add `#[projection(name = \"…\")]` to `struct {Self}`",
    note = "with `schema = …` it has tables of its own instead: each `#[apply]` method takes the store's transaction first"
)]
pub trait Row: Projection + Serialize + DeserializeOwned + Clone + PartialEq + Debug {
    /// Returns whether each row is known to come back unchanged from its stored form, see
    /// [`Stored::is_plain`](crate::Stored::is_plain). If not, it is read back after each event, and an event whose row
    /// comes back different cannot be applied.
    fn is_plain() -> bool {
        false
    }
}

/// A projection whose rows are folded from events, one method per event. Written by `#[projection]` on the impl block.
#[diagnostic::on_unimplemented(
    message = "projection `{Self}` has no events that make rows",
    label = "no `#[projection]` impl block with rows",
    note = "add `#[projection] impl {Self} {{ … }}` with its `#[apply]` methods",
    note = "a projection with `schema = …` has tables of its own: read them with SQL"
)]
pub trait RowProjection: Row {
    /// By what a row is found: the id of the streams whose events make rows, or [`AnyKey`] if each method says what the key is.
    type Key: KeyFrom<AnyKey>;

    /// Every event that it applies.
    const EVENTS: &'static [RowEvent<Self>];
}

/// Applies event `E` of aggregate `A`, or each of its events, to a row. Written by `#[projection]` for each `#[apply]`
/// method.
pub trait ApplyRow<E, A: EventSourced>: Sized {
    /// Whether the key is the id of the event's stream, always: to ask for one row, no other stream need be read.
    const KEY_IS_STREAM: bool = false;

    /// Returns the keys of the rows that the event changes. A repeated key counts once.
    fn keys(event: &E, meta: &Meta<A>) -> Vec<String>;

    /// Returns the row after the event. `row` is the row before, `None` if there was none; returns `None` if there is
    /// none any more.
    ///
    /// # Errors
    ///
    /// If the event does not fit the row.
    fn apply(row: Option<Self>, event: E, meta: &Meta<A>) -> Result<Option<Self>, RowMismatch>;
}

/// The key of a row: anything whose text is exact, such as an [`Id`](crate::Id), a `String` or an integer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a row",
    label = "has no exact text",
    note = "a key needs `Display` and `Eq`: use an id, a string or an integer; for several rows write `keys = …`"
)]
pub trait RowKey: Display + Eq {}

impl<T: Display + Eq + ?Sized> RowKey for T {}

/// A key as text: for rows whose keys have several types, and for text that is known to be a key, such as that of a
/// [`ProjectionRow`](crate::ProjectionRow) row.
#[derive(Debug, Clone)]
pub struct AnyKey(String);

impl AnyKey {
    /// The key with this text.
    pub fn new(text: impl Display) -> Self {
        Self(text.to_string())
    }
}

/// Rows with this key are found by a `K`.
#[diagnostic::on_unimplemented(
    message = "the rows are found by `{Self}`, not by `{K}`",
    label = "not the key of these rows",
    note = "a row's key is the id of the stream whose events made it; text that is one goes in as `AnyKey::new(text)`"
)]
pub trait KeyFrom<K> {
    /// The key's text.
    fn row_key(key: K) -> String;
}

impl<K: RowKey> KeyFrom<K> for K {
    fn row_key(key: K) -> String {
        key.to_string()
    }
}

impl<K: RowKey> KeyFrom<&K> for K {
    fn row_key(key: &K) -> String {
        key.to_string()
    }
}

impl KeyFrom<&str> for String {
    fn row_key(key: &str) -> String {
        key.to_owned()
    }
}

impl<K: RowKey> KeyFrom<AnyKey> for K {
    fn row_key(key: AnyKey) -> String {
        key.0
    }
}

impl<K: RowKey> KeyFrom<K> for AnyKey {
    fn row_key(key: K) -> String {
        key.to_string()
    }
}

impl KeyFrom<AnyKey> for AnyKey {
    fn row_key(key: AnyKey) -> String {
        key.0
    }
}

/// A key that finds a row whose [key](RowProjection::Key) is a `K`: that, or [`AnyKey`].
pub trait KeyOfRow<K> {
    /// The key's text.
    fn into_row_key(self) -> String;
}

impl<K: KeyFrom<T>, T> KeyOfRow<K> for T {
    fn into_row_key(self) -> String {
        K::row_key(self)
    }
}

/// An event does not fit the row that it is to be applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowMismatch {
    /// It creates the row, which exists.
    #[error("event `{0}` creates the row, but it exists already")]
    Exists(&'static str),
    /// It changes the row, which does not exist.
    #[error("event `{0}` changes the row, but there is none: no event before it created one, or it was deleted")]
    Missing(&'static str),
}
