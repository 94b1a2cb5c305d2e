//! Tests of a domain, without a store and without async.

mod clock;
mod diff;
mod scenario;

pub use clock::ManualClock;
pub use scenario::{Given, Scenario, Then};
