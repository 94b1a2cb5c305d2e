//! The server's plans for the store's statements. It plans by what it knows about the tables, which may be nothing, or
//! out of date: no plan of a read visits many more rows than it returns, and none is considered expensive enough to be
//! compiled.

mod support;

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use es_postgres::PostgresStore;
use es_runtime::store::{
    Append, AppendRef, ArchiveStore, EventFilter, EventStore, ListStreams, ReadLog, ReadStream, StateStore,
};
use es_runtime::{Position, StreamId};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::Value;
use support::{Database, append};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

const EVENTS: u64 = 100_000;
/// The most rows of a table that a statement may visit.
const ROWS: f64 = 12_000.0;
/// The cost at which the server compiles a plan, unless set otherwise.
const JIT_ABOVE_COST: f64 = 100_000.0;

/// Some 25,000 streams, of which 50 are of a category of their own and one has a fifth of the events.
const FILL: &str = "
    INSERT INTO es.streams SELECT 1000000 + n, CASE WHEN n <= 50 THEN 'rare' ELSE 'usual' END, 'stream-' || n FROM generate_series(1, 24989) AS n;
    INSERT INTO es.event_types VALUES ('rare', 'counted', 1), ('usual', 'counted', 1);
    INSERT INTO es.recorded_events
    SELECT n, stream, row_number() OVER (PARTITION BY stream ORDER BY n), now(), gen_random_uuid(), gen_random_uuid(), 1, 1, 'counted',
           json_build_object('number', n), '{}'
      FROM (SELECT n, 1000000 + CASE WHEN n % 5 = 0 THEN 51 ELSE n % 24989 + 1 END AS stream FROM generate_series(first_position, 100000) AS n) AS dealt
     ORDER BY n;
    INSERT INTO es.appends
    SELECT gen_random_uuid(), now(), json_build_array(json_build_object('category', 'usual', 'stream_id', 'stream-51', 'events', 0,
           'version', 1, 'position', n % 100000)) FROM generate_series(1, 50000) AS n;
    INSERT INTO es.states
    SELECT 'space-' || n % 3, 'kind', n::text, 1, 0, 1, '{}', now() FROM generate_series(1, 50000) AS n ON CONFLICT DO NOTHING";

/// The plans of the statements that the server did for a store on this thread, which it says as notices.
#[derive(Clone, Default)]
struct Plans(Arc<Mutex<Vec<Value>>>);

impl Plans {
    fn heard(&self) -> DefaultGuard {
        tracing::subscriber::set_default(self.clone())
    }

    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Visit for Plans {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        let mut said = String::new();
        write!(said, "{value:?}").unwrap();
        if let Some((_, plan)) = said.split_once("plan:\n") {
            self.0.lock().unwrap().push(serde_json::from_str(plan).unwrap());
        }
    }
}

impl Subscriber for Plans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("es_postgres")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A store on a server that tells how it does each statement, those in functions too.
async fn telling() -> (Database, PostgresStore) {
    let database = Database::new().await;
    let name = &database.name;
    let settings = [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_level", "notice"),
        ("auto_explain.log_format", "json"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_timing", "off"),
        ("auto_explain.log_nested_statements", "on"),
    ];
    let settings = settings.map(|(setting, value)| format!("ALTER DATABASE {name} SET {setting} = '{value}'"));
    let client = database.client().await;
    client.batch_execute("LOAD 'auto_explain'").await.unwrap();
    client.batch_execute(&settings.join(";")).await.unwrap();
    let store = database.open().await;
    (database, store)
}

/// Keeps the server from looking at the tables when it likes.
async fn leave_alone(database: &Database) {
    const TABLES: [&str; 5] = ["recorded_events", "streams", "idempotency_keys", "appends", "states"];
    let alone = TABLES.map(|table| format!("ALTER TABLE es.{table} SET (autovacuum_enabled = off)"));
    database.client().await.batch_execute(&alone.join(";")).await.unwrap();
}

async fn fill(database: &Database) {
    let client = database.client().await;
    let first: i64 = client
        .query_one("SELECT coalesce(max(position), 0) + 1 FROM es.recorded_events", &[])
        .await
        .unwrap()
        .get(0);
    let fill = FILL.replace("first_position", &first.to_string());
    client.batch_execute(&fill).await.unwrap();
}

/// Each read of the store, from both ends and in the midst, several times: so that the server comes to keep its plans.
async fn read_all(store: &PostgresStore, plans: &Plans) -> Vec<(&'static str, Vec<Value>)> {
    const TURNS: u64 = 7;
    // The first time that something is not found, it looks at the names of all streams.
    store.version(&StreamId::new("usual", "nobody")).await.unwrap();
    plans.take();
    let mut done = Vec::new();
    let mut note = |what| done.push((what, plans.take()));
    let long = StreamId::new("usual", "stream-51");
    let middle = Position(EVENTS / 2);
    for turn in 0..TURNS {
        store.version(&long).await.unwrap();
        store
            .version(&StreamId::new("usual", format!("nobody-{turn}")))
            .await
            .unwrap();
        note("version");
        store.head().await.unwrap();
        note("head");
        for read in [ReadStream::new(long.clone()), ReadStream::new(long.clone()).from(5_000)] {
            for read in [read.clone().limit(1_500), read.backwards().limit(1_500)] {
                store.read_stream(read.clone()).try_collect::<Vec<_>>().await.unwrap();
                note("read of a stream");
                store.load_stream(read).try_collect::<Vec<_>>().await.unwrap();
                note("load of a stream");
            }
        }
        for (what, only) in [
            ("read of the log", None),
            ("read of most of the log", Some(EventFilter::category("usual"))),
            ("read of little of the log", Some(EventFilter::category("rare"))),
            ("read of nothing in the log", Some(EventFilter::category("none"))),
            (
                "read of events in the log",
                Some(EventFilter::events("rare", ["counted"])),
            ),
            ("read of a stream in the log", Some(EventFilter::Stream(long.clone()))),
        ] {
            let mut read = ReadLog::new();
            read.only = only;
            let part = [
                read.clone().from(middle).limit(1_500),
                read.clone().to(middle).backwards().limit(1_500),
            ];
            for read in [read.clone().limit(1_500), read.backwards().limit(1_500)]
                .into_iter()
                .chain(part)
            {
                store.read_log(read).try_collect::<Vec<_>>().await.unwrap();
                note(what);
            }
        }
        let list = ListStreams::new("usual").limit(1_500);
        for list in [list.clone(), list.after("stream-3")] {
            store.streams(list).try_collect::<Vec<_>>().await.unwrap();
            note("list of streams");
        }
        store.find_key(&format!("nobody-{turn}")).await.unwrap();
        note("search for a key");
        let appended = append(&format!("appended-{turn}"), 0..3);
        store.append(appended.clone()).await.unwrap();
        note("append");
        store.resolve(&AppendRef::of(&appended)).await.unwrap();
        note("resolution of an append");
        assert!(store.append(appended.clone()).await.unwrap().repeated);
        note("append that was repeated");
        let mut over_several: Append = append(&format!("one-{turn}"), 0..1);
        over_several
            .streams
            .extend(append(&format!("two-{turn}"), 0..1).streams);
        store.append(over_several).await.unwrap();
        note("append to several streams");
        let appends = ArchiveStore::appends(store).take(3_000);
        appends.try_collect::<Vec<_>>().await.unwrap();
        note("read of appends");
        store.namespaces().await.unwrap();
        note("list of namespaces");
    }
    done
}

/// Returns the problems of a plan.
fn faults(statement: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let plan = &statement["Plan"];
    let cost = plan["Total Cost"].as_f64().unwrap_or_default();
    if cost > JIT_ABOVE_COST {
        faults.push(format!("it is thought to cost {cost}"));
    }
    let mut nodes = vec![plan];
    while let Some(node) = nodes.pop() {
        nodes.extend(node["Plans"].as_array().into_iter().flatten());
        let number = |key: &str| node[key].as_f64().unwrap_or_default();
        let rows = (number("Actual Rows") + number("Rows Removed by Filter")) * number("Actual Loops");
        if rows > ROWS {
            faults.push(format!("{} gives or drops {rows} rows", node["Node Type"]));
        }
    }
    faults
}

fn assert_right(done: Vec<(&'static str, Vec<Value>)>) {
    let mut kinds: Vec<_> = done
        .iter()
        .filter(|(_, plans)| !plans.is_empty())
        .map(|(what, _)| *what)
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 18, "a plan is heard of each: {kinds:?}");
    let mut wrong = String::new();
    for (what, plans) in done {
        for plan in plans {
            for fault in faults(&plan) {
                writeln!(wrong, "{what}: {fault} in {}", plan["Query Text"]).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn no_read_looks_through_much_more_than_it_gives_if_nobody_has_analysed_the_tables() {
    let plans = Plans::default();
    let _heard = plans.heard();
    let (database, store) = telling().await;
    leave_alone(&database).await;
    fill(&database).await;
    assert_right(read_all(&store, &plans).await);
}

#[tokio::test]
async fn no_read_looks_through_much_more_than_it_gives_if_the_tables_were_analysed() {
    let plans = Plans::default();
    let _heard = plans.heard();
    let (database, store) = telling().await;
    leave_alone(&database).await;
    fill(&database).await;
    database.client().await.batch_execute("VACUUM ANALYZE").await.unwrap();
    assert_right(read_all(&store, &plans).await);
}

#[tokio::test]
async fn no_read_looks_through_much_more_than_it_gives_by_a_plan_that_was_made_when_the_tables_were_small() {
    let plans = Plans::default();
    let _heard = plans.heard();
    let (database, store) = telling().await;
    leave_alone(&database).await;
    read_all(&store, &plans).await;
    fill(&database).await;
    assert_right(read_all(&store, &plans).await);
}
