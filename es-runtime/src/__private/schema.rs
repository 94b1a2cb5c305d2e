//! Items that generated code needs only with the feature `schema`: the code is the same with and without it, and these
//! decide.

#[cfg(not(feature = "schema"))]
pub use es_macros::NoSchema as JsonSchema;
#[cfg(feature = "schema")]
pub use schemars::{self, JsonSchema};
#[cfg(feature = "schema")]
pub use serde_json::Value;

#[cfg(feature = "schema")]
pub use crate::schema::schema_of;

#[cfg(feature = "schema")]
use super::RetiredOf;
#[cfg(feature = "schema")]
use crate::{EventOf, EventSourced, schema::Shapes};

/// The tokens, with the feature `schema`.
#[cfg(feature = "schema")]
#[doc(hidden)]
#[macro_export]
macro_rules! __with_schema {
    ($($tokens:tt)*) => { $($tokens)* };
}

/// Nothing: the feature `schema` is off.
#[cfg(not(feature = "schema"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __with_schema {
    ($($tokens:tt)*) => {};
}

pub use crate::__with_schema as with_schema;

/// The shapes from which one of the aggregate's events can be read.
#[cfg(feature = "schema")]
pub fn shapes<A: EventSourced, E: EventOf<A>>(out: &mut Shapes) {
    E::shapes(out);
}

/// The shapes from which one of the aggregate's retired events can be read.
#[cfg(feature = "schema")]
pub fn retired_shapes<A: EventSourced, E: RetiredOf<A>>(out: &mut Shapes) {
    E::shapes(out);
}
