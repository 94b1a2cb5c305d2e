use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::{Builder, KeyOf};
use es_tests::waits::LONG;
use serde_json::json;
use tokio::time::timeout;

use super::bank::{Account, Bank, Deposit, Frozen, Open, account};
use super::run;

/// The gift to a frozen account is late.
#[value]
pub(crate) struct Late;

/// Pays 1 cent to whom an account is frozen, of which `broken` makes it panic.
#[process_manager(name = "consolation", id = String)]
pub(crate) struct Consolation {
    is_paid: bool,
}

#[process_manager]
impl Consolation {
    #[on]
    fn frozen(_: Frozen, meta: &Meta<Account>, todo: &mut Todo<Self>) -> Self {
        assert_ne!(meta.id(), "broken", "the account is broken");
        todo.send(KeyOf::<Account>::new(meta.id().clone()), Deposit { cents: 1 });
        todo.remind(Duration::from_secs(3600), Late);
        Consolation { is_paid: false }
    }

    #[on]
    fn paid(&mut self, _: Done<Deposit>) {
        self.is_paid = true;
    }

    #[on]
    fn not_paid(self, _: Failed<Deposit>) -> Option<Self> {
        None
    }

    #[on]
    fn late(self, _: Due<Late>) -> Option<Self> {
        None
    }
}

fn builder(bank: &Bank) -> Builder<MemoryStore> {
    bank.builder().process_manager::<Consolation>(Beginning::Start)
}

/// A bank in which one instance waits and another one is parked.
async fn consoled() -> Bank {
    let bank = Bank::seeded().await;
    let runs = builder(&bank).start().await.unwrap();
    runs.execute(account("broken"), Open { owner: "B".into() })
        .await
        .unwrap();
    runs.execute(account("broken"), super::bank::Freeze).await.unwrap();
    let consolation = runs.process_managers().next().unwrap();
    let waited = async {
        while runs.health().await.unwrap().process_managers[0].parked == 0
            || consolation.list().await.unwrap().is_empty()
            || consolation
                .get("alice")
                .await
                .unwrap()
                .is_none_or(|alice| !alice.pending.is_empty())
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LONG, waited).await.unwrap();
    runs.shutdown().await.unwrap();
    bank
}

#[tokio::test]
async fn instances_are_shown_with_their_steps_and_timers() {
    let bank = consoled().await;
    let listed = run(builder(&bank), &["processes", "list"]).await;
    let mut lines = listed.out.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("PROCESS      ID     STATUS   STEP  SINCE"),
        "{listed:?}"
    );
    let alice = lines.next().unwrap();
    assert!(alice.starts_with("consolation  alice  waiting     2"), "{alice}");
    assert!(
        alice.contains("late at ") && alice.ends_with("{\"is_paid\":true}"),
        "{alice}"
    );
    let json = run(builder(&bank), &["processes", "list", "consolation", "--json"])
        .await
        .json();
    let shown = (&json[0]["id"], &json[0]["status"], &json[0]["state"], &json[0]["step"]);
    assert_eq!(
        shown,
        (&json!("alice"), &json!("waiting"), &json!({"is_paid": true}), &json!(2))
    );
    assert_eq!(
        run(builder(&bank), &["processes", "list", "--stuck-for", "1d"])
            .await
            .out,
        ""
    );

    let show = run(builder(&bank), &["processes", "show", "consolation", "alice"]).await;
    assert_eq!(show.status, 0, "{show:?}");
    for line in [
        "consolation alice: waiting",
        "the event at position 5",
        "a command of step 1 to account/alice, done",
    ] {
        assert!(show.out.contains(line), "{}", show.out);
    }
    let steps = run(builder(&bank), &["processes", "show", "consolation", "alice", "--json"])
        .await
        .json();
    assert_eq!(
        (steps.len(), &steps[1]["step"], &steps[2]["state"]),
        (3, &json!(1), &json!({"is_paid": true}))
    );
    let nobody = run(builder(&bank), &["processes", "show", "consolation", "carol"]).await;
    assert_eq!(nobody.notes, "error: there is no instance carol of consolation\n");

    let timers = run(builder(&bank), &["timers"]).await;
    let timer = timers.out.lines().nth(1).unwrap();
    assert!(timer.ends_with("  consolation  alice  late"), "{timers:?}");
    let unknown = run(builder(&bank), &["timers", "consolations"]).await;
    assert_eq!(unknown.status, 2);
    assert!(
        unknown.notes.contains("the nearest names are `consolation`"),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn instances_are_ended_and_retried() {
    let bank = consoled().await;
    let status = run(builder(&bank), &["status", "--json"]).await;
    let line = &status.json()[2];
    let shown = (status.status, &line["kind"], &line["parked"]);
    assert_eq!(shown, (3, &json!("process manager"), &json!(1)), "{status:?}");
    let retried = run(builder(&bank), &["processes", "retry", "consolation", "broken"]).await;
    assert_eq!(retried.status, 1);
    let waiting = run(builder(&bank), &["processes", "retry", "consolation", "alice"]).await;
    assert!(waiting.notes.contains("is not parked"), "{waiting:?}");

    let end = ["processes", "end", "consolation", "alice"];
    assert_eq!(run(builder(&bank), &end).await.status, 2, "without a reason");
    let reason = [&end[..], &["--reason", "ticket 4711"]].concat();
    let ended = run(builder(&bank), &reason).await;
    assert_eq!(
        (ended.status, &*ended.out),
        (0, "consolation alice has ended\n"),
        "{ended:?}"
    );
    let show = run(builder(&bank), &["processes", "show", "consolation", "alice"]).await;
    assert!(
        show.out.contains("consolation alice: ended") && show.out.contains("an operator: ticket 4711"),
        "{show:?}"
    );
    assert_eq!(run(builder(&bank), &reason).await.status, 1, "it has ended");
}
