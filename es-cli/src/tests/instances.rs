use serde_json::json;

use super::bank::Bank;
use super::run;

#[tokio::test]
async fn a_state_is_shown_as_it_is_and_as_it_was() {
    let bank = Bank::seeded().await;
    let now = run(bank.builder(), &["state", "account/alice"]).await;
    let expected = "\
account/alice at version 4, position 5
Account {
    owner: \"Alice\",
    balance: 70,
    is_frozen: true,
}
";
    assert_eq!((now.status, &*now.out), (0, expected));
    for then in [["--at-version", "2"], ["--at", "2026-03-02T08:00:02Z"], ["--at", "2s"]] {
        let ran = run(bank.builder(), &["state", "account/alice", then[0], then[1], "--json"]).await;
        let lines = ran.json();
        let shown = (&lines[0]["version"], &lines[0]["position"], &lines[0]["state"]);
        assert_eq!(shown, (&json!(2), &json!(3), &json!(null)), "{then:?}");
        assert!(lines[0]["text"].as_str().unwrap().contains("balance: 100"), "{lines:?}");
    }
    let before = run(
        bank.builder(),
        &["state", "account/bob", "--at", "2026-03-02T08:00:00Z"],
    )
    .await;
    assert_eq!(
        (before.status, &*before.notes),
        (1, "error: account/bob did not exist then\n")
    );
}

#[tokio::test]
async fn a_history_shows_what_each_event_changed() {
    let bank = Bank::seeded().await;
    let ran = run(bank.builder(), &["history", "account/alice", "--diff"]).await;
    let expected = "   1  2026-03-02T08:00:00Z  opened  {\"owner\":\"Alice\"}
      + Account {
      + owner: \"Alice\",
      + balance: 0,
      + is_frozen: false,
      + }
   2  2026-03-02T08:00:02Z  deposited  {\"cents\":100}
      - balance: 0,
      + balance: 100,
   3  2026-03-02T08:00:03Z  withdrawn  {\"cents\":30}
      - balance: 100,
      + balance: 70,
   4  2026-03-02T08:00:04Z  frozen  null
      - is_frozen: false,
      + is_frozen: true,
";
    assert_eq!((ran.status, &*ran.out), (0, expected));
    let last = run(
        bank.builder(),
        &["history", "account/alice", "--diff", "--from", "4", "--json"],
    )
    .await;
    let changes = json!(["- is_frozen: false,", "+ is_frozen: true,"]);
    assert_eq!(
        (last.json()[0]["version"].clone(), &last.json()[0]["changes"]),
        (json!(4), &changes)
    );
    let whole = run(bank.builder(), &["history", "account/alice", "--from", "4"]).await;
    let expected = "   4  2026-03-02T08:00:04Z  frozen  null
      Account {
          owner: \"Alice\",
          balance: 70,
          is_frozen: true,
      }
";
    assert_eq!((whole.status, &*whole.out), (0, expected));
    assert_eq!(run(bank.builder(), &["history", "account/carol"]).await.status, 1);
}

#[tokio::test]
async fn a_dry_run_says_what_would_come_of_a_command_and_stores_nothing() {
    let bank = Bank::seeded().await;
    let withdraw = ["dry-run", "account/alice", "withdraw", r#"{"cents": 80}"#];
    let refused = run(bank.builder(), &withdraw).await;
    let notes = "error: insufficient funds: the balance is 70\n";
    assert_eq!((refused.status, &*refused.out, &*refused.notes), (4, "", notes));
    let then: Vec<_> = withdraw.into_iter().chain(["--at-version", "2"]).collect();
    let expected = "\
WOULD BE   DATA
withdrawn  {\"cents\":80}
";
    let done = run(bank.builder(), &then).await;
    assert_eq!((done.status, &*done.out), (0, expected));
    let nothing = run(bank.builder(), &["dry-run", "account/alice", "freeze"]).await;
    assert_eq!((nothing.status, &*nothing.out), (0, "it would change nothing\n"));
    let json = run(bank.builder(), &["dry-run", "account/bob", "freeze", "--json"]).await;
    assert_eq!(
        json.json(),
        [json!({"name": "frozen", "shape_version": 1, "data": null})]
    );
    let again = run(
        bank.builder(),
        &["dry-run", "account/bob", "open", r#"{"owner": "Bob"}"#],
    )
    .await;
    assert_eq!(again.status, 4, "{again:?}");
    for content in [r#"{"cents": "many"}"#, "{", ""] {
        let malformed = run(bank.builder(), &["dry-run", "account/bob", "deposit", content]).await;
        assert_eq!(malformed.status, 2, "{malformed:?}");
    }
    let events = run(bank.builder(), &["events", "--json"]).await.json();
    assert_eq!(events.len(), 5);
}
