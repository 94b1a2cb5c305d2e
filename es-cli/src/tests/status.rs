use std::time::Duration;

use serde_json::json;

use super::bank::Bank;
use super::projections::{broken, parked};
use super::run;

#[tokio::test]
async fn the_status_is_3_if_one_is_late() {
    let bank = Bank::seeded().await;
    let late = run(bank.builder(), &["status"]).await;
    let expected = "\
the log is at position 5
READER      KIND        STATUS   POSITION  BEHIND  LAG  PARKED  RUN BY
balances@1  projection  standby         0       5  4s        0  -
";
    assert_eq!((late.status, &*late.out), (0, expected));
    assert_eq!(run(bank.builder(), &["status", "--late", "4s"]).await.status, 3);
    bank.clock.advance(Duration::from_secs(60));
    assert_eq!(run(bank.builder(), &["status"]).await.status, 3);
    assert_eq!(run(bank.builder(), &["status", "--late", "1d"]).await.status, 0);
}

#[tokio::test]
async fn the_status_is_3_if_something_is_parked() {
    let bank = parked().await;
    let ran = run(broken(&bank), &["status", "--json"]).await;
    assert_eq!(ran.status, 3, "{ran:?}");
    let lines = ran.json();
    assert_eq!(lines[0], json!({"kind": "log", "position": 7}));
    let shown = |line: &serde_json::Value| json!([line["name"], line["parked"], line["position"]]);
    assert_eq!(
        lines[1..].iter().map(shown).collect::<Vec<_>>(),
        [json!(["balances@1", 0, 7]), json!(["unlucky@1", 2, 7])]
    );
}
