//! The SQL function as other clients call it, and what was found by attacking its first sketch.

mod support;

use std::time::Duration;

use es_postgres::schema;
use es_postgres::{PostgresStore, Schema};
use es_runtime::projection::sql::SqlStore as _;
use es_runtime::store::{Append, AppendError, AppendRef, IdempotencyKey};
use es_runtime::testing::ManualClock;
use es_runtime::{Clock as _, EventStore, ExpectedVersion, StoreErrorKind, Version};
use support::{Database, append, events, log, stream};
use tokio_postgres::Client;
use uuid::Uuid;

/// Outcome and version of each entry of a call.
async fn call(client: &Client, arguments: &str) -> Vec<(String, i64)> {
    let rows = client
        .query(&format!("SELECT outcome, version FROM es.append({arguments})"), &[])
        .await
        .expect("the call is answered");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn told(outcomes: &[(&str, i64)]) -> Vec<(String, i64)> {
    outcomes
        .iter()
        .map(|(outcome, version)| ((*outcome).to_owned(), *version))
        .collect()
}

async fn code(client: &Client, sql: &str) -> String {
    let error = client.batch_execute(sql).await.expect_err("it is refused");
    error.code().expect("the server refuses it").code().to_owned()
}

#[tokio::test]
async fn versions_are_assigned_and_each_entry_sees_the_one_before() {
    let database = Database::new().await;
    let client = database.client().await;
    let twice = "'{a,a}', '{1,1}', '{none,none}', '{e,e}', '{1,2}', event_counts => '{1,1}', entry_appends => '{1,2}'";
    assert_eq!(call(&client, twice).await, told(&[("appended", 1), ("conflict", 1)]));
    let chain = "'{a,a}', '{2,2}', '{exact,exact}', '{e,e}', '{1,2}', expected => '{0,1}', event_counts => '{1,1}', entry_appends => '{1,2}'";
    assert_eq!(call(&client, chain).await, told(&[("appended", 1), ("appended", 2)]));
    let ahead = "'{a}', '{2}', '{exact}', '{e}', '{1}', expected => '{5}'";
    assert_eq!(call(&client, ahead).await, told(&[("conflict", 2)]));
    let negative = "'{a}', '{3}', '{exact}', '{e}', '{1}', expected => '{-3}'";
    assert_eq!(call(&client, negative).await, told(&[("conflict", 0)]));
    log(&database.open().await).await;
}

#[tokio::test]
async fn a_refusal_refuses_its_append_and_what_was_decided_on_it() {
    let database = Database::new().await;
    let client = database.client().await;
    // The second append spans two streams and fails on the second; the third was decided on what the second would have made.
    let arguments = "'{a,a,b,a,c}', '{1,1,1,1,1}', '{none,exact,exists,exact,none}', '{e,e,e,e,e}', '{1,2,3,4,5}', \
                     expected => '{null,1,null,2,null}', event_counts => '{1,1,1,1,1}', entry_appends => '{1,2,2,3,4}'";
    let outcomes = call(&client, arguments).await;
    let outcomes: Vec<&str> = outcomes.iter().map(|(outcome, _)| &**outcome).collect();
    assert_eq!(outcomes, ["appended", "refused", "conflict", "conflict", "appended"]);
    let log = log(&database.open().await).await;
    assert_eq!(
        log.iter().map(|event| &*event.payload).collect::<Vec<_>>(),
        [b"1", b"5"]
    );
    let streams: i64 = client
        .query_one("SELECT count(*) FROM es.streams", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(streams, 2, "a refused append makes no stream");
}

/// The end of a stream is what the append before it in the call has left, and one that is refused has not moved it.
#[tokio::test]
async fn each_entry_sees_the_last_event_of_the_one_before() {
    let database = Database::new().await;
    let client = database.client().await;
    let id = |number: u32| format!("00000000-0000-0000-0000-{number:012}");
    let first = format!(
        "'{{a}}', '{{1}}', '{{none}}', '{{e}}', '{{1}}', event_ids => '{{{}}}'",
        id(1)
    );
    assert_eq!(call(&client, &first).await, told(&[("appended", 1)]));
    // The first one spans two streams, and fails on the second. Those behind it expect the event that was there before it, the one of the
    // append before, none, and again that of the append before; the last expects the event that was refused.
    let ids = [2, 3, 4, 5, 6, 7, 8].map(id).join(",");
    let arguments = format!(
        "'{{a,b,a,a,a,a,a}}', '{{1,1,1,1,1,1,1}}', '{{any,exists,any,any,any,any,any}}', '{{e,e,e,e,e,e,e}}', '{{2,3,4,5,6,7,8}}', \
         event_counts => '{{1,1,1,1,1,1,1}}', entry_appends => '{{1,1,2,3,4,5,6}}', event_ids => '{{{ids}}}', \
         last_events => '{{null,null,{},{},null,{},{}}}'",
        id(1),
        id(4),
        id(6),
        id(2)
    );
    let outcomes = call(&client, &arguments).await;
    let outcomes: Vec<&str> = outcomes.iter().map(|(outcome, _)| &**outcome).collect();
    assert_eq!(
        outcomes,
        [
            "refused", "conflict", "appended", "appended", "appended", "appended", "conflict"
        ]
    );
    assert_eq!(log(&database.open().await).await.len(), 5);
}

/// As a batch with rows is sent: should its BEGIN fail, what follows on the connection does nothing.
#[tokio::test]
async fn rows_and_their_append_do_nothing_outside_a_transaction() {
    let database = Database::new().await;
    let client = database.client().await;
    client
        .batch_execute("SELECT es.create_rows('sums_v1', '{}', '{}')")
        .await
        .unwrap();
    let lock = "SELECT es.lock_rows('sums@1', 'sums@1 ready', '{a}', 'sums_v1', '{x}')";
    let append = "SELECT * FROM es.append('{a}', '{1}', '{any}', '{e}', '{1}') \
                  WHERE current_setting('es.rows_are_locked', true) = 'true'";
    client.batch_execute(lock).await.unwrap();
    assert_eq!(client.query(append, &[]).await.unwrap().len(), 0);
    assert_eq!(log(&database.open().await).await.len(), 0);
    client.batch_execute(&format!("BEGIN; {lock}")).await.unwrap();
    assert_eq!(client.query(append, &[]).await.unwrap().len(), 1);
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(log(&database.open().await).await.len(), 1);
}

#[tokio::test]
async fn an_append_that_rests_on_another_is_tried_only_if_that_was_stored() {
    let database = Database::new().await;
    let client = database.client().await;
    let outcomes = async |arguments: &str| {
        let told = call(&client, arguments).await;
        let outcomes: Vec<String> = told.into_iter().map(|(outcome, _)| outcome).collect();
        outcomes.join(" ")
    };
    // The stream of the second is there, so that the third would fit.
    call(&client, "'{a}', '{met}', '{none}', '{e}', '{1}'").await;
    let stranger = "'{a,a,a}', '{1,met,met}', '{none,none,exact}', '{e,e,e}', '{1,2,3}', expected => '{null,null,1}', \
                    event_counts => '{1,1,1}', entry_appends => '{1,2,3}'";
    let chained = format!("{stranger}, chained => '{{false,true,true}}'");
    assert_eq!(outcomes(&chained).await, "appended conflict untried");
    // Those behind are their own.
    let beside = "'{a,a,b,b}', '{2,met,1,1}', '{any,none,any,exact}', '{e,e,e,e}', '{1,2,3,4}', expected => '{null,null,null,1}', \
                  event_counts => '{1,1,1,1}', entry_appends => '{1,2,3,4}', chained => '{null,true,false,true}'";
    assert_eq!(outcomes(beside).await, "appended conflict appended appended");
    // An append over two streams that is refused, and one that is done before.
    let over = "'{a,a,b,c}', '{3,met,9,1}', '{any,none,any,any}', '{e,e,e,e}', '{1,2,3,4}', event_counts => '{1,1,1,1}', \
                entry_appends => '{1,1,2,3}', chained => '{false,true,true}'";
    assert_eq!(outcomes(over).await, "refused conflict untried untried");
    call(&client, "'{a}', '{4}', '{any}', '{e}', '{1}', keys => '{request}'").await;
    let repeated = "'{a,a,a}', '{5,4,5}', '{any,any,any}', '{e,e,e}', '{1,2,3}', event_counts => '{1,1,1}', entry_appends => '{1,2,3}', \
                    keys => '{null,request,other}', chained => '{false,true,true}'";
    assert_eq!(outcomes(repeated).await, "appended repeated untried");
    let stored: Vec<_> = log(&database.open().await).await;
    assert_eq!(stored.len(), 7);
}

#[tokio::test]
async fn a_call_that_makes_no_sense_is_refused() {
    let database = Database::new().await;
    let client = database.client().await;
    for arguments in [
        "'{a,b}', '{1}', '{any}', '{e}', '{1}'",
        "'{a,b}', '{1,2}', '{any,any}', '{e}', '{1}'",
        "'{a}', '{1}', '{any}', '{e}', '{1,2}'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', event_counts => '{2}'",
        "'{a}', '{1}', '{any}', '{e,f}', '{1,2}', event_counts => '{1}'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', event_ids => '{null,null}'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', shape_versions => '{1,1}'",
        "'{a}', '{1}', '{any}', '{e,f}', '{1,2}', metadata => '{\"{}\"}'",
        "'{a}', '{1}', '{exact}', '{e}', '{1}'",
        "'{a}', '{1}', '{exact}', '{e}', '{1}', last_events => '{00000000-0000-0000-0000-000000000001}'",
        "'{a}', '{1}', '{perhaps}', '{e}', '{1}'",
        "'{a,b}', '{1,1}', '{any,any}', '{e,f}', '{1,2}', event_counts => '{1,1}', entry_appends => '{1,3}'",
        "'{a,b}', '{1,1}', '{any,any}', '{e}', '{1}', event_counts => '{2,-1}', entry_appends => '{1,2}'",
        "'{a,b}', '{1,1}', '{any,any}', '{e}', '{1}', event_counts => '{1,null}', entry_appends => '{1,2}'",
        "'{a,b}', '{1,1}', '{any,perhaps}', '{e,f}', '{1,2}', event_counts => '{1,1}', entry_appends => '{1,2}'",
        "'{a,b}', '{1,1}', '{any,exact}', '{e,f}', '{1,2}', event_counts => '{1,1}', entry_appends => '{1,2}'",
        "'{a,b,c}', '{1,1,1}', '{any,any,any}', '{e,f,g}', '{1,2,3}', event_counts => '{1,1,1}', entry_appends => '{1,3,3}'",
        "'{}', '{}', '{}', '{}', '{}'",
        // Elements are found by number: 1 is the first, and there are no others.
        "'[0:0]={a}', '{1}', '{any}', '{e}', '{1}'",
        "'{{a,b}}', '{1,1}', '{any,any}', '{e,f}', '{1,2}', event_counts => '{1,1}'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', keys => '[0:0]={request}'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', keys => '{request,other}'",
        "'{a,b}', '{1,1}', '{any,any}', '{e,f}', '{1,2}', event_counts => '{1,1}', entry_appends => '{1,2}', keys => '{request}'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', append_ids => '{null,null}'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', keys => '{request}', fingerprints => '{}'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', chained => '{true}'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', chained => '{false,true}'",
        "'{a,b}', '{1,1}', '{any,any}', '{e,f}', '{1,2}', event_counts => '{1,1}', entry_appends => '{1,2}', chained => '[0:1]={false,true}'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', by_clock => 'infinity'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', by_clock => '-infinity'",
        "'{a}', '{1}', '{any}', '{e}', '{1}', by_clock => '10000-01-01'",
    ] {
        assert_eq!(
            code(&client, &format!("SELECT es.append({arguments})")).await,
            "22023",
            "{arguments}"
        );
    }
    assert_eq!(database.open().await.head().await.unwrap(), 0);
}

#[tokio::test]
async fn it_is_the_last_statement_of_a_transaction_or_rolled_back_with_it() {
    let database = Database::new().await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE public.own (n int)").await.unwrap();
    for end in ["ROLLBACK", "COMMIT"] {
        client
            .batch_execute(&format!(
                "BEGIN; INSERT INTO public.own VALUES (1); SELECT es.append('{{a}}', '{{1}}', '{{any}}', '{{e}}', '{{1}}'); {end}"
            ))
            .await
            .unwrap();
    }
    let own: i64 = client
        .query_one("SELECT count(*) FROM public.own", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!((own, log(&database.open().await).await.len()), (1, 1));
}

#[tokio::test]
async fn other_isolation_levels_are_refused_at_entry() {
    let database = Database::new().await;
    let client = database.client().await;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let sql =
            format!("BEGIN ISOLATION LEVEL {level}; SELECT es.append('{{a}}', '{{1}}', '{{any}}', '{{e}}', '{{1}}')");
        assert_eq!(code(&client, &sql).await, "25000", "{level}");
        client.batch_execute("ROLLBACK").await.unwrap();
    }
}

#[tokio::test]
async fn neither_the_function_nor_the_tables_notify_or_weaken_the_flush() {
    let database = Database::new().await;
    let client = database.client().await;
    let sources: String = client
        .query_one(
            "SELECT string_agg(prosrc, ' ') FROM pg_proc \
             WHERE pronamespace = 'es'::regnamespace AND proname <> 'renew_lease'", // which need not last
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert!(!sources.contains("notify"));
    let settings = sources.matches("set_config('synchronous_commit'").count();
    let strengthening = sources.matches("set_config('synchronous_commit', 'on', true)").count();
    assert_eq!(settings, strengthening, "only made stronger");
    let triggers: i64 = client
        .query_one(
            "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'es.recorded_events'::regclass",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(triggers, 0);
}

#[tokio::test]
async fn what_is_stored_is_known_without_a_scan() {
    let database = Database::new().await;
    let store = database.open().await;
    let mut changed = append("1", 0..2);
    changed.streams[0].events[1].shape_version = 2;
    for append in [append("1", 0..3), append("2", 0..3), changed] {
        store.append(append).await.unwrap();
    }
    let rows = database
        .client()
        .await
        .query(
            "SELECT category || ' ' || name || ' ' || shape_version FROM es.event_types ORDER BY 1",
            &[],
        )
        .await
        .unwrap();
    let types: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(types, ["test counted 1", "test counted 2"]);
}

/// The client checks what it knows, so a constraint stands in for what it does not.
#[tokio::test]
async fn one_bad_append_does_not_refuse_its_neighbours() {
    let database = Database::new().await;
    let client = database.client().await;
    client
        .batch_execute("ALTER TABLE es.recorded_events ADD CHECK (payload::text <> '{\"number\":13}')")
        .await
        .unwrap();
    let store = database.open().await;
    // A lock that is held makes them wait, and so go together.
    let blocker = database.client().await;
    blocker.batch_execute("BEGIN; SELECT es.lock_log()").await.unwrap();
    let tasks: Vec<_> = (10..20)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.append(append(&number.to_string(), number..number + 1)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    blocker.batch_execute("COMMIT").await.unwrap();
    for (number, task) in (10..).zip(tasks) {
        match task.await.unwrap() {
            Ok(_) => assert_ne!(number, 13),
            Err(AppendError::Invalid { reason }) => assert!(number == 13 && reason.contains("23514"), "{reason}"),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(log(&store).await.len(), 9);
}

/// The appends before it are stored, and none behind it.
#[tokio::test]
async fn a_bad_append_ends_its_chain() {
    let database = Database::new().await;
    let client = database.client().await;
    client
        .batch_execute("ALTER TABLE es.recorded_events ADD CHECK (payload::text <> '{\"number\":13}')")
        .await
        .unwrap();
    let store = database.open().await;
    for (number, at) in (0..4).enumerate() {
        let id = number.to_string();
        let chain = (0..4).map(|place| {
            if place == at {
                append(&id, 13..14)
            } else {
                append(&id, place..place + 1)
            }
        });
        let answers = store.append_chain(chain.collect()).await;
        let (last, stored) = answers.split_last().unwrap();
        assert!(
            stored.len() as u64 == at && stored.iter().all(Result::is_ok),
            "{answers:?}"
        );
        assert!(
            matches!(last, Err(AppendError::Invalid { reason }) if reason.contains("23514")),
            "{last:?}"
        );
        assert_eq!(store.version(&stream(&id)).await.unwrap(), at);
    }
}

#[tokio::test]
async fn columns_hold_their_limits_against_every_client() {
    let database = Database::new().await;
    let client = database.client().await;
    for (name, arguments) in [
        ("an empty id", "'{a}', '{\"\"}', '{any}', '{e}', '{1}'"),
        ("a long id", "'{a}', ARRAY[repeat('i', 2001)], '{any}', '{e}', '{1}'"),
        (
            "a long category",
            "ARRAY[repeat('c', 513)], '{1}', '{any}', '{e}', '{1}'",
        ),
        ("a long name", "'{a}', '{1}', '{any}', ARRAY[repeat('n', 513)], '{1}'"),
        (
            "a long key",
            "'{a}', '{1}', '{any}', '{e}', '{1}', keys => ARRAY[repeat('k', 2001)]",
        ),
    ] {
        assert_eq!(
            code(&client, &format!("SELECT es.append({arguments})")).await,
            "23514",
            "{name}"
        );
    }
    assert_eq!(
        code(&client, "SELECT es.append('{a}', '{1}', '{any}', '{e}', '{null}')").await,
        "23502"
    );
    assert_eq!(
        code(&client, "SELECT es.append('{a}', '{1}', '{any}', '{e}', '{x}')").await,
        "22P02"
    );
    // The longest names fit into the indexes, even if nothing of them can be compressed.
    client
        .batch_execute(
            "SELECT es.append(ARRAY[substr(string_agg(md5(i::text), ''), 1, 512)], ARRAY[substr(string_agg(md5(i::text), ''), 600, 2000)], \
             '{any}', '{e}', '{1}') FROM generate_series(1, 100) AS i",
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn an_escaped_nul_is_stored_as_it_is() {
    let database = Database::new().await;
    let store = database.open().await;
    let mut nul = append("1", 0..1);
    nul.streams[0].events[0].payload = r#"{"text":"a\u0000b"}"#.into();
    store.append(nul.clone()).await.unwrap();
    assert_eq!(log(&store).await[0].payload, nul.streams[0].events[0].payload);
    let as_jsonb = "SELECT payload::jsonb FROM es.events";
    assert_eq!(
        code(&database.client().await, as_jsonb).await,
        "22P05",
        "only a query that asks for jsonb meets it"
    );
}

#[tokio::test]
async fn a_role_that_may_only_call_it_appends_at_the_true_head() {
    let database = Database::new().await;
    let store = database.open().await;
    store.append(append("1", 0..5)).await.unwrap();
    let client = database.client().await;
    let role = format!("{}_tenant", database.name);
    client
        .batch_execute(&format!(
            "CREATE ROLE {role}; GRANT USAGE ON SCHEMA es TO {role}; GRANT EXECUTE ON FUNCTION es.append TO {role}; \
             ALTER TABLE es.recorded_events ENABLE ROW LEVEL SECURITY; SET ROLE {role}"
        ))
        .await
        .unwrap();
    let hidden = code(&client, "SELECT count(*) FROM es.recorded_events").await;
    let arguments = "'{a}', '{1}', '{any}', '{e}', '{1}'";
    let outcomes = call(&client, arguments).await;
    let direct = code(&client, "DELETE FROM es.recorded_events").await;
    client
        .batch_execute(&format!("RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}"))
        .await
        .unwrap();
    assert_eq!((&*hidden, &*direct), ("42501", "42501"));
    assert_eq!(outcomes, told(&[("appended", 1)]));
    assert_eq!(log(&store).await.len(), 6);
}

/// With the rights that the documentation tells to grant.
#[tokio::test]
async fn a_store_needs_few_rights() {
    let database = Database::new().await;
    let client = database.client().await;
    let role = format!("{}_app", database.name);
    client
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA es TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA es TO {role}; \
             GRANT EXECUTE ON FUNCTION es.append, es.stored, es.resolve, es.lock_log TO {role}"
        ))
        .await
        .unwrap();
    let mut config = database.config.clone();
    config.user(&role);
    let store = support::open(PostgresStore::options(), &config).await;
    let sent = append("1", 0..3);
    let reference = AppendRef::of(&sent);
    store.append(sent.clone()).await.unwrap();
    assert!(store.append(sent).await.unwrap().repeated);
    assert!(store.resolve(&reference).await.unwrap().is_some());
    assert_eq!(log(&store).await.len(), 3);
    store.close().await.unwrap();
    client
        .batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await
        .unwrap();
}

/// A search path of the caller must not lead the function to other tables or operators.
#[tokio::test]
async fn the_callers_search_path_does_not_matter() {
    let database = Database::new().await;
    let client = database.client().await;
    client
        .batch_execute(
            "CREATE FUNCTION public.coalesce_trap(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; \
             CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$; \
             SET search_path = public, pg_catalog",
        )
        .await
        .unwrap();
    assert_eq!(
        call(&client, "'{a}', '{1}', '{any}', '{e}', '{1}'").await,
        told(&[("appended", 1)])
    );
}

#[tokio::test]
async fn renamed_schemas_in_one_database_neither_share_a_lock_nor_events() {
    let database = Database::empty().await;
    let mut client = database.client().await;
    let names = ["es", "Übung \"zwei\"", "select"];
    for name in names {
        schema::apply(&mut client, &Schema::new(name).unwrap()).await.unwrap();
    }
    client.batch_execute("BEGIN; SELECT es.lock_log()").await.unwrap();
    for name in &names[1..] {
        let options = PostgresStore::options()
            .schema(Schema::new(*name).unwrap())
            .lock_timeout(Duration::from_secs(1));
        let store = support::open(options, &database.config).await;
        store
            .append(append(name, 0..3))
            .await
            .expect("another schema's lock is not in the way");
        assert_eq!(log(&store).await.len(), 3);
    }
    let waits = PostgresStore::options().lock_timeout(Duration::from_millis(100));
    let store = support::open(waits, &database.config).await;
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    match store.append(append("1", 0..1)).await.unwrap_err() {
        AppendError::Store(error) => {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            assert!(
                error.to_string().contains(&format!("process {pid}")),
                "the holder is named: {error}"
            );
        }
        other => panic!("{other}"),
    }
    client.batch_execute("ROLLBACK").await.unwrap();
    store.append(append("1", 0..1)).await.expect("the lock came free");
    assert_eq!(store.head().await.unwrap(), 1);
}

#[tokio::test]
async fn who_hangs_with_the_lock_in_hand_is_ended_by_the_server() {
    let database = Database::new().await;
    let client = database.client().await;
    client.batch_execute("BEGIN; SELECT es.lock_log()").await.unwrap();
    let timeout: String = client
        .query_one("SHOW idle_in_transaction_session_timeout", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(timeout, "30s");
    client
        .batch_execute("ROLLBACK; SET idle_in_transaction_session_timeout = '1min'; BEGIN; SELECT es.lock_log()")
        .await
        .unwrap();
    let timeout: String = client
        .query_one("SHOW idle_in_transaction_session_timeout", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(timeout, "1min", "a time that the client set is kept");
}

/// As on an engine where the lock does nothing: the unique constraints are what order rests on.
#[tokio::test]
async fn without_a_lock_appends_collide_and_are_repeated_but_order_holds() {
    let database = Database::new().await;
    let client = database.client().await;
    client
        .batch_execute("CREATE OR REPLACE FUNCTION es.lock_log() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(0)'")
        .await
        .unwrap();
    let stores = [database.open().await, database.open().await, database.open().await];
    let mut tasks = Vec::new();
    for (number, store) in stores.iter().cloned().enumerate() {
        tasks.push(tokio::spawn(async move {
            let mut appended = 0;
            for turn in 0..100 {
                match store.append(append(&format!("{}", (turn + number) % 5), 0..2)).await {
                    Ok(_) => appended += 2,
                    Err(AppendError::Store(error)) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}"),
                    Err(error) => panic!("{error}"),
                }
            }
            appended
        }));
    }
    let mut appended = 0;
    for task in tasks {
        appended += task.await.unwrap();
    }
    assert!(appended > 400, "most get through: {appended}");
    assert_eq!(log(&stores[0]).await.len(), appended);
}

#[tokio::test]
async fn a_row_serves_as_the_lock() {
    let database = Database::empty().await;
    let schema = Schema::default().lock(es_postgres::Lock::Row);
    schema::apply(&mut database.client().await, &schema).await.unwrap();
    let stores = [database.open().await, database.open().await];
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let store = stores[writer % 2].clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    store.append(append("1", 0..1)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(log(&stores[0]).await.len(), 400);
    let client = database.client().await;
    client.batch_execute("BEGIN; SELECT es.lock_log()").await.unwrap();
    let options = PostgresStore::options().lock_timeout(Duration::from_millis(100));
    let store = support::open(options, &database.config).await;
    let error = store.append(append("1", 0..1)).await.unwrap_err();
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    assert!(error.to_string().contains(&format!("process {pid}")), "{error}");
}

#[tokio::test]
async fn a_key_is_found_with_its_result_by_every_client() {
    let database = Database::new().await;
    let store = database.open().await;
    let keyed = Append {
        key: Some(IdempotencyKey {
            key: "request".to_owned(),
            fingerprint: Uuid::from_u128(1),
        }),
        ..Append::new(stream("1"), ExpectedVersion::Exact(Version(0)), events(0..2))
    };
    let appended = store.append(keyed.clone()).await.unwrap();
    let client = database.client().await;
    let other = "'{a}', '{2}', '{any}', '{e}', '{1}', keys => '{request}', fingerprints => '{00000000-0000-0000-0000-000000000002}'";
    assert_eq!(call(&client, other).await, told(&[("mismatched", 0)]));
    let same = "'{a}', '{2}', '{any}', '{e}', '{1}', keys => '{request}', fingerprints => '{00000000-0000-0000-0000-000000000001}'";
    assert_eq!(call(&client, same).await, told(&[("repeated", 0)]));
    let stored = client
        .query_one("SELECT version, position FROM es.stored($1)", &[&keyed.id.0])
        .await
        .unwrap();
    assert_eq!((stored.get::<_, i64>(0), stored.get::<_, i64>(1)), (2, 2));
    let resolved = store.resolve(&AppendRef::of(&keyed)).await.unwrap().unwrap();
    assert_eq!(resolved.streams, appended.streams);
}

#[tokio::test]
async fn a_key_belongs_to_its_own_append_whatever_stands_before_it() {
    let database = Database::new().await;
    let client = database.client().await;
    let arguments = "'{r,r,r}', '{one,two,one}', '{any,exact,any}', '{n,n,n}', '{1,2,3}', expected => '{0,7,0}', \
                     event_counts => '{1,1,1}', entry_appends => '{1,2,3}', keys => '{null,second,third}'";
    let outcomes = [("appended", 1), ("conflict", 0), ("appended", 2)];
    assert_eq!(call(&client, arguments).await, told(&outcomes));
    let keys =
        "SELECT k.key, e.payload::text FROM es.idempotency_keys AS k JOIN es.recorded_events AS e USING (append_id)";
    let keys = client.query(keys, &[]).await.unwrap();
    let keys: Vec<(&str, &str)> = keys.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(keys, [("third", "3")], "the append of the second key is not stored");
}

#[tokio::test]
async fn a_clock_of_the_users_says_when_an_event_is_recorded() {
    const HOUR: Duration = Duration::from_secs(3600);
    let database = Database::new().await;
    let clock = ManualClock::at("2001-02-03T04:05:06.000007Z".parse().unwrap());
    let store = support::open(PostgresStore::options().clock(clock.clone()), &database.config).await;
    let mut keyed = append("keyed", 0..2);
    keyed.key = Some(IdempotencyKey {
        key: "request".to_owned(),
        fingerprint: Uuid::nil(),
    });
    let mut of_many = append("a", 2..3);
    of_many.streams.push(append("b", 0..1).streams.remove(0));
    for sent in [
        append("a", 0..1),
        append("a", 1..2),
        append("several", 0..2),
        keyed,
        of_many,
    ] {
        clock.advance(HOUR);
        assert_eq!(store.append(sent).await.unwrap().recorded_at, clock.now());
    }
    clock.advance(HOUR);
    let inline = store
        .append_with(append("inline", 0..1), Vec::new(), Vec::new())
        .await
        .unwrap();
    assert_eq!(inline.recorded_at, clock.now());

    let latest = clock.now();
    clock.set("1999-12-31T23:59:59Z".parse().unwrap());
    let late = store.append(append("a", 3..4)).await.unwrap();
    assert_eq!(late.recorded_at, latest, "it never goes back");
    let by_server = database.open().await.append(append("a", 4..5)).await.unwrap();
    assert!(by_server.recorded_at > "2020-01-01T00:00:00Z".parse().unwrap());
}
