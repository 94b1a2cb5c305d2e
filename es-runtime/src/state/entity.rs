use std::fmt::Display;
use std::str::FromStr;

use crate::Stored;

/// Something of which only the latest state is kept, under its id. Written by `#[entity]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entity",
    label = "not an entity",
    note = "add `#[entity(id = …)]` to `struct {Self}`"
)]
pub trait Entity: Stored {
    /// The type of the field that tells entities apart.
    type Id: EntityId;

    /// Returns the id: it stays the same as long as the entity is there.
    fn id(&self) -> &Self::Id;
}

/// The id of an entity: every type whose text reads back as the same value, because the text is what is stored.
pub trait EntityId: Display + FromStr + Ord + Clone + Send + Sync + 'static {}

impl<T: Display + FromStr + Ord + Clone + Send + Sync + 'static> EntityId for T {}
