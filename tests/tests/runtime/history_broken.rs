//! The check of histories bites: it finds the fault of each of these stores.

use std::sync::Arc;

use es_conformance::broken::BROKEN;
use es_runtime::SystemClock;
use es_tests::history::{Size, check, in_process, in_process_without_projections};

/// Makes histories of a store with this fault until one shows it.
async fn is_found(fault: &str) {
    let broken = BROKEN.iter().find(|broken| broken.name == fault).expect("there is one");
    for seed in 1..=10 {
        let (fixture, clock) = (broken.fixture(), Arc::new(SystemClock));
        let size = Size {
            seed,
            events: 2_000,
            kills: 2,
        };
        let history = if fixture.open_projections(clock.clone()).await.is_some() {
            let open = async || fixture.open_projections(clock.clone()).await.expect("it has them");
            in_process(size, open).await
        } else {
            in_process_without_projections(size, async || fixture.open(clock.clone()).await).await
        };
        if !check(&history).is_empty() {
            return;
        }
    }
    panic!("no history shows that the store {}", broken.fault);
}

macro_rules! is_found {
    ($($fault:ident)+) => {
        $(#[tokio::test(flavor = "multi_thread")] async fn $fault() {
            is_found(stringify!($fault)).await;
        })+
    };
}

is_found! {
    shows_late_commits_late
    interleaves_batches
    tears_batches_on_conflict
    tears_dropped_appends
    leaves_a_trace_of_conflicts
    checks_then_writes
    does_not_check_guards
    reuses_a_version
    repeats_at_the_seam
    forgets_append_ids
    forgets_keys
    resolves_nothing
    moves_the_checkpoint_first
}
