//! Read models folded from the events of all streams.

pub mod store;
