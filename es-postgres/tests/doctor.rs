//! Servers that a store should not trust.

mod support;

use es_postgres::doctor::{self, Risk};
use es_postgres::{PostgresStore, Schema};
use es_runtime::{EventStore, StoreErrorKind};
use support::{Cluster, Database, append};

async fn refusal(database: &Database) -> String {
    let error = PostgresStore::options()
        .connect_with(database.config.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected, "{error}");
    error.to_string()
}

#[tokio::test]
async fn weak_durability_is_refused_wherever_it_is_set() {
    let database = Database::new().await;
    let client = database.client().await;
    let name = &database.name;
    let role = format!("{name}_role");
    client
        .batch_execute(&format!("CREATE ROLE {role} LOGIN SUPERUSER"))
        .await
        .unwrap();
    let mut as_role = Database {
        name: name.clone(),
        config: database.config.clone(),
    };
    as_role.config.user(&role);
    for (set, reset, at) in [
        (
            format!("ALTER DATABASE {name} SET synchronous_commit = off"),
            format!("ALTER DATABASE {name} RESET ALL"),
            "database",
        ),
        (
            format!("ALTER ROLE {role} SET synchronous_commit = off"),
            format!("ALTER ROLE {role} RESET ALL"),
            "user",
        ),
    ] {
        client.batch_execute(&set).await.unwrap();
        let refused = refusal(&as_role).await;
        assert!(
            refused.contains("synchronous_commit is off") && refused.contains(at),
            "{refused}"
        );
        let options = PostgresStore::options().allow(Risk::WeakDurability);
        let store = support::open(options, &as_role.config).await;
        store.append(append("1", 0..1)).await.expect("it was allowed");
        client.batch_execute(&reset).await.unwrap();
    }
    client.batch_execute(&format!("DROP ROLE {role}")).await.unwrap();
    std::mem::forget(as_role);
}

/// The role is changed while the store is open, and the store loses its connection.
#[tokio::test]
async fn a_new_connection_is_examined_again() {
    let database = Database::new().await;
    let store = database.open().await;
    store.append(append("1", 0..1)).await.unwrap();
    let client = database.client().await;
    let weaken = format!("ALTER DATABASE {} SET synchronous_commit = off", database.name);
    client.batch_execute(&weaken).await.unwrap();
    client
        .batch_execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let error = store.append(append("1", 0..1)).await.unwrap_err();
    assert!(error.to_string().contains("synchronous_commit is off"), "{error}");
    assert_eq!(store.head().await.unwrap(), 1, "reads go on");
}

#[tokio::test]
async fn a_damaged_schema_is_refused_with_what_it_lacks() {
    for (damage, named) in [
        (
            "ALTER TABLE es.recorded_events DROP CONSTRAINT recorded_events_pkey",
            "primary key of recorded_events",
        ),
        (
            "ALTER TABLE es.recorded_events DROP CONSTRAINT recorded_events_stream_version_key",
            "(stream, version)",
        ),
        ("DROP INDEX es.recorded_events_append", "recorded_events_append"),
        ("DROP FUNCTION es.append", "function append"),
    ] {
        let database = Database::new().await;
        database.client().await.batch_execute(damage).await.unwrap();
        let refused = refusal(&database).await;
        assert!(refused.contains(named), "{refused}");
    }
}

#[tokio::test]
async fn what_is_only_unwise_is_told_but_not_refused() {
    let database = Database::new().await;
    let name = &database.name;
    let isolate = format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'");
    database.client().await.batch_execute(&isolate).await.unwrap();
    let store = database.open().await;
    store
        .append(append("1", 0..1))
        .await
        .expect("the store sets its own connections right");
    let client = database.client().await;
    client
        .batch_execute("UPDATE es.recorded_events SET recorded_at = recorded_at + interval '1 hour'")
        .await
        .unwrap();
    let findings = doctor::examine(&client, &Schema::default()).await.unwrap();
    let risks: Vec<Risk> = findings.iter().map(|finding| finding.risk).collect();
    assert_eq!(risks, [Risk::Isolation, Risk::BypassesRowSecurity, Risk::Clock]);
    let before = store.append(append("1", 0..1)).await.unwrap().recorded_at;
    let after = store.append(append("1", 0..1)).await.unwrap().recorded_at;
    assert_eq!(before, after, "time stands still until the clock catches up");
}

#[tokio::test]
async fn a_server_that_does_not_flush_or_that_prepares_transactions_is_named() {
    let cluster = Cluster::start(&["fsync=off", "max_prepared_transactions=4"]);
    let client = support::connect(&cluster.config).await;
    let opened = PostgresStore::options()
        .apply_schema()
        .connect_with(cluster.config.clone())
        .await;
    assert!(opened.unwrap_err().to_string().contains("fsync is off"));
    let options = PostgresStore::options().apply_schema().allow(Risk::WeakDurability);
    let store = support::open(options, &cluster.config).await;
    client
        .batch_execute(
            "BEGIN; SELECT es.append('{a}', '{1}', '{any}', '{e}', '{1}'); PREPARE TRANSACTION 'left behind'",
        )
        .await
        .unwrap();
    let findings = doctor::examine(&client, &Schema::default()).await.unwrap();
    let prepared = findings
        .iter()
        .find(|finding| finding.risk == Risk::PreparedTransactions)
        .unwrap();
    assert!(prepared.message.contains("left behind"), "{prepared}");
    assert_eq!(store.head().await.unwrap(), 0, "readers go on");
    client.batch_execute("ROLLBACK PREPARED 'left behind'").await.unwrap();
    store.append(append("1", 0..1)).await.unwrap();
}
