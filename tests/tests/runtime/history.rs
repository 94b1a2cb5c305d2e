//! Histories on each store: what the README promises holds, whatever several processes do at once, and whatever ends them.

use std::sync::Arc;

use es_runtime::MemoryStore;
use es_runtime::store::ProjectionStore;
use es_tests::history::{self, History, Size, check};
use es_tests::scaled;

fn size() -> Size {
    Size {
        seed: history::seed(),
        events: scaled(20_000, 200_000),
        kills: scaled(4, 24),
    }
}

#[track_caller]
fn keeps_its_promises(history: &History) {
    let violations = check(history);
    for violation in violations.iter().take(10) {
        println!("{violation}");
    }
    println!(
        "{} events, {} violations with ES_TEST_SEED={}: {:?}",
        history.stored.head,
        violations.len(),
        history.seed,
        history.answers()
    );
    assert!(violations.is_empty(), "{} promises are broken", violations.len());
}

/// Is a process of its own, if it is started as one.
#[tokio::test(flavor = "multi_thread")]
async fn history_process() {
    history::process().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_its_promises() {
    let store: Arc<dyn ProjectionStore> = Arc::new(MemoryStore::new());
    keeps_its_promises(&history::in_process(size(), async || Arc::clone(&store)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_its_promises() {
    keeps_its_promises(&history::on_sqlite(size(), "history::history_process").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_its_promises() {
    keeps_its_promises(&history::on_postgres(size(), "history::history_process").await);
}
