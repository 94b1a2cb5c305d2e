use es_runtime::Builder;
use es_runtime::prelude::*;
use es_tests::waits::LONG;
use serde_json::json;
use tokio::time::timeout;

use super::bank::{Bank, Deposit, account};
use super::run;

/// A projection in two builds, of which the first cannot take 13 cents.
mod unlucky {
    use super::super::bank::{Deposited, Opened};
    use super::*;

    macro_rules! balances {
        ($name:ident, $check:expr) => {
            #[projection(name = "unlucky", park)]
            pub(super) struct $name {
                cents: i64,
            }

            #[projection]
            impl $name {
                #[apply]
                fn opened(_: Opened) -> Self {
                    Self { cents: 0 }
                }

                #[apply]
                fn deposited(&mut self, event: Deposited) {
                    let check: fn(i64) -> bool = $check;
                    assert!(check(event.cents), "an unlucky number");
                    self.cents += event.cents;
                }
            }
        };
    }

    balances!(Broken, |cents| cents != 13);
    balances!(Mended, |_| true);
}

pub(crate) fn broken(bank: &Bank) -> Builder<MemoryStore> {
    bank.builder().projection::<unlucky::Broken>()
}

fn mended(bank: &Bank) -> Builder<MemoryStore> {
    bank.builder().projection::<unlucky::Mended>()
}

/// A bank whose projection has parked the events at positions 6 and 7.
pub(crate) async fn parked() -> Bank {
    let bank = Bank::seeded().await;
    let runs = broken(&bank).start().await.unwrap();
    for cents in [13, 5] {
        runs.execute(account("bob"), Deposit { cents }).await.unwrap();
    }
    let unlucky = runs.projections().last().unwrap();
    let waited = async {
        while unlucky.status().await.unwrap().parked < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, waited).await.unwrap();
    unlucky.wait_for(7, LONG).await.unwrap();
    runs.projections().next().unwrap().wait_for(7, LONG).await.unwrap();
    runs.shutdown().await.unwrap();
    bank
}

#[tokio::test]
async fn projections_are_shown_with_what_is_stored_of_them() {
    let bank = parked().await;
    let ran = run(broken(&bank), &["projections"]).await;
    assert_eq!(ran.status, 3, "{ran:?}");
    let mut lines = ran.out.lines();
    let words = |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>();
    let head = words(lines.next().unwrap());
    assert_eq!(
        head[..6],
        ["PROJECTION", "SEGMENT", "STATUS", "ROWS", "POSITION", "BEHIND"]
    );
    assert_eq!(
        words(lines.next().unwrap())[..6],
        ["balances@1", "1/1", "standby", "shown", "7", "0"]
    );
    assert_eq!(
        words(lines.next().unwrap())[..6],
        ["unlucky@1", "1/1", "standby", "shown", "7", "0"]
    );

    let healthy = run(broken(&bank), &["projections", "balances@1", "--json"]).await;
    let line = &healthy.json()[0];
    let shown = (
        &line["name"],
        &line["ready"],
        &line["position"],
        &line["stored_versions"],
    );
    assert_eq!(shown, (&json!("balances"), &json!(true), &json!(7), &json!([1])));
    assert_eq!(healthy.status, 0);
}

#[tokio::test]
async fn parked_events_are_listed_with_their_errors() {
    let bank = parked().await;
    let ran = run(broken(&bank), &["parked", "list"]).await;
    let expected = "\
PROJECTION  POSITION  STREAM       VERSION  EVENT      DATA          WHY     ATTEMPTS  ERROR
unlucky@1          6  account/bob        2  deposited  {\"cents\":13}  failed";
    assert!(ran.out.starts_with(expected), "{}", ran.out);
    assert_eq!(ran.status, 3);
    let lines = run(broken(&bank), &["parked", "list", "unlucky", "--json"])
        .await
        .json();
    let shown = |line: &serde_json::Value| json!([line["position"], line["why"], line["stream"]["id"], line["data"]]);
    assert_eq!(
        lines.iter().map(shown).collect::<Vec<_>>(),
        [
            json!([6, "failed", "bob", {"cents": 13}]),
            json!([7, "behind", "bob", {"cents": 5}])
        ]
    );
    let none = run(broken(&bank), &["parked", "list", "balances"]).await;
    assert_eq!((none.status, &*none.out), (0, ""));
}

#[tokio::test]
async fn an_order_is_carried_out_if_nobody_else_runs_the_projection() {
    let bank = parked().await;
    let again = run(broken(&bank), &["parked", "retry", "unlucky", "6"]).await;
    assert_eq!(again.status, 1);
    assert!(again.notes.contains("an unlucky number"), "{}", again.notes);
    let behind = run(mended(&bank), &["parked", "retry", "unlucky", "7"]).await;
    assert!(behind.notes.contains("behind position 6"), "{}", behind.notes);

    let runs = mended(&bank).start().await.unwrap();
    let waited = async {
        while !runs.projections().last().unwrap().status().await.unwrap().runs_here {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, waited).await.unwrap();
    let elsewhere = run(mended(&bank), &["parked", "retry", "unlucky", "6"]).await;
    assert_eq!(elsewhere.status, 1);
    assert!(
        elsewhere.notes.contains("runs in another process"),
        "{}",
        elsewhere.notes
    );
    runs.shutdown().await.unwrap();

    let mended = run(mended(&bank), &["parked", "retry", "unlucky@1", "6"]).await;
    let expected = "unlucky@1 has applied the event at position 6\n";
    assert_eq!((mended.status, &*mended.out), (0, expected), "{mended:?}");
    assert_eq!(
        run(broken(&bank), &["parked", "list"]).await.status,
        0,
        "what stood behind it was applied too"
    );
}

#[tokio::test]
async fn an_event_is_skipped_with_a_reason() {
    let bank = parked().await;
    let ran = run(broken(&bank), &["parked", "skip", "unlucky", "6"]).await;
    assert_eq!(ran.status, 2, "without a reason");
    for position in ["6", "7"] {
        let skip = [
            "parked",
            "skip",
            "unlucky",
            position,
            "--reason",
            "ticket 4711",
            "--json",
        ];
        let ran = run(broken(&bank), &skip).await;
        assert_eq!((ran.status, &ran.json()[0]["done"]), (0, &json!("skipped")), "{ran:?}");
    }
    assert_eq!(run(broken(&bank), &["parked", "list"]).await.status, 0);
}
