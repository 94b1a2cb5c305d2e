#![doc = include_str!("../docs/nats.md")]

mod headers;
mod sink;

pub use async_nats;
pub use sink::{ConnectError, NatsSink};
