//! Readers of the log: projections and subscriptions.

mod attempts;
mod backoff;
mod control;
mod cursors;
mod guard;
mod inputs;
mod lease;
mod parked;
mod processor;
pub(crate) mod sequence;
mod wait;

pub(crate) use attempts::{Attempt, AttemptLog, ENDED, FIRST, remove_attempts};
pub(crate) use backoff::{backoff, next};
pub use control::ControlError;
pub(crate) use control::{Call, Calls, Order, stopped};
pub(crate) use cursors::{Cursors, position_of};
pub(crate) use guard::{guarded, text_of};
pub(crate) use inputs::{Inputs, NotAdmitted};
pub(crate) use lease::{Held, TTL, Tenure};
pub(crate) use parked::{all_parked, count_parked};
pub(crate) use processor::{Ended, Processor, Reader, STANDBY, Tenancy};
pub(crate) use sequence::{Key, Keys, Sequences};
pub(crate) use wait::Waiter;
