//! Random histories, run case by case.

use proptest::test_runner::Config;

use crate::scaled;

/// So many cases by the scale of the tests: few where each has a database of its own.
pub fn config(quick: u32, full: u32) -> Config {
    Config {
        cases: scaled(quick, full),
        failure_persistence: None,
        // A case that waits in vain takes a minute.
        max_shrink_time: 60_000,
        ..Config::default()
    }
}

/// Runs the case on a runtime of its own.
///
/// # Panics
///
/// If the case does.
pub fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(case);
}
