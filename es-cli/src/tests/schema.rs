use std::time::Duration;

use es_runtime::store::Append;
use es_runtime::{AppendId, EventId, EventStore as _, ExpectedVersion, Metadata, NewEvent, StreamId};
use serde_json::json;

use super::bank::Bank;
use super::run;

#[tokio::test]
async fn the_program_says_what_it_knows() {
    let bank = Bank::empty();
    let ran = run(bank.builder(), &["schema", "print"]).await;
    let expected = "\
AGGREGATE  KIND     NAME       VERSION  READS
account    command  open       -        -       creates
account    command  deposit    -        -       needs one
";
    let lines: Vec<_> = expected.lines().collect();
    assert_eq!(
        (ran.status, &ran.out.lines().collect::<Vec<_>>()[..3]),
        (0, &lines[..]),
        "{}",
        ran.out
    );
    let json = run(bank.builder(), &["schema", "print", "--json"]).await.json();
    let shown = |line: &serde_json::Value| (line["kind"].clone(), line["name"].clone());
    let named: Vec<_> = json.iter().map(shown).collect();
    for (kind, name) in [("command", "withdraw"), ("event", "frozen"), ("event", "opened")] {
        assert!(named.contains(&(json!(kind), json!(name))), "{named:?}");
    }
    assert_eq!(json[0]["schema"].is_object(), cfg!(feature = "schema"));
    assert_eq!(json[7]["schema"].is_object(), cfg!(feature = "schema"));
}

#[tokio::test]
async fn what_cannot_be_read_is_found_with_what_to_do() {
    let bank = Bank::seeded().await;
    let sound = run(bank.builder(), &["schema", "check"]).await;
    let first = "AGGREGATE  EVENT      VERSION  READ\naccount    deposited        1  yes\n";
    assert!(sound.status == 0 && sound.out.starts_with(first), "{sound:?}");
    let event = NewEvent {
        id: EventId(AppendId::new().0),
        name: "opened".into(),
        shape_version: 2,
        payload: "{}".into(),
        metadata: Metadata::EMPTY,
    };
    let append = Append::new(StreamId::new("account", "carol"), ExpectedVersion::Any, vec![event]);
    bank.store.append(append).await.unwrap();
    let ran = run(bank.builder(), &["schema", "check"]).await;
    let advice = "`opened` of `account` in version 2 (1 event): this build knows its versions up to 1: run the build";
    assert!(ran.status == 3 && ran.out.contains(advice), "{ran:?}");
    let json = run(bank.builder(), &["schema", "check", "--json"]).await.json();
    assert!(
        json.iter().any(|line| line["read"] == "no" && line["count"] == 1),
        "{json:?}"
    );
}

#[tokio::test]
async fn a_subscription_is_shown_by_its_name() {
    let bank = Bank::seeded().await;
    let runtime = bank.builder().open().await.unwrap();
    let mut deliveries = runtime.subscribe("mail").from_start().start().await.unwrap();
    for _ in 0..2 {
        deliveries.next().await.unwrap().unwrap().ack().await.unwrap();
    }
    drop(deliveries);
    let ran = run(bank.builder(), &["subscriptions", "mail", "--late", "1d"]).await;
    let expected = "\
READER  KIND          STATUS   POSITION  BEHIND  LAG  PARKED  RUN BY
mail    subscription  standby         2       3   2s       0  -
";
    assert_eq!(ran.status, 0);
    let squeeze = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
    assert_eq!(squeeze(&ran.out), squeeze(expected));
    bank.clock.advance(Duration::from_secs(60));
    assert_eq!(run(bank.builder(), &["subscriptions", "mail"]).await.status, 3);
    let unknown = run(bank.builder(), &["subscriptions", "male"]).await;
    assert_eq!(
        (unknown.status, &*unknown.notes),
        (2, "error: no subscription `male` has begun to read this log\n")
    );
    assert_eq!(run(bank.builder(), &["subscriptions"]).await.status, 2);
}
