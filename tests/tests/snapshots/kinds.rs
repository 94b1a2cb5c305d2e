//! Snapshots of builds that are not used any longer.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::Clock as _;
use es_runtime::prelude::*;
use es_runtime::store::{StateKey, StateStore};
use es_runtime::testing::ManualClock;
use futures_util::TryStreamExt as _;

use crate::board::{double, each, single};
use crate::support::{Spy, Store, health, settled};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A runtime with nothing in memory, in a process of this time.
async fn process(store: &Store, states: Arc<dyn StateStore>, clock: &ManualClock) -> Runtime {
    let builder = Runtime::builder(Arc::clone(store)).states(states);
    builder.clock(clock.clone()).start().await.unwrap()
}

/// The namespaces of snapshots.
async fn kinds(states: &dyn StateStore) -> Vec<String> {
    let mut namespaces = states.namespaces().await.unwrap();
    namespaces.retain(|namespace| namespace.starts_with("es/snapshot/"));
    namespaces
}

async fn count(states: &dyn StateStore, kind: &str) -> usize {
    states.load(kind).try_collect::<Vec<_>>().await.unwrap().len()
}

/// The note of the kinds that are in use.
async fn noted(states: &dyn StateStore) -> String {
    let key = StateKey::new("es", "snapshots", "board");
    let kept = states.get(&key).await.unwrap();
    let payload = kept.and_then(|kept| kept.payload).unwrap_or_default();
    String::from_utf8(payload.to_vec()).unwrap()
}

/// Waits until it is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..12_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it is never so");
}

/// Waits until the use of a kind is noted at this time.
async fn until_noted(states: &dyn StateStore, kind: &str, clock: &ManualClock) {
    let entry = format!("\"{kind}\":\"{}\"", clock.now());
    until(async || noted(states).await.contains(&entry)).await;
}

fn in_double(board: Id<single::Board>) -> Id<double::Board> {
    board.to_string().parse().unwrap()
}

/// Ten boards with a snapshot of one build and of another, whose kinds are returned.
struct Rolling {
    states: Arc<dyn StateStore>,
    boards: Vec<Id<single::Board>>,
    single: String,
    double: String,
}

impl Rolling {
    async fn begin(store: &Store, clock: &ManualClock) -> Self {
        let states = Arc::clone(store).state_store().unwrap();
        let runtime = process(store, Arc::clone(&states), clock).await;
        let mut boards = Vec::new();
        for _ in 0..10 {
            boards.push(single::board_at(&runtime, 2).await);
        }
        for board in &boards {
            runtime.snapshot(*board).await.unwrap();
        }
        let single = kinds(&*states).await.pop().unwrap();
        for board in &boards {
            runtime.snapshot(in_double(*board)).await.unwrap();
        }
        let double = kinds(&*states).await.into_iter().find(|kind| *kind != single).unwrap();
        until_noted(&*states, &single, clock).await;
        until_noted(&*states, &double, clock).await;
        Self {
            states,
            boards,
            single,
            double,
        }
    }

    /// Loads a board in a new process of the older build, which notes that.
    async fn old(&self, store: &Store, clock: &ManualClock) -> Runtime {
        let old = process(store, Arc::clone(&self.states), clock).await;
        assert_eq!(single::total(&old, self.boards[0]).await, 1);
        assert_eq!(health(&old).await.used, 1);
        until_noted(&*self.states, &self.single, clock).await;
        old
    }

    /// The same of the newer build.
    async fn new(&self, store: &Store, clock: &ManualClock) -> Runtime {
        let new = process(store, Arc::clone(&self.states), clock).await;
        assert_eq!(double::total(&new, in_double(self.boards[0])).await, 2);
        assert_eq!(health(&new).await.used, 1);
        until_noted(&*self.states, &self.double, clock).await;
        new
    }

    async fn counts(&self) -> (usize, usize) {
        (
            count(&*self.states, &self.single).await,
            count(&*self.states, &self.double).await,
        )
    }
}

es_tests::on_every_store_and_postgres! {
    async fn snapshots_that_no_build_has_used_for_a_week_are_removed(store: _, clock: _) {
        let rolling = Rolling::begin(&store, &clock).await;
        clock.advance(7 * DAY);
        let _new = rolling.new(&store, &clock).await;
        until(async || !noted(&*rolling.states).await.contains(&rolling.single)).await;
        assert_eq!(rolling.counts().await, (0, 10));
    }

    async fn a_build_that_is_used_once_a_day_keeps_its_own(store: _, clock: _) {
        let rolling = Rolling::begin(&store, &clock).await;
        let (old, new) = (rolling.old(&store, &clock).await, rolling.new(&store, &clock).await);
        for _ in 0..10 {
            clock.advance(DAY);
            single::total(&old, rolling.boards[1]).await;
            until_noted(&*rolling.states, &rolling.single, &clock).await;
            double::total(&new, in_double(rolling.boards[1])).await;
            until_noted(&*rolling.states, &rolling.double, &clock).await;
        }
        assert_eq!(rolling.counts().await, (10, 10));
    }
}

fn memory() -> (Store, ManualClock) {
    let clock = es_tests::stores::clock();
    (Arc::new(MemoryStore::new().with_clock(clock.clone())), clock)
}

#[tokio::test]
async fn a_build_that_was_off_for_long_keeps_its_own() {
    let (store, clock) = memory();
    let rolling = Rolling::begin(&store, &clock).await;
    clock.advance(7 * DAY - Duration::from_secs(1));
    rolling.new(&store, &clock).await;
    clock.advance(300 * DAY);
    let old = rolling.old(&store, &clock).await;
    until(async || !noted(&*rolling.states).await.contains(&rolling.double)).await;
    assert_eq!(rolling.counts().await, (10, 0));
    // The other one comes back from the events.
    assert_eq!(double::total(&old, in_double(rolling.boards[0])).await, 2);
}

#[tokio::test]
async fn a_use_is_noted_once_a_day() {
    let (store, clock) = memory();
    let rolling = Rolling::begin(&store, &clock).await;
    let old = rolling.old(&store, &clock).await;
    let before = noted(&*rolling.states).await;
    clock.advance(DAY - Duration::from_micros(1));
    single::total(&old, rolling.boards[1]).await;
    tokio::task::yield_now().await;
    assert_eq!(noted(&*rolling.states).await, before);
}

/// More boards than are removed at once, of an old build. A process of another one, with a spy before its states, has none yet.
async fn many(store: &Store, clock: &ManualClock) -> (Vec<Id<each::Board>>, String, Arc<Spy>, Runtime) {
    let states = Arc::clone(store).state_store().unwrap();
    let old = process(store, Arc::clone(&states), clock).await;
    let mut boards = Vec::new();
    for _ in 0..600 {
        boards.push(each::board_at(&old, 1).await);
    }
    settled(&old).await;
    let kind = kinds(&*states).await.pop().unwrap();
    until_noted(&*states, &kind, clock).await;
    let spy = Spy::of(store);
    let new = process(store, spy.clone(), clock).await;
    (boards, kind, spy, new)
}

#[tokio::test]
async fn a_build_that_comes_back_during_the_removal_keeps_the_rest() {
    let (store, clock) = memory();
    let (boards, kind, spy, new) = many(&store, &clock).await;
    clock.advance(7 * DAY);
    spy.hold_purges();
    let board = double::board_at(&new, 1).await;
    new.snapshot(board).await.unwrap();
    spy.purge_begins().await;

    let old = process(&store, Arc::clone(&spy.states), &clock).await;
    each::total(&old, boards[0]).await;
    until_noted(&*spy.states, &kind, &clock).await;
    spy.let_purges_go();
    until(async || count(&*spy.states, &kind).await == 100).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(count(&*spy.states, &kind).await, 100);
    assert!(noted(&*spy.states).await.contains(&kind));
}

#[tokio::test]
async fn a_removal_that_was_cut_short_is_continued() {
    let (store, clock) = memory();
    let (_, kind, spy, new) = many(&store, &clock).await;
    clock.advance(7 * DAY);
    spy.hold_purges();
    let board = double::board_at(&new, 1).await;
    new.snapshot(board).await.unwrap();
    spy.purge_begins().await;
    spy.fail(true);
    spy.let_purges_go();
    tokio::task::yield_now().await;
    assert_eq!(count(&*spy.states, &kind).await, 600);

    spy.fail(false);
    clock.advance(DAY);
    double::total(&new, board).await;
    until(async || !noted(&*spy.states).await.contains(&kind)).await;
    assert_eq!(count(&*spy.states, &kind).await, 0);
}
