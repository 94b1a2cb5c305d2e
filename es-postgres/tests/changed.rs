//! Servers and tables that change under a running store.

mod support;
mod tables;

use std::time::{Duration, Instant};

use es_conformance::{SqlInline, SqlStep, SqlTables};
use es_postgres::PostgresStore;
use es_runtime::projection::sql::{SqlSchema, SqlStore as _, WriteError};
use es_runtime::store::{AppendError, CommitError, InlineError, InlineReader, ReadLog, ReadStream};
use es_runtime::{EventStore, ExpectedVersion, StoreError, StoreErrorKind};
use futures_util::TryStreamExt;
use support::{Cluster, Database, append, log, stream};
use tables::Tables;

#[tokio::test]
async fn an_append_is_flushed_though_synchronous_commit_was_turned_off_meanwhile() {
    const APPENDS: u64 = 100;
    // Whatever is not flushed at the commit is not flushed for a while.
    let lazy = &["wal_writer_delay=10000"];
    let cluster = Cluster::start(lazy);
    let store = support::open(PostgresStore::options().apply_schema(), &cluster.config).await;
    let append_both = async |number: u64| {
        store.append(append("batched", number..number + 1)).await.unwrap();
        store
            .append_with(append("inline", number..number + 1), Vec::new(), Vec::new())
            .await
            .unwrap();
    };
    append_both(0).await;
    let admin = support::connect(&cluster.config).await;
    for change in ["ALTER SYSTEM SET synchronous_commit = off", "SELECT pg_reload_conf()"] {
        admin.batch_execute(change).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let setting = async || {
        let row = admin
            .query_one("SELECT current_setting('synchronous_commit')", &[])
            .await;
        row.unwrap().get::<_, String>(0)
    };
    while setting().await != "off" {
        assert!(Instant::now() < deadline, "it is reloaded");
    }
    for number in 1..APPENDS {
        append_both(number).await;
    }
    cluster.kill();
    cluster.start_again(&["synchronous_commit=on"]);
    assert_eq!(
        log(&store).await.len() as u64,
        2 * APPENDS,
        "nothing that was acknowledged is lost"
    );
}

/// All sessions of the store end, and those that it opens from now on are set so.
async fn set(database: &Database, setting: &str) {
    let client = database.client().await;
    let set = format!("ALTER DATABASE {} {setting}", database.name);
    client
        .batch_execute("SET default_transaction_read_only = off")
        .await
        .unwrap();
    client.batch_execute(&set).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    client.batch_execute(end).await.unwrap();
}

fn is_read_only(error: &StoreError) -> bool {
    error.kind() == StoreErrorKind::Rejected && error.to_string().contains("connect to the primary")
}

#[tokio::test]
async fn a_server_that_turns_read_only_is_to_blame_and_no_event() {
    let database = Database::new().await;
    let store = database.open().await;
    let tables = Tables(store.clone());
    let schema = SqlSchema {
        projection: "numbers".into(),
        version: 1,
        sql: tables.statement(1).into(),
    };
    tables.create_schema(&schema).await.unwrap();
    let reader = InlineReader {
        reader: "numbers".to_owned(),
        mark: "numbers ready".to_owned(),
        categories: vec!["test".to_owned()],
    };
    let client = database.client().await;
    client
        .batch_execute(
            "INSERT INTO es.checkpoints SELECT 'numbers ready', 0, NULL, l.epoch, clock_timestamp() FROM es.log AS l",
        )
        .await
        .unwrap();
    drop(client);
    let inline = async |number: u64, expected| {
        let mut sent = append("inline", number..number + 1);
        sent.streams[0].expected = expected;
        let step = i64::try_from(number).unwrap();
        let inline = SqlInline {
            projection: reader.clone(),
            schema: schema.clone(),
            steps: vec![(0, SqlStep::Insert(step))],
        };
        tables.append_with(sent, vec![inline]).await
    };
    let connected = async || {
        // The connection of appends is opened again by the first that finds it gone.
        while let Err(AppendError::Indeterminate { .. }) = store.append(append("other", 0..1)).await {}
        store.append(append("other", 0..1)).await
    };
    inline(1, ExpectedVersion::NoStream).await.unwrap();

    set(&database, "SET default_transaction_read_only = on").await;
    match inline(2, ExpectedVersion::Exact(1.into())).await.unwrap_err() {
        InlineError::Append(AppendError::Store(error)) => assert!(is_read_only(&error), "{error}"),
        other => panic!("it is no fault of the event: {other:?}"),
    }
    match tables
        .run_steps(&schema, vec![SqlStep::Insert(2)], None)
        .await
        .unwrap_err()
    {
        WriteError::Commit(CommitError::Store(error)) => assert!(is_read_only(&error), "{error}"),
        other => panic!("it is no fault of the event: {other:?}"),
    }
    match connected().await.unwrap_err() {
        AppendError::Store(error) => assert!(is_read_only(&error), "{error}"),
        other => panic!("{other:?}"),
    }

    set(&database, "RESET default_transaction_read_only").await;
    inline(2, ExpectedVersion::Exact(1.into())).await.unwrap();
    assert_eq!(tables.numbers(&schema).await, Some(vec![1, 2]));
    connected().await.unwrap();
}

#[tokio::test]
async fn a_row_that_the_store_cannot_have_written_is_corrupt_and_named() {
    for damage in [
        "UPDATE es.recorded_events SET recorded_at = 'infinity' WHERE position = 2",
        "UPDATE es.recorded_events SET recorded_at = '-infinity' WHERE position = 2",
        "UPDATE es.recorded_events SET recorded_at = '20000-01-01' WHERE position = 2",
        "UPDATE es.recorded_events SET version = 0 WHERE position = 2",
        "UPDATE es.recorded_events SET position = 0 WHERE position = 2",
        "UPDATE es.recorded_events SET metadata = '7' WHERE position = 2",
        "ALTER TABLE es.recorded_events ALTER recorded_at TYPE timestamp",
        "ALTER TABLE es.recorded_events ALTER event_id TYPE text",
        "ALTER TABLE es.recorded_events ALTER shape_version TYPE bigint",
        "ALTER TABLE es.recorded_events ALTER name TYPE bytea USING '\\xff'",
        "ALTER TABLE es.recorded_events ALTER payload TYPE text",
        "ALTER TABLE es.recorded_events ALTER payload DROP NOT NULL; UPDATE es.recorded_events SET payload = NULL WHERE position = 2",
        "ALTER TABLE es.streams ALTER stream_id TYPE bytea USING '\\xff'",
    ] {
        let database = Database::new().await;
        database.open().await.append(append("a", 0..3)).await.unwrap();
        let client = database.client().await;
        client.batch_execute("DROP VIEW es.events").await.unwrap();
        client.batch_execute(damage).await.unwrap();
        let store = database.open().await;
        let whole = || ReadStream::new(stream("a")).from(0);
        let folds = !damage.contains("metadata") && !damage.contains("event_id") && !damage.contains("es.streams");
        let by_name = !damage.contains("es.streams");
        let mut reads = vec![
            (
                "the log",
                store.read_log(ReadLog::new().from(0)).map_ok(drop).try_collect().await,
            ),
            (
                "the log backwards",
                store
                    .read_log(ReadLog::new().from(0).backwards())
                    .map_ok(drop)
                    .try_collect()
                    .await,
            ),
        ];
        if by_name {
            reads.push(("a stream", store.read_stream(whole()).map_ok(drop).try_collect().await));
        }
        if folds {
            reads.push(("a state", store.load_stream(whole()).map_ok(drop).try_collect().await));
        }
        for (what, read) in reads {
            let read: Result<Vec<()>, StoreError> = read;
            let error = read.expect_err(damage);
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{damage}: {what}: {error}");
            let named = error.to_string();
            assert!(
                named.contains("column `") || named.contains("position 2: its metadata"),
                "{damage}: {what}: {named}"
            );
        }
    }
}
