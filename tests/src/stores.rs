//! One test on every store, or on those of a kind.

use std::sync::Arc;

/// Makes each `async fn name(store: _, clock: _)` a test on every store, with the store as `Arc<dyn ProjectionStore>` and the clock
/// that it reads as `ManualClock`.
#[macro_export]
macro_rules! on_every_store {
    ($($(#[$doc:meta])* async fn $name:ident($store:ident: _, $clock:ident: _) $body:block)+) => {
        mod promises {
            use super::*;
            $($(#[$doc])* pub(super) async fn $name($store: std::sync::Arc<dyn es_runtime::store::ProjectionStore>, $clock: es_runtime::testing::ManualClock) $body)+
        }

        mod memory {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let clock = $crate::stores::clock();
                super::promises::$name(std::sync::Arc::new(es_runtime::MemoryStore::new().with_clock(clock.clone())), clock).await;
            })+
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let clock = $crate::stores::clock();
                let folder = $crate::tempdir().unwrap();
                let options = $crate::SqliteStore::options().clock(clock.clone());
                let store = options.open(folder.path().join("test.db")).await.unwrap();
                super::promises::$name(std::sync::Arc::new(store), clock).await;
            })+
        }
    };
}

/// [`on_every_store!`](crate::on_every_store), and on PostgreSQL, which takes the time from the server: for tests that do not
/// look at the clock.
#[macro_export]
macro_rules! on_every_store_and_postgres {
    ($($(#[$doc:meta])* async fn $name:ident($store:ident: _, $clock:ident: _) $body:block)+) => {
        $crate::on_every_store! {
            $($(#[$doc])* async fn $name($store: _, $clock: _) $body)+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let store = $crate::stores::postgres().await;
                super::promises::$name(std::sync::Arc::new(store), $crate::stores::clock()).await;
            })+
        }
    };
}

/// Makes each `async fn name(store: _)` a test on every store of states, with the store as `Arc<dyn StateStore>`: in memory, the same
/// lagging, on SQLite and on PostgreSQL.
#[macro_export]
macro_rules! on_every_state_store {
    ($($(#[$doc:meta])* async fn $name:ident($store:ident: _) $body:block)+) => {
        mod promises {
            use super::*;
            $($(#[$doc])* pub(super) async fn $name($store: std::sync::Arc<dyn es_runtime::store::StateStore>) $body)+
        }

        mod memory {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                super::promises::$name(std::sync::Arc::new(es_runtime::MemoryStore::new())).await;
            })+
        }

        mod lagging {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let lagging = es_conformance::wrap::Lagging::new(es_runtime::MemoryStore::new(), 7);
                super::promises::$name(std::sync::Arc::new(lagging)).await;
            })+
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let folder = $crate::tempdir().unwrap();
                let store = $crate::SqliteStore::open(folder.path().join("test.db")).await.unwrap();
                super::promises::$name(std::sync::Arc::new(store)).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                super::promises::$name(std::sync::Arc::new($crate::stores::postgres().await)).await;
            })+
        }
    };
}

/// Makes each `async fn name(store: _)` a test on both databases, with the store as `SqliteStore` and as `PostgresStore`. What stands
/// under `sqlite` and `postgres` is in scope in the tests on that one.
#[macro_export]
macro_rules! on_both_databases {
    (
        sqlite { $($of_sqlite:item)* }
        postgres { $($of_postgres:item)* }
        $($(#[$doc:meta])* async fn $name:ident($store:ident: _) $body:block)+
    ) => {
        mod on_sqlite {
            use super::*;
            $($of_sqlite)*

            $($(#[$doc])* #[tokio::test(flavor = "multi_thread")] async fn $name() {
                let folder = $crate::tempdir().unwrap();
                let $store = $crate::SqliteStore::open(folder.path().join("test.db")).await.unwrap();
                $body
            })+
        }

        mod on_postgres {
            use super::*;
            $($of_postgres)*

            $($(#[$doc])* #[tokio::test(flavor = "multi_thread")] async fn $name() {
                let $store = $crate::stores::postgres().await;
                $body
            })+
        }
    };
}

/// A store in a database of its own, on the server of `ES_TEST_DATABASE_URL`.
///
/// # Panics
///
/// If there is no such server.
pub async fn postgres() -> es_postgres::PostgresStore {
    postgres_at(&postgres_address().await).await
}

/// The store in this database.
///
/// # Panics
///
/// If it cannot be opened.
pub async fn postgres_at(address: &str) -> es_postgres::PostgresStore {
    let options = es_postgres::PostgresStore::options().readers(2).apply_schema();
    options.connect(address).await.expect("the store opens")
}

/// The store at this address: the URL of a database on a server, or the path of a file.
///
/// # Panics
///
/// If it cannot be opened.
pub async fn open(address: &str) -> crate::balances::Store {
    if address.starts_with("postgres") {
        Arc::new(postgres_at(address).await)
    } else {
        Arc::new(es_sqlite::SqliteStore::open(address).await.expect("the store opens"))
    }
}

/// The address of a new database on the server of `ES_TEST_DATABASE_URL`.
///
/// # Panics
///
/// If there is no such server.
pub async fn postgres_address() -> String {
    let url = std::env::var("ES_TEST_DATABASE_URL").unwrap_or_else(|_| {
        panic!("this test needs PostgreSQL: run scripts/test, or `scripts/postgres run -- cargo test -p es-tests`")
    });
    let admin = postgres_client(&url).await;
    let name = format!("es_test_{}", uuid::Uuid::now_v7().simple());
    let create = format!("CREATE DATABASE {name} TEMPLATE template0 STRATEGY wal_log");
    admin.batch_execute(&create).await.expect("a database can be created");
    with_database(&url, &name)
}

/// Ends every session of the database at this address but its own, in the middle of whatever it does.
///
/// # Panics
///
/// If the server does not let us in.
pub async fn end_postgres_sessions(address: &str) {
    const SQL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let ended = postgres_client(address).await.batch_execute(SQL).await;
    ended.expect("sessions can be ended");
}

async fn postgres_client(address: &str) -> tokio_postgres::Client {
    let config: tokio_postgres::Config = address.parse().expect("the URL of a database");
    let connected = config.connect(tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("the test server lets us in");
    tokio::spawn(connection);
    client
}

/// The URL with this database in the place of its own.
fn with_database(url: &str, name: &str) -> String {
    let (before, query) = url
        .split_once('?')
        .map_or((url, None), |(before, query)| (before, Some(query)));
    let authority = before.find("://").map_or(0, |at| at + 3);
    let end = before[authority..].find('/').map_or(before.len(), |at| authority + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &before[..end])
}

/// A clock that stands still until it is told to move.
///
/// # Panics
///
/// Never: the time is well formed.
pub fn clock() -> es_runtime::testing::ManualClock {
    es_runtime::testing::ManualClock::at("2026-11-21T09:30:00Z".parse().unwrap())
}
