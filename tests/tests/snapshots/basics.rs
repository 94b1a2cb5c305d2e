//! When snapshots are written, and that loads begin with them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::runtime::SnapshotError;
use es_runtime::store::{Demand, Purge};

use crate::board::{by_hand, each, single, slow};
use crate::support::{Counting, Refusing, Slow, Spy, Stateless, Store, cold, health, settled, until, watched};

es_tests::on_every_store_and_postgres! {
    async fn a_load_reads_only_the_events_from_the_snapshot_on(store: _, _clock: _) {
        let runtime = cold(&store).await;
        let board = single::board_at(&runtime, 20).await;
        settled(&runtime).await;
        single::grow(&runtime, board, 5).await;

        let (counting, loaded) = Counting::new(&store);
        let runtime = Runtime::builder(counting).start().await.unwrap();
        let state = runtime.load(board).await.unwrap().unwrap();
        assert_eq!((state.version, state.total), (Version(25), 24));
        assert_eq!(loaded.swap(0, Ordering::Relaxed), 6, "event 20 shows that the stream is the same");
        runtime.dry_run(board, single::Add { card: 1, points: 1 }).await.unwrap();
        assert_eq!(loaded.swap(0, Ordering::Relaxed), 6);
        let receipt = runtime.execute(board, single::Add { card: 1, points: 1 }).await.unwrap();
        assert_eq!(receipt.version, 26);
        assert_eq!(loaded.swap(0, Ordering::Relaxed), 6);
        assert_eq!(health(&runtime).await.used, 3);
    }

    async fn a_snapshot_is_of_the_last_event_of_the_append_that_crosses_a_multiple(store: _, _clock: _) {
        let spy = Spy::of(&store);
        let runtime = watched(&store, &spy).await;
        let board = single::board_at(&runtime, 1).await;
        let add = async |cards: u32| {
            let cards = (0..cards).map(|card| (card, 1)).collect();
            runtime.execute(board, single::AddAll { cards }).await.unwrap();
        };
        add(8).await;
        assert_eq!(spy.versions(), [0; 0]);
        add(1).await;
        settled(&runtime).await;
        add(10).await;
        settled(&runtime).await;
        add(25).await;
        settled(&runtime).await;
        add(4).await;
        settled(&runtime).await;
        assert_eq!(spy.versions(), [10, 20, 45]);
    }

    async fn one_is_written_by_every_way_to_append(store: _, _clock: _) {
        let spy = Spy::of(&store);
        let runtime = watched(&store, &spy).await;
        let board = single::board_at(&runtime, 9).await;
        runtime.atomically(async |tx| tx.execute(board, single::Add { card: 1, points: 1 }).await).await.unwrap();
        settled(&runtime).await;
        single::grow(&runtime, board, 9).await;
        runtime.append(board, single::Added { card: 1, points: 1 }).await.unwrap();
        settled(&runtime).await;
        assert_eq!(spy.versions(), [10, 20]);
    }

    async fn one_is_written_without_a_cache_too(store: _, _clock: _) {
        let spy = Spy::of(&store);
        let builder = Runtime::builder(store.clone()).states(spy.clone()).cache(0);
        let runtime = builder.start().await.unwrap();
        let board = each::board_at(&runtime, 3).await;
        until(&runtime, |_| spy.versions().last() == Some(&3)).await;
        assert_eq!(runtime.load(board).await.unwrap().unwrap().total, 2);
    }

    async fn by_hand_it_is_written_now_and_gives_the_version(store: _, _clock: _) {
        let spy = Spy::of(&store);
        let runtime = watched(&store, &spy).await;
        let board = by_hand::board_at(&runtime, 30).await;
        assert_eq!(spy.versions(), [0; 0]);
        assert_eq!(runtime.snapshot(board).await.unwrap(), 30);
        assert_eq!(runtime.snapshot(board).await.unwrap(), 30);
        assert_eq!(spy.versions(), [30], "it is kept already");
        by_hand::grow(&runtime, board, 1).await;
        assert_eq!(runtime.snapshot(board).await.unwrap(), 31);
        let error = runtime.snapshot(Id::<by_hand::Board>::new()).await.unwrap_err();
        assert!(matches!(error, SnapshotError::NotFound { .. }), "{error}");
    }

    async fn a_state_that_took_many_events_to_load_is_kept(store: _, _clock: _) {
        let runtime = cold(&store).await;
        let board = by_hand::board_at(&runtime, 30).await;
        let board: Id<single::Board> = board.to_string().parse().unwrap();
        let spy = Spy::of(&store);
        let runtime = watched(&store, &spy).await;
        runtime.load(board).at_version(29).await.unwrap();
        settled(&runtime).await;
        assert_eq!(spy.versions(), [0; 0], "the past is not worth it");
        runtime.load(board).await.unwrap();
        settled(&runtime).await;
        assert_eq!(spy.versions(), [30]);
    }

    async fn snapshots_that_are_gone_are_written_again(store: _, _clock: _) {
        let spy = Spy::of(&store);
        let runtime = watched(&store, &spy).await;
        let board = single::board_at(&runtime, 20).await;
        settled(&runtime).await;
        single::grow(&runtime, board, 5).await;
        let keys = spy.saved().into_iter().map(|change| change.key);
        spy.states.purge(Purge::entities(keys)).await.unwrap();

        let runtime = watched(&store, &spy).await;
        assert_eq!(runtime.load(board).await.unwrap().unwrap().total, 24);
        settled(&runtime).await;
        assert_eq!(spy.versions().last(), Some(&25));
        assert_eq!(runtime.load(board).await.unwrap().unwrap().total, 24);
        assert_eq!(health(&runtime).await.used, 1);
    }

    async fn an_older_snapshot_never_replaces_a_newer(store: _, _clock: _) {
        let spy = Spy::of(&store);
        let runtime = watched(&store, &spy).await;
        let board = single::board_at(&runtime, 10).await;
        settled(&runtime).await;
        single::grow(&runtime, board, 10).await;
        settled(&runtime).await;
        let older = spy.saved().swap_remove(0);
        assert_eq!(older.sequence, 10);
        let key = older.key.clone();
        spy.states.save(vec![older], Demand::Newer).await.unwrap();
        assert_eq!(spy.states.get(&key).await.unwrap().unwrap().sequence, 20);
        assert_eq!(runtime.load(board).await.unwrap().unwrap().total, 19);
    }

    async fn no_snapshot_is_of_an_event_whose_append_failed(store: _, _clock: _) {
        let (spy, refusing) = (Spy::of(&store), Refusing::new(&store));
        let builder = Runtime::builder(refusing.clone()).states(spy.clone());
        let runtime = builder.start().await.unwrap();
        let board = each::board_at(&runtime, 2).await;
        settled(&runtime).await;
        for outcome_is_known in [true, false] {
            refusing.0.refuse(outcome_is_known);
            let refused = runtime.execute(board, each::Add { card: 1, points: 1 }).await;
            refused.unwrap_err();
            settled(&runtime).await;
            assert_eq!(spy.versions().last(), Some(&2));
        }
    }

    async fn states_that_are_away_cost_snapshots_and_nothing_else(store: _, _clock: _) {
        let spy = Spy::of(&store);
        let runtime = watched(&store, &spy).await;
        spy.fail(true);
        let board = single::board_at(&runtime, 25).await;
        let health = until(&runtime, |health| health.failed >= 2).await;
        assert_eq!(health.written, 0);
        assert!(health.last_error.unwrap().contains("the states are away"));
        assert_eq!(runtime.load(board).await.unwrap().unwrap().total, 24);
        spy.fail(false);
        single::grow(&runtime, board, 5).await;
        until(&runtime, |health| health.written > 0).await;
        assert_eq!(cold(&store).await.load(board).await.unwrap().unwrap().total, 29);
    }
}

#[tokio::test]
async fn without_a_store_of_states_snapshots_are_off() {
    let store: Store = Arc::new(MemoryStore::new());
    let runtime = Runtime::builder(Stateless::new(&store)).start().await.unwrap();
    let board = single::board_at(&runtime, 25).await;
    assert_eq!(runtime.load(board).await.unwrap().unwrap().total, 24);
    let error = runtime.snapshot(board).await.unwrap_err();
    assert!(matches!(error, SnapshotError::Unsupported), "{error}");
    let health = health(&runtime).await;
    assert_eq!((health.on, health.written, health.used), (false, 0, 0));
}

#[tokio::test]
async fn what_waits_is_written_before_the_store_is_closed() {
    let store: Store = Arc::new(MemoryStore::new());
    let spy = Spy::of(&store);
    let runtime = watched(&store, &spy).await;
    for _ in 0..50 {
        single::board_at(&runtime, 10).await;
    }
    runtime.shutdown().await.unwrap();
    assert_eq!(spy.versions(), [10; 50]);
    assert_eq!(health(&runtime).await.written, 50);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_took_long_to_load_is_kept() {
    let store: Store = Arc::new(MemoryStore::new());
    let board = slow::board_at(&cold(&store).await, 3).await;
    for (millis, written) in [(40, 0), (60, 1)] {
        let store = Slow::new(&store, Duration::from_millis(millis));
        let runtime = Runtime::builder(store).start().await.unwrap();
        runtime.load(board).await.unwrap();
        settled(&runtime).await;
        assert_eq!(health(&runtime).await.written, written, "after {millis} ms");
    }
}

#[tokio::test]
async fn one_that_was_skipped_is_written_when_it_is_due_again() {
    let store: Store = Arc::new(MemoryStore::new());
    let spy = Spy::of(&store);
    let runtime = watched(&store, &spy).await;
    spy.hold();
    each::board_at(&runtime, 1).await;
    while health(&runtime).await.queued != 1 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1_024 {
        each::board_at(&runtime, 1).await;
    }
    assert_eq!(health(&runtime).await.skipped, 0);
    let late = each::board_at(&runtime, 1).await;
    assert_eq!(health(&runtime).await.skipped, 1);
    spy.let_go();
    until(&runtime, |health| health.written == 1_025).await;
    each::add(&runtime, late, 1).await;
    until(&runtime, |health| health.written == 1_026).await;
    assert_eq!(spy.versions().last(), Some(&2));
}
