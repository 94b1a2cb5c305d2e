//! Builds that fold differently, next to each other and one after the other.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_tests::scaled;

use crate::board::{double, next_version, same_as_single, single};
use crate::support::{Store, cold, health, settled};

fn store() -> Store {
    Arc::new(MemoryStore::new())
}

/// The board of another build.
fn the_same<A: Aggregate<Id = Id<A>>, B: Aggregate<Id = Id<B>>>(board: Id<A>) -> Id<B> {
    board.to_string().parse().unwrap()
}

/// A board of 20 events with a snapshot by one build, and a runtime for another.
async fn kept_by_single(store: &Store) -> (Id<single::Board>, Runtime) {
    let old = cold(store).await;
    let board = single::board_at(&old, 20).await;
    settled(&old).await;
    (board, cold(store).await)
}

#[tokio::test]
async fn a_build_with_another_fold_replays_and_keeps_its_own() {
    let store = store();
    let (board, new) = kept_by_single(&store).await;
    assert_eq!(double::total(&new, the_same(board)).await, 38);
    settled(&new).await;
    assert_eq!((health(&new).await.used, health(&new).await.written), (0, 1));
    assert_eq!(double::total(&new, the_same(board)).await, 38);
    assert_eq!(health(&new).await.used, 1, "it was written anew");

    let old = cold(&store).await;
    assert_eq!(single::total(&old, board).await, 19);
    assert_eq!(health(&old).await.used, 1, "that of the older build is still there");
}

#[tokio::test]
async fn another_version_voids_what_is_kept() {
    let (board, new) = kept_by_single(&store()).await;
    assert_eq!(next_version::total(&new, the_same(board)).await, 19);
    assert_eq!(health(&new).await.used, 0);
}

#[tokio::test]
async fn the_same_code_reads_what_another_compilation_has_written() {
    let (board, new) = kept_by_single(&store()).await;
    assert_eq!(same_as_single::total(&new, the_same(board)).await, 19);
    assert_eq!(health(&new).await.used, 1);
}

#[tokio::test]
async fn two_builds_that_alternate_never_read_each_others_snapshots() {
    let store = store();
    let (mut old, mut new) = (cold(&store).await, cold(&store).await);
    let board = single::board_at(&old, 1).await;
    let other = the_same(board);
    let mut points = 0;
    for round in 1..=scaled(100, 1_000) {
        single::add(&old, board, round).await;
        double::add(&new, other, round).await;
        points += 2 * round;
        old.snapshot(board).await.unwrap();
        new.snapshot(other).await.unwrap();
        if round % 7 == 0 {
            (old, new) = (cold(&store).await, cold(&store).await);
        }
        assert_eq!(single::total(&old, board).await, points);
        assert_eq!(double::total(&new, other).await, 2 * points);
        for health in [health(&old).await, health(&new).await] {
            assert!(health.used > 0, "{health:?}");
            assert_eq!(
                health.stale + health.corrupt + health.ahead + health.diverged,
                0,
                "{health:?}"
            );
        }
    }
}
