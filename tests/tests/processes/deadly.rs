//! A timer at which the process ends: a few processes later its instance is parked, and the next process lives.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::process::InstanceStatus;
use es_runtime::store::Lease;
use es_tests::bank::Account;
use es_tests::process::Process;
use es_tests::stores;
use es_tests::waits::LONG;

use super::by_hand::{Request, Requested, TransferRequest};

/// Where the store is on which the process works. Only where this is said, the timer is deadly: elsewhere it is mended.
const ADDRESS: &str = "ES_TESTS_DEADLY_TIMER";

const DEADLY: i64 = 13;

#[value]
struct Fuse;

#[process_manager(id = Id<TransferRequest>)]
struct Bomb {
    cents: i64,
}

#[process_manager]
impl Bomb {
    #[on]
    fn requested(event: Requested, todo: &mut Todo<Self>) -> Self {
        todo.remind(Duration::ZERO, Fuse);
        Bomb { cents: event.cents }
    }

    #[on]
    fn fuse(self, _: Due<Fuse>) -> Option<Self> {
        if self.cents == DEADLY && std::env::var(ADDRESS).is_ok() {
            std::process::abort();
        }
        None
    }
}

async fn start(address: &str) -> Runtime {
    let builder = Runtime::builder(stores::open(address).await).process_manager::<Bomb>(Beginning::Start);
    builder.start().await.unwrap()
}

/// Is a process of its own, if it is started as one: works until its code ends it.
#[tokio::test(flavor = "multi_thread")]
async fn deadly_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    println!("\nworking");
    let runtime = start(&address).await;
    // Bounded, should it neither end nor be killed.
    for _ in 0..6_000 {
        let health = runtime.health().await.unwrap();
        if health.process_managers[0].parked == 1 && health.process_managers[0].lag_events == 0 {
            println!("\nsettled");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_ends_processes_parks_its_instance() {
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let address = file.to_str().unwrap();
    let store = stores::open(address).await;
    let runtime = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let mut ids = Vec::new();
    for cents in [1, DEADLY, 2] {
        let (id, account) = (Id::<TransferRequest>::new(), Id::<Account>::new());
        let (from, to) = (account, account);
        runtime.execute(id, Request { from, to, cents }).await.unwrap();
        ids.push(id);
    }
    drop(runtime);
    let mut ended = 0;
    loop {
        let process = Process::start("deadly::deadly_process", [(ADDRESS, address)], "working");
        let lives = process.says("settled", Duration::from_secs(60));
        drop(process);
        // As if the time of the lease whose owner is gone had run out.
        let name = "process/bomb".to_owned();
        let lease = store.lease(&name).await.unwrap().unwrap();
        if let Some(owner) = lease.owner {
            let epoch = lease.epoch;
            store.release(&Lease { name, owner, epoch }).await.unwrap();
        }
        if lives {
            break;
        }
        ended += 1;
        assert!(ended < 10, "no process lives");
    }
    assert!(ended > 0, "the timer ends processes");

    let runtime = start(address).await;
    let bombs = runtime.process_manager::<Bomb>();
    let status = async |id| bombs.get(id).await.unwrap().map(|bomb| bomb.status);
    assert!(matches!(status(ids[1]).await, Some(InstanceStatus::Parked { .. })));
    let waited = tokio::time::timeout(LONG, async {
        // Until this process has the lease.
        while bombs.retry(ids[1]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for id in ids {
            while status(id).await != Some(InstanceStatus::Ended) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    assert!(waited.await.is_ok(), "never: {:?}", runtime.health().await);
    runtime.shutdown().await.unwrap();
}
