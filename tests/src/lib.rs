//! Tests of the workspace as a user sees it, in `tests/`: what compiles, with which message it does not, and what it does.

pub mod balances;
pub mod bank;
pub mod faults;
pub mod foreign;
pub mod stores;
pub mod totals;

#[doc(hidden)]
pub use es_sqlite::SqliteStore;
#[doc(hidden)]
pub use tempfile::tempdir;

/// The README, whose programs are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The aggregate by hand of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../docs/by-hand.md")]
pub struct ByHand;
