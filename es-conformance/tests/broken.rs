//! The suite catches every broken store, by the cases that are named for it.

use es_conformance::broken::{BROKEN, Broken, honest, honest_with_archives, honest_with_states, honest_with_tables};
use es_conformance::{Capability, Case, Fixture, Verdict, cases};
use es_runtime::store::{Append, Checked, EventStore as _, ReadLog, ReadStream};
use es_runtime::{EventId, ExpectedVersion, Metadata, NewEvent, StoreErrorKind, StreamId, SystemClock};
use futures_util::{StreamExt, TryStreamExt};

async fn verdict(name: &str, fixture: &dyn Fixture) -> (&'static Case, Verdict) {
    let case = cases().iter().find(|case| case.name() == name);
    let case = case.unwrap_or_else(|| panic!("there is no case `{name}`"));
    (case, case.check(fixture).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broken_store_is_caught() {
    let mut uncaught = Vec::new();
    for broken @ Broken {
        name, fault, caught_by, ..
    } in BROKEN
    {
        for expected in *caught_by {
            match verdict(expected, &*broken.fixture()).await {
                (case, Verdict::Broken(why)) => assert!(why.starts_with(&case.id()) && why.contains(case.promise())),
                (_, other) => uncaught.push(format!("`{name}` {fault}, and passes {expected}: {other:?}")),
            }
        }
    }
    assert!(uncaught.is_empty(), "{}", uncaught.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_without_a_fault_is_not() {
    for case in cases() {
        let fixture = if case.needs().contains(&Capability::SqlProjections) {
            honest_with_tables()
        } else if case.needs().contains(&Capability::States) {
            honest_with_states()
        } else if case.needs().contains(&Capability::Archive) {
            honest_with_archives()
        } else {
            honest()
        };
        let verdict = case.check(&*fixture).await;
        assert!(!matches!(verdict, Verdict::Broken(_)), "{verdict:?}");
    }
}

/// Those whose events come out of order. `reuses_a_version` does so only where a stream has more than two.
const OUT_OF_ORDER: [&str; 5] = [
    "goes_round",
    "loses_a_position",
    "repeats_a_version",
    "loses_a_version",
    "reuses_a_version",
];

#[tokio::test]
async fn events_out_of_order_are_corrupt_to_the_check_of_every_store() {
    for broken in BROKEN.iter().filter(|broken| OUT_OF_ORDER.contains(&broken.name)) {
        let store = Checked::new(broken.fixture().open(std::sync::Arc::new(SystemClock)).await);
        let stream = StreamId::new("account", "alice");
        let append = Append::new(stream.clone(), ExpectedVersion::Any, (0..9).map(|_| event()).collect());
        store.append(append).await.unwrap();

        let read: Result<Vec<_>, _> = store
            .read_log(ReadLog::new())
            .chain(store.read_stream(ReadStream::new(stream)))
            .try_collect()
            .await;
        let kind = read.map_err(|error| error.kind());
        assert_eq!(kind, Err(StoreErrorKind::Corrupt), "{broken:?}");
    }
}

fn event() -> NewEvent {
    NewEvent {
        id: EventId(uuid::Uuid::now_v7()),
        name: "opened".into(),
        shape_version: 1,
        payload: "{}".into(),
        metadata: Metadata::EMPTY,
    }
}

#[test]
fn a_breach_tells_the_promise_and_what_came() {
    let broken = BROKEN
        .iter()
        .find(|broken| broken.name == "tells_a_wrong_version")
        .expect("it is there");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let name = "a07_expect_no_stream_on_existing_conflicts";
    let (_, verdict) = runtime.block_on(verdict(name, &*broken.fixture()));
    let Verdict::Broken(why) = verdict else {
        panic!("{verdict:?}")
    };
    for part in [
        "A07 expect_no_stream_on_existing_conflicts\n",
        "promised: `NoStream` on a stream with events is a conflict that tells its version\n",
        "expected: Conflict { stream: conformance/a, expected: no stream, actual: 3 }\n",
        "actual: Version(0)",
    ] {
        assert!(why.contains(part), "`{part}` is not in:\n{why}");
    }
}
