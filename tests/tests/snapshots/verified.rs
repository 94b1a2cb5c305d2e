//! Snapshots, compared with what all events fold to.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use es_runtime::Key as _;
use es_runtime::prelude::*;
use es_runtime::runtime::{SnapshotError, VerifiedSnapshots};
use es_runtime::store::StateChange;
use es_tests::stores;

use crate::board::{double, each, single};
use crate::support::{Spy, Stateless, Store, cold, health, settled, watched};

thread_local! {
    static FEE: Cell<i64> = const { Cell::new(1) };
}

/// Changes without a change of any fingerprint, because it is no `#[apply]` method.
fn fee() -> i64 {
    FEE.get()
}

#[event]
struct Opened;

#[event]
struct Charged;

#[command]
struct Open;

#[command]
struct Charge;

#[value]
#[derive(Aggregate)]
#[es(snapshot(every = 1))]
struct Tab {
    due: i64,
}

#[aggregate]
impl Tab {
    #[handle]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[handle]
    fn charge(&self, _: Charge) -> Charged {
        Charged
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Self { due: 0 }
    }

    #[apply]
    fn charged(&mut self, _: Charged) {
        self.due += fee();
    }
}

fn memory() -> Store {
    Arc::new(MemoryStore::new())
}

/// The only difference that was found, as a user reads it.
fn only(found: &VerifiedSnapshots) -> String {
    assert_eq!((found.different, found.differences.len()), (1, 1), "{found:?}");
    found.differences[0].to_string()
}

#[tokio::test]
async fn a_change_of_the_fold_that_no_fingerprint_shows_is_found() {
    let store = memory();
    let runtime = cold(&store).await;
    let (charged, free) = (Id::new(), Id::new());
    for tab in [charged, free] {
        runtime.execute(tab, Open).await.unwrap();
    }
    runtime.execute(charged, Charge).await.unwrap();
    settled(&runtime).await;
    let found = runtime.verify_snapshots::<Tab>().await.unwrap();
    assert_eq!((found.checked, found.different), (2, 0), "{found:?}");

    FEE.set(2);
    let runtime = cold(&store).await;
    assert_eq!(
        runtime.load(charged).await.unwrap().unwrap().due,
        1,
        "a load does not see it"
    );
    let found = runtime.verify_snapshots::<Tab>().await.unwrap();
    assert_eq!(found.checked, 2);
    let stream = charged.stream_id();
    assert_eq!(
        only(&found),
        format!("the snapshot of `{stream}` at version 2: its field `due` is not what the events fold to")
    );
    assert_eq!(health(&runtime).await.written, 0, "it only reads");
}

#[tokio::test]
async fn a_snapshot_of_events_that_are_gone_is_found() {
    let clock = stores::clock();
    let events = MemoryStore::new().with_clock(clock.clone());
    let store: Store = Arc::new(events.clone());
    let runtime = cold(&store).await;
    let board = each::board_at(&runtime, 3).await;
    settled(&runtime).await;

    events.rewind(Position(2));
    let found = runtime.verify_snapshots::<each::Board>().await.unwrap();
    assert!(only(&found).ends_with("the stream ends at version 2"), "{found:?}");

    clock.advance(Duration::from_micros(1));
    runtime.append(board, each::Added { card: 1, points: 1 }).await.unwrap();
    let found = runtime.verify_snapshots::<each::Board>().await.unwrap();
    assert!(
        only(&found).ends_with("it was made of another event of this version"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_snapshot_that_is_not_as_it_was_written_is_found() {
    let store = memory();
    let spy = Spy::of(&store);
    let runtime = watched(&store, &spy).await;
    each::board_at(&runtime, 1).await;
    settled(&runtime).await;
    let kept = spy.saved().pop().unwrap();
    let payload = String::from_utf8(kept.payload.clone().unwrap().to_vec()).unwrap();
    let spoiled = StateChange {
        payload: Some(payload.replace("Sprint", "Splint").into()),
        ..kept.clone()
    };
    spy.replace(&kept.key, spoiled).await;
    let found = runtime.verify_snapshots::<each::Board>().await.unwrap();
    assert!(only(&found).ends_with("its checksum does not match"), "{found:?}");
}

#[tokio::test]
async fn a_sample_is_of_so_many_snapshots_of_this_build() {
    let store = memory();
    let runtime = cold(&store).await;
    for _ in 0..10 {
        let board = single::board_at(&runtime, 1).await;
        runtime.snapshot(board).await.unwrap();
    }
    let other = double::board_at(&runtime, 1).await;
    runtime.snapshot(other).await.unwrap();
    for (sample, checked) in [(0, 0), (3, 3), (10, 10), (100, 10)] {
        let found = runtime
            .verify_snapshots::<single::Board>()
            .sample(sample)
            .await
            .unwrap();
        assert_eq!((found.checked, found.different), (checked, 0), "{found:?}");
    }
    let all = runtime.verify_snapshots::<single::Board>().await.unwrap();
    assert_eq!(all.checked, 10);
}

#[tokio::test]
async fn without_a_store_of_states_there_is_nothing_to_verify() {
    let runtime = Runtime::builder(Stateless::new(&memory())).start().await.unwrap();
    let error = runtime.verify_snapshots::<single::Board>().await.unwrap_err();
    assert!(matches!(error, SnapshotError::Unsupported), "{error}");
}
