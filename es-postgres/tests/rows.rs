//! Rows that change with appends: what PostgreSQL alone may do to them.

mod support;

use std::sync::Arc;
use std::time::Duration;

use es_postgres::PostgresStore;
use es_runtime::store::{
    Advance, AppendError, CursorStore as _, EventStore as _, InlineError, InlineFold, InlineReader, InlineRows,
    ProjectionStore as _, RowChange, RowQuery, RowStore as _, RowTable,
};
use es_runtime::{Position, StoreErrorKind};
use futures_util::future::join_all;
use support::{Database, append, log};

fn table(name: &'static str) -> RowTable {
    RowTable {
        projection: name.into(),
        version: 1,
        indexes: Vec::new().into(),
        beside: false,
    }
}

fn reader(name: &str) -> InlineReader {
    InlineReader {
        reader: name.to_owned(),
        mark: format!("{name} ready"),
        categories: vec!["test".to_owned()],
    }
}

/// Writes `data` to the row `key`.
fn rows(name: &'static str, key: &str, data: &'static str) -> InlineRows {
    let change = RowChange {
        key: key.to_owned(),
        data: Some(data.into()),
        position: Position(1),
    };
    InlineRows {
        projection: Arc::new(reader(name)),
        table: table(name),
        fold: InlineFold::new(vec![key.to_owned()], move |_| Ok(vec![change.clone()])),
    }
}

/// Creates the table, and says that its projection has taken in all that is there.
async fn ready(store: &PostgresStore, name: &'static str) {
    store.create_table(&table(name)).await.unwrap();
    let lease = store
        .acquire(name, "test", Duration::from_secs(60))
        .await
        .unwrap()
        .unwrap();
    let mark = Advance::new(&reader(name).mark, &lease, Position(0), Position(0));
    store.advance(mark).await.unwrap();
}

fn kind(error: &InlineError) -> Option<StoreErrorKind> {
    match error {
        InlineError::Append(AppendError::Store(error)) => Some(error.kind()),
        _ => None,
    }
}

/// Else the next append would join the transaction, and nobody would commit it.
#[tokio::test]
async fn a_batch_whose_rows_cannot_be_written_leaves_no_transaction_behind() {
    let database = Database::new().await;
    let (store, client) = (database.open().await, database.client().await);
    ready(&store, "sums").await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$; \
                  CREATE TRIGGER refuse BEFORE INSERT ON es.sums_v1 FOR EACH ROW WHEN (NEW.data::text = '13') EXECUTE FUNCTION refuse()";
    client.batch_execute(refuse).await.unwrap();
    for number in 0..3 {
        let id = number.to_string();
        let refused = store
            .append_rows(append(&id, 0..1), vec![rows("sums", &id, "13")])
            .await;
        assert!(kind(&refused.unwrap_err()).is_some());
        // By another connection, which sees only what is committed.
        assert_eq!(log(&database.open().await).await.len(), number * 2);
        store
            .append_rows(append("with", 0..1), vec![rows("sums", "with", "1")])
            .await
            .unwrap();
        assert_eq!(log(&database.open().await).await.len(), number * 2 + 1);
        let refused = store
            .append_rows(append(&id, 0..1), vec![rows("sums", &id, "13")])
            .await;
        refused.unwrap_err();
        // Of another category: the rows are not behind.
        let other = es_runtime::StreamId::new("other", &*id);
        let mut plain = append("1", 0..1);
        plain.streams[0].stream = other;
        store.append(plain).await.unwrap();
        assert_eq!(log(&database.open().await).await.len(), number * 2 + 2);
    }
    let all = store.list_rows(&table("sums"), &RowQuery::default()).await.unwrap();
    assert_eq!(all.len(), 1);
}

#[tokio::test]
async fn rows_that_are_not_there_refuse_only_their_appends() {
    let database = Database::new().await;
    let store = database.open().await;
    ready(&store, "sums").await;
    let sent = (0..12).map(|number| {
        let id = number.to_string();
        // Its own category, so that nobody is behind because of the others.
        let mut append = append(&id, 0..1);
        let mut with = rows("sums", &id, "1");
        if number % 3 == 0 {
            append.streams[0].stream = es_runtime::StreamId::new("missing", &*id);
            let projection = InlineReader {
                categories: vec!["missing".to_owned()],
                ..reader("gone")
            };
            with = InlineRows {
                projection: Arc::new(projection),
                ..rows("gone", &id, "1")
            };
        }
        store.append_rows(append, vec![with])
    });
    for (number, answer) in join_all(sent).await.into_iter().enumerate() {
        match answer {
            Ok(_) => assert_ne!(number % 3, 0),
            Err(error) => {
                assert_eq!(number % 3, 0, "{error}");
                assert_eq!(kind(&error), Some(StoreErrorKind::Rejected), "{error:?}");
            }
        }
    }
    let all = store.list_rows(&table("sums"), &RowQuery::default()).await.unwrap();
    assert_eq!((all.len(), log(&store).await.len()), (8, 8));
}

/// With the rights that the documentation tells to grant.
#[tokio::test]
async fn appends_with_rows_need_few_rights() {
    let database = Database::new().await;
    let client = database.client().await;
    ready(&database.open().await, "sums").await;
    let role = format!("{}_bank", database.name);
    let guide = include_str!("../docs/postgres.md");
    let grants = guide
        .lines()
        .filter(|line| line.starts_with("GRANT ") && line.ends_with("TO bank;"));
    let grants: String = grants
        .map(|grant| grant.replace("TO bank;", &format!("TO {role};")))
        .collect();
    assert!(grants.contains("take_in_rows") && grants.contains("forget_keys"));
    client
        .batch_execute(&format!("CREATE ROLE {role} LOGIN; {grants}"))
        .await
        .unwrap();
    let mut config = database.config.clone();
    config.user(&role);
    let store = support::open(PostgresStore::options(), &config).await;
    store
        .append_rows(append("1", 0..2), vec![rows("sums", "1", "5")])
        .await
        .unwrap();
    let all = store.list_rows(&table("sums"), &RowQuery::default()).await.unwrap();
    assert_eq!(all[0].position, Position(1));
    assert_eq!(store.purge_keys(store.now().await.unwrap()).await.unwrap(), 0);
    store.close().await.unwrap();
    client
        .batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await
        .unwrap();
}
