//! What inline projections promise, on SQLite and PostgreSQL: rows and events are stored together or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::inline_alike::{self, survives_kills};
use crate::inline_balances::InlineBalance;
use es_postgres::{PgTransaction, PostgresStore};
use es_runtime::prelude::*;
use es_runtime::projection::{ApplyError, Project};
use es_runtime::{
    AppendError, ControlError, ExecuteError, Position, Projection, ReadError, RetryPolicy, StartError, StoreErrorKind,
    Version,
};
use es_sqlite::SqliteStore;
use es_tests::bank::{Audit, Deposit, Deposited, Withdraw, account_with, balance};
use es_tests::faults::Faulty;
use es_tests::ledger::BadLuck;
use es_tests::totals::{Totals, folded};
use es_tests::{ledger, stores};
use futures_util::future::try_join_all;

/// Of several writers on one stream each is tried again often enough.
fn builder<S: EventStore>(store: S) -> es_runtime::Builder<S> {
    Runtime::builder(store).retry(RetryPolicy::default().attempts(1_000))
}

es_tests::on_both_databases! {
    sqlite {
        use es_tests::ledger::sqlite::{Ledger, Mended, dump};
        use es_tests::totals::sqlite::Totals as Async;
    }
    postgres {
        use es_tests::ledger::postgres::{Ledger, Mended, dump};
        use es_tests::totals::postgres::Totals as Async;
    }

    async fn rows_show_an_event_as_soon_as_it_is_stored(store: _) {
        let runtime = builder(store.clone()).projection::<Ledger>().projection::<Async>().start().await.unwrap();
        let alice = account_with(&runtime, 50).await;
        assert_eq!(dump(&store).await, [(alice.to_string(), 50, 2)]);
        runtime.append(alice, [Deposited { amount: 5 }, Deposited { amount: 6 }]).await.unwrap();
        assert_eq!(dump(&store).await, [(alice.to_string(), 61, 4)]);

        let bob = account_with(&runtime, 1).await;
        runtime
            .atomically(async |tx| {
                tx.execute(alice, Withdraw { amount: 20 }).await?;
                tx.execute(bob, Deposit { amount: 20 }).await
            })
            .await
            .unwrap();
        assert_eq!(dump(&store).await, folded(&store).await);

        let receipt = runtime.execute(bob, Withdraw { amount: 1 }).wait_for::<Ledger>().await.unwrap();
        runtime.projection::<Ledger>().wait_for(receipt.position, Duration::ZERO).await.unwrap();
        let health = runtime.projection::<Ledger>().status().await.unwrap();
        assert!(health.ready && health.position == receipt.position, "{health:?}");
        // A command that stores nothing has nothing to project.
        runtime.execute(bob, Audit).wait_for::<Ledger>().await.unwrap();
        runtime.shutdown().await.unwrap();
    }

    async fn a_method_that_fails_refuses_the_append(store: _) {
        let runtime = builder(store.clone()).projection::<Ledger>().start().await.unwrap();
        let alice = account_with(&runtime, 50).await;
        let before = dump(&store).await;
        for amount in [13, 14, 15] {
            let refused = runtime.execute(alice, Deposit { amount }).await.unwrap_err();
            let ExecuteError::Append(AppendError::ProjectionFailed { projection, event, source }) = refused else { panic!("{refused}") };
            let event = event.expect("it is known which");
            assert_eq!((projection, event.version, &*event.name), ("ledger", Version(3), "deposited"));
            match (amount, *source) {
                (13, ApplyError::Method(error)) => assert!(error.downcast_ref::<BadLuck>().is_some(), "{error}"),
                (14, ApplyError::Method(_)) => {}
                (15, ApplyError::Panicked(panic)) => assert_eq!(panic, "15 is too much"),
                (_, other) => panic!("{amount}: {other}"),
            }
            assert_eq!(runtime.store().head().await.unwrap(), Position(2));
            assert_eq!(dump(&store).await, before);
        }
        // Neither of two accounts changes.
        let bob = account_with(&runtime, 50).await;
        let (before, head) = (dump(&store).await, store.head().await.unwrap());
        let both = runtime
            .atomically(async |tx| {
                tx.execute(bob, Deposit { amount: 1 }).await?;
                tx.execute(alice, Deposit { amount: 13 }).await
            })
            .await;
        assert!(matches!(both, Err(ExecuteError::Append(AppendError::ProjectionFailed { .. }))), "{both:?}");
        assert_eq!((dump(&store).await, store.head().await.unwrap()), (before, head));
        // The next one counts.
        runtime.execute(alice, Deposit { amount: 1 }).await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await);
        assert_eq!(balance(&runtime, alice).await, 51);
    }

    /// Of an append that one of them refuses, the other keeps nothing.
    async fn tables_and_rows_of_one_append_stand_or_fall_together(store: _) {
        let runtime = builder(store.clone()).projection::<Ledger>().projection::<InlineBalance>().start().await.unwrap();
        let alice = account_with(&runtime, 50).await;
        let of_rows = async || {
            let rows = runtime.list::<InlineBalance>().await.unwrap().rows;
            let row = |row: es_runtime::ProjectionRow<InlineBalance>| (row.key, row.row.cents, i64::try_from(row.row.events).unwrap());
            rows.into_iter().map(row).collect::<Totals>()
        };
        // The ledger refuses both, and the rows 15.
        for amount in [13, 15] {
            let (before, head) = (dump(&store).await, store.head().await.unwrap());
            let refused = runtime.execute(alice, Deposit { amount }).await.unwrap_err();
            let ExecuteError::Append(AppendError::ProjectionFailed { projection, .. }) = refused else { panic!("{refused}") };
            assert!(projection == "ledger" || amount == 15, "{projection}");
            assert_eq!((dump(&store).await, store.head().await.unwrap()), (before, head));
            assert_eq!(of_rows().await, folded(&store).await);
        }
        let bob = account_with(&runtime, 3).await;
        let both = runtime
            .atomically(async |tx| {
                tx.execute(alice, Withdraw { amount: 20 }).await?;
                tx.execute(bob, Deposit { amount: 20 }).await
            })
            .await;
        both.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await);
        assert_eq!(of_rows().await, folded(&store).await);
    }

    async fn a_request_that_is_repeated_counts_once(store: _) {
        let runtime = builder(store.clone()).projection::<Ledger>().start().await.unwrap();
        let alice = inline_alike::repeated_counts_once(&runtime).await;
        assert_eq!(dump(&store).await, [(alice.to_string(), 6, 3)]);
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn of_writers_that_meet_in_a_stream_each_counts_once(store: _) {
        let start = async || start::<_, Ledger>(store.clone()).await;
        let runtimes = [start().await, start().await, start().await, start().await];
        let alice = inline_alike::writers_meet_in_a_stream(&runtimes).await.to_string();
        let rows = dump(&store).await;
        assert_eq!(rows, folded(&store).await);
        assert!(rows.contains(&(alice, 1 + 4 * 55, 42)), "{rows:?}");
    }

    /// They change the same rows in different orders: a deadlock, where the database has locks for rows.
    async fn writers_that_cross_each_other_go_on(store: _) {
        let runtime = builder(store.clone()).cache(0).projection::<Ledger>().start().await.unwrap();
        let (alice, bob) = (account_with(&runtime, 1_000).await, account_with(&runtime, 1_000).await);
        let transfers = (0..4).map(async |writer| {
            let (from, to) = if writer % 2 == 0 { (alice, bob) } else { (bob, alice) };
            for _ in 0..5 {
                runtime
                    .atomically(async |tx| {
                        tx.execute(from, Withdraw { amount: 1 }).await?;
                        tx.execute(to, Deposit { amount: 1 }).await
                    })
                    .await?;
            }
            Ok::<_, ExecuteError<_>>(())
        });
        try_join_all(transfers).await.unwrap();
        let others = (0..20).map(async |_| account_with(&runtime, 3).await);
        futures_util::future::join_all(others).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn one_that_is_added_later_is_built_before_the_first_append(store: _) {
        let plain = builder(store.clone()).start().await.unwrap();
        for amount in 1..50 {
            account_with(&plain, amount % 12 + 1).await;
        }
        let runtime = builder(store.clone()).projection::<Ledger>().start().await.unwrap();
        assert_eq!(dump(&store).await, folded(&store).await);
        account_with(&runtime, 1).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }

    async fn what_it_cannot_apply_of_the_log_stops_the_start(store: _) {
        let plain = builder(store.clone()).start().await.unwrap();
        let alice = account_with(&plain, 1).await;
        let poison = plain.execute(alice, Deposit { amount: 13 }).await.unwrap();
        let refused = builder(store.clone()).projection::<Ledger>().start().await.unwrap_err();
        let StartError::Inline { projection, failure } = refused else { panic!("{refused}") };
        assert_eq!((projection, failure.position), ("ledger", Some(poison.position)));
        assert!(failure.error.contains("13 brings bad luck"), "{}", failure.error);
        // What the one before has said of it does not count.
        let mended = builder(store.clone()).projection::<Mended>().start().await.unwrap();
        mended.execute(alice, Deposit { amount: 13 }).await.unwrap();
        assert_eq!(dump(&store).await, [(alice.to_string(), 27, 4)]);
    }

    async fn what_is_appended_without_it_is_taken_in_before_the_next_append(store: _) {
        let with = start::<_, Ledger>(store.clone()).await;
        let without = builder(store.clone()).start().await.unwrap();
        let check = async || assert_eq!(dump(&store).await, folded(&store).await);
        inline_alike::others_append_without_it(&with, &without, check).await;
        assert_eq!(dump(&store).await.len(), 11);
    }

    /// Appends wait for it only while it comes on: so many that each waited in vain would take minutes.
    async fn what_it_cannot_apply_of_others_is_told_until_it_is_given_up(store: _) {
        let with = builder(store.clone()).projection::<Ledger>().start().await.unwrap();
        // Which of them runs the projection changes.
        let too = builder(store.clone()).projection::<Ledger>().start().await.unwrap();
        let without = builder(store.clone()).start().await.unwrap();
        let alice = account_with(&with, 1).await;
        let poison = without.execute(alice, Deposit { amount: 13 }).await.unwrap();
        for _ in 0..20 {
            for runtime in [&with, &too] {
                let refused = runtime.execute(alice, Deposit { amount: 2 }).await.unwrap_err();
                let ExecuteError::Append(AppendError::ProjectionBehind { projection: "ledger", source }) = refused else { panic!("{refused}") };
                let ReadError::Held { position, error, .. } = *source else { panic!("{source}") };
                assert_eq!(position, poison.position);
                assert!(error.contains("13 brings bad luck"), "{error}");
            }
        }
        assert_eq!(store.head().await.unwrap(), poison.position);
        drop(too);
        for _ in 0..12_000 {
            match with.projection::<Ledger>().skip(poison.position, "booked by hand").await {
                Ok(()) => break,
                // The other one is about to give the lease back.
                Err(ControlError::Elsewhere { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error}"),
            }
        }
        with.execute(alice, Deposit { amount: 2 }).await.unwrap();
        assert_eq!(dump(&store).await, [(alice.to_string(), 3, 3)]);
    }

    async fn appends_wait_for_a_rebuild(store: _) {
        let runtime = start::<_, Ledger>(store.clone()).await;
        let check = async || assert_eq!(dump(&store).await, folded(&store).await);
        inline_alike::appends_wait_for_a_rebuild::<Ledger>(&runtime, check).await;
    }

    async fn rows_and_events_stand_or_fall_together_whatever_fails(store: _) {
        let faulty = Faulty::new(Arc::new(store.clone()));
        let runtime = builder(faulty.clone()).projection::<Ledger>().start().await.unwrap();
        let check = async || assert_eq!(dump(&store).await, folded(&store).await);
        inline_alike::stand_or_fall_whatever_fails(&faulty, &runtime, check).await;
    }
}

/// Where the store is to which the process appends.
const ADDRESS: &str = "ES_TESTS_APPENDING";

async fn start<S: es_runtime::store::ProjectionStore, P: Project<S>>(store: S) -> Runtime {
    builder(store).projection::<P>().start().await.unwrap()
}

async fn start_at(address: &str) -> Runtime {
    if address.starts_with("postgres") {
        start::<_, ledger::postgres::Ledger>(stores::postgres_at(address).await).await
    } else {
        start::<_, ledger::sqlite::Ledger>(SqliteStore::open(address).await.unwrap()).await
    }
}

/// Is a process of its own, if it is started as one: appends until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn appending_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let runtime = start_at(&address).await;
    let alice = account_with(&runtime, 1).await;
    println!("\nappending");
    // Until it is killed; bounded, should nobody do so.
    for amount in 1..100_000 {
        let both = async {
            runtime
                .execute(
                    alice,
                    Deposit {
                        amount: amount % 12 + 1,
                    },
                )
                .await
                .unwrap();
            account_with(&runtime, 2).await
        };
        futures_util::future::join(both, account_with(&runtime, 3)).await;
    }
}

async fn rows_are_the_fold_of_the_log_whenever_processes_are_killed(address: &str) {
    let store = stores::open(address).await;
    let seen = async || (rows(address).await, folded(&*store).await);
    survives_kills("inline::appending_process", (ADDRESS, address), &store, seen).await;
}

async fn rows(address: &str) -> Totals {
    if address.starts_with("postgres") {
        ledger::postgres::dump(&stores::postgres_at(address).await).await
    } else {
        ledger::sqlite::dump(&SqliteStore::open(address).await.unwrap()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_killed() {
    let folder = es_tests::tempdir().unwrap();
    let file = folder.path().join("test.db");
    rows_are_the_fold_of_the_log_whenever_processes_are_killed(file.to_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed() {
    rows_are_the_fold_of_the_log_whenever_processes_are_killed(&stores::postgres_address().await).await;
}

/// What only PostgreSQL has.
mod postgres {
    use super::*;

    static CUT: AtomicBool = AtomicBool::new(false);

    /// Loses its connection once, in the middle of a method.
    #[projection(name = "cut_off", inline, schema = "schemas/fragile_postgres.sql")]
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

    /// Breaks a constraint that is checked at the commit.
    #[projection(name = "deferred", inline, schema = "schemas/deferred.sql")]
    struct Deferred;

    #[projection]
    impl Deferred {
        #[apply]
        async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited) -> Result<()> {
            tx.execute("INSERT INTO deposits (cents) VALUES ($1)", &[&event.amount])
                .await?;
            Ok(())
        }
    }

    /// Passes over the error of a statement, after which PostgreSQL does nothing more.
    #[projection(name = "heedless", inline, schema = "schemas/fragile_postgres.sql")]
    struct Heedless;

    #[projection]
    impl Heedless {
        #[apply]
        async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited) -> Result<()> {
            let inserted = tx
                .execute("INSERT INTO fragile (cents) VALUES ($1)", &[&event.amount])
                .await;
            assert_eq!(inserted.is_err(), event.amount == 14);
            Ok(())
        }
    }

    async fn numbers(store: &PostgresStore, sql: &str) -> Vec<i64> {
        let rows = store.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connection_that_is_lost_leaves_nothing_behind() {
        let store = stores::postgres().await;
        let runtime = start::<_, CutOff>(store.clone()).await;
        let alice = account_with(&runtime, 1).await;
        let lost = runtime.execute(alice, Deposit { amount: 3 }).await.unwrap_err();
        assert!(
            matches!(&lost, ExecuteError::Append(AppendError::Store(error)) if error.kind() == StoreErrorKind::Unavailable),
            "{lost}"
        );
        assert_eq!(store.head().await.unwrap(), Position(2));
        runtime.execute(alice, Deposit { amount: 3 }).await.unwrap();
        let sql = "SELECT cents FROM es_cut_off_v1.fragile ORDER BY number";
        assert_eq!(numbers(&store, sql).await, [1, 3]);
    }

    async fn refuses_14<P: Project<PostgresStore> + Projection>(table: &str) {
        let store = stores::postgres().await;
        let runtime = start::<_, P>(store.clone()).await;
        let alice = account_with(&runtime, 1).await;
        let refused = runtime.execute(alice, Deposit { amount: 14 }).await.unwrap_err();
        assert!(
            matches!(
                refused,
                ExecuteError::Append(AppendError::ProjectionFailed { event: None, .. })
            ),
            "{refused}"
        );
        runtime.execute(alice, Deposit { amount: 2 }).await.unwrap();
        assert_eq!(store.head().await.unwrap(), Position(3));
        let sql = format!("SELECT cents FROM {table} ORDER BY number");
        assert_eq!(numbers(&store, &sql).await, [1, 2]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_constraint_that_is_checked_at_the_commit_refuses_the_append() {
        refuses_14::<Deferred>("es_deferred_v1.deposits").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_error_that_a_method_passes_over_refuses_the_append() {
        refuses_14::<Heedless>("es_heedless_v1.fragile").await;
    }

    /// The lock of the append is taken behind the methods: one that waits stops nobody else.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_method_that_waits_stops_no_other_append() {
        let address = stores::postgres_address().await;
        let store = stores::postgres_at(&address).await;
        let with = start::<_, ledger::postgres::Ledger>(store.clone()).await;
        let (alice, bob) = (account_with(&with, 1).await, account_with(&with, 1).await);
        let config: tokio_postgres::Config = address.parse().unwrap();
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let lock = format!("BEGIN; SELECT FROM es_ledger_v1.ledger WHERE account = '{alice}' FOR UPDATE");
        client.batch_execute(&lock).await.unwrap();
        let waiting = {
            let with = with.clone();
            tokio::spawn(async move { with.execute(alice, Deposit { amount: 5 }).await })
        };
        let waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        for _ in 0..6_000 {
            if !store.query(waits, &[]).await.unwrap().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for _ in 0..20 {
            with.execute(bob, Deposit { amount: 1 }).await.unwrap();
        }
        assert!(!waiting.is_finished());
        client.batch_execute("COMMIT").await.unwrap();
        waiting.await.unwrap().unwrap();
        assert_eq!(ledger::postgres::dump(&store).await, folded(&store).await);
    }
}
