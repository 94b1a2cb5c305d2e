//! Snapshots that are not as they were written, and those of a store that was restored to an earlier point.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::store::StateChange;
use es_tests::{scaled, stores};

use crate::board::single;
use crate::support::{Spy, Store, health, settled, watched};

/// A board of 12 events, with its snapshot.
async fn kept(store: &Store, spy: &Arc<Spy>) -> (Id<single::Board>, StateChange) {
    let runtime = watched(store, spy).await;
    let board = single::board_at(&runtime, 12).await;
    runtime.snapshot(board).await.unwrap();
    settled(&runtime).await;
    let kept = spy.saved().pop().unwrap();
    assert_eq!(kept.sequence, 12);
    (board, kept)
}

fn memory() -> Store {
    Arc::new(MemoryStore::new())
}

#[tokio::test]
async fn any_flipped_bit_of_the_payload_has_the_events_replayed() {
    let store = memory();
    let spy = Spy::of(&store);
    let (board, kept) = kept(&store, &spy).await;
    let payload = kept.payload.clone().unwrap();
    let runtime = watched(&store, &spy).await;
    let mut flipped = 0;
    for (index, byte) in payload.iter().enumerate() {
        for bit in (0..8).filter(|bit| scaled(index % 8 == *bit, true)) {
            let mut spoiled = payload.to_vec();
            spoiled[index] = byte ^ (1 << bit);
            let spoiled = StateChange {
                payload: Some(spoiled.into()),
                ..kept.clone()
            };
            spy.replace(&kept.key, spoiled).await;
            assert_eq!(single::total(&runtime, board).await, 11);
            settled(&runtime).await;
            flipped += 1;
            let health = health(&runtime).await;
            assert_eq!((health.corrupt, health.used), (flipped, 0), "bit {bit} of byte {index}");
            assert_eq!(health.written, flipped, "it was written again");
        }
    }
    assert!(flipped > 100);
    single::total(&runtime, board).await;
    assert_eq!(health(&runtime).await.used, 1);
    assert!(health(&runtime).await.last_error.unwrap().contains("checksum"));
}

es_tests::on_every_store_and_postgres! {
    async fn one_of_another_instance_version_or_build_is_not_used(store: _, _clock: _) {
        let spy = Spy::of(&store);
        let (board, mine) = kept(&store, &spy).await;
        let runtime = watched(&store, &spy).await;
        let other = single::board_at(&runtime, 1).await;
        single::add(&runtime, other, 1_000).await;
        runtime.snapshot(other).await.unwrap();
        let others = spy.saved().pop().unwrap();
        let spoiled = [
            StateChange { key: mine.key.clone(), ..others },
            StateChange { sequence: 11, ..mine.clone() },
            StateChange { sequence: 13, ..mine.clone() },
            StateChange { shape: mine.shape ^ 1, ..mine.clone() },
        ];
        for spoiled in spoiled {
            spy.replace(&mine.key, spoiled).await;
            assert_eq!(single::total(&runtime, board).await, 11);
            settled(&runtime).await;
        }
        let health = health(&runtime).await;
        assert_eq!((health.corrupt, health.stale), (3, 1), "{health:?}");
    }

    async fn one_that_is_cut_short_or_deleted_is_not_used(store: _, _clock: _) {
        let spy = Spy::of(&store);
        let (board, mine) = kept(&store, &spy).await;
        let runtime = watched(&store, &spy).await;
        spy.replace(&mine.key, StateChange { payload: Some("{}".into()), ..mine.clone() }).await;
        assert_eq!(single::total(&runtime, board).await, 11);
        settled(&runtime).await;
        let deleted = StateChange { change: es_runtime::store::Change::Delete, payload: None, ..mine.clone() };
        spy.replace(&mine.key, deleted).await;
        assert_eq!(single::total(&runtime, board).await, 11);
        assert_eq!(health(&runtime).await.corrupt, 1);
    }
}

/// A store that was restored: the same boards, with other events, over the snapshots of the first one.
struct Restored {
    board: Id<single::Board>,
    spy: Arc<Spy>,
    clock: es_runtime::testing::ManualClock,
    runtime: Runtime,
}

impl Restored {
    /// There is a snapshot of version 12, and no event yet.
    async fn empty() -> Self {
        let clock = stores::clock();
        let first: Store = Arc::new(MemoryStore::new().with_clock(clock.clone()));
        let spy = Spy::of(&first);
        let (board, _) = kept(&first, &spy).await;
        let restored: Store = Arc::new(MemoryStore::new().with_clock(clock.clone()));
        let runtime = watched(&restored, &spy).await;
        Self {
            board,
            spy,
            clock,
            runtime,
        }
    }

    /// Loads, and looks at what is kept then.
    async fn loads(&self, total: i64) {
        assert_eq!(single::total(&self.runtime, self.board).await, total);
        settled(&self.runtime).await;
        assert_eq!(single::total(&self.runtime, self.board).await, total);
    }
}

#[tokio::test]
async fn one_of_a_version_that_the_stream_does_not_have_is_replaced() {
    let restored = Restored::empty().await;
    let Restored { board, runtime, .. } = &restored;
    runtime
        .execute(*board, single::Open { name: "Sprint".into() })
        .await
        .unwrap();
    assert_eq!(health(runtime).await.ahead, 1, "a command meets it too");
    settled(runtime).await;
    single::grow(runtime, *board, 4).await;
    restored.loads(4).await;
    let health = health(runtime).await;
    assert_eq!((health.ahead, health.used), (1, 2), "{health:?}");
    assert!(health.last_error.unwrap().contains("version 12"));
}

#[tokio::test]
async fn one_of_an_event_that_was_recorded_at_another_time_is_replaced() {
    let restored = Restored::empty().await;
    let Restored {
        board, runtime, clock, ..
    } = &restored;
    clock.advance(Duration::from_micros(1));
    let cold = Runtime::builder(Arc::clone(runtime.store())).start().await.unwrap();
    single::open(&cold, *board, 1).await;
    for _ in 0..11 {
        single::add(&cold, *board, 5).await;
    }
    restored.loads(55).await;
    let health = health(runtime).await;
    assert_eq!((health.diverged, health.used), (1, 1), "{health:?}");
    assert_eq!(restored.spy.versions().last(), Some(&12));
}

#[tokio::test]
async fn one_of_an_event_at_another_position_is_replaced() {
    let restored = Restored::empty().await;
    let Restored { board, runtime, .. } = &restored;
    let cold = Runtime::builder(Arc::clone(runtime.store())).start().await.unwrap();
    single::board_at(&cold, 1).await;
    single::open(&cold, *board, 1).await;
    for _ in 0..12 {
        single::add(&cold, *board, 5).await;
    }
    restored.loads(60).await;
    let health = health(runtime).await;
    assert_eq!((health.diverged, health.used), (1, 1), "{health:?}");
}
