#![doc = include_str!("../../docs/testing.md")]

mod clock;
mod diff;
mod scenario;

pub use clock::ManualClock;
pub use scenario::{Given, Scenario, Then};
