//! Every way of Rust to write the transaction that the methods of an SQL projection take.

#![allow(
    elided_lifetimes_in_paths,
    clippy::needless_lifetimes,
    reason = "that is what is tested"
)]

use es_runtime::Runtime;
use es_runtime::prelude::*;
use es_sqlite::{SqliteStore, SqliteTransaction};
use es_tests::bank::{Account, Deposit, Deposited, Opened, Withdraw, Withdrawn, account_with};

#[projection(name = "entries", schema = "fragments/entries.sql")]
struct Entries;

#[projection]
impl Entries {
    #[apply]
    fn opened(tx: &mut SqliteTransaction, event: Opened) -> Result<()> {
        add(tx, event.owner)
    }

    #[apply]
    fn deposited(tx: &mut es_sqlite::SqliteTransaction, event: Deposited, _: &Meta<Account>) -> Result<()> {
        add(tx, event.amount)
    }

    #[allow(clippy::elidable_lifetime_names, reason = "it is named to see that it may be")]
    #[apply]
    fn withdrawn<'t>(tx: &mut SqliteTransaction<'t>, event: Withdrawn) -> Result<()> {
        add(tx, -event.amount)
    }
}

type Tx<'t> = SqliteTransaction<'t>;

#[projection(name = "copies", schema = "fragments/entries.sql", version = 2)]
struct Copies;

#[projection]
impl Copies {
    #[apply]
    fn opened(_: &mut Tx, _: Opened) -> Result<()> {
        Ok(())
    }

    #[apply]
    fn deposited(_: &mut Tx<'_>, _: Deposited) -> Result<()> {
        Ok(())
    }
}

fn add(tx: &mut SqliteTransaction<'_>, entry: impl ToString) -> Result<()> {
    tx.execute("INSERT INTO entries_v1 (entry) VALUES (?1)", [entry.to_string()])?;
    Ok(())
}

/// Compiles only: what is a projection can be given to the builder of its store.
fn is_given<P: es_runtime::projection::Project<SqliteStore>>() {}

#[tokio::test]
async fn the_lifetime_of_the_transaction_may_be_left_out() {
    is_given::<Copies>();
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("test.db")).await.unwrap();
    let runtime = Runtime::builder(store.clone())
        .projection::<Entries>()
        .start()
        .await
        .unwrap();
    let alice = account_with(&runtime, 5).await;
    runtime.execute(alice, Deposit { amount: 3 }).await.unwrap();
    let withdrawn = runtime.execute(alice, Withdraw { amount: 2 });
    withdrawn.wait_for::<Entries>().await.unwrap();
    let entries = store.query(|connection| {
        let mut query = connection.prepare("SELECT entry FROM entries_v1 ORDER BY number")?;
        let entries = query.query_map([], |row| row.get::<_, String>(0))?;
        entries.skip(1).collect::<std::result::Result<Vec<_>, _>>()
    });
    assert_eq!(entries.await.unwrap(), ["5", "3", "-2"]);
}
