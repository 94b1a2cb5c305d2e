#![doc = include_str!("../../docs/events-lock.md")]
#![allow(
    clippy::test_attr_in_doctest,
    reason = "the chapter shows a test, which is compiled there and run in the bank"
)]

mod advice;
mod aggregates;
mod check;
mod compare;
mod events_lock;
mod export;
mod golden;
mod lock;
mod read;
mod renamed;
mod report;
mod rust;
mod sample;
mod shape;
mod shapes;
mod text;
mod today;

pub use aggregates::Aggregates;
#[doc(hidden)]
pub use aggregates::{Category, each_entity};
pub use events_lock::{Additions, EventsLockError, check_events_lock};
pub use export::export;
pub use schemars;
pub use shapes::Shapes;
#[doc(hidden)]
pub use shapes::schema_of;
