//! The same bank with other crates, by their own in-memory stores.

pub mod cqrs;
pub mod eventually;
