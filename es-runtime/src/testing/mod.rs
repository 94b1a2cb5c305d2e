#![doc = include_str!("../../docs/testing.md")]

mod clock;
mod diff;
#[cfg(feature = "schema")]
mod events_lock;
mod process;
mod recording_sink;
mod scenario;

pub use clock::ManualClock;
#[cfg(feature = "schema")]
pub use events_lock::events_lock;
pub use process::{GivenProcess, ProcessScenario};
pub use recording_sink::RecordingSink;
pub use scenario::{Given, Scenario, Then};
