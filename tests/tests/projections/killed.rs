//! Processes that run a projection, and are killed at random moments: each event counts once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use es_runtime::projection::Project;
use es_runtime::store::ProjectionStore;
use es_runtime::{Position, Runtime};
use es_tests::balances::{Balance, Store, dump, folded};
use es_tests::bank::{Deposit, Withdraw, account_with};
use es_tests::faults::Faulty;
use es_tests::process::{Process, life};
use es_tests::totals::{self, postgres, sqlite};
use es_tests::{SqliteStore, scaled, stores};

/// Where the store is whose projections the process runs.
const ADDRESS: &str = "ES_TESTS_PROJECTING";

/// If this is said, the process begins to build the rows anew.
const REBUILDS: &str = "ES_TESTS_REBUILDING";

/// A runtime with rows and tables of SQL.
async fn start(address: &str) -> Runtime {
    if address.starts_with("postgres") {
        start_with::<_, postgres::Totals>(stores::postgres_at(address).await).await
    } else {
        start_with::<_, sqlite::Totals>(SqliteStore::open(address).await.unwrap()).await
    }
}

async fn start_with<S: ProjectionStore, Totals: Project<S>>(store: S) -> Runtime {
    let builder = Runtime::builder(store).projection::<Balance>().projection::<Totals>();
    builder.start().await.unwrap()
}

/// What the tables of SQL hold.
async fn totals(address: &str) -> totals::Totals {
    if address.starts_with("postgres") {
        postgres::dump(&stores::postgres_at(address).await).await
    } else {
        sqlite::dump(&SqliteStore::open(address).await.unwrap()).await
    }
}

/// Is a process of its own, if it is started as one: runs the projection until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn projecting_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let runtime = start(&address).await;
    if std::env::var(REBUILDS).is_ok() {
        let rebuild = async || runtime.projection::<Balance>().rebuild().throttle(200).compare().await;
        // Until the one that has the lease has given it back.
        for _ in 0..6_000 {
            if rebuild().await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    println!("\nprojecting");
    life(async || {
        runtime
            .health()
            .await
            .is_ok_and(|health| health.projections[0].runs_here)
    })
    .await;
}

/// A process that projects.
fn projecting(address: &str) -> Process {
    Process::start("killed::projecting_process", [(ADDRESS, address)], "projecting")
}

async fn each_event_counts_once_when_processes_are_killed(address: &str) {
    let store = stores::open(address).await;
    let runtime = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let account = account_with(&runtime, 100).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (runtime, is_over) = (runtime.clone(), Arc::clone(&is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
                runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    };
    for kill in 0..scaled(8, 100) {
        let process = projecting(address);
        process.kill_as_owner(Duration::from_millis(kill * 7919 % 300)).await;
    }
    // Not cut off: what it has begun would be appended at some time.
    is_over.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    is_whole(address, &store).await;
}

async fn three_processes_share_the_work(address: &str) {
    let store = stores::open(address).await;
    let runtime = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let account = account_with(&runtime, 100).await;
    let mut processes: Vec<_> = (0..3).map(|_| projecting(address)).collect();
    for _ in 0..3 {
        // The owner says so, the others do not.
        let mut owner = None;
        for _ in 0..100 {
            owner = processes
                .iter()
                .position(|process| process.says("owner", Duration::from_millis(50)));
            if owner.is_some() {
                break;
            }
        }
        let owner = processes.remove(owner.expect("one of them has taken the lease"));
        let killed = Instant::now();
        owner.kill();
        for _ in 0..50 {
            runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
        }
        let head = store.head().await.unwrap();
        processes.push(projecting(address));
        caught_up(&store, "balances@1", head).await;
        println!("taken over and caught up {:?} after the kill", killed.elapsed());
        assert_eq!(dump(&store).await, folded(&store).await);
    }
}

async fn a_build_beside_goes_on_where_it_was_when_its_process_is_killed(address: &str) {
    let store = stores::open(address).await;
    let runtime = start(address).await;
    let accounts = [account_with(&runtime, 100).await, account_with(&runtime, 7).await];
    for _ in 0..300 {
        runtime.execute(accounts[0], Deposit { amount: 2 }).await.unwrap();
    }
    caught_up(&store, "balances@1", store.head().await.unwrap()).await;
    drop(runtime);

    // Reads and writes, and never runs the projection.
    let elsewhere = Faulty::new(Arc::clone(&store));
    elsewhere.stand_by(true);
    let here = Runtime::builder(elsewhere)
        .projection::<Balance>()
        .start()
        .await
        .unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = {
        let (here, is_over) = (here.clone(), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut reads = 0;
            while !is_over.load(Ordering::SeqCst) {
                assert_eq!(here.list::<Balance>().await.unwrap().rows.len(), accounts.len());
                let other = here.get::<Balance>(accounts[1]).await.unwrap().unwrap();
                assert_eq!(other.cents, 7);
                reads += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            reads
        })
    };

    let built = async || {
        store
            .checkpoint("balances@1 new")
            .await
            .unwrap()
            .map(|at| at.position.0)
    };
    let mut process = Process::start(
        "killed::projecting_process",
        [(ADDRESS, address), (REBUILDS, "")],
        "projecting",
    );
    let mut done = built().await.expect("it has begun");
    for _ in 0..scaled(2, 5) {
        let wanted = done + 40;
        let started = Instant::now();
        while done < wanted {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "it does not go on behind {done}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
            done = built().await.expect("it is under way");
        }
        process.kill();
        done = built().await.expect("it is still under way");
        here.execute(accounts[0], Withdraw { amount: 1 }).await.unwrap();
        process = projecting(address);
    }
    let started = Instant::now();
    while let Some(at) = built().await {
        assert!(at >= done, "it went back from {done} to {at}");
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it does not go on behind {at}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut rebuilt = None;
    while rebuilt.is_none() {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "nobody says what came of it"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
        rebuilt = here.projection::<Balance>().status().await.unwrap().rebuilt;
    }
    // In the way that was asked of the process that was killed first.
    let rebuilt = rebuilt.map(|rebuilt| (rebuilt.replaced, rebuilt.differences.map(|found| found.count)));
    assert_eq!(rebuilt, Some((true, Some(0))));
    is_over.store(true, Ordering::SeqCst);
    assert!(reader.await.unwrap() > 0);
    process.kill();
    is_whole(address, &store).await;
}

/// Takes the projections up here, and looks at every row.
async fn is_whole(address: &str, store: &Store) {
    let runtime = start(address).await;
    let head = store.head().await.unwrap();
    for reader in ["balances@1", "totals@1"] {
        caught_up(store, reader, head).await;
    }
    assert_eq!(dump(store).await, folded(store).await);
    assert_eq!(totals(address).await, totals::folded(&**store).await);
    drop(runtime);
}

async fn caught_up(store: &Store, reader: &str, head: Position) {
    let started = Instant::now();
    while store.checkpoint(reader).await.unwrap().map(|at| at.position) < Some(head) {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "nobody has taken `{reader}` over"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_killed() {
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    each_event_counts_once_when_processes_are_killed(file.to_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_taken_over() {
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    three_processes_share_the_work(file.to_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_rebuilding() {
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    a_build_beside_goes_on_where_it_was_when_its_process_is_killed(file.to_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed() {
    each_event_counts_once_when_processes_are_killed(&stores::postgres_address().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_taken_over() {
    three_processes_share_the_work(&stores::postgres_address().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_rebuilding() {
    a_build_beside_goes_on_where_it_was_when_its_process_is_killed(&stores::postgres_address().await).await;
}
