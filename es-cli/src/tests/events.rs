use std::time::Duration;

use es_runtime::prelude::*;
use es_tests::waits::LONG;
use serde_json::json;
use tokio::time::timeout;

use super::bank::{Bank, Deposit, Open, account};
use super::{Written, parse, ready, run};
use crate::output::{Form, Output};

#[tokio::test]
async fn events_are_listed_the_newest_last() {
    let bank = Bank::seeded().await;
    let all = run(bank.builder(), &["events"]).await;
    let expected = "\
POSITION  RECORDED              STREAM         VERSION  EVENT      DATA
       1  2026-03-02T08:00:00Z  account/alice        1  opened     {\"owner\":\"Alice\"}
       2  2026-03-02T08:00:01Z  account/bob          1  opened     {\"owner\":\"Bob\"}
       3  2026-03-02T08:00:02Z  account/alice        2  deposited  {\"cents\":100}
       4  2026-03-02T08:00:03Z  account/alice        3  withdrawn  {\"cents\":30}
       5  2026-03-02T08:00:04Z  account/alice        4  frozen     null
";
    assert_eq!((all.status, &*all.out), (0, expected));
}

#[tokio::test]
async fn events_are_chosen_by_name_stream_time_and_position() {
    let bank = Bank::seeded().await;
    let cases: [(&[&str], &[u64]); 12] = [
        (&["--last", "2"], &[4, 5]),
        (&["--last", "0"], &[]),
        (&["--type", "opened"], &[1, 2]),
        (&["--type", "opened", "--type", "frozen"], &[1, 2, 5]),
        (&["--type", "opened", "--last", "1"], &[2]),
        (&["--stream", "account"], &[1, 2, 3, 4, 5]),
        (&["--stream", "account/alice", "--type", "opened"], &[1]),
        (&["--stream", "account/nobody"], &[]),
        (&["--since", "2026-03-02T08:00:02Z"], &[3, 4, 5]),
        (&["--since", "2026-03-02T08:00:02.5Z", "--type", "frozen"], &[5]),
        (&["--since", "3s"], &[2, 3, 4, 5]),
        (&["--after", "3"], &[4, 5]),
    ];
    for (arguments, positions) in cases {
        let arguments: Vec<_> = ["events", "--json"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let ran = run(bank.builder(), &arguments).await;
        let listed: Vec<_> = ran
            .json()
            .iter()
            .map(|line| line["position"].as_u64().unwrap())
            .collect();
        assert_eq!((ran.status, &*listed), (0, positions), "{arguments:?} {ran:?}");
    }
}

#[tokio::test]
async fn a_program_reads_the_whole_event() {
    let bank = Bank::seeded().await;
    let ran = run(bank.builder(), &["events", "--json", "--type", "deposited"]).await;
    let mut lines = ran.json();
    assert!(lines[0]["id"].take().is_string());
    let expected = json!({
        "position": 3,
        "stream": {"category": "account", "id": "alice"},
        "version": 2,
        "recorded_at": "2026-03-02T08:00:02Z",
        "name": "deposited",
        "shape_version": 1,
        "id": null,
        "data": {"cents": 100},
        "metadata": {"actor": "teller", "correlation_id": "visit-1"},
    });
    assert_eq!(lines, [expected]);
}

#[tokio::test]
async fn a_stream_is_listed_by_version() {
    let bank = Bank::seeded().await;
    let whole = run(
        bank.builder(),
        &["stream", "account/alice", "--from", "2", "--limit", "2"],
    )
    .await;
    let expected = "\
VERSION  RECORDED              EVENT      ACTOR   DATA
      2  2026-03-02T08:00:02Z  deposited  teller  {\"cents\":100}
      3  2026-03-02T08:00:03Z  withdrawn  -       {\"cents\":30}
";
    assert_eq!((whole.status, &*whole.out), (0, expected));
    let nobody = run(bank.builder(), &["stream", "account/carol"]).await;
    let notes = "error: there is no stream account/carol\n";
    assert_eq!((nobody.status, &*nobody.out, &*nobody.notes), (1, "", notes));
}

#[tokio::test]
async fn the_event_of_any_time_is_found_by_halving() {
    let bank = Bank::empty();
    let runtime = bank.builder().open().await.unwrap();
    runtime.execute(account("a"), Open { owner: "A".into() }).await.unwrap();
    for cents in 1..50 {
        // Several events of one time, and times without an event.
        bank.clock.advance(Duration::from_secs(u64::from(cents % 3 == 0) * 2));
        runtime.execute(account("a"), Deposit { cents }).await.unwrap();
    }
    let all = run(bank.builder(), &["events", "--json", "--after", "0"]).await.json();
    for second in 0..40 {
        let time = format!("2026-03-02T08:00:{second:02}Z");
        let since = run(bank.builder(), &["events", "--json", "--since", &time])
            .await
            .json();
        let recorded = |line: &&serde_json::Value| line["recorded_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
        let expected: Vec<_> = all
            .iter()
            .filter(|line| recorded(line) >= time.parse().unwrap())
            .collect();
        assert_eq!(since.iter().collect::<Vec<_>>(), expected, "{time}");
    }
}

#[tokio::test]
async fn one_who_follows_sees_what_comes() {
    let bank = Bank::seeded().await;
    let written = Written::default();
    let es = parse(&["events", "--json", "--last", "1", "--follow", "--type", "deposited"]).unwrap();
    let (builder, lines) = (bank.builder(), written.clone());
    let follower = async {
        let mut output = Output::new(lines, std::io::sink(), Form { json: true });
        es.run_to(ready(builder), &mut output).await
    };
    let lines = async |count| {
        while written.text().lines().count() < count {
            tokio::task::yield_now().await;
        }
    };
    let writer = async {
        lines(1).await;
        let runtime = bank.builder().open().await.unwrap();
        for cents in [1, 2] {
            runtime.execute(account("bob"), Deposit { cents }).await.unwrap();
            runtime.execute(account("bob"), super::bank::Freeze).await.unwrap();
        }
        lines(3).await;
    };
    tokio::select! {
        status = follower => panic!("it ended with {status}"),
        written = timeout(LONG, writer) => written.unwrap(),
    }
    let cents: Vec<_> = written
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["data"]["cents"].clone())
        .collect();
    assert_eq!(cents, [json!(100), json!(1), json!(2)]);
}
