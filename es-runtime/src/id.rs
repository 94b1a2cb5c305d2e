use std::cmp::Ordering;
use std::fmt::{self, Debug, Display};
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{Aggregate, StreamId};

/// The id of one instance of an aggregate: [`Id<A>`](Id) unless `#[es(id = …)]` names a natural key.
///
/// Implemented for every type with an exact text form: `to_string` and `parse` must be inverses, because the text is
/// what is stored.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the id of an aggregate",
    label = "needs `Display`, `FromStr`, `Clone`, `Eq`, `Send` and `Sync`",
    note = "the id's text names the stream: implement `std::fmt::Display` and `std::str::FromStr` for `{Self}`, as each other's inverse"
)]
pub trait AggregateId: Display + FromStr + Clone + Eq + Send + Sync + 'static {}

impl<T: Display + FromStr + Clone + Eq + Send + Sync + 'static> AggregateId for T {}

/// A typed id: a `UUIDv7` that belongs to aggregate `A`, so that the id of an account is not taken for that of a customer.
///
/// ```
/// # use es_runtime::Id;
/// # struct Account;
/// let id: Id<Account> = Id::new();
/// assert_eq!(id.to_string().parse::<Id<Account>>().unwrap(), id);
/// ```
pub struct Id<A> {
    uuid: Uuid,
    aggregate: PhantomData<fn() -> A>,
}

impl<A> Id<A> {
    /// A new id, later in sort order than those made before it in this process.
    #[expect(
        clippy::new_without_default,
        reason = "each call gives another id, which `default` does not suggest"
    )]
    pub fn new() -> Self {
        Self::from_uuid(Uuid::now_v7())
    }

    /// The id with this UUID, of any UUID version.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self {
            uuid,
            aggregate: PhantomData,
        }
    }

    /// The UUID.
    pub const fn uuid(self) -> Uuid {
        self.uuid
    }
}

impl<A> Clone for Id<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Id<A> {}

impl<A> PartialEq for Id<A> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl<A> Eq for Id<A> {}

impl<A> PartialOrd for Id<A> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<A> Ord for Id<A> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl<A> Hash for Id<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

impl<A> Display for Id<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self.uuid.as_hyphenated(), f)
    }
}

impl<A> Debug for Id<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

/// The text is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: expected a UUID like 01940b6e-5f3c-7000-8000-000000000000")]
pub struct ParseIdError {
    text: String,
}

impl<A> FromStr for Id<A> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text)
            .map(Self::from_uuid)
            .map_err(|_| ParseIdError { text: text.to_owned() })
    }
}

impl<A> Serialize for Id<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.uuid.serialize(serializer)
    }
}

impl<'de, A> Deserialize<'de> for Id<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self::from_uuid)
    }
}

#[cfg(feature = "schema")]
impl<A> schemars::JsonSchema for Id<A> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Uuid::json_schema(generator)
    }
}

/// An id that says which aggregate it is of, so that `runtime.load(alice)` needs no type.
///
/// Implemented for [`Id<A>`](Id) and, by `#[derive(Aggregate)]`, for the natural key named in `#[es(id = Iban)]`. A key whose
/// type is of another crate, or is shared by several aggregates, is wrapped: [`KeyOf::<Account>::new(key)`](KeyOf).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which aggregate it identifies",
    label = "not the key of an aggregate",
    note = "pass an `Id<…>` or the type named in `#[es(id = …)]`; wrap a key of a foreign type: `KeyOf::<MyAggregate>::new(key)`"
)]
pub trait Key: Send + Sync {
    /// The aggregate that the key identifies.
    type Aggregate: Aggregate;

    /// The stream of that instance.
    fn stream_id(&self) -> StreamId;
}

impl<A: Aggregate> Key for Id<A> {
    type Aggregate = A;

    fn stream_id(&self) -> StreamId {
        let mut text = Uuid::encode_buffer();
        StreamId::new(A::NAME, &*self.uuid.as_hyphenated().encode_lower(&mut text))
    }
}

impl<K: Key + ?Sized> Key for &K {
    type Aggregate = K::Aggregate;

    fn stream_id(&self) -> StreamId {
        K::stream_id(self)
    }
}

/// A key of aggregate `A` whose own type does not say so: a `String`, a `u64`, a type of another crate.
pub struct KeyOf<A: Aggregate>(A::Id);

impl<A: Aggregate> KeyOf<A> {
    /// Makes `id` a key of `A`.
    pub fn new(id: impl Into<A::Id>) -> Self {
        Self(id.into())
    }
}

impl<A: Aggregate> Clone for KeyOf<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Aggregate> Debug for KeyOf<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyOf({}/{})", A::NAME, self.0)
    }
}

impl<A: Aggregate> Key for KeyOf<A> {
    type Aggregate = A;

    fn stream_id(&self) -> StreamId {
        StreamId::new(A::NAME, self.0.to_string())
    }
}
