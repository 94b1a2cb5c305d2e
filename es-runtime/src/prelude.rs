//! Everything that the source file of a domain needs: `use es_runtime::prelude::*;`.

pub use crate::process::{AnyFailed, Beginning, Done, Due, Failed, Todo};
pub use crate::store::Compare;
pub use crate::testing::{Given as _, GivenProcess as _};
pub use crate::{
    Aggregate, Context, EventStore, ExecuteError, Id, Invalid, KeyOf, MemoryStore, Meta, Position, Recorded, Result,
    Runtime, Timestamp, Version, aggregate, apply, command, entity, event, handle, message, on, process_manager,
    projection, publication, publish, retired, value,
};
