//! Settings of a server, a database or a role that the store has not chosen.

mod support;

use std::time::Duration;

use es_postgres::{PostgresStore, Schema};
use es_runtime::store::{
    Advance, Commit, Compare, CursorStore, FieldValue, RowChange, RowFilter, RowQuery, RowStore, RowTable,
};
use es_runtime::store::{ReadLog, ReadStream};
use es_runtime::{EventStore, Position, StoreErrorKind};
use futures_util::TryStreamExt;
use support::{Database, append, stream};

const LONG: Duration = Duration::from_secs(3600);

/// Whatever changes the meaning of SQL, how values are written, how statements are planned, or what a session may do.
const SETTINGS: &[(&str, &str)] = &[
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "off"),
    ("escape_string_warning", "off"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("quote_all_identifiers", "on"),
    ("DateStyle", "SQL, DMY"),
    ("IntervalStyle", "sql_standard"),
    ("TimeZone", "Pacific/Kiritimati"),
    ("bytea_output", "escape"),
    ("xmlbinary", "hex"),
    ("extra_float_digits", "-15"),
    ("client_encoding", "LATIN1"),
    ("search_path", "nowhere"),
    ("row_security", "off"),
    ("check_function_bodies", "off"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_deferrable", "on"),
    ("synchronous_commit", "remote_apply"),
    ("lock_timeout", "1"),
    ("idle_in_transaction_session_timeout", "1000"),
    ("plan_cache_mode", "force_custom_plan"),
    ("enable_indexscan", "off"),
    ("enable_nestloop", "off"),
    ("jit_above_cost", "0"),
    ("join_collapse_limit", "1"),
    ("constraint_exclusion", "on"),
    ("cursor_tuple_fraction", "0.0"),
    ("gin_fuzzy_search_limit", "1"),
    ("session_replication_role", "replica"),
    ("plpgsql.variable_conflict", "use_variable"),
    ("plpgsql.extra_errors", "all"),
    ("plpgsql.check_asserts", "off"),
    ("default_toast_compression", "pglz"),
    ("debug_print_plan", "on"),
    ("log_statement", "all"),
];

#[tokio::test]
async fn a_store_does_the_same_under_all_of_them() {
    let database = Database::empty().await;
    let client = database.client().await;
    let name = &database.name;
    for (number, (setting, value)) in SETTINGS.iter().enumerate() {
        let set = format!("ALTER DATABASE {name} SET {setting} = '{value}'");
        client.batch_execute(&set).await.unwrap();
        let options = PostgresStore::options()
            .readers(2)
            .schema(Schema::new(format!("es_{number}")).unwrap());
        let opened = options.apply_schema().connect_with(database.config.clone()).await;
        let store = opened.unwrap_or_else(|error| panic!("{setting} = {value}: {error}"));
        let done = works(&store).await;
        done.unwrap_or_else(|error| panic!("{setting} = {value}: {error}"));
        store.close().await.unwrap();
        let reset = format!("ALTER DATABASE {name} RESET {setting}");
        client.batch_execute(&reset).await.unwrap();
    }
}

/// Appends, reads, and keeps rows with text in them that is hard to keep.
async fn works(store: &PostgresStore) -> es_runtime::Result<()> {
    let mut first = append("a\\b", 0..3);
    first.streams[0].events[0].payload = r#"{"text":"\u0000 \\ \ud83d\ude00 'x'"}"#.into();
    store.append(first.clone()).await?;
    store.append(append("other", 0..1)).await?;
    assert!(store.append(first.clone()).await?.repeated);
    let of_stream: Vec<_> = store.read_stream(ReadStream::new(stream("a\\b"))).try_collect().await?;
    assert_eq!(of_stream.len(), 3);
    assert_eq!(of_stream[0].payload, first.streams[0].events[0].payload);
    let log: Vec<_> = store.read_log(ReadLog::new()).try_collect().await?;
    assert_eq!(log.len(), 4);

    let table = RowTable {
        projection: "texts".into(),
        version: 1,
        indexes: vec!["text".into()].into(),
        beside: false,
    };
    store.create_table(&table).await?;
    let lease = store.acquire("texts", "one", LONG).await?.expect("it is free");
    let row = |key: &str, data: &'static str| RowChange {
        key: key.to_owned(),
        data: Some(data.into()),
        position: Position(4),
    };
    let commit = Commit {
        advance: Advance::new("texts", &lease, Position(0), Position(4)),
        table: table.clone(),
        rows: vec![
            row("backslash", r#"{"text":"a\\u0000b"}"#),
            row("nul", r#"{"text":"\u0000"}"#),
            row("number", r#"{"text":7}"#),
            row("quote", r#"{"text":"it's\t\u00fc"}"#),
        ],
    };
    RowStore::commit(store, commit).await?;
    for (compare, value, found) in [
        (
            Compare::AtMost,
            FieldValue::Text("b".to_owned()),
            vec!["backslash", "nul"],
        ),
        (
            Compare::Equal,
            FieldValue::Text("it's\t\u{fc}".to_owned()),
            vec!["quote"],
        ),
        (Compare::AtLeast, FieldValue::Integer(0), vec!["number"]),
    ] {
        let query = RowQuery {
            filters: vec![RowFilter {
                field: "text".into(),
                compare,
                value,
            }],
            ..RowQuery::default()
        };
        let rows = store.list_rows(&table, &query).await?;
        assert_eq!(rows.iter().map(|row| &*row.key).collect::<Vec<_>>(), found);
    }
    Ok(())
}

#[tokio::test]
async fn a_database_of_another_encoding_is_named_before_anything_is_set_up() {
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let database = Database::encoded_as(encoding).await;
        for options in [PostgresStore::options(), PostgresStore::options().apply_schema()] {
            let error = options.connect_with(database.config.clone()).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Rejected, "{error}");
            let expected = format!("the database is encoded as {encoding}: create one with ENCODING 'UTF8'");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
}
