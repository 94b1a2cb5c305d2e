//! Tests of the workspace as a user sees it, in `tests/`: what compiles, with which message it does not, and what it does.

pub mod balances;
pub mod bank;
pub mod faults;
pub mod foreign;
pub mod history;
pub mod ledger;
pub mod parking;
pub mod process;
pub mod published;
pub mod random;
pub mod stores;
pub mod totals;
pub mod waits;

/// How many rounds a loop has: `quick`, or `full` with `ES_TEST_SCALE=full`.
pub fn scaled<T>(quick: T, full: T) -> T {
    if std::env::var("ES_TEST_SCALE").is_ok_and(|scale| scale == "full") {
        full
    } else {
        quick
    }
}

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
