use std::time::Duration;

use es_tests::waits::LONG;
use serde_json::json;
use tokio::time::timeout;

use super::bank::{Bank, Deposit, account};
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
    let bank = Bank::seeded().await;
    let runs = bank.builder().start().await.unwrap();
    let receipt = runs.execute(account("bob"), Deposit { cents: 13 }).await.unwrap();
    let balances = runs.projections().next().unwrap();
    balances.wait_for(receipt.position, LONG).await.unwrap();
    let parked = async {
        while balances.status().await.unwrap().parked == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, parked).await.unwrap();
    runs.shutdown().await.unwrap();
    let ran = run(bank.builder(), &["status", "--json"]).await;
    assert_eq!(ran.status, 3, "{ran:?}");
    let lines = ran.json();
    assert_eq!(lines[0], json!({"kind": "log", "position": 6}));
    assert_eq!(
        (&lines[1]["name"], &lines[1]["parked"], &lines[1]["position"]),
        (&json!("balances@1"), &json!(1), &json!(6))
    );
}
