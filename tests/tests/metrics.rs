//! The metrics of a runtime, as an exporter shows them: which there are, what they are called, and what they count.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::store::Append;
use es_runtime::{EventId, ExpectedVersion, Key as _, Metadata, NewEvent, Recorded};
use es_tests::balances::Store;
use es_tests::bank::{Account, Audit, Deposit, Deposited, Opened, Withdraw, account_with};
use es_tests::ledger::sqlite::Ledger;
use es_tests::stores;
use es_tests::waits::{becomes, caught_up};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::sync::oneshot;

const GUIDE: &str = include_str!("../../es-runtime/docs/metrics.md");

/// Stops before what brings bad luck.
#[projection(name = "stubborn", version = 2)]
struct Stubborn {
    cents: i64,
}

#[projection]
impl Stubborn {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        if event.amount == 13 {
            resume_unwind(Box::new("13 brings bad luck"));
        }
        self.cents += event.amount;
    }
}

/// Puts aside what brings bad luck.
#[projection(name = "careless", park_alone)]
struct Careless {
    cents: i64,
}

#[projection]
impl Careless {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        if event.amount == 13 {
            resume_unwind(Box::new("13 brings bad luck"));
        }
        self.cents += event.amount;
    }
}

/// Of four segments.
#[projection(name = "shared", segments = 4)]
struct Shared;

#[projection]
impl Shared {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self
    }

    #[apply]
    fn deposited(&mut self, _: Deposited) {}
}

#[event]
struct Counted;

#[command]
struct Count;

#[value]
#[derive(Aggregate)]
#[es(snapshot)]
struct Tally;

#[aggregate(vis = pub(self))]
impl Tally {
    #[handle]
    fn count(_: Count) -> Counted {
        Counted
    }

    #[apply]
    fn counted(_: Counted) -> Self {
        Self
    }
}

fn recorder() -> PrometheusRecorder {
    let builder = PrometheusBuilder::new().set_buckets(&[1.0]).unwrap();
    builder.build_recorder()
}

/// What an exporter shows of a process.
struct Page(PrometheusHandle);

impl Page {
    /// The value of a series, if it is there.
    fn find(&self, series: &str) -> Option<f64> {
        let page = self.0.render();
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    #[track_caller]
    fn value(&self, series: &str) -> f64 {
        self.find(series)
            .unwrap_or_else(|| panic!("no `{series}` in\n{}", self.0.render()))
    }

    #[track_caller]
    fn shows<const N: usize>(&self, all: [(&str, f64); N]) {
        for (series, value) in all {
            let is = self.value(series);
            assert!((is - value).abs() < 1e-9, "`{series}` is {is}, not {value}");
        }
    }

    /// Waits until the value of a series is one that is wanted.
    async fn until(&self, series: &str, wanted: impl Fn(f64) -> bool) {
        for _ in 0..12_000 {
            if self.find(series).is_some_and(&wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("`{series}` never was as wanted:\n{}", self.0.render());
    }

    /// Asserts that all that the guide lists of a group is there, and nothing else of it.
    #[track_caller]
    fn is_whole(&self, group: &str) {
        let page = self.0.render();
        let names = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let names = names.map(|line| line.split(' ').next().unwrap().to_owned());
        let of_group = |names: BTreeSet<String>| names.into_iter().filter(|name| group_of(name) == group).collect();
        let (shown, documented): (BTreeSet<_>, BTreeSet<_>) = (of_group(names.collect()), of_group(documented()));
        assert_eq!(shown, documented);
    }
}

/// What an exporter shows of one projection or subscription.
struct Of<'a> {
    page: &'a Page,
    group: &'static str,
    labels: &'static str,
}

impl Of<'_> {
    fn series(&self, metric: &str) -> String {
        format!("es_{}_{metric}{{{}}}", self.group, self.labels)
    }

    #[track_caller]
    fn shows<const N: usize>(&self, all: [(&str, f64); N]) {
        for (metric, value) in all {
            self.page.shows([(&*self.series(metric), value)]);
        }
    }

    /// How often it failed so, if it ever did.
    fn failures(&self, kind: &str) -> Option<f64> {
        let Self { group, labels, .. } = self;
        self.page
            .find(&format!(r#"es_{group}_failures_total{{{labels},kind="{kind}"}}"#))
    }

    /// Waits until a metric is `value`.
    async fn until(&self, metric: &str, value: f64) {
        self.page
            .until(&self.series(metric), |is| (is - value).abs() < 1e-9)
            .await;
    }
}

/// The metrics that the guide lists.
fn documented() -> BTreeSet<String> {
    let rows = GUIDE.lines().filter(|line| line.starts_with("| `es_"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split(", "));
    names.map(|name| name.trim().trim_matches('`').to_owned()).collect()
}

fn group_of(name: &str) -> &'static str {
    let mut words = name.split('_').skip(1);
    match (words.next(), words.next()) {
        (Some("projection"), Some("build" | "builds")) => "build",
        (Some("projection"), Some("inline")) => "inline",
        (Some("projection"), _) => "projection",
        (Some("subscription"), _) => "subscription",
        (Some("snapshots"), _) => "snapshots",
        _ => "command",
    }
}

async fn start(store: &Store) -> Runtime {
    Runtime::builder(Arc::clone(store)).start().await.unwrap()
}

/// Appends an event that no build of these tests knows.
async fn append_unknown(store: &Store, account: Id<Account>) {
    let event = NewEvent {
        id: EventId(uuid::Uuid::now_v7()),
        name: "frozen".into(),
        shape_version: 1,
        payload: "{}".into(),
        metadata: Metadata::EMPTY,
    };
    let append = Append::new(account.stream_id(), ExpectedVersion::Any, vec![event]);
    store.append(append).await.unwrap();
}

// A recorder of the thread hears every task: they all run on it.

#[tokio::test]
async fn commands_are_counted_by_what_became_of_them() {
    let recorder = recorder();
    let page = Page(recorder.handle());
    let _heard = metrics::set_default_local_recorder(&recorder);
    let store: Store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;

    let alice = account_with(&runtime, 50).await;
    runtime.execute(alice, Withdraw { amount: 500 }).await.unwrap_err();
    runtime.execute(alice, Deposit { amount: -1 }).await.unwrap_err();
    runtime.execute(Id::<Account>::new(), Audit).await.unwrap_err();
    runtime.execute(alice, Audit).await.unwrap();
    for _ in 0..2 {
        let deposit = runtime.execute(alice, Deposit { amount: 1 });
        deposit.idempotency_key("once").await.unwrap();
    }
    let late = runtime.execute(alice, Deposit { amount: 1 }).expect_version(1);
    late.await.unwrap_err();
    page.shows([
        (r#"es_commands_total{aggregate="account",outcome="appended"}"#, 3.0),
        (r#"es_commands_total{aggregate="account",outcome="refused"}"#, 3.0),
        (r#"es_commands_total{aggregate="account",outcome="nothing"}"#, 1.0),
        (r#"es_commands_total{aggregate="account",outcome="repeated"}"#, 1.0),
        (r#"es_commands_total{aggregate="account",outcome="conflict"}"#, 1.0),
        (r#"es_command_duration_seconds_count{aggregate="account"}"#, 9.0),
        (r#"es_events_appended_total{aggregate="account"}"#, 3.0),
        // Of Alice once, and of the account that there is not.
        (r#"es_cache_lookups_total{aggregate="account",result="miss"}"#, 2.0),
        (r#"es_cache_lookups_total{aggregate="account",result="hit"}"#, 5.0),
        (r#"es_events_loaded_total{aggregate="account"}"#, 0.0),
    ]);

    // What another process appends is read before the command is decided again.
    let elsewhere = start(&store).await;
    elsewhere.append(alice, Deposited { amount: 3 }).await.unwrap();
    page.shows([(r#"es_events_loaded_total{aggregate="account"}"#, 3.0)]);
    runtime.execute(alice, Withdraw { amount: 1 }).await.unwrap();
    page.shows([
        (r#"es_command_retries_total{aggregate="account"}"#, 1.0),
        (r#"es_events_loaded_total{aggregate="account"}"#, 4.0),
        (r#"es_events_appended_total{aggregate="account"}"#, 5.0),
    ]);
    runtime.load(alice).await.unwrap();
    page.shows([(r#"es_events_loaded_total{aggregate="account"}"#, 9.0)]);

    let (bob, intruder) = (account_with(&runtime, 0).await, Mutex::new(Some(())));
    let both = runtime.atomically(async |tx| {
        tx.execute(alice, Withdraw { amount: 5 }).await?;
        if intruder.lock().unwrap().take().is_some() {
            elsewhere.execute(alice, Deposit { amount: 1 }).await.unwrap();
        }
        tx.execute(bob, Deposit { amount: 5 }).await
    });
    both.await.unwrap();
    runtime
        .atomically(async |_| Err(std::fmt::Error.into()))
        .await
        .unwrap_err();
    page.shows([
        (r#"es_transactions_total{outcome="appended"}"#, 1.0),
        (r#"es_transactions_total{outcome="refused"}"#, 1.0),
        ("es_transaction_duration_seconds_count", 2.0),
        ("es_transaction_retries_total", 1.0),
        // By Alice's withdrawal and the intruder's deposit, Bob's opening and the two of the transaction.
        (r#"es_events_appended_total{aggregate="account"}"#, 9.0),
    ]);

    append_unknown(&store, alice).await;
    runtime.execute(alice, Deposit { amount: 1 }).await.unwrap_err();
    page.shows([(r#"es_commands_total{aggregate="account",outcome="failed"}"#, 1.0)]);
    page.is_whole("command");
}

#[tokio::test]
async fn a_projection_tells_how_far_it_is_and_what_goes_wrong() {
    let recorder = recorder();
    let page = Page(recorder.handle());
    let _heard = metrics::set_default_local_recorder(&recorder);
    let of = |labels| Of {
        page: &page,
        group: "projection",
        labels,
    };
    let stubborn = of(r#"projection="stubborn",version="2""#);
    let careless = of(r#"projection="careless",version="1""#);

    let clock = stores::clock();
    let store: Store = Arc::new(MemoryStore::new().with_clock(clock.clone()));
    let builder = Runtime::builder(Arc::clone(&store)).clock(clock.clone());
    let builder = builder.projection::<Stubborn>().projection::<Careless>();
    let runtime = builder.start().await.unwrap();
    let alice = account_with(&runtime, 50).await;
    stubborn.until("position", 2.0).await;
    stubborn.shows([("owned", 1.0), ("lag_events", 0.0), ("lag_seconds", 0.0)]);
    stubborn.shows([("events_total", 2.0), ("parked_events", 0.0)]);
    assert!(page.value(&stubborn.series("batch_duration_seconds_count")) >= 1.0);

    // It holds, and time goes by.
    let unlucky = runtime.execute(alice, Deposit { amount: 13 }).await.unwrap();
    runtime.execute(alice, Deposit { amount: 1 }).await.unwrap();
    page.until(&stubborn.series("panics_total"), |panics| panics >= 1.0)
        .await;
    clock.advance(Duration::from_secs(90));
    stubborn.until("lag_seconds", 90.0).await;
    stubborn.shows([("position", 2.0), ("lag_events", 2.0)]);
    assert!(stubborn.failures("held") >= Some(1.0));
    let skipped = runtime.projection::<Stubborn>();
    skipped.skip(unlucky.position, "it is unlucky").await.unwrap();
    stubborn.until("position", 4.0).await;
    stubborn.shows([("lag_events", 0.0), ("lag_seconds", 0.0)]);
    // What was skipped is not applied.
    stubborn.shows([("events_total", 3.0)]);

    // The other one has gone on.
    careless.until("position", 4.0).await;
    careless.shows([("parked_events", 1.0), ("panics_total", 1.0), ("events_total", 3.0)]);
    assert_eq!(
        (careless.failures("parked"), careless.failures("held")),
        (Some(1.0), None)
    );
    let parked = runtime.projection::<Careless>();
    parked.retry(unlucky.position).await.unwrap_err();
    careless.shows([("panics_total", 2.0), ("parked_events", 1.0)]);
    parked.skip(unlucky.position, "it is unlucky").await.unwrap();
    careless.until("parked_events", 0.0).await;
    page.is_whole("projection");

    // What stands by tells nothing of how far it is, nor does what has left.
    let (waits, waiting) = oneshot::channel();
    let other = std::thread::spawn(move || stand_by_and_take_over(store, waits));
    waiting.await.unwrap();
    drop(runtime);
    stubborn.until("owned", 0.0).await;
    stubborn.until("position", 0.0).await;
    tokio::task::spawn_blocking(|| other.join().unwrap()).await.unwrap();
}

#[tokio::test]
async fn snapshots_that_are_used_and_written_are_counted() {
    let recorder = recorder();
    let page = Page(recorder.handle());
    let _heard = metrics::set_default_local_recorder(&recorder);
    let runtime = Runtime::builder(MemoryStore::new()).start().await.unwrap();
    let tally = Id::<Tally>::new();
    runtime.execute(tally, Count).await.unwrap();
    runtime.snapshot(tally).await.unwrap();
    runtime.load(tally).await.unwrap();
    page.shows([
        (r#"es_snapshots_total{aggregate="tally",outcome="written"}"#, 1.0),
        (r#"es_snapshots_total{aggregate="tally",outcome="used"}"#, 1.0),
    ]);
    page.is_whole("snapshots");
}

#[tokio::test]
async fn a_build_beside_tells_how_far_it_is_and_what_came_of_it() {
    let recorder = recorder();
    let page = Page(recorder.handle());
    let _heard = metrics::set_default_local_recorder(&recorder);
    let builder = Runtime::builder(MemoryStore::new());
    let builder = builder.projection::<Stubborn>().projection::<Careless>();
    let runtime = builder.start().await.unwrap();
    let alice = account_with(&runtime, 50).await;
    let unlucky = runtime.execute(alice, Deposit { amount: 13 }).await.unwrap();
    becomes::<Stubborn>(&runtime, Status::Held).await;
    let stubborn = runtime.projection::<Stubborn>();
    stubborn.skip(unlucky.position, "it is unlucky").await.unwrap();
    caught_up::<Careless>(&runtime).await;
    let build = |metric: &str, labels: &str| format!("es_projection_{metric}{{{labels}}}");

    // It meets the event again, and holds until it is given up.
    let labels = r#"projection="stubborn",version="2""#;
    stubborn.rebuild().await.unwrap();
    let held = build("build_failures_total", &format!(r#"{labels},kind="held""#));
    page.until(&held, |times| times >= 1.0).await;
    page.shows([
        (&*build("build_position", labels), 2.0),
        (&*build("build_lag_events", labels), 1.0),
        (&*build("build_events_total", labels), 2.0),
        (&*build("position", labels), 3.0),
    ]);
    stubborn.cancel_rebuild().await.unwrap();
    let cancelled = build("builds_total", &format!(r#"{labels},outcome="cancelled""#));
    page.shows([
        (&*cancelled, 1.0),
        (&*build("build_position", labels), 0.0),
        (&*build("build_lag_events", labels), 0.0),
    ]);

    // The other one parks it again.
    let labels = r#"projection="careless",version="1""#;
    runtime.projection::<Careless>().rebuild().await.unwrap();
    let replaced = build("builds_total", &format!(r#"{labels},outcome="replaced""#));
    page.until(&replaced, |times| times >= 1.0).await;
    let parked = build("build_failures_total", &format!(r#"{labels},kind="parked""#));
    page.shows([
        (&*parked, 1.0),
        (&*build("build_events_total", labels), 2.0),
        (&*build("build_position", labels), 0.0),
        (&*build("parked_events", labels), 1.0),
    ]);
    page.is_whole("build");
}

#[tokio::test]
async fn an_inline_projection_tells_what_it_adds_to_an_append() {
    let recorder = recorder();
    let page = Page(recorder.handle());
    let _heard = metrics::set_default_local_recorder(&recorder);
    let folder = es_tests::tempdir().unwrap();
    let store = es_tests::SqliteStore::open(folder.path().join("test.db"))
        .await
        .unwrap();
    let runtime = Runtime::builder(store).projection::<Ledger>().start().await.unwrap();
    let series =
        |part: &str| format!(r#"es_projection_inline_duration_seconds_{part}{{projection="ledger",version="1"}}"#);
    let alice = account_with(&runtime, 50).await;
    page.shows([(&*series("count"), 2.0)]);
    assert!(page.value(&series("sum")) > 0.0);
    // Also of an append that it refuses, but not of one that it has no part in.
    runtime.execute(alice, Deposit { amount: 13 }).await.unwrap_err();
    runtime.execute(alice, Audit).await.unwrap();
    page.shows([(&*series("count"), 3.0)]);
    page.is_whole("inline");
}

#[tokio::test]
async fn each_segment_of_a_projection_tells_of_itself() {
    let recorder = recorder();
    let page = Page(recorder.handle());
    let _heard = metrics::set_default_local_recorder(&recorder);
    let builder = Runtime::builder(MemoryStore::new()).projection::<Shared>();
    let runtime = builder.start().await.unwrap();
    for _ in 0..10 {
        account_with(&runtime, 50).await;
    }
    let mut events = 0.0;
    for labels in [
        r#"projection="shared",version="1",segment="0""#,
        r#"projection="shared",version="1",segment="1""#,
        r#"projection="shared",version="1",segment="2""#,
        r#"projection="shared",version="1",segment="3""#,
    ] {
        let segment = Of {
            page: &page,
            group: "projection",
            labels,
        };
        segment.until("position", 20.0).await;
        segment.shows([("owned", 1.0), ("lag_events", 0.0)]);
        events += page.find(&segment.series("events_total")).unwrap_or_default();
    }
    assert!((events - 20.0).abs() < 0.5, "{events} of 20 events");
}

/// Another process, with metrics of its own.
#[tokio::main(flavor = "current_thread")]
async fn stand_by_and_take_over(store: Store, waits: oneshot::Sender<()>) {
    let recorder = recorder();
    let page = Page(recorder.handle());
    let _heard = metrics::set_default_local_recorder(&recorder);
    let stubborn = Of {
        page: &page,
        group: "projection",
        labels: r#"projection="stubborn",version="2""#,
    };
    let builder = Runtime::builder(store).projection::<Stubborn>();
    let _runtime = builder.start().await.unwrap();
    stubborn.until("owned", 0.0).await;
    assert_eq!(page.find(&stubborn.series("position")), None);
    waits.send(()).unwrap();
    stubborn.until("owned", 1.0).await;
    stubborn.until("position", 4.0).await;
}

#[tokio::test]
async fn a_subscription_tells_how_far_it_is_and_what_goes_wrong() {
    let recorder = recorder();
    let page = Page(recorder.handle());
    let _heard = metrics::set_default_local_recorder(&recorder);
    let of = |labels| Of {
        page: &page,
        group: "subscription",
        labels,
    };
    let (mails, statement) = (of(r#"subscription="mails""#), of(r#"subscription="statement""#));

    let clock = stores::clock();
    let store = MemoryStore::new().with_clock(clock.clone());
    let runtime = Runtime::builder(store).clock(clock.clone()).start().await.unwrap();
    let alice = account_with(&runtime, 0).await;
    for amount in [13, 14, 15] {
        runtime.execute(alice, Deposit { amount }).await.unwrap();
    }

    // One fails, one panics; both are tried twice and then parked.
    let mail = |deposited: Recorded<Deposited>| async move {
        match deposited.event.amount {
            13 => Err(std::io::Error::other("13 brings bad luck")),
            14 => resume_unwind(Box::new("14 is too much")),
            _ => Ok(()),
        }
    };
    let subscribe = runtime.subscribe("mails").event::<Deposited>().from_start();
    let mailer = subscribe.handle(mail).attempts(2).park_alone().start().await.unwrap();
    mails.until("position", 4.0).await;
    mails.shows([("owned", 1.0), ("lag_events", 0.0), ("lag_seconds", 0.0)]);
    mails.shows([("events_total", 1.0), ("handler_duration_seconds_count", 5.0)]);
    mails.shows([("panics_total", 2.0), ("parked_events", 2.0)]);
    assert_eq!(
        (mails.failures("retrying"), mails.failures("parked")),
        (Some(2.0), Some(2.0))
    );
    assert_eq!(mails.failures("held"), None);
    let parked = mailer.parked().await.unwrap();
    mailer.skip(parked[0].position, "it is unlucky").await.unwrap();
    mails.until("parked_events", 1.0).await;

    // A stream is as far as its acknowledgements.
    let subscribe = runtime.subscribe("statement").aggregate::<Account>().from_start();
    let mut postings = subscribe.start().await.unwrap();
    for _ in 0..3 {
        postings.next().await.unwrap().unwrap().ack().await.unwrap();
    }
    let last = postings.next().await.unwrap().unwrap();
    clock.advance(Duration::from_secs(7));
    statement.until("lag_seconds", 7.0).await;
    statement.shows([("position", 3.0), ("lag_events", 1.0), ("events_total", 3.0)]);
    last.ack().await.unwrap();
    statement.shows([
        ("position", 4.0),
        ("lag_events", 0.0),
        ("lag_seconds", 0.0),
        ("owned", 1.0),
    ]);
    drop(postings);
    statement.until("owned", 0.0).await;
    statement.until("position", 0.0).await;
    page.is_whole("subscription");
}

/// Hears what each metric is said to be.
#[derive(Default)]
struct Described(Mutex<BTreeSet<(String, &'static str, &'static str)>>);

impl Described {
    fn hear(&self, name: &KeyName, kind: &'static str, unit: Option<Unit>, description: &SharedString) {
        assert!(!description.is_empty());
        let unit = unit.expect("it has a unit").as_str();
        let is_new = self.0.lock().unwrap().insert((name.as_str().to_owned(), kind, unit));
        assert!(is_new, "`{}` is described twice", name.as_str());
    }
}

impl Recorder for Described {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.hear(&name, "counter", unit, &description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.hear(&name, "gauge", unit, &description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.hear(&name, "histogram", unit, &description);
    }

    fn register_counter(&self, _: &Key, _: &metrics::Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &metrics::Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &metrics::Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn each_metric_is_in_the_guide_and_named_by_convention() {
    let described = Described::default();
    {
        let _heard = metrics::set_default_local_recorder(&described);
        Runtime::builder(MemoryStore::new()).start().await.unwrap();
    }
    let described = described.0.into_inner().unwrap();
    let names: BTreeSet<_> = described.iter().map(|(name, ..)| name.clone()).collect();
    assert_eq!(names, documented());
    for (name, kind, unit) in described {
        let by_name = match &*name {
            name if name.ends_with("_total") => ("counter", "count"),
            name if name.ends_with("_duration_seconds") => ("histogram", "seconds"),
            name if name.ends_with("_seconds") => ("gauge", "seconds"),
            _ => ("gauge", "count"),
        };
        assert_eq!((kind, unit), by_name, "{name}");
    }
}
