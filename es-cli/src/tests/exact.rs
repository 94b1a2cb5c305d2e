use es_runtime::prelude::*;
use es_runtime::{Builder, KeyOf};
use es_tests::waits::LONG;
use serde::Serialize;
use tokio::time::timeout;

use super::run;

#[event]
struct Stored {
    grains: u128,
}

#[command]
struct Store {
    grains: u128,
}

#[derive(Debug, Serialize, Aggregate)]
#[es(id = String)]
struct Vault {
    grains: u128,
}

#[aggregate]
impl Vault {
    #[handle]
    fn store(cmd: Store) -> Stored {
        Stored { grains: cmd.grains }
    }

    #[apply]
    fn stored(event: Stored) -> Self {
        Vault { grains: event.grains }
    }
}

#[process_manager(name = "guard", id = String)]
struct Guard {
    grains: u128,
}

#[process_manager]
impl Guard {
    #[on]
    fn stored(event: Stored, _: &Meta<Vault>, _: &mut Todo<Self>) -> Self {
        Guard { grains: event.grains }
    }
}

#[projection(name = "spilled", park)]
struct Spilled {}

#[projection]
impl Spilled {
    #[apply]
    fn stored(_: Stored) -> Self {
        panic!("it has a hole")
    }
}

fn builder(store: &MemoryStore) -> Builder<MemoryStore> {
    let builder = Runtime::builder(store.clone()).aggregate::<Vault>();
    builder
        .process_manager::<Guard>(Beginning::Start)
        .projection::<Spilled>()
}

#[tokio::test]
async fn programs_get_every_digit_that_is_stored() {
    // More than any floating point number holds.
    const GRAINS: u128 = 123_456_789_012_345_678_901_234_567;
    let store = MemoryStore::new();
    let runs = builder(&store).start().await.unwrap();
    let vault = KeyOf::<Vault>::new("north");
    runs.execute(vault, Store { grains: GRAINS }).await.unwrap();
    let taken_in = async {
        let spilled = runs.projections().next().unwrap();
        let guard = runs.process_managers().next().unwrap();
        while spilled.status().await.unwrap().parked == 0 || guard.list().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, taken_in).await.unwrap();
    runs.shutdown().await.unwrap();

    let content = format!("{{\"grains\":{GRAINS}}}");
    let commands: [&[&str]; 8] = [
        &["events"],
        &["stream", "vault/north"],
        &["state", "vault/north"],
        &["history", "vault/north"],
        &["dry-run", "vault/south", "store", &content],
        &["parked", "list"],
        &["processes", "list"],
        &["processes", "show", "guard", "north"],
    ];
    for command in commands {
        let ran = run(builder(&store), &[command, &["--json"]].concat()).await;
        for line in ran.out.lines() {
            assert!(line.contains(&content), "{command:?}: {line}");
        }
        assert!(!ran.out.is_empty(), "{command:?}: {ran:?}");
    }
}
