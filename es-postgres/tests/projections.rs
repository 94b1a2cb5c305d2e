//! What PostgreSQL adds to the promises to projections.

mod support;

use std::time::Duration;

use es_postgres::doctor::{self, Risk};
use es_postgres::{PostgresStore, Schema, schema};
use es_runtime::projection::sql::{SqlSchema, SqlStore as _};
use es_runtime::store::{
    Advance, CheckpointError, Commit, CommitError, CursorStore, Lease, RowChange, RowQuery, RowStore, RowTable,
};
use es_runtime::{EventId, EventStore, Position, StoreErrorKind};
use support::{Database, append};
use tokio_postgres::Client;

const LONG: Duration = Duration::from_secs(3600);

fn table() -> RowTable {
    RowTable {
        projection: "balances".into(),
        version: 1,
        indexes: vec!["owner".into()].into(),
        beside: false,
    }
}

fn commit(lease: &Lease, from: u64, to: u64) -> Commit {
    Commit {
        advance: Advance {
            event: (to > 0).then(|| EventId(uuid::Uuid::from_u128(to.into()))),
            ..Advance::new("balances", lease, Position(from), Position(to))
        },
        table: table(),
        rows: vec![RowChange {
            key: "alice".to_owned(),
            data: Some(r#"{"owner":"Alice","cents":5}"#.into()),
            position: Position(to),
        }],
    }
}

/// A store with three events, a table, and a lease.
async fn begun(store: &PostgresStore) -> Lease {
    store.append(append("1", 0..3)).await.unwrap();
    store.create_table(&table()).await.unwrap();
    let lease = store.acquire("balances", "one", LONG).await.unwrap();
    lease.expect("it is free")
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// With the rights that the documentation tells to grant.
#[tokio::test]
async fn projections_need_few_rights() {
    let database = Database::new().await;
    let client = database.client().await;
    let role = format!("{}_reader", database.name);
    client
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA es TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA es TO {role}; \
             GRANT EXECUTE ON FUNCTION es.append, es.stored, es.resolve, es.lock_log, es.take_lease, es.renew_lease, es.report_lease, \
             es.release_lease, es.commit_batch, es.forget_reader, es.create_rows TO {role}"
        ))
        .await
        .unwrap();
    let mut config = database.config.clone();
    config.user(&role);
    let store = support::open(PostgresStore::options(), &config).await;
    let lease = begun(&store).await;
    store.commit(commit(&lease, 0, 3)).await.unwrap();
    assert_eq!(store.list_rows(&table(), &RowQuery::default()).await.unwrap().len(), 1);
    assert!(store.renew(&lease, LONG).await.unwrap());
    store.clear(&table(), "balances", &lease).await.unwrap();
    store.release(&lease).await.unwrap();

    let direct = support::connect(&config).await;
    let written = direct.execute("DELETE FROM es.balances_v1", &[]).await;
    assert_eq!(
        written.unwrap_err().code().unwrap().code(),
        "42501",
        "only the functions write"
    );
    for name in ["checkpoints", "recorded_events", "x_v1; DROP TABLE es.log"] {
        let created = direct.execute("SELECT es.create_rows($1, '{}', '{}')", &[&name]).await;
        assert_eq!(created.unwrap_err().code().unwrap().code(), "22023", "{name}");
    }
    store.close().await.unwrap();
    client
        .batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_log_with_a_new_epoch_voids_its_checkpoints() {
    let database = Database::new().await;
    let store = database.open().await;
    let lease = begun(&store).await;
    store.commit(commit(&lease, 0, 2)).await.unwrap();
    let client = database.client().await;
    client
        .batch_execute("UPDATE es.log SET epoch = gen_random_uuid()")
        .await
        .unwrap();
    let error = store.checkpoint("balances").await.unwrap_err();
    assert!(
        matches!(&error, CheckpointError::Diverged { expected, found, .. } if *found == Some(*expected)),
        "{error:?}"
    );
    assert!(error.to_string().contains("marked as another one"), "{error}");
    let refused = store.commit(commit(&lease, 2, 3)).await.unwrap_err();
    assert!(
        matches!(&refused, CommitError::Store(error) if error.kind() == StoreErrorKind::Rejected),
        "{refused:?}"
    );
    store.clear(&table(), "balances", &lease).await.unwrap();
    store.commit(commit(&lease, 0, 3)).await.unwrap();
    assert_eq!(store.checkpoint("balances").await.unwrap().unwrap().position, 3);
}

/// A lease is renewed while a commit is under way, and taken over when it is done.
#[tokio::test]
async fn who_takes_a_lease_over_waits_for_the_commit_under_way() {
    let database = Database::new().await;
    let store = database.open().await;
    let lease = begun(&store).await;
    let committing = database.client().await;
    committing.batch_execute("BEGIN").await.unwrap();
    let moved = committing
        .query_one(
            "SELECT outcome FROM es.move_checkpoint('balances', 'balances', 'one', $1, 0, 2, NULL)",
            &[&lease.epoch.cast_signed()],
        )
        .await
        .unwrap();
    assert_eq!(moved.get::<_, &str>(0), "moved");

    assert!(store.renew(&lease, Duration::ZERO).await.unwrap(), "it does not wait");
    let taking = tokio::spawn({
        let store = store.clone();
        async move { store.acquire("balances", "two", LONG).await.unwrap() }
    });
    let client = database.client().await;
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while count(&client, waiting).await == 0 {
        assert!(
            !taking.is_finished(),
            "the lease was taken over in the middle of a commit"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    committing.batch_execute("COMMIT").await.unwrap();
    let second = taking.await.unwrap().expect("it has run out");
    assert!(second.epoch > lease.epoch);
    assert_eq!(
        store.checkpoint("balances").await.unwrap().unwrap().position,
        2,
        "what was committed is seen"
    );
    let late = store.commit(commit(&lease, 2, 3)).await.unwrap_err();
    assert!(matches!(late, CommitError::LeaseLost { .. }), "{late:?}");
}

#[tokio::test]
async fn tables_of_projections_are_no_damage() {
    let database = Database::empty().await;
    let schema = Schema::new("Bank \"A\" 5%").unwrap();
    let options = PostgresStore::options().schema(schema.clone()).apply_schema();
    let store = support::open(options, &database.config).await;
    let lease = begun(&store).await;
    store.commit(commit(&lease, 0, 3)).await.unwrap();
    let by_owner = RowQuery {
        order_by: Some("owner".into()),
        ..RowQuery::default()
    };
    assert_eq!(store.list_rows(&table(), &by_owner).await.unwrap().len(), 1);
    let client = database.client().await;
    schema::check(&client, &schema).await.unwrap();
    let findings = doctor::examine(&client, &schema).await.unwrap();
    assert!(
        findings.iter().all(|finding| finding.risk != Risk::DamagedSchema),
        "{findings:?}"
    );
    support::open(PostgresStore::options().schema(schema.clone()), &database.config).await;

    client
        .batch_execute("DROP FUNCTION \"Bank \"\"A\"\" 5%\".commit_batch")
        .await
        .unwrap();
    let error = PostgresStore::options()
        .schema(schema)
        .connect_with(database.config.clone())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the function commit_batch"), "{error}");
}

/// What belongs to somebody else is not dropped along with the schema of a version.
#[tokio::test]
async fn a_schema_that_others_depend_on_stays() {
    let database = Database::new().await;
    let store = support::open(PostgresStore::options(), &database.config).await;
    let lease = store.acquire("balances", "one", LONG).await.unwrap().unwrap();
    let schema = SqlSchema {
        projection: "balances".into(),
        version: 1,
        sql: "CREATE TABLE accounts (number serial PRIMARY KEY, cents bigint); CREATE SEQUENCE beside;
              CREATE TABLE lines (account int REFERENCES accounts); CREATE VIEW rich AS SELECT * FROM accounts WHERE cents > 5"
            .into(),
    };
    store.create_schema(&schema).await.unwrap();
    let client = database.client().await;
    client
        .batch_execute("CREATE VIEW public.report AS SELECT sum(cents) FROM es_balances_v1.accounts")
        .await
        .unwrap();
    let readers = ["balances".to_owned()];
    store.advance(commit(&lease, 0, 0).advance).await.unwrap();

    let refused = store.drop_table(&table(), &readers, &lease).await.unwrap_err();
    let CommitError::Store(error) = refused else {
        panic!("{refused}")
    };
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("view report depends on table"), "{error}");
    assert_eq!(store.versions("balances").await.unwrap(), [1]);
    assert!(store.checkpoint("balances").await.unwrap().is_some());
    assert_eq!(count(&client, "SELECT count(*) FROM es_balances_v1.rich").await, 0);

    client.batch_execute("DROP VIEW public.report").await.unwrap();
    store.drop_table(&table(), &readers, &lease).await.unwrap();
    assert_eq!(store.versions("balances").await.unwrap(), [0; 0]);
    assert!(store.checkpoint("balances").await.unwrap().is_none());
    // One of the same name that is not the projection's.
    let foreign = "CREATE SCHEMA es_balances_v1; CREATE TABLE es_balances_v1.theirs (number int)";
    client.batch_execute(foreign).await.unwrap();
    store.drop_table(&table(), &readers, &lease).await.unwrap();
    assert_eq!(store.versions("balances").await.unwrap(), [0; 0]);
    assert_eq!(count(&client, "SELECT count(*) FROM es_balances_v1.theirs").await, 0);
}

/// The server ends the session in the middle of a commit: whoever reads the checkpoint again knows.
#[tokio::test]
async fn a_commit_that_is_cut_is_indeterminate() {
    let database = Database::new().await;
    let store = database.open().await;
    let lease = begun(&store).await;
    // Holds the commit up at its checkpoint.
    store.commit(commit(&lease, 0, 1)).await.unwrap();
    let holding = database.client().await;
    holding
        .batch_execute("BEGIN; SELECT FROM es.checkpoints FOR UPDATE")
        .await
        .unwrap();
    let cut = tokio::spawn({
        let (store, lease) = (store.clone(), lease.clone());
        async move { store.commit(commit(&lease, 1, 3)).await }
    });
    let end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while count(&holding, end).await == 0 {
        assert!(!cut.is_finished(), "the commit did not wait");
        // Within one transaction the view stands still.
        holding.batch_execute("SELECT pg_stat_clear_snapshot()").await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = cut.await.unwrap().unwrap_err();
    assert!(matches!(error, CommitError::Indeterminate(_)), "{error:?}");
    holding.batch_execute("COMMIT").await.unwrap();
    assert_eq!(store.checkpoint("balances").await.unwrap().unwrap().position, 1);
    store.commit(commit(&lease, 1, 3)).await.unwrap();
    assert_eq!(store.checkpoint("balances").await.unwrap().unwrap().position, 3);
}
