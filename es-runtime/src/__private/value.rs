use serde::Serialize;

/// What a field of an event or a command must be. Only one of serde's two traits is asked for: each would be an error of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of an event or a command",
    label = "has no stored form",
    note = "if `{Self}` is a type of yours, add `#[value]` to it; if it is of another crate, turn on that crate's `serde` feature"
)]
pub trait Value {}

impl<T: Serialize> Value for T {}

/// Fails to compile if `T` has no stored form.
pub const fn assert_value<T: Value>() {}
