//! Random schedules of commands to one instance, over a store that fails: what was answered is so, once, and was decided on what was
//! stored by then.
//!
//! Each event holds what its decision has seen: a digest of all events before it.

mod ledger;
mod play;
mod unsteady;

use es_runtime::MemoryStore;
use es_tests::{scaled, stores};

use play::Play;

fn executor(time_stands: bool) -> tokio::runtime::Runtime {
    let mut executor = tokio::runtime::Builder::new_current_thread();
    executor.enable_all().start_paused(time_stands).build().unwrap()
}

#[test]
fn commands_in_any_schedule_take_effect_as_they_are_answered() {
    let (schedules, mut chained) = (scaled(2_000, 100_000), 0);
    for seed in 0..schedules {
        let play = Play::new(seed).stalling();
        chained += executor(true).block_on(play.on(MemoryStore::new()));
    }
    assert!(
        chained > schedules,
        "{chained} appends in chains of several are too few"
    );
}

#[test]
fn on_sqlite_too() {
    let folder = tempfile::tempdir().unwrap();
    executor(false).block_on(async {
        let store = es_sqlite::SqliteStore::open(folder.path().join("test.db"))
            .await
            .unwrap();
        for seed in 0..scaled(50, 1_000) {
            Play::new(seed).on(store.clone()).await;
        }
    });
}

#[test]
fn on_postgres_too() {
    executor(false).block_on(async {
        let store = stores::postgres().await;
        for seed in 0..scaled(50, 1_000) {
            Play::new(seed).on(store.clone()).await;
        }
    });
}
