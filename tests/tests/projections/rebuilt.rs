//! Rows that are built anew while others read and write.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::{RowProjection, Status};
use es_runtime::{ControlError, Position};
use es_tests::balances::{Balance, Store, dump, folded, start};
use es_tests::bank::{Account, Deposit, Deposited, Opened, Withdraw, Withdrawn, account_with};
use es_tests::waits::{caught_up, until};

/// The same rows in another shape.
mod second {
    use super::*;

    #[projection(name = "balances", version = 2)]
    pub(super) struct Balance {
        pub(super) euros: f64,
    }

    #[projection]
    impl Balance {
        #[apply]
        fn opened(_: Opened) -> Self {
            Self { euros: 0.0 }
        }

        #[apply]
        fn deposited(&mut self, event: Deposited) {
            self.euros += f64::from(i32::try_from(event.amount).unwrap()) / 100.0;
        }

        #[apply]
        fn withdrawn(&mut self, event: Withdrawn) {
            self.euros -= f64::from(i32::try_from(event.amount).unwrap()) / 100.0;
        }
    }
}

/// The accounts of which [`Sum`] is mistaken, as if by the bug of a new build.
static MISTAKEN: Mutex<Vec<Id<Account>>> = Mutex::new(Vec::new());

#[projection(name = "sums")]
struct Sum {
    cents: i64,
}

#[projection]
impl Sum {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited, meta: &Meta<Account>) {
        let mistake = if MISTAKEN.lock().unwrap().contains(meta.id()) {
            1_000
        } else {
            0
        };
        self.cents += event.amount + mistake;
    }
}

/// The same version in another shape, which should have been another version.
mod changed {
    use super::*;

    #[projection(name = "sums")]
    pub(super) struct Sum {
        pub(super) euros: f64,
        pub(super) deposits: u32,
    }

    #[projection]
    impl Sum {
        #[apply]
        fn opened(_: Opened) -> Self {
            Self {
                euros: 0.0,
                deposits: 0,
            }
        }

        #[apply]
        fn deposited(&mut self, event: Deposited) {
            self.euros += f64::from(i32::try_from(event.amount).unwrap()) / 100.0;
            self.deposits += 1;
        }
    }
}

async fn trade(runtime: &Runtime, accounts: &[Id<Account>], rounds: usize) {
    for _ in 0..rounds {
        for account in accounts {
            runtime.execute(*account, Deposit { amount: 3 }).await.unwrap();
            runtime.execute(*account, Withdraw { amount: 1 }).await.unwrap();
        }
    }
}

/// Something that goes on until it is told to stop.
struct Going {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<u64>,
}

impl Going {
    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

/// Moves money all the time.
fn write(runtime: &Runtime, accounts: &[Id<Account>]) -> Going {
    let stop = Arc::new(AtomicBool::new(false));
    let (runtime, accounts, stopped) = (runtime.clone(), accounts.to_vec(), Arc::clone(&stop));
    let task = tokio::spawn(async move {
        let mut rounds = 0;
        while !stopped.load(Ordering::SeqCst) {
            trade(&runtime, &accounts, 1).await;
            rounds += 1;
            // Slower than the builds, which would never end else.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        rounds
    });
    Going { stop, task }
}

/// Reads every row all the time, one by one and all at once. No read may fail, no row may be missing or go back.
fn read<P: RowProjection>(runtime: &Runtime, accounts: &[Id<Account>]) -> Going {
    let stop = Arc::new(AtomicBool::new(false));
    let (runtime, accounts, stopped) = (runtime.clone(), accounts.to_vec(), Arc::clone(&stop));
    let task = tokio::spawn(async move {
        let mut seen: HashMap<String, Position> = HashMap::new();
        let mut reads = 0;
        while !stopped.load(Ordering::SeqCst) {
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
            for (key, position) in shown {
                let before = seen.insert(key.clone(), position);
                assert!(
                    before <= Some(position),
                    "{key} went back from {before:?} to {position}"
                );
                reads += 1;
            }
            // A store in memory never makes it wait, and what it has woken would not run.
            tokio::task::yield_now().await;
        }
        reads
    });
    Going { stop, task }
}

async fn accounts(runtime: &Runtime) -> Vec<Id<Account>> {
    let mut accounts = Vec::new();
    for _ in 0..5 {
        accounts.push(account_with(runtime, 100).await);
    }
    accounts
}

es_tests::on_every_store_and_postgres! {
    async fn no_read_fails_or_goes_back_while_rows_are_built_anew(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start(&store).await;
        let accounts = accounts(&runtime).await;
        trade(&runtime, &accounts, 20).await;
        caught_up::<Balance>(&runtime).await;
        let (writer, reader) = (write(&runtime, &accounts), read::<Balance>(&runtime, &accounts));
        for _ in 0..3 {
            let last = runtime.projection::<Balance>().status().await.unwrap().rebuilt.map(|rebuilt| rebuilt.at);
            runtime.projection::<Balance>().rebuild().throttle(2_000).await.unwrap();
            until::<Balance>(&runtime, |health| health.build.is_none()).await;
            let rebuilt = runtime.projection::<Balance>().status().await.unwrap().rebuilt.unwrap();
            assert!(rebuilt.replaced && rebuilt.differences.is_none() && last <= Some(rebuilt.at));
        }
        assert!(writer.stop().await > 0);
        assert!(reader.stop().await > 0);
        caught_up::<Balance>(&runtime).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn no_read_fails_or_goes_back_while_another_version_is_built(store: _, _clock: _) {
        let store: Store = store;
        let old = start(&store).await;
        let accounts = accounts(&old).await;
        trade(&old, &accounts, 20).await;
        caught_up::<Balance>(&old).await;
        let (writer, of_old) = (write(&old, &accounts), read::<Balance>(&old, &accounts));
        let builder = Runtime::builder(Arc::clone(&store)).projection::<second::Balance>().throttle_builds(1_000);
        let new = builder.start().await.unwrap();
        let of_new = read::<second::Balance>(&new, &accounts);
        let build = until::<second::Balance>(&new, |health| !health.ready).await.build.unwrap();
        assert!(build.done <= build.total && build.total > Position::ZERO);
        until::<second::Balance>(&new, |health| health.ready && health.build.is_none()).await;
        assert!(writer.stop().await > 0);
        assert!(of_old.stop().await > 0 && of_new.stop().await > 0);
        caught_up::<Balance>(&old).await;
        caught_up::<second::Balance>(&new).await;
        assert_eq!(dump(&store).await, folded(&store).await);
        for account in accounts {
            let (cents, euros) = (
                old.get::<Balance>(account).await.unwrap().unwrap().cents,
                new.get::<second::Balance>(account).await.unwrap().unwrap().euros,
            );
            assert!((f64::from(i32::try_from(cents).unwrap()) - euros * 100.0).abs() < 0.01, "{cents} {euros}");
        }
    }

    async fn whoever_takes_over_goes_on_with_a_build(store: _, _clock: _) {
        let store: Store = store;
        let first = start(&store).await;
        let accounts = accounts(&first).await;
        trade(&first, &accounts, 20).await;
        caught_up::<Balance>(&first).await;
        first.projection::<Balance>().rebuild().throttle(40).compare().await.unwrap();
        let far = until::<Balance>(&first, |health| health.build.as_ref().is_some_and(|build| build.done.0 >= 20)).await;
        // Not shut down: the store belongs to the test too.
        drop(first);
        let second = start(&store).await;
        let seen = until::<Balance>(&second, |health| health.runs_here).await;
        let (before, after) = (far.build.unwrap().done, seen.build.expect("it is still under way").done);
        assert!(after >= before, "it went back from {before} to {after}");
        trade(&second, &accounts, 1).await;
        let rebuilt = until::<Balance>(&second, |health| health.build.is_none()).await.rebuilt.unwrap();
        // It was told how by the process that began it.
        assert_eq!((rebuilt.replaced, rebuilt.differences.map(|found| found.count)), (true, Some(0)));
        caught_up::<Balance>(&second).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn a_rebuild_is_given_up_and_what_is_shown_stays(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start(&store).await;
        let accounts = accounts(&runtime).await;
        trade(&runtime, &accounts, 5).await;
        caught_up::<Balance>(&runtime).await;
        let balances = runtime.projection::<Balance>();
        let refused = balances.cancel_rebuild().await.unwrap_err();
        assert!(matches!(refused, ControlError::NotRebuilding { projection: "balances" }), "{refused}");
        for _ in 0..2 {
            balances.rebuild().throttle(40).await.unwrap();
            until::<Balance>(&runtime, |health| health.build.as_ref().is_some_and(|build| build.done.0 > 0)).await;
            balances.cancel_rebuild().await.unwrap();
            let health = balances.status().await.unwrap();
            assert_eq!((health.build, health.rebuilt), (None, None));
            assert_eq!(store.checkpoint("balances@1 new").await.unwrap(), None);
        }
        trade(&runtime, &accounts, 1).await;
        caught_up::<Balance>(&runtime).await;
        assert_eq!(dump(&store).await, folded(&store).await);
        balances.rebuild().await.unwrap();
        until::<Balance>(&runtime, |health| health.rebuilt.is_some()).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn rows_that_differ_are_told_and_the_old_ones_kept_if_asked(store: _, _clock: _) {
        let store: Store = store;
        let runtime = Runtime::builder(Arc::clone(&store)).projection::<Sum>().start().await.unwrap();
        let accounts = accounts(&runtime).await;
        caught_up::<Sum>(&runtime).await;
        let sums = runtime.projection::<Sum>();
        MISTAKEN.lock().unwrap().push(accounts[2]);
        for (rebuild, replaced, count, cents) in [
            (sums.rebuild().keep_if_different(), false, 1, 100),
            (sums.rebuild().compare(), true, 1, 1_100),
            (sums.rebuild().keep_if_different(), true, 0, 1_100),
        ] {
            rebuild.await.unwrap();
            let rebuilt = until::<Sum>(&runtime, |health| health.build.is_none()).await.rebuilt.unwrap();
            let found = rebuilt.differences.unwrap();
            assert_eq!((rebuilt.replaced, found.count), (replaced, count));
            for differs in found.first {
                assert_eq!(differs.key, accounts[2].to_string());
                assert_eq!(differs.old.as_deref(), Some(r#"{"cents":100}"#));
                assert_eq!(differs.new.as_deref(), Some(r#"{"cents":1100}"#));
            }
            assert_eq!(runtime.get::<Sum>(accounts[2]).await.unwrap().unwrap().cents, cents);
            assert_eq!(runtime.get::<Sum>(accounts[3]).await.unwrap().unwrap().cents, 100);
        }
    }

    async fn a_projection_that_holds_is_built_anew_too(store: _, _clock: _) {
        let store: Store = store;
        let runtime = Runtime::builder(Arc::clone(&store)).projection::<Sum>().start().await.unwrap();
        let account = account_with(&runtime, 100).await;
        caught_up::<Sum>(&runtime).await;
        drop(runtime);
        // A build whose author forgot to raise the version.
        let runtime = Runtime::builder(Arc::clone(&store)).projection::<changed::Sum>().start().await.unwrap();
        // The one before may still be at work.
        until::<changed::Sum>(&runtime, |health| health.runs_here).await;
        runtime.execute(account, Deposit { amount: 50 }).await.unwrap();
        until::<changed::Sum>(&runtime, |health| health.status == Status::Held).await;
        runtime.projection::<changed::Sum>().rebuild().await.unwrap();
        let built = until::<changed::Sum>(&runtime, |health| health.build.is_none() && health.rebuilt.is_some()).await;
        assert!(built.rebuilt.unwrap().replaced);
        let row = runtime.execute(account, Deposit { amount: 50 }).wait_for::<changed::Sum>().await;
        row.unwrap();
        assert_eq!(runtime.get::<changed::Sum>(account).await.unwrap().unwrap().deposits, 3);
    }

    async fn old_versions_are_listed_and_dropped(store: _, _clock: _) {
        let store: Store = store;
        let old = start(&store).await;
        let account = account_with(&old, 100).await;
        caught_up::<Balance>(&old).await;
        let new = Runtime::builder(Arc::clone(&store)).projection::<second::Balance>().start().await.unwrap();
        caught_up::<second::Balance>(&new).await;
        let balances = new.projection::<second::Balance>();
        assert_eq!(balances.versions().await.unwrap(), [1, 2]);
        let refused = balances.drop_version(1).await.unwrap_err();
        assert!(matches!(refused, ControlError::Elsewhere { .. }), "{refused}");
        let refused = balances.drop_version(2).await.unwrap_err();
        assert!(matches!(refused, ControlError::InUse { version: 2, .. }), "{refused}");
        // Not shut down: the store belongs to the test too.
        drop(old);
        for _ in 0..3_000 {
            if balances.drop_version(1).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(balances.versions().await.unwrap(), [2]);
        assert!(store.checkpoint("balances@1").await.unwrap().is_none());
        assert!(new.get::<second::Balance>(account).await.unwrap().is_some());
        // A build that comes back builds it anew.
        let old = start(&store).await;
        assert_eq!(old.get::<Balance>(account).timeout(Duration::from_secs(60)).await.unwrap().unwrap().cents, 100);
    }
}
