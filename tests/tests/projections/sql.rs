//! What SQL projections promise, on SQLite and PostgreSQL: each event in the user's tables exactly once, whatever fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_postgres::{PgTransaction, PostgresStore};
use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::{ControlError, StartError, StoreErrorKind};
use es_sqlite::{SqliteStore, SqliteTransaction};
use es_tests::bank::{Account, Deposit, Deposited, Opened, Withdraw, Withdrawn, account_with};
use es_tests::faults::{Fault, Faulty};
use es_tests::stores;
use es_tests::totals::folded;
use es_tests::waits::{becomes, caught_up, reached};

/// The accounts for which a bug is fixed, as if by a new build.
static FIXED: Mutex<Vec<Id<Account>>> = Mutex::new(Vec::new());

es_tests::on_both_databases! {
    sqlite {
        use super::sqlite::*;
        use es_tests::totals::sqlite::{Totals, dump};
    }
    postgres {
        use super::postgres::*;
        use es_tests::totals::postgres::{Totals, dump};
    }

    async fn tables_show_what_happened(store: _) {
        let runtime = Runtime::builder(store.clone()).projection::<Totals>().start().await.unwrap();
        let alice = account_with(&runtime, 50).await;
        account_with(&runtime, 7).await;
        runtime.execute(alice, Withdraw { amount: 20 }).wait_for::<Totals>().await.unwrap();
        let dumped = dump(&store).await;
        assert_eq!(dumped, folded(&store).await);
        assert!(dumped.contains(&(alice.to_string(), 30, 3)), "{dumped:?}");
        assert!(becomes::<Totals>(&runtime, Status::Live).await.ready);
        runtime.shutdown().await.unwrap();
    }

    async fn many_events_go_into_one_transaction_and_all_of_them_count(store: _) {
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        for _ in 0..20 {
            let account = account_with(&runtime, 1).await;
            runtime.append(account, (0..200).map(|amount| Deposited { amount }).collect::<Vec<_>>()).await.unwrap();
        }
        let runtime = Runtime::builder(store.clone()).projection::<Totals>().start().await.unwrap();
        caught_up::<Totals>(&runtime).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    /// At each point between the log, the methods, the checkpoint and the answer: when all is over, every event counts once.
    async fn each_event_counts_once_whatever_fails(store: _) {
        let faulty = Faulty::new(Arc::new(store.clone()));
        let runtime = Runtime::builder(faulty.clone()).projection::<Totals>().start().await.unwrap();
        let account = account_with(&runtime, 1).await;
        // There are no rows to be read.
        for fault in Fault::ALL.into_iter().filter(|fault| *fault != Fault::Rows) {
            for second in [Fault::AnswerLost, Fault::CommitLost] {
                faulty.plan([Fault::CommitRefused, fault, second]);
                while !faulty.planned().is_empty() {
                    runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
                    runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
                    // Asked of the store behind, so that it is the projection that meets the faults.
                    reached::<Totals>(&runtime, store.head().await.unwrap()).await;
                }
                assert_eq!(dump(&store).await, folded(&store).await, "after {fault:?} and {second:?}");
            }
        }
    }

    async fn an_event_that_cannot_be_applied_holds_and_those_before_it_count(store: _) {
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        let account = account_with(&runtime, 1).await;
        runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
        let poison = runtime.execute(account, Deposit { amount: 13 }).await.unwrap();
        let after = runtime.execute(account, Deposit { amount: 4 }).await.unwrap();
        // It finds all of them at once.
        let runtime = Runtime::builder(store.clone())
            .projection::<Fragile>()
            .projection::<Totals>()
            .start()
            .await
            .unwrap();

        let health = becomes::<Fragile>(&runtime, Status::Held).await;
        let failure = health.last_error.unwrap();
        assert_eq!(failure.position, Some(poison.position));
        assert!(failure.error.contains("13 brings bad luck"), "{}", failure.error);
        assert_eq!(amounts(&store).await, [1, 2]);

        // The other projection lives.
        reached::<Totals>(&runtime, after.position).await;
        assert_eq!(dump(&store).await, folded(&store).await);

        let handle = runtime.projection::<Fragile>();
        let other = handle.skip(after.position, "a mistake").await.unwrap_err();
        assert!(matches!(other, ControlError::NotParked { .. }), "{other}");
        let again = handle.retry(poison.position).await.unwrap_err();
        assert!(matches!(again, ControlError::Failed(_)), "{again}");
        assert_eq!(amounts(&store).await, [1, 2]);
        handle.skip(poison.position, "13 is booked by hand").await.unwrap();
        reached::<Fragile>(&runtime, after.position).await;
        assert_eq!(amounts(&store).await, [1, 2, 4]);
    }

    /// What a statement refuses, and what a method panics with, is the event's fault too.
    async fn a_refused_statement_and_a_panic_hold(store: _) {
        for (amount, why) in [(14, "CHECK"), (15, "15 is too much")] {
            let runtime = Runtime::builder(store.clone()).projection::<Fragile>().start().await.unwrap();
            let account = account_with(&runtime, 0).await;
            let poison = runtime.execute(account, Deposit { amount }).await.unwrap();
            let mut failure = becomes::<Fragile>(&runtime, Status::Held).await.last_error.unwrap();
            for _ in 0..3_000 {
                if failure.position == Some(poison.position) {
                    break;
                }
                // It is what the runtime before has said of the event before.
                tokio::time::sleep(Duration::from_millis(10)).await;
                failure = becomes::<Fragile>(&runtime, Status::Held).await.last_error.unwrap();
            }
            assert_eq!(failure.position, Some(poison.position));
            assert!(failure.error.to_uppercase().contains(&why.to_uppercase()), "{}", failure.error);
            runtime.projection::<Fragile>().skip(poison.position, "seen").await.unwrap();
            caught_up::<Fragile>(&runtime).await;
            assert_eq!(amounts(&store).await, [0; 0]);
        }
    }

    async fn a_parked_event_is_listed_retried_and_skipped(store: _) {
        let runtime = Runtime::builder(store.clone()).projection::<Careless>().start().await.unwrap();
        let account = account_with(&runtime, 1).await;
        let first = runtime.execute(account, Deposit { amount: 14 }).await.unwrap();
        let second = runtime.execute(account, Deposit { amount: 14 }).await.unwrap();
        runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
        caught_up::<Careless>(&runtime).await;
        assert_eq!(careless_amounts(&store).await, [1, 2]);

        let handle = runtime.projection::<Careless>();
        let parked = handle.parked().await.unwrap();
        let positions: Vec<_> = parked.iter().map(|parked| (parked.position, parked.attempts)).collect();
        assert_eq!(positions, [(first.position, 1), (second.position, 1)]);
        assert!(parked[0].error.contains("14 is not known yet"), "{}", parked[0].error);
        let again = handle.retry(first.position).await.unwrap_err();
        assert!(matches!(again, ControlError::Failed(_)), "{again}");
        assert_eq!(handle.parked().await.unwrap()[0].attempts, 2);
        FIXED.lock().unwrap().push(account);
        handle.retry(first.position).await.unwrap();
        assert_eq!(careless_amounts(&store).await, [1, 2, 14]);
        handle.skip(second.position, "booked by hand").await.unwrap();
        assert_eq!(handle.parked().await.unwrap(), []);
        assert_eq!(careless_amounts(&store).await, [1, 2, 14]);
    }

    async fn a_rebuild_gives_the_same_rows(store: _) {
        let runtime = Runtime::builder(store.clone()).projection::<Totals>().start().await.unwrap();
        for amount in 1..20 {
            account_with(&runtime, amount).await;
        }
        caught_up::<Totals>(&runtime).await;
        let before = dump(&store).await;
        runtime.projection::<Totals>().rebuild().await.unwrap();
        // From then on it has not come as far as it was.
        caught_up::<Totals>(&runtime).await;
        assert_eq!(dump(&store).await, before);
        assert_eq!(before, folded(&store).await);
    }

    async fn a_new_version_is_built_beside_the_old_one(store: _) {
        let old = Runtime::builder(store.clone()).projection::<Totals>().start().await.unwrap();
        account_with(&old, 5).await;
        caught_up::<Totals>(&old).await;
        let before = dump(&store).await;
        let new = Runtime::builder(store.clone()).projection::<SecondTotals>().start().await.unwrap();
        caught_up::<SecondTotals>(&new).await;
        assert_eq!(second_total(&store).await, 5);
        assert_eq!(dump(&store).await, before);

        let handle = new.projection::<SecondTotals>();
        assert_eq!(handle.versions().await.unwrap(), [1, 2]);
        let in_use = handle.drop_version(2).await.unwrap_err();
        assert!(matches!(in_use, ControlError::InUse { version: 2, .. }), "{in_use}");
        drop(old);
        for _ in 0..12_000 {
            match handle.drop_version(1).await {
                Ok(()) => break,
                // Its runtime is about to give the lease back.
                Err(ControlError::Elsewhere { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(handle.versions().await.unwrap(), [2]);
        assert_eq!(second_total(&store).await, 5);
        // It comes back, and finds none of its tables.
        let old = Runtime::builder(store.clone()).projection::<Totals>().start().await.unwrap();
        caught_up::<Totals>(&old).await;
        assert_eq!(dump(&store).await, before);
    }

    /// Such as that of a version which was dropped, and comes back.
    async fn a_checkpoint_that_is_gone_leaves_no_row_that_counts_twice(store: _) {
        let old = Runtime::builder(store.clone()).projection::<Totals>().start().await.unwrap();
        let account = account_with(&old, 5).await;
        caught_up::<Totals>(&old).await;
        drop(old);
        let new = Runtime::builder(store.clone()).projection::<SecondTotals>().start().await.unwrap();
        let mut dropped = new.projection::<SecondTotals>().drop_version(1).await;
        // The old runtime gives its lease back when its task sees that it is gone.
        for _ in 0..1_000 {
            if dropped.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            dropped = new.projection::<SecondTotals>().drop_version(1).await;
        }
        dropped.unwrap();
        let back = Runtime::builder(store.clone()).projection::<Totals>().start().await.unwrap();
        back.execute(account, Deposit { amount: 1 }).await.unwrap();
        caught_up::<Totals>(&back).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn a_schema_that_changes_without_a_version_is_refused(store: _) {
        let _old = Runtime::builder(store.clone()).projection::<Totals>().start().await.unwrap();
        let refused = Runtime::builder(store.clone()).projection::<ChangedTotals>().start().await.unwrap_err();
        let StartError::Store(error) = refused else { panic!("{refused}") };
        assert_eq!(error.kind(), StoreErrorKind::Rejected);
        assert!(error.to_string().contains("raise its version"), "{error}");
    }

    async fn a_schema_that_the_database_refuses_leaves_nothing_behind(store: _) {
        for _ in 0..2 {
            let refused = Runtime::builder(store.clone()).projection::<Misspelt>().start().await.unwrap_err();
            assert!(refused.to_string().contains("schema of projection `misspelt` is refused"), "{refused}");
        }
        // The store is as good as before.
        let runtime = Runtime::builder(store.clone()).projection::<Totals>().start().await.unwrap();
        account_with(&runtime, 5).await;
        caught_up::<Totals>(&runtime).await;
    }

    async fn of_two_runtimes_one_writes_and_the_other_takes_over(store: _) {
        let frozen = Faulty::new(Arc::new(store.clone()));
        let first = Runtime::builder(frozen.clone()).projection::<Totals>().start().await.unwrap();
        let account = account_with(&first, 1).await;
        caught_up::<Totals>(&first).await;
        let second = Runtime::builder(store.clone()).projection::<Totals>().start().await.unwrap();

        // The first stands still, as under SIGSTOP, until the second has taken over: then it must not write.
        frozen.freeze(true);
        second.execute(account, Deposit { amount: 1 }).await.unwrap();
        caught_up::<Totals>(&second).await;
        frozen.freeze(false);
        for _ in 0..20 {
            first.execute(account, Deposit { amount: 1 }).await.unwrap();
        }
        caught_up::<Totals>(&first).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }
}

mod sqlite {
    use super::*;

    /// Fails as it is told to.
    #[projection(name = "fragile", schema = "schemas/fragile_sqlite.sql")]
    pub(super) struct Fragile;

    #[projection]
    impl Fragile {
        #[apply]
        fn deposited(tx: &mut SqliteTransaction<'_>, event: Deposited) -> Result<()> {
            tx.execute("INSERT INTO fragile_v1 (cents) VALUES (?1)", [event.amount])?;
            fails_at_13(event.amount)
        }
    }

    /// Puts aside what it cannot apply.
    #[projection(name = "careless", park_alone, schema = "schemas/careless_sqlite.sql")]
    pub(super) struct Careless;

    #[projection]
    impl Careless {
        #[apply]
        fn deposited(tx: &mut SqliteTransaction<'_>, event: Deposited, meta: &Meta<Account>) -> Result<()> {
            tx.execute("INSERT INTO careless_v1 (cents) VALUES (?1)", [event.amount])?;
            fails_until_fixed(event.amount, meta)
        }
    }

    /// The same projection in another shape.
    #[projection(name = "totals", version = 2, schema = "schemas/second_sqlite.sql")]
    pub(super) struct SecondTotals;

    #[projection]
    impl SecondTotals {
        #[apply]
        fn deposited(tx: &mut SqliteTransaction<'_>, event: Deposited) -> Result<()> {
            tx.execute("INSERT INTO totals_v2 (cents) VALUES (?1)", [event.amount])?;
            Ok(())
        }

        #[apply]
        fn withdrawn(tx: &mut SqliteTransaction<'_>, event: Withdrawn) -> Result<()> {
            tx.execute("INSERT INTO totals_v2 (cents) VALUES (?1)", [-event.amount])?;
            Ok(())
        }
    }

    /// The same projection with another schema, though of the same version.
    #[projection(name = "totals", schema = "schemas/second_sqlite.sql")]
    pub(super) struct ChangedTotals;

    #[projection]
    impl ChangedTotals {
        #[apply]
        fn opened(_: &mut SqliteTransaction<'_>, _: Opened) -> Result<()> {
            Ok(())
        }
    }

    #[projection(name = "misspelt", schema = "schemas/misspelt.sql")]
    pub(super) struct Misspelt;

    #[projection]
    impl Misspelt {
        #[apply]
        fn opened(_: &mut SqliteTransaction<'_>, _: Opened) -> Result<()> {
            Ok(())
        }
    }

    pub(super) async fn amounts(store: &SqliteStore) -> Vec<i64> {
        numbers(store, "SELECT cents FROM fragile_v1 ORDER BY rowid").await
    }

    pub(super) async fn careless_amounts(store: &SqliteStore) -> Vec<i64> {
        numbers(store, "SELECT cents FROM careless_v1 ORDER BY rowid").await
    }

    pub(super) async fn second_total(store: &SqliteStore) -> i64 {
        numbers(store, "SELECT sum(cents) FROM totals_v2").await[0]
    }

    async fn numbers(store: &SqliteStore, sql: &'static str) -> Vec<i64> {
        let read = store.query(move |connection| {
            let mut statement = connection.prepare(sql)?;
            statement.query_map([], |row| row.get(0))?.collect()
        });
        read.await.unwrap()
    }
}

mod postgres {
    use super::*;

    /// Fails as it is told to.
    #[projection(name = "fragile", schema = "schemas/fragile_postgres.sql")]
    pub(super) struct Fragile;

    #[projection]
    impl Fragile {
        #[apply]
        async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited) -> Result<()> {
            tx.execute("INSERT INTO fragile (cents) VALUES ($1)", &[&event.amount])
                .await?;
            fails_at_13(event.amount)
        }
    }

    /// Puts aside what it cannot apply.
    #[projection(name = "careless", park_alone, schema = "schemas/careless_postgres.sql")]
    pub(super) struct Careless;

    #[projection]
    impl Careless {
        #[apply]
        async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited, meta: &Meta<Account>) -> Result<()> {
            tx.execute("INSERT INTO careless (cents) VALUES ($1)", &[&event.amount])
                .await?;
            fails_until_fixed(event.amount, meta)
        }
    }

    /// The same projection in another shape.
    #[projection(name = "totals", version = 2, schema = "schemas/second_postgres.sql")]
    pub(super) struct SecondTotals;

    #[projection]
    impl SecondTotals {
        #[apply]
        async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited) -> Result<()> {
            tx.execute("INSERT INTO totals (cents) VALUES ($1)", &[&event.amount])
                .await?;
            Ok(())
        }

        #[apply]
        async fn withdrawn(tx: &mut PgTransaction<'_>, event: Withdrawn) -> Result<()> {
            tx.execute("INSERT INTO totals (cents) VALUES (-$1)", &[&event.amount])
                .await?;
            Ok(())
        }
    }

    /// The same projection with another schema, though of the same version.
    #[projection(name = "totals", schema = "schemas/second_postgres.sql")]
    pub(super) struct ChangedTotals;

    #[projection]
    impl ChangedTotals {
        #[apply]
        async fn opened(_: &mut PgTransaction<'_>, _: Opened) -> Result<()> {
            Ok(())
        }
    }

    #[projection(name = "misspelt", schema = "schemas/misspelt.sql")]
    pub(super) struct Misspelt;

    #[projection]
    impl Misspelt {
        #[apply]
        async fn opened(_: &mut PgTransaction<'_>, _: Opened) -> Result<()> {
            Ok(())
        }
    }

    pub(super) async fn amounts(store: &PostgresStore) -> Vec<i64> {
        numbers(store, "SELECT cents FROM es_fragile_v1.fragile ORDER BY number").await
    }

    pub(super) async fn careless_amounts(store: &PostgresStore) -> Vec<i64> {
        numbers(store, "SELECT cents FROM es_careless_v1.careless ORDER BY number").await
    }

    pub(super) async fn second_total(store: &PostgresStore) -> i64 {
        numbers(store, "SELECT sum(cents)::bigint FROM es_totals_v2.totals").await[0]
    }

    pub(super) async fn numbers(store: &PostgresStore, sql: &str) -> Vec<i64> {
        let rows = store.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("13 brings bad luck")]
struct BadLuck;

fn fails_at_13(amount: i64) -> Result<()> {
    match amount {
        13 => Err(BadLuck.into()),
        // Without the hook: with debug information the trace that it prints takes seconds.
        15 => std::panic::resume_unwind(Box::new("15 is too much")),
        _ => Ok(()),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("14 is not known yet")]
struct NotKnown;

fn fails_until_fixed(amount: i64, meta: &Meta<Account>) -> Result<()> {
    let is_known = amount != 14 || FIXED.lock().unwrap().contains(meta.id());
    if is_known { Ok(()) } else { Err(NotKnown.into()) }
}

/// A connection that is lost in the middle of a method.
mod cut_off {
    use super::*;

    static CUT: AtomicBool = AtomicBool::new(false);

    #[projection(name = "cut_off", schema = "schemas/fragile_postgres.sql")]
    struct CutOff;

    #[projection]
    impl CutOff {
        #[apply]
        async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited) -> Result<()> {
            tx.execute("INSERT INTO fragile (cents) VALUES ($1)", &[&event.amount])
                .await?;
            if event.amount == 3 && !CUT.swap(true, Ordering::SeqCst) {
                tx.query("SELECT pg_terminate_backend(pg_backend_pid())", &[]).await?;
            }
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_tried_again_and_each_event_counts_once() {
        let store = stores::postgres().await;
        let runtime = Runtime::builder(store.clone())
            .projection::<CutOff>()
            .start()
            .await
            .unwrap();
        let account = account_with(&runtime, 1).await;
        for amount in [2, 3, 4] {
            runtime.execute(account, Deposit { amount }).await.unwrap();
        }
        caught_up::<CutOff>(&runtime).await;
        assert!(CUT.load(Ordering::SeqCst));
        let sql = "SELECT cents FROM es_cut_off_v1.fragile ORDER BY number";
        assert_eq!(postgres::numbers(&store, sql).await, [1, 2, 3, 4]);
    }
}

/// What would break the promise on SQLite.
mod ended {
    use super::*;

    #[projection(name = "ender", schema = "schemas/ender.sql")]
    struct Ender;

    #[projection]
    impl Ender {
        #[apply]
        fn deposited(tx: &mut SqliteTransaction<'_>, _: Deposited) -> Result<()> {
            tx.connection().execute_batch("ROLLBACK")?;
            Ok(())
        }
    }

    #[projection(name = "lenient", schema = "schemas/if_not_exists.sql")]
    struct Lenient;

    #[projection]
    impl Lenient {
        #[apply]
        fn deposited(_: &mut SqliteTransaction<'_>, _: Deposited) -> Result<()> {
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_method_that_ends_the_transaction_stops_its_projection_and_harms_no_other_writer() {
        let folder = es_tests::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("test.db")).await.unwrap();
        let runtime = Runtime::builder(store.clone())
            .projection::<Ender>()
            .start()
            .await
            .unwrap();
        let account = account_with(&runtime, 1).await;
        let failure = becomes::<Ender>(&runtime, Status::Held).await.last_error.unwrap();
        assert!(
            failure.error.contains("remove the `COMMIT` or `ROLLBACK`"),
            "{}",
            failure.error
        );
        for _ in 0..50 {
            runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
        }
        assert_eq!(es_tests::bank::balance(&runtime, account).await, 51);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_schema_that_would_share_tables_is_refused() {
        let folder = es_tests::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("test.db")).await.unwrap();
        let refused = Runtime::builder(store)
            .projection::<Lenient>()
            .start()
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("IF NOT EXISTS"), "{refused}");
    }
}
