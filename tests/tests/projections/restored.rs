//! A store that was restored to an earlier point: a projection that had come further says so, and a rebuild heals it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::{ControlError, Position, ReadError};
use es_tests::balances::{Balance, Store, dump, folded, start};
use es_tests::bank::{Account, Deposit, account_with};
use es_tests::stores;
use es_tests::waits::becomes;

/// Projects all that is there.
async fn project(store: &Store) {
    let runtime = start(store).await;
    let head = store.head().await.unwrap();
    let projection = runtime.projection::<Balance>();
    projection.wait_for(head, Duration::from_secs(120)).await.unwrap();
}

async fn deposit(store: &Store, account: Id<Account>, times: usize) {
    let bank = Runtime::builder(Arc::clone(store)).start().await.unwrap();
    for _ in 0..times {
        bank.execute(account, Deposit { amount: 3 }).await.unwrap();
    }
}

/// Waits until the row is not shown any more, which is when the task of the projection has noticed.
async fn is_refused(runtime: &Runtime, account: Id<Account>) {
    for _ in 0..12_000 {
        match runtime.get::<Balance>(account).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(ReadError::Checkpoint(_)) => return,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("rows of what did not happen are shown for ever");
}

/// Has it built anew, as soon as the runtime before has given its lease back.
async fn rebuild(runtime: &Runtime) {
    for _ in 0..12_000 {
        match runtime.projection::<Balance>().rebuild().await {
            Ok(()) => return,
            Err(ControlError::Elsewhere { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the lease is never given back");
}

/// `rewind` takes the events above a position away, and leaves what is kept of projections.
async fn is_noticed_and_healed(store: Store, rewind: impl AsyncFn(Position)) {
    let bank = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let account = account_with(&bank, 5).await;
    // The log ends before the checkpoint; or other events stand there now.
    for overwritten in [0, 9] {
        deposit(&store, account, 4).await;
        project(&store).await;
        rewind(Position(3)).await;
        deposit(&store, account, overwritten).await;

        let runtime = start(&store).await;
        becomes::<Balance>(&runtime, Status::Diverged).await;
        is_refused(&runtime, account).await;
        rebuild(&runtime).await;
        becomes::<Balance>(&runtime, Status::Live).await;
        assert_eq!(dump(&store).await, folded(&store).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    let store = MemoryStore::new();
    is_noticed_and_healed(Arc::new(store.clone()), async |to| store.rewind(to)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let folder = es_tests::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = es_tests::SqliteStore::open(&path).await.unwrap();
    is_noticed_and_healed(Arc::new(store), async |to| {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.busy_timeout(Duration::from_secs(60)).unwrap();
        for table in ["recorded_events WHERE position", "appends WHERE last_position"] {
            let delete = format!("DELETE FROM {table} > ?1");
            connection.execute(&delete, [to.0.cast_signed()]).unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let address = stores::postgres_address().await;
    let store = stores::postgres_at(&address).await;
    let (client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    is_noticed_and_healed(Arc::new(store), async |to| {
        let delete = "DELETE FROM es.recorded_events WHERE position > $1";
        client.execute(delete, &[&to.0.cast_signed()]).await.unwrap();
    })
    .await;
}

async fn open(path: &Path) -> Store {
    Arc::new(es_tests::SqliteStore::open(path).await.unwrap())
}

/// Events, rows and checkpoint are one file, and so go back together: there is nothing to notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_restored_as_a_whole_goes_on_from_there() {
    let folder = es_tests::tempdir().unwrap();
    let (path, backup) = (folder.path().join("test.db"), folder.path().join("backup.db"));
    let store = open(&path).await;
    let bank = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let account = account_with(&bank, 5).await;
    project(&store).await;
    // Closed, it is one file.
    store.close().await.unwrap();
    std::fs::copy(&path, &backup).unwrap();

    let store = open(&path).await;
    deposit(&store, account, 4).await;
    project(&store).await;
    store.close().await.unwrap();
    std::fs::copy(&backup, &path).unwrap();

    let store = open(&path).await;
    deposit(&store, account, 2).await;
    project(&store).await;
    assert_eq!(dump(&store).await, folded(&store).await);
    let runtime = start(&store).await;
    assert_eq!(runtime.get::<Balance>(account).await.unwrap().unwrap().cents, 5 + 2 * 3);
}
