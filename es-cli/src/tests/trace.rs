use es_runtime::store::Append;
use es_runtime::{EventId, EventStore as _, ExpectedVersion, Metadata, NewEvent, StreamId};
use proptest::prelude::*;
use serde_json::json;

use super::bank::Bank;
use super::run;

fn id(number: usize) -> EventId {
    EventId(uuid::Uuid::from_u128(number as u128 + 1))
}

/// A bank whose events have these causes: the numbers of other events.
async fn caused(causes: &[Option<usize>]) -> Bank {
    let bank = Bank::empty();
    for (number, cause) in causes.iter().enumerate() {
        let mut metadata = Metadata::EMPTY;
        metadata.set_correlation_id("visit");
        if let Some(cause) = cause {
            metadata.set_causation_id(id(*cause).to_string());
        }
        let event = NewEvent {
            id: id(number),
            name: "opened".into(),
            shape_version: 1,
            payload: r#"{"owner":"A"}"#.into(),
            metadata,
        };
        let stream = StreamId::new("account", number.to_string());
        let append = Append::new(stream, ExpectedVersion::NoStream, vec![event]);
        bank.store.append(append).await.unwrap();
    }
    bank
}

#[tokio::test]
async fn a_trace_shows_what_caused_what() {
    let bank = caused(&[None, Some(0), None, Some(1), Some(0)]).await;
    let ran = run(bank.builder(), &["trace", "visit"]).await;
    let expected = "       1  2026-03-02T08:00:00Z  opened in account/0@1  {\"owner\":\"A\"}
       2  2026-03-02T08:00:00Z    opened in account/1@1  {\"owner\":\"A\"}
       4  2026-03-02T08:00:00Z      opened in account/3@1  {\"owner\":\"A\"}
       5  2026-03-02T08:00:00Z    opened in account/4@1  {\"owner\":\"A\"}
       3  2026-03-02T08:00:00Z  opened in account/2@1  {\"owner\":\"A\"}
";
    assert_eq!((ran.status, &*ran.out), (0, expected));
    assert_eq!(ran.notes, "reading the log from position 1 to 5\n");
}

#[tokio::test]
async fn a_trace_is_what_has_the_correlation_and_nothing_else() {
    let bank = Bank::seeded().await;
    let positions = async |arguments: &[&str]| {
        let ran = run(bank.builder(), arguments).await;
        let lines = ran.json();
        (
            ran.status,
            lines.iter().map(|line| line["position"].clone()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        positions(&["trace", "visit-1", "--json"]).await,
        (0, vec![json!(1), json!(3)])
    );
    let late = ["trace", "visit-1", "--json", "--since", "2026-03-02T08:00:01Z"];
    assert_eq!(positions(&late).await, (0, vec![json!(3)]));
    assert_eq!(positions(&["trace", "visit", "--json"]).await, (1, vec![]));
    let runtime = bank.builder().open().await.unwrap();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let freeze = runtime.execute(super::bank::account("bob"), super::bank::Freeze);
    freeze.traceparent(parent).await.unwrap();
    let of_trace = ["trace", "4bf92f3577b34da6a3ce929d0e0e4736", "--json"];
    assert_eq!(positions(&of_trace).await, (0, vec![json!(6)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_trace_shows_each_event_once_whatever_caused_it(causes in prop::collection::vec(prop::option::of(0_usize..9), 1..9)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ran = runtime.block_on(async {
            let bank = caused(&causes).await;
            run(bank.builder(), &["trace", "visit"]).await
        });
        let mut shown: Vec<usize> = ran
            .out
            .lines()
            .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
            .collect();
        shown.sort_unstable();
        prop_assert_eq!(shown, (1..=causes.len()).collect::<Vec<_>>());
    }
}
