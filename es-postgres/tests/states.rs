//! Saves of states that meet other sessions, or whose answer does not come.

mod support;

use std::sync::Arc;

use bytes::Bytes;
use es_postgres::PostgresStore;
use es_runtime::store::{Change, Checked, Demand, EventStore, SaveError, StateChange, StateKey, StateStore};
use support::Database;
use tokio_postgres::Client;

fn change(sequence: u64) -> StateChange {
    StateChange {
        key: StateKey::new("states", "account", "a"),
        sequence,
        change: if sequence == 1 { Change::Create } else { Change::Update },
        shape: 1,
        payload: Some(Bytes::from_static(b"{}")),
    }
}

async fn states(database: &Database) -> Arc<Checked<dyn StateStore>> {
    let config = support::server().dbname(&database.name).clone();
    let store = Arc::new(PostgresStore::options().connect_with(config).await.unwrap());
    Arc::new(Checked::new(store.state_store().unwrap()))
}

/// Returns once a session waits for a lock.
async fn somebody_waits(client: &Client) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    while client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_save_that_waits_for_a_purge_finds_nothing_to_follow_on() {
    let database = Database::new().await;
    let states = states(&database).await;
    for sequence in 1..=4 {
        states.save(vec![change(sequence)], Demand::Next).await.unwrap();
    }
    let (client, looking) = (database.client().await, database.client().await);
    let purge = "BEGIN; SELECT es.purge_states('{states}', '{account}', '{a}')";
    client.batch_execute(purge).await.unwrap();
    let saving = tokio::spawn({
        let states = states.clone();
        async move { states.save(vec![change(5)], Demand::Next).await }
    });
    somebody_waits(&looking).await;
    client.batch_execute("COMMIT").await.unwrap();
    let saved = saving.await.unwrap();
    assert!(
        matches!(saved, Err(SaveError::Conflict { kept: 0, given: 5, .. })),
        "{saved:?}"
    );
    assert_eq!(states.get(&change(1).key).await.unwrap(), None);
}

#[tokio::test]
async fn a_save_that_waits_for_another_one_follows_on_what_that_has_saved() {
    let database = Database::new().await;
    let states = states(&database).await;
    let save = |sequence: u64| {
        format!(
            "BEGIN; SELECT es.save_states('{{states}}', '{{account}}', '{{a}}', '{{{sequence}}}', '{{{}}}', '{{1}}',
                                          ARRAY['{{}}']::json[], true, NULL)",
            i32::from(sequence > 1)
        )
    };
    let (client, looking) = (database.client().await, database.client().await);
    for (other, given, fits) in [(1, 1, true), (2, 2, true), (3, 4, true), (5, 4, false), (5, 6, true)] {
        let which = format!("{given} behind {other}");
        client.batch_execute(&save(other)).await.unwrap();
        let saving = tokio::spawn({
            let states = states.clone();
            async move { states.save(vec![change(given)], Demand::Next).await }
        });
        somebody_waits(&looking).await;
        client.batch_execute("COMMIT").await.unwrap();
        let saved = saving.await.unwrap();
        let kept = states.get(&change(1).key).await.unwrap().unwrap().sequence;
        if fits {
            saved.unwrap();
            assert_eq!(kept, given.max(other), "{which}");
        } else {
            let is_told = matches!(saved, Err(SaveError::Conflict { kept: 5, given: 4, .. }));
            assert!(is_told, "{which}: {saved:?}");
            assert_eq!(kept, other, "{which}");
        }
    }
}

#[tokio::test]
async fn a_save_that_is_cut_off_is_told_as_indeterminate_and_may_be_sent_again() {
    let database = Database::new().await;
    let states = states(&database).await;
    states.save(vec![change(1)], Demand::Next).await.unwrap();
    let (client, looking) = (database.client().await, database.client().await);
    client.batch_execute("BEGIN; LOCK TABLE es.states").await.unwrap();
    let saving = tokio::spawn({
        let states = states.clone();
        async move { states.save(vec![change(2)], Demand::Next).await }
    });
    somebody_waits(&looking).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE wait_event_type = 'Lock' AND datname = current_database()";
    looking.query(end, &[]).await.unwrap();
    let saved = saving.await.unwrap();
    assert!(matches!(saved, Err(SaveError::Indeterminate(_))), "{saved:?}");
    client.batch_execute("COMMIT").await.unwrap();
    // The pool may not know yet that other connections of it have ended.
    while let Err(error) = states.save(vec![change(2)], Demand::Next).await {
        assert!(matches!(error, SaveError::Indeterminate(_)), "{error:?}");
    }
    assert_eq!(states.get(&change(2).key).await.unwrap(), Some(change(2)));
}
