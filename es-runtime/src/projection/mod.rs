//! Read models folded from the events of all streams.

pub(crate) mod rows;
pub mod store;
