use serde::Serialize;

/// The bound on a field of an event or a command. It asks for only one of serde's two traits: each would be an error of
/// its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of an event or a command",
    label = "has no stored form",
    note = "if `{Self}` is a type of yours, add `#[value]` to it; if it is of another crate, turn on that crate's `serde` feature",
    note = "what is said of `Debug`, `Clone`, `PartialEq` and serde at the same field goes away with it"
)]
pub trait Value {}

impl<T: Serialize> Value for T {}

/// The additional bound on a field of an event with the feature `schema`.
#[cfg(feature = "schema")]
#[diagnostic::on_unimplemented(
    message = "the shape of `{Self}` is not known, which the feature `schema` of `es-runtime` needs",
    label = "has no schema",
    note = "if `{Self}` is a type of yours, add `#[value]` to it; if it is of another crate, turn on the feature of `schemars` for that crate",
    note = "or say above the field which type has the same stored form: `#[schemars(with = \"String\")]`"
)]
pub trait Shaped {}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> Shaped for T {}

/// Fails to compile if `T` has no stored form.
pub const fn assert_value<T: Value>() {}

/// Fails to compile if the shape of `T` is not known.
#[cfg(feature = "schema")]
pub const fn assert_shape<T: Shaped>() {}
