//! Spans and events have stable names and fields, and never a payload.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_conformance::wrap::{Wrap, Wrapped};
use es_runtime::prelude::*;
use es_runtime::store::{Append, ReadLog};
use es_runtime::{EventId, EventStore, ExpectedVersion, Key, NewEvent, RecordedEvent, StoreError};
use es_tests::balances::{Balance, Store};
use es_tests::bank::{Account, Deposit, Deposited, Open, Withdraw, account_with};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id as SpanId, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down each span: its name and its fields.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<String>>);

impl Subscriber for Written {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> SpanId {
        let mut text = self.0.lock().unwrap();
        write!(text, "{}", span.metadata().name()).unwrap();
        span.record(&mut Fields(&mut text));
        text.push('\n');
        SpanId::from_u64(1)
    }

    fn record(&self, _: &SpanId, values: &Record<'_>) {
        values.record(&mut Fields(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &SpanId, _: &SpanId) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Fields(&mut self.0.lock().unwrap()));
    }

    fn enter(&self, _: &SpanId) {}

    fn exit(&self, _: &SpanId) {}
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "log.target" {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

#[test]
fn spans_name_the_stream_and_the_command_and_hold_no_payload() {
    let written = Written::default();
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let id = Id::new();
    tracing::subscriber::with_default(written.clone(), || {
        tokio.block_on(async {
            let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
            runtime.execute(id, Open { owner: "Secret".into() }).await.unwrap();
            runtime
                .execute(id, Deposit { amount: 815_815 })
                .actor("Secret")
                .await
                .unwrap();
            runtime.execute(id, Withdraw { amount: 916_916 }).await.unwrap_err();
            runtime
                .atomically(async |tx| tx.execute(id, Deposit { amount: 815_815 }).await)
                .await
                .unwrap();
            runtime.load(id).await.unwrap();
        });
    });
    let written = written.0.lock().unwrap();
    let expected = [
        format!("es.execute category=\"account\" id=\"{id}\" command=\"open\""),
        format!("es.execute category=\"account\" id=\"{id}\" command=\"deposit\""),
        format!("es.execute category=\"account\" id=\"{id}\" command=\"withdraw\""),
        "es.atomically".to_owned(),
        format!("es.load category=\"account\" id=\"{id}\""),
    ];
    assert_eq!(written.lines().collect::<Vec<_>>(), expected);
}

/// Keeps each event: its fields, the message among them.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<BTreeMap<&'static str, String>>>>);

impl Subscriber for Told {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> SpanId {
        SpanId::from_u64(1)
    }

    fn record(&self, _: &SpanId, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &SpanId, _: &SpanId) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Named::default();
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &SpanId) {}

    fn exit(&self, _: &SpanId) {}
}

#[derive(Default)]
struct Named(BTreeMap<&'static str, String>);

impl Visit for Named {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Told {
    /// The events with this message.
    fn of(&self, message: &str) -> Vec<BTreeMap<&'static str, String>> {
        let told = self.0.lock().unwrap();
        told.iter()
            .filter(|event| event["message"] == message)
            .cloned()
            .collect()
    }
}

/// A store that takes four seconds before each event of its log.
struct Slow(MemoryStore);

impl Wrap for Slow {
    fn inner(&self) -> &dyn EventStore {
        &self.0
    }

    fn read_log(&self, query: ReadLog) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        let events = self.0.read_log(query);
        let slowly = events.then(async |event| {
            tokio::time::sleep(Duration::from_secs(4)).await;
            event
        });
        slowly.boxed()
    }
}

#[test]
fn a_load_into_memory_tells_how_far_it_is_and_what_it_leaves_out() {
    let told = Told::default();
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let account = tracing::subscriber::with_default(told.clone(), || {
        tokio.block_on(async {
            let store = MemoryStore::new();
            let runtime = Runtime::builder(store.clone()).start().await.unwrap();
            let spoiled = account_with(&runtime, 1).await;
            for _ in 0..3 {
                account_with(&runtime, 1).await;
            }
            let unknown = NewEvent {
                id: EventId(uuid::Uuid::now_v7()),
                name: "frozen".into(),
                shape_version: 1,
                payload: "{}".into(),
                metadata: es_runtime::Metadata::EMPTY,
            };
            let append = Append::new(spoiled.stream_id(), ExpectedVersion::Any, vec![unknown]);
            store.append(append).await.unwrap();
            let slow = || Runtime::builder(Wrapped(Arc::new(Slow(store.clone())))).preload::<Account>();
            slow().start().await.unwrap();
            slow().cache(2).start().await.unwrap();
            spoiled
        })
    });
    let [all, first_two] = &told.of("loaded into memory")[..] else {
        panic!("{told:?}", told = told.of("loaded into memory"));
    };
    assert_eq!((&*all["aggregate"], &*all["instances"]), ("\"account\"", "4"));
    assert_eq!(&*first_two["instances"], "2");
    let progress = told.of("loading into memory");
    let instances: Vec<_> = progress.iter().map(|event| &*event["instances"]).collect();
    assert_eq!(instances, ["1", "2", "3", "4", "1", "2"]);
    let left_out = told.of("an instance cannot be loaded into memory");
    assert_eq!(left_out.len(), 1);
    assert_eq!(left_out[0]["stream"], account.stream_id().to_string());
    assert!(left_out[0]["error"].contains("frozen"), "{left_out:?}");
    let message = "not all instances have room in memory: raise `Builder::cache_bytes` or `Builder::cache`";
    assert_eq!(told.of(message).len(), 1);
}

#[test]
fn a_catch_up_and_a_rebuild_tell_how_far_they_are() {
    const EVENTS: u32 = 8_500;
    let told = Told::default();
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tracing::subscriber::with_default(told.clone(), || {
        tokio.block_on(async {
            let store: Store = Arc::new(MemoryStore::new());
            let runtime = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
            let account = account_with(&runtime, 100).await;
            for _ in 0..EVENTS / 100 {
                let some = (0..100).map(|amount| Deposited { amount }).collect::<Vec<_>>();
                runtime.append(account, some).await.unwrap();
            }
            // At a rate that is known.
            let builder = Runtime::builder(Arc::clone(&store)).projection::<Balance>();
            let runtime = builder.throttle_builds(10_000).start().await.unwrap();
            let balances = runtime.projection::<Balance>();
            let head = store.head().await.unwrap();
            balances.wait_for(head, Duration::from_secs(120)).await.unwrap();
            balances.rebuild().throttle(10_000).await.unwrap();
            for _ in 0..12_000 {
                if balances.status().await.unwrap().rebuilt.is_some() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("it is never built anew: {:?}", balances.status().await.unwrap());
        });
    });
    let told = told.0.lock().unwrap();
    for beside in ["false", "true"] {
        let is_progress =
            |event: &&BTreeMap<_, String>| event["message"] == "a projection catches up" && event["beside"] == beside;
        let progress = told.iter().find(is_progress).expect("it says how far it is");
        assert_eq!((&*progress["projection"], &*progress["version"]), ("\"balances\"", "1"));
        let number = |name: &str| progress[name].parse::<f64>().unwrap();
        let (done, total, rate) = (number("done"), number("total"), number("rate"));
        assert!(
            (1.0..total).contains(&done) && total >= f64::from(EVENTS),
            "{progress:?}"
        );
        assert!(rate > 0.0, "{progress:?}");
        let seconds = (total - done) / rate;
        assert!((number("seconds") - seconds).abs() < 0.01, "{progress:?}");
    }
    for message in [
        "a projection is built",
        "a projection is built anew, beside the rows that are shown",
        "a projection was built anew",
    ] {
        assert!(
            told.iter().any(|event| event["message"] == message),
            "{message}: {told:?}"
        );
    }
}
