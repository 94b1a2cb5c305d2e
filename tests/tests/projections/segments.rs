//! A projection whose streams are dealt out to segments: rows are as if one reader had written them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use es_runtime::prelude::*;
use es_runtime::projection::{ProjectionHealth, RowProjection, Status};
use es_runtime::{ControlError, Position, ReadError, StartError};
use es_tests::balances::Store;
use es_tests::bank::{Account, Deposit, Deposited, Opened, Withdraw, Withdrawn, account_with};
use es_tests::faults::{Fault, Faulty};
use es_tests::process::Process;
use es_tests::random::{config, run};
use es_tests::{scaled, stores};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::tallies::{Changed, Limited, ON_FAILURE, Tally, dump, folded, limit, start};

/// The same version, not partitioned.
mod whole {
    use super::*;
    crate::tallies::tally!(name = "tallies");
}

/// The same version in another number of segments.
mod halves {
    use super::*;
    crate::tallies::tally!(name = "tallies", segments = 2);
}

/// Another version in another number of segments.
mod second {
    use super::*;
    crate::tallies::tally!(name = "tallies", version = 2, segments = 3);
}

/// That version, not partitioned.
mod second_whole {
    use super::*;
    crate::tallies::tally!(name = "tallies", version = 2);
}

/// Puts aside what it cannot apply.
mod parking {
    use super::*;
    crate::tallies::tally!(name = "parking", segments = 4, park);
}

async fn start_with<P: RowProjection<Rows = es_runtime::projection::InStore>>(
    store: &Store,
) -> Result<Runtime, StartError> {
    Runtime::builder(Arc::clone(store)).projection::<P>().start().await
}

async fn status<P: RowProjection>(runtime: &Runtime) -> ProjectionHealth {
    runtime.projection::<P>().status().await.unwrap()
}

/// Waits until the projection is so.
async fn until<P: RowProjection>(runtime: &Runtime, is: impl Fn(&ProjectionHealth) -> bool) -> ProjectionHealth {
    for _ in 0..12_000 {
        let health = status::<P>(runtime).await;
        if is(&health) {
            return health;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {:?}", status::<P>(runtime).await);
}

async fn caught_up<P: RowProjection>(runtime: &Runtime) {
    let head = runtime.store().head().await.unwrap();
    let projection = runtime.projection::<P>();
    projection.wait_for(head, Duration::from_secs(120)).await.unwrap();
}

async fn accounts(runtime: &Runtime, count: usize) -> Vec<Id<Account>> {
    let mut accounts = Vec::new();
    for _ in 0..count {
        accounts.push(account_with(runtime, 100).await);
    }
    accounts
}

async fn trade(runtime: &Runtime, accounts: &[Id<Account>], rounds: i64) {
    for round in 0..rounds {
        for account in accounts {
            runtime.execute(*account, Deposit { amount: 3 }).await.unwrap();
            runtime.execute(*account, Withdraw { amount: 1 }).await.unwrap();
            limit(runtime, *account, round).await;
        }
    }
}

/// Drops a version, once its leases are given back.
async fn drop_version<P: RowProjection>(runtime: &Runtime, version: u32) {
    for _ in 0..6_000 {
        match runtime.projection::<P>().drop_version(version).await {
            Err(ControlError::Elsewhere { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            dropped => return dropped.unwrap(),
        }
    }
    panic!("version {version} is never dropped");
}

/// The segment that holds at `position`: by its number.
fn holding(health: &ProjectionHealth) -> Vec<usize> {
    let held = |segment: &es_runtime::projection::SegmentHealth| segment.status == Status::Held;
    (0..health.segments.len())
        .filter(|index| held(&health.segments[*index]))
        .collect()
}

/// The account whose events are applied although a segment holds before `position`, if `accounts` has one.
async fn in_another_segment(runtime: &Runtime, accounts: &[Id<Account>], position: Position) -> Id<Account> {
    for account in accounts {
        let receipt = runtime.execute(*account, Deposit { amount: 1 }).await.unwrap();
        assert!(receipt.position > position);
        let shown = runtime
            .get::<Tally>(*account)
            .after(receipt.position)
            .timeout(Duration::from_secs(2))
            .await;
        if shown.is_ok() {
            return *account;
        }
    }
    panic!("all of {} accounts are in one segment", accounts.len());
}

es_tests::on_every_store_and_postgres! {
    async fn rows_are_as_if_one_reader_had_written_them(store: _, _clock: _) {
        let store: Store = store;
        let bank = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
        let accounts = accounts(&bank, 12).await;
        trade(&bank, &accounts, 5).await;
        let runtime = start(&store).await;
        caught_up::<Tally>(&runtime).await;
        assert_eq!(dump(&store, 1).await, folded(&store).await);
        // Live, as well as those that were there before.
        trade(&bank, &accounts, 5).await;
        let last = bank.execute(accounts[0], Deposit { amount: 1 }).await.unwrap();
        let row = runtime.get::<Tally>(accounts[0]).after(last.position).await.unwrap().unwrap();
        assert_eq!((row.position, row.limit), (last.position, 4));
        assert_eq!(runtime.list::<Tally>().after(last.position).await.unwrap().rows.len(), 12);
        assert_eq!(dump(&store, 1).await, folded(&store).await);

        let health = until::<Tally>(&runtime, |health| health.status == Status::Live && health.lag_events == 0).await;
        assert_eq!(health.segments.len(), 4);
        assert!(health.ready && health.runs_here && health.build.is_none(), "{health:?}");
        assert!(health.segments.iter().all(|segment| segment.owner == health.owner && segment.runs_here));
    }

    async fn processes_that_are_started_together_share_the_segments(store: _, _clock: _) {
        let store: Store = store;
        drop(start(&store).await);
        for _ in 0..20 {
            let (here, there) = tokio::join!(start(&store), start(&store));
            let health = until::<Tally>(&here, |health| health.segments.iter().all(|segment| segment.owner.is_some())).await;
            let own = health.segments.iter().filter(|segment| segment.runs_here).count();
            if (1..=3).contains(&own) {
                // Each runs its own, and both show all.
                let others = |health: &ProjectionHealth| health.segments.iter().filter(|segment| segment.runs_here).count();
                until::<Tally>(&there, |health| others(health) == 4 - own).await;
                let accounts = accounts(&here, 8).await;
                trade(&here, &accounts, 2).await;
                caught_up::<Tally>(&here).await;
                caught_up::<Tally>(&there).await;
                assert_eq!(dump(&store, 1).await, folded(&store).await);
                return;
            }
        }
        panic!("they never share");
    }

    async fn an_event_that_cannot_be_applied_holds_its_segment_only(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start(&store).await;
        let accounts = accounts(&runtime, 40).await;
        caught_up::<Tally>(&runtime).await;
        until::<Tally>(&runtime, |health| health.ready).await;
        let poison = runtime.execute(accounts[0], Deposit { amount: ON_FAILURE }).await.unwrap();
        let health = until::<Tally>(&runtime, |health| health.status == Status::Held).await;
        assert!(health.position < poison.position, "{health:?}");
        assert_eq!(health.last_error.as_ref().unwrap().position, Some(poison.position));
        assert_eq!(holding(&health).len(), 1);

        // Whoever reads a row waits for its segment only.
        in_another_segment(&runtime, &accounts[1..], poison.position).await;
        let listed = runtime.list::<Tally>().after(poison.position).timeout(es_tests::waits::LONG).await;
        assert!(matches!(listed, Err(ReadError::Held { position, .. }) if position == poison.position), "{listed:?}");
        let own = runtime.get::<Tally>(accounts[0]).after(poison.position).timeout(es_tests::waits::LONG).await;
        assert!(matches!(own, Err(ReadError::Held { position, .. }) if position == poison.position), "{own:?}");

        let head = store.head().await.unwrap();
        until::<Tally>(&runtime, |health| health.segments.iter().filter(|segment| segment.position >= head).count() == 3).await;
        let tallies = runtime.projection::<Tally>();
        // Told to the segment whose event it is; another one's event is not held.
        let retried = tallies.retry(poison.position).await;
        assert!(matches!(retried, Err(ControlError::Failed(_))), "{retried:?}");
        tallies.skip(poison.position, "nobody has so much").await.unwrap();
        caught_up::<Tally>(&runtime).await;
        until::<Tally>(&runtime, |health| health.status == Status::Live && health.last_error.is_none()).await;
        let mut expected = folded(&store).await;
        for (key, data, _) in &mut expected {
            if *key == accounts[0].to_string() {
                // Without the event that was skipped.
                let row = runtime.get::<Tally>(accounts[0]).await.unwrap().unwrap();
                assert!(row.cents < ON_FAILURE);
                data.clone_from(&serde_json::to_string(&row.row).unwrap());
            }
        }
        let shown: Vec<_> = dump(&store, 1).await.into_iter().map(|(key, data, _)| (key, data)).collect();
        assert_eq!(shown, expected.into_iter().map(|(key, data, _)| (key, data)).collect::<Vec<_>>());
    }

    async fn what_each_segment_has_parked_is_listed_and_dealt_with(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start_with::<parking::Tally>(&store).await.unwrap();
        let accounts = accounts(&runtime, 12).await;
        let mut positions = Vec::new();
        for account in &accounts {
            positions.push(runtime.execute(*account, Deposit { amount: ON_FAILURE }).await.unwrap().position);
        }
        caught_up::<parking::Tally>(&runtime).await;
        let projection = runtime.projection::<parking::Tally>();
        let parked = projection.parked().await.unwrap();
        assert_eq!(parked.iter().map(|parked| parked.position).collect::<Vec<_>>(), positions);
        let health = status::<parking::Tally>(&runtime).await;
        assert_eq!(health.parked, 12);
        assert!(health.segments.iter().filter(|segment| segment.parked > 0).count() > 1, "{health:?}");
        for (number, position) in positions.iter().enumerate() {
            let retried = projection.retry(*position).await;
            assert!(matches!(retried, Err(ControlError::Failed(_))), "{retried:?}");
            projection.skip(*position, "nobody has so much").await.unwrap();
            assert_eq!(projection.parked().await.unwrap().len(), 11 - number);
        }
        let gone = projection.skip(positions[0], "again").await;
        assert!(matches!(gone, Err(ControlError::NotParked { .. })), "{gone:?}");
        let none = projection.retry(Position(1_000_000)).await;
        assert!(matches!(none, Err(ControlError::NotParked { .. })), "{none:?}");
        for account in accounts {
            assert_eq!(runtime.get::<parking::Tally>(account).await.unwrap().unwrap().cents, 100);
        }
    }

    async fn another_number_of_segments_is_refused_and_another_version_built(store: _, _clock: _) {
        let store: Store = store;
        let old = start(&store).await;
        let accounts = accounts(&old, 5).await;
        trade(&old, &accounts, 2).await;
        caught_up::<Tally>(&old).await;
        let (whole, halves) = (start_with::<whole::Tally>(&store).await, start_with::<halves::Tally>(&store).await);
        for (refused, wanted) in [(whole, 1), (halves, 2)] {
            match refused.unwrap_err() {
                StartError::Segments { projection: "tallies", version: 1, segments, kept: 4 } => assert_eq!(segments, wanted),
                other => panic!("{other}"),
            }
        }
        trade(&old, &accounts, 2).await;
        caught_up::<Tally>(&old).await;
        assert_eq!(dump(&store, 1).await, folded(&store).await);

        let new = start_with::<second::Tally>(&store).await.unwrap();
        caught_up::<second::Tally>(&new).await;
        assert_eq!(dump(&store, 2).await, folded(&store).await);
        assert_eq!(new.projection::<second::Tally>().versions().await.unwrap(), [1, 2]);
        // While a process runs one of its segments it stays.
        let dropped = new.projection::<second::Tally>().drop_version(1).await;
        assert!(matches!(dropped, Err(ControlError::Elsewhere { .. })), "{dropped:?}");
        caught_up::<Tally>(&old).await;
        drop(old);
        drop_version::<second::Tally>(&new, 1).await;
        assert_eq!(new.projection::<second::Tally>().versions().await.unwrap(), [2]);
        // Nothing is left of how it was partitioned.
        let again = start_with::<halves::Tally>(&store).await.unwrap();
        caught_up::<halves::Tally>(&again).await;
        assert_eq!(dump(&store, 1).await, folded(&store).await);
        let refused = start_with::<Tally>(&store).await.unwrap_err();
        assert!(matches!(refused, StartError::Segments { kept: 2, .. }), "{refused}");
    }

    async fn one_that_was_not_partitioned_is_not_partitioned_behind_its_back(store: _, _clock: _) {
        let store: Store = store;
        // It has done nothing yet, but may at any moment.
        let whole = start_with::<whole::Tally>(&store).await.unwrap();
        until::<whole::Tally>(&whole, |health| health.runs_here).await;
        let refused = start_with::<Tally>(&store).await.unwrap_err();
        assert!(matches!(refused, StartError::Segments { segments: 4, kept: 1, .. }), "{refused}");
        drop(whole);
        // It never did anything, but whoever has that build may start it again.
        let refused = start_with::<Tally>(&store).await.unwrap_err();
        assert!(matches!(refused, StartError::Segments { segments: 4, kept: 1, .. }), "{refused}");
        let whole = start_with::<whole::Tally>(&store).await.unwrap();
        let accounts = accounts(&whole, 5).await;
        trade(&whole, &accounts, 1).await;
        caught_up::<whole::Tally>(&whole).await;
        assert_eq!(dump(&store, 1).await, folded(&store).await);
    }

    async fn of_builds_that_start_together_one_number_of_segments_counts(store: _, _clock: _) {
        let store: Store = store;
        for _ in 0..10 {
            let (whole, halves, quarters) = tokio::join!(
                start_with::<whole::Tally>(&store),
                start_with::<halves::Tally>(&store),
                start_with::<Tally>(&store),
            );
            let started = [whole.is_ok(), halves.is_ok(), quarters.is_ok()];
            assert_eq!(started.iter().filter(|started| **started).count(), 1, "{started:?}");
            let refused = [whole.err(), halves.err(), quarters.err()].into_iter().flatten();
            let kept: Vec<_> = refused
                .map(|error| match error {
                    StartError::Segments { kept, .. } => kept,
                    error => panic!("{error}"),
                })
                .collect();
            let index = started.iter().position(|started| *started).unwrap();
            assert_eq!(kept, [[1, 2, 4][index]; 2]);
            let other = start_with::<second::Tally>(&store).await.unwrap();
            drop_version::<second::Tally>(&other, 1).await;
        }
    }

    async fn a_store_without_states_keeps_no_segments(store: _, _clock: _) {
        let store: Store = store;
        let stateless = Faulty::new(Arc::clone(&store));
        stateless.keep_no_states();
        let store: Store = Arc::new(stateless);
        let refused = start_with::<Tally>(&store).await.unwrap_err();
        let expected = StartError::SegmentsUnsupported { projection: "tallies", segments: 4 };
        assert_eq!(refused.to_string(), expected.to_string());
        let whole = start_with::<whole::Tally>(&store).await.unwrap();
        let accounts = accounts(&whole, 2).await;
        trade(&whole, &accounts, 1).await;
        caught_up::<whole::Tally>(&whole).await;
        assert_eq!(dump(&store, 1).await, folded(&store).await);
        drop(whole);
        let other = start_with::<second_whole::Tally>(&store).await.unwrap();
        drop_version::<second_whole::Tally>(&other, 1).await;
    }

    async fn rows_that_one_reader_has_written_are_not_partitioned(store: _, _clock: _) {
        let store: Store = store;
        let whole = start_with::<whole::Tally>(&store).await.unwrap();
        let accounts = accounts(&whole, 2).await;
        caught_up::<whole::Tally>(&whole).await;
        until::<whole::Tally>(&whole, |health| health.progressed_at.is_some()).await;
        drop(whole);
        let refused = start_with::<Tally>(&store).await.unwrap_err();
        assert!(matches!(refused, StartError::Segments { segments: 4, kept: 1, .. }), "{refused}");
        assert!(refused.to_string().contains("raise its version"), "{refused}");
        let whole = start_with::<whole::Tally>(&store).await.unwrap();
        trade(&whole, &accounts, 1).await;
        caught_up::<whole::Tally>(&whole).await;
        assert_eq!(dump(&store, 1).await, folded(&store).await);
    }

    async fn a_rebuild_in_place_is_refused(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start(&store).await;
        account_with(&runtime, 1).await;
        caught_up::<Tally>(&runtime).await;
        let refused = runtime.projection::<Tally>().rebuild().await.unwrap_err();
        assert!(matches!(refused, ControlError::Segmented { projection: "tallies", segments: 4 }), "{refused}");
        let refused = runtime.projection::<Tally>().cancel_rebuild().await.unwrap_err();
        assert!(matches!(refused, ControlError::NotRebuilding { .. }), "{refused}");
        assert_eq!(dump(&store, 1).await, folded(&store).await);
    }

    async fn no_read_fails_or_goes_back_while_a_version_in_other_segments_is_built(store: _, _clock: _) {
        let store: Store = store;
        let old = start(&store).await;
        let accounts = accounts(&old, 6).await;
        trade(&old, &accounts, 20).await;
        caught_up::<Tally>(&old).await;
        let writer = write(&old, &accounts);
        let of_old = read::<Tally>(&old, &accounts);
        let builder = Runtime::builder(Arc::clone(&store)).projection::<second::Tally>().throttle_builds(200);
        let new = builder.start().await.unwrap();
        let of_new = read::<second::Tally>(&new, &accounts);
        let build = until::<second::Tally>(&new, |health| !health.ready).await.build.unwrap();
        assert!(build.done <= build.total && build.total > Position::ZERO);
        until::<second::Tally>(&new, |health| health.ready && health.build.is_none()).await;
        assert!(writer.stop().await > 0);
        assert!(of_old.stop().await > 0 && of_new.stop().await > 0);
        caught_up::<Tally>(&old).await;
        caught_up::<second::Tally>(&new).await;
        assert_eq!(dump(&store, 1).await, folded(&store).await);
        assert_eq!(dump(&store, 2).await, folded(&store).await);
    }
}

/// Something that goes on until it is told to stop.
struct Going {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<u64>,
}

impl Going {
    fn on<F: Future<Output = ()> + Send>(mut round: impl FnMut() -> F + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut rounds = 0;
            while !stopped.load(Ordering::SeqCst) {
                round().await;
                rounds += 1;
                // Slower than the builds, which would never end else.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            rounds
        });
        Self { stop, task }
    }

    /// How many rounds there were.
    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

/// Moves money all the time.
fn write(runtime: &Runtime, accounts: &[Id<Account>]) -> Going {
    let (runtime, accounts) = (runtime.clone(), accounts.to_vec());
    Going::on(move || {
        let (runtime, accounts) = (runtime.clone(), accounts.clone());
        async move { trade(&runtime, &accounts, 1).await }
    })
}

/// Reads every row all the time, one by one and all at once. No read may fail, no row may be missing or go back.
fn read<P: RowProjection>(runtime: &Runtime, accounts: &[Id<Account>]) -> Going {
    let (runtime, accounts) = (runtime.clone(), accounts.to_vec());
    let seen = Arc::new(std::sync::Mutex::new(HashMap::<String, Position>::new()));
    Going::on(move || {
        let (runtime, accounts, seen) = (runtime.clone(), accounts.clone(), Arc::clone(&seen));
        async move {
            let listed = runtime
                .list::<P>()
                .timeout(Duration::from_secs(120))
                .await
                .unwrap()
                .rows;
            assert_eq!(listed.len(), accounts.len(), "every account has a row");
            let mut shown: Vec<_> = listed.into_iter().map(|row| (row.key, row.position)).collect();
            for account in &accounts {
                let row = runtime
                    .get::<P>(es_runtime::projection::AnyKey::new(account))
                    .await
                    .unwrap()
                    .expect("every account has a row");
                shown.push((row.key, row.position));
            }
            let mut seen = seen.lock().unwrap();
            for (key, position) in shown {
                let before = seen.insert(key.clone(), position);
                assert!(
                    before <= Some(position),
                    "{key} went back from {before:?} to {position}"
                );
            }
        }
    })
}

/// Where the store is whose segments the process runs.
const ADDRESS: &str = "ES_TESTS_PROJECTING_SEGMENTS";

/// Is a process of its own, if it is started as one: runs the segments that it gets until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn projecting_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let runtime = start(&stores::open(&address).await).await;
    println!("\nprojecting");
    // Until it is killed; bounded, should nobody do so.
    for _ in 0..6_000 {
        let status = runtime.projection::<Tally>().status().await;
        if status.is_ok_and(|status| status.segments.iter().any(|segment| segment.runs_here)) {
            println!("\nowner");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn the_segments_of_a_killed_process_are_taken_over(address: &str) {
    let store = stores::open(address).await;
    let runtime = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let mut accounts = Vec::new();
    for _ in 0..12 {
        accounts.push(account_with(&runtime, 100).await);
    }
    let segmented = || Process::start("segments::projecting_process", [(ADDRESS, address)], "projecting");
    let mut processes = vec![segmented(), segmented(), segmented()];
    for _ in 0..scaled(3, 30) {
        // Of those with a segment, the one that was there longest.
        let mut owners = (0..400).flat_map(|_| 0..processes.len());
        let owner = owners.find(|owner| processes[*owner].says("owner", Duration::from_millis(50)));
        let killed = processes.remove(owner.expect("one of them has a segment"));
        for account in &accounts {
            runtime.execute(*account, Deposit { amount: 2 }).await.unwrap();
        }
        let since = Instant::now();
        killed.kill();
        for account in &accounts {
            runtime.execute(*account, Withdraw { amount: 1 }).await.unwrap();
            limit(&runtime, *account, 7).await;
        }
        let head = store.head().await.unwrap();
        is_done(&store, head).await;
        println!("taken over and caught up {:?} after the kill", since.elapsed());
        assert_eq!(dump(&store, 1).await, folded(&store).await);
        processes.push(segmented());
    }
}

/// Waits until every segment has come to `head`, whoever runs it.
async fn is_done(store: &Store, head: Position) {
    let started = Instant::now();
    for reader in (0..4).map(|segment| format!("tallies@1#{segment}/4")) {
        while store.checkpoint(&reader).await.unwrap().map(|at| at.position) < Some(head) {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "nobody has taken `{reader}` over"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_taken_over() {
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    the_segments_of_a_killed_process_are_taken_over(file.to_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_taken_over() {
    the_segments_of_a_killed_process_are_taken_over(&stores::postgres_address().await).await;
}

/// What happens; numbers of accounts are taken modulo those that there are.
#[derive(Debug, Clone)]
enum Step {
    Open,
    Deposit(usize, i64),
    Withdraw(usize),
    Limit(usize, i64),
    /// Deposits while the segments stand still: they meet them in one batch.
    Burst(usize, usize),
    /// The next call that can, fails so, whichever segment makes it.
    Fault(Fault),
    /// Another process starts.
    Join,
    /// The one that was there longest ends.
    Leave,
    CatchUp,
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let any = 0..100_usize;
    let step = prop_oneof![
        3 => Just(Step::Open),
        6 => (any.clone(), 1..1_000_i64).prop_map(|(account, cents)| Step::Deposit(account, cents)),
        3 => any.clone().prop_map(Step::Withdraw),
        3 => (any.clone(), 1..9_i64).prop_map(|(account, cents)| Step::Limit(account, cents)),
        3 => (any.clone(), 1..40_usize).prop_map(|(account, events)| Step::Burst(account, events)),
        4 => select(Fault::ALL.to_vec()).prop_map(Step::Fault),
        1 => Just(Step::Join),
        1 => Just(Step::Leave),
        2 => Just(Step::CatchUp),
    ];
    vec(step, 1..60)
}

/// A process that projects. The store may fail while it starts.
async fn join(store: &Faulty) -> Runtime {
    for _ in 0..100 {
        if let Ok(runtime) = Runtime::builder(store.clone()).projection::<Tally>().start().await {
            return runtime;
        }
    }
    panic!("it never starts");
}

/// Waits until the rows show everything, though the store may fail.
async fn comes_to_the_end(runtime: &Runtime, store: &Store) {
    let head = store.head().await.unwrap();
    for _ in 0..100 {
        match runtime
            .projection::<Tally>()
            .wait_for(head, Duration::from_secs(60))
            .await
        {
            Ok(()) => return,
            Err(ReadError::Timeout { at, .. }) => panic!("it is at {at}, and not at {head}"),
            // A fault that the wait has met itself.
            Err(_) => {}
        }
    }
    panic!("the store fails for ever");
}

async fn comes_out_right(store: Store, history: Vec<Step>) {
    let faulty = Faulty::new(Arc::clone(&store));
    let bank = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let mut processes = VecDeque::from([join(&faulty).await]);
    let mut accounts = Vec::new();
    for step in history {
        if accounts.is_empty() || matches!(step, Step::Open) {
            accounts.push(account_with(&bank, 5).await);
        }
        let account = |number: usize| accounts[number % accounts.len()];
        match step {
            Step::Deposit(to, amount) => drop(bank.execute(account(to), Deposit { amount }).await.unwrap()),
            // Refused if there is nothing to take.
            Step::Withdraw(from) => drop(bank.execute(account(from), Withdraw { amount: 1 }).await),
            Step::Limit(of, cents) => limit(&bank, account(of), cents).await,
            Step::Burst(from, events) => {
                faulty.freeze(true);
                for number in 0..events {
                    bank.execute(account(from + number), Deposit { amount: 1 })
                        .await
                        .unwrap();
                }
                faulty.freeze(false);
            }
            Step::Fault(fault) => faulty.plan([fault]),
            Step::Join => processes.push_back(join(&faulty).await),
            Step::Leave if processes.len() > 1 => drop(processes.pop_front()),
            Step::Open | Step::Leave => {}
            Step::CatchUp => comes_to_the_end(&processes[0], &store).await,
        }
    }
    faulty.forgive();
    comes_to_the_end(&processes[0], &store).await;
    assert_eq!(dump(&store, 1).await, folded(&store).await);
}

proptest! {
    #![proptest_config(config(12, 300))]

    #[test]
    fn whatever_happens_on_memory(history in history()) {
        run(comes_out_right(Arc::new(MemoryStore::new()), history));
    }
}

proptest! {
    #![proptest_config(config(5, 100))]

    #[test]
    fn whatever_happens_on_sqlite(history in history()) {
        let folder = es_tests::tempdir().unwrap();
        run(async {
            let store = es_tests::SqliteStore::open(folder.path().join("test.db")).await.unwrap();
            comes_out_right(Arc::new(store), history).await;
        });
    }

    #[test]
    fn whatever_happens_on_postgres(history in history()) {
        run(async { comes_out_right(Arc::new(stores::postgres().await), history).await });
    }
}

/// The store was restored to an earlier point than the rows of some segments.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_store_is_noticed_by_the_segments_that_were_further() {
    let memory = MemoryStore::new();
    let store: Store = Arc::new(memory.clone());
    let runtime = start(&store).await;
    let accounts = accounts(&runtime, 20).await;
    trade(&runtime, &accounts, 1).await;
    caught_up::<Tally>(&runtime).await;
    until::<Tally>(&runtime, |health| {
        health.lag_events == 0 && health.progressed_at.is_some()
    })
    .await;
    drop(runtime);
    memory.rewind(Position(30));
    let runtime = start(&store).await;
    let health = until::<Tally>(&runtime, |health| health.status == Status::Diverged).await;
    assert!(
        health.segments.iter().all(|segment| segment.status == Status::Diverged),
        "{health:?}"
    );
    let shown = runtime.get::<Tally>(accounts[0]).await;
    assert!(matches!(shown, Err(ReadError::Checkpoint(_))), "{shown:?}");
    // The way out is another version.
    let second = start_with::<second::Tally>(&store).await.unwrap();
    caught_up::<second::Tally>(&second).await;
    assert_eq!(dump(&store, 2).await, folded(&store).await);
}
