//! What SQL projections promise on PostgreSQL, where an error may show later than at its statement: that of one which nobody waited for, or
//! at the commit. It is laid at its own event, and statements are done in order.

use es_postgres::{PgTransaction, PostgresStore};
use es_runtime::prelude::*;
use es_runtime::projection::{Project, Status};
use es_runtime::{Position, Projection};
use es_tests::bank::{Deposit, Deposited, Withdraw, Withdrawn, account_with};
use es_tests::stores;
use es_tests::waits::{becomes, caught_up};

/// Breaks a constraint that is checked at the commit.
#[projection(name = "deferred", schema = "schemas/deferred.sql")]
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
#[projection(name = "heedless", schema = "schemas/fragile_postgres.sql")]
struct Heedless;

#[projection]
impl Heedless {
    #[apply]
    async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited) -> Result<()> {
        let inserted = tx
            .execute("INSERT INTO fragile (cents) VALUES ($1)", &[&event.amount])
            .await;
        if event.amount == 14 {
            assert!(inserted.is_err());
            return Ok(());
        }
        Ok(inserted.map(drop)?)
    }
}

/// Never waits; the table takes no 14.
#[projection(name = "hasty", schema = "schemas/fragile_postgres.sql")]
struct Hasty;

#[projection]
impl Hasty {
    #[apply]
    async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited) -> Result<()> {
        tx.enqueue("INSERT INTO fragile (cents) VALUES ($1)", &[&event.amount])
            .await?;
        Ok(())
    }
}

/// The same, and has a method that fails because of what another one has enqueued.
#[projection(name = "hasty_and_slow", schema = "schemas/fragile_postgres.sql")]
struct HastyAndSlow;

#[projection]
impl HastyAndSlow {
    #[apply]
    async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited) -> Result<()> {
        let sql = "INSERT INTO fragile (cents) VALUES ($1)";
        if event.amount == 5 {
            tx.execute(sql, &[&event.amount]).await?;
        } else {
            tx.enqueue(sql, &[&event.amount]).await?;
        }
        Ok(())
    }
}

/// Gives one of its statements what is no number.
#[projection(name = "mistaken", schema = "schemas/fragile_postgres.sql")]
struct Mistaken;

#[projection]
impl Mistaken {
    #[apply]
    async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited) -> Result<()> {
        let sql = "INSERT INTO fragile (cents) VALUES ($1)";
        match event.amount {
            14 => tx.enqueue(sql, &[&"not a number"]).await?,
            amount => tx.enqueue(sql, &[&amount]).await?,
        }
        Ok(())
    }
}

/// Takes what is there for one row too many.
#[projection(name = "presuming", schema = "schemas/fragile_postgres.sql")]
struct Presuming;

#[projection]
impl Presuming {
    #[apply]
    async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited) -> Result<()> {
        tx.enqueue(
            "INSERT INTO fragile (cents) SELECT $1 WHERE $1 <> 14::bigint",
            &[&event.amount],
        )
        .await?;
        tx.query_one("SELECT FROM fragile WHERE cents = $1", &[&event.amount])
            .await?;
        Ok(())
    }
}

/// Asks, between many statements that it does not wait for, how many of them are done.
#[projection(name = "noisy", schema = "schemas/noisy_postgres.sql")]
struct Noisy;

const INSERT: &str = "INSERT INTO noisy (cents, behind) VALUES ($1, $2)";

#[projection]
impl Noisy {
    #[apply]
    async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited) -> Result<()> {
        Ok(tx.enqueue(INSERT, &[&event.amount, &None::<i64>]).await?)
    }

    #[apply]
    async fn withdrawn(tx: &mut PgTransaction<'_>, event: Withdrawn) -> Result<()> {
        let before: i64 = tx.query_one("SELECT count(*) FROM noisy", &[]).await?.get(0);
        tx.enqueue(INSERT, &[&-event.amount, &before]).await?;
        let raw = tx
            .raw()
            .await
            .query_one("SELECT max(number) - 1 FROM noisy", &[])
            .await?;
        assert_eq!(raw.get::<_, i64>(0), before);
        Ok(())
    }
}

async fn amounts(store: &PostgresStore, table: &str) -> Vec<i64> {
    let sql = format!("SELECT cents FROM {table} ORDER BY number");
    let rows = store.query(&sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn with<P: Project<PostgresStore> + Projection>(store: &PostgresStore) -> Runtime {
    Runtime::builder(store.clone()).projection::<P>().start().await.unwrap()
}

/// Deposits of which that of 14 cannot be applied: it is found among them, and those around it count.
async fn is_found<P: Project<PostgresStore> + Projection>(table: &str, why: &str) {
    let store = stores::postgres().await;
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let account = account_with(&runtime, 1).await;
    let mut poison = Position::ZERO;
    for amount in [2, 3, 4, 14, 5, 6] {
        let receipt = runtime.execute(account, Deposit { amount }).await.unwrap();
        if amount == 14 {
            poison = receipt.position;
        }
    }
    let runtime = with::<P>(&store).await;
    let failure = becomes::<P>(&runtime, Status::Held).await.last_error.unwrap();
    assert_eq!(failure.position, Some(poison), "{}", failure.error);
    assert!(failure.error.contains(why), "{}", failure.error);
    assert_eq!(amounts(&store, table).await, [1, 2, 3, 4]);
    runtime.projection::<P>().skip(poison, "seen").await.unwrap();
    caught_up::<P>(&runtime).await;
    assert_eq!(amounts(&store, table).await, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constraint_that_is_checked_at_the_commit() {
    is_found::<Deferred>("es_deferred_v1.deposits", "no account has so much").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_a_method_passes_over() {
    is_found::<Heedless>("es_heedless_v1.fragile", "return its error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_fails_holds_at_its_own_event() {
    is_found::<Hasty>("es_hasty_v1.fragile", "fragile_cents_check").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_method_is_not_blamed_for_it() {
    is_found::<HastyAndSlow>("es_hasty_and_slow_v1.fragile", "fragile_cents_check").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_do_not_fit_are_told_at_once() {
    is_found::<Mistaken>("es_mistaken_v1.fragile", "serializing parameter 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_missing_is_no_lost_connection() {
    is_found::<Presuming>("es_presuming_v1.fragile", "unexpected number of rows").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_done_in_order_however_much_the_server_says_between_them() {
    let store = stores::postgres().await;
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let account = account_with(&runtime, 1).await;
    let mut wanted = vec![(1, None)];
    for turn in 0..300 {
        for _ in 0..9 {
            runtime.execute(account, Deposit { amount: 2 }).await.unwrap();
            wanted.push((2, None));
        }
        runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
        wanted.push((-1, Some(1 + turn * 10 + 9)));
    }
    let runtime = with::<Noisy>(&store).await;
    caught_up::<Noisy>(&runtime).await;
    let sql = "SELECT cents, behind FROM es_noisy_v1.noisy ORDER BY number";
    let rows = store.query(sql, &[]).await.unwrap();
    let rows: Vec<(i64, Option<i64>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, wanted);
}
