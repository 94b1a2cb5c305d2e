//! One instance that cannot go on, among many that do.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use es_runtime::ControlError;
use es_runtime::prelude::*;
use es_runtime::process::{InstanceStatus, ProcessError};
use es_runtime::projection::Status;
use es_runtime::store::CursorStore as _;
use es_tests::bank::{Account, Deposit, account_with, balance};
use es_tests::waits::LONG;
use es_tests::{on_every_store_and_postgres, scaled};

use super::by_hand::{Cancel, Cancelled, Request, Requested, TransferRequest};

/// The accounts to which nothing can be paid, until somebody mends it.
static BROKEN: Mutex<Option<HashSet<Id<Account>>>> = Mutex::new(None);

pub(super) fn is_broken(account: Id<Account>) -> bool {
    let broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
    broken.as_ref().is_some_and(|broken| broken.contains(&account))
}

pub(super) fn set_broken(account: Id<Account>, is_broken: bool) {
    let mut broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let broken = broken.get_or_insert_default();
    if is_broken {
        broken.insert(account);
    } else {
        broken.remove(&account);
    }
}

/// Pays something in, and panics for a broken account.
#[process_manager(id = Id<TransferRequest>)]
pub(crate) struct Payment {
    to: Id<Account>,
    is_paid: bool,
}

#[process_manager]
impl Payment {
    #[on]
    fn requested(event: Requested, todo: &mut Todo<Self>) -> Self {
        assert!(!is_broken(event.to), "the account is broken");
        todo.send(event.to, Deposit { amount: event.cents });
        Payment {
            to: event.to,
            is_paid: false,
        }
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
    fn cancelled(self, _: Cancelled) -> Option<Self> {
        assert!(self.is_paid, "it waits behind the request");
        None
    }
}

on_every_store_and_postgres! {
    async fn poison_parks_one_instance(store: _, _clock: _) {
        let runtime = Runtime::builder(Arc::clone(&store))
            .process_manager::<Payment>(Beginning::Start)
            .start()
            .await
            .unwrap();
        let payments = runtime.process_manager::<Payment>();
        let (good, bad) = (account_with(&runtime, 0).await, account_with(&runtime, 0).await);
        set_broken(bad, true);
        let request = async |to| {
            let id = Id::<TransferRequest>::new();
            runtime.execute(id, Request { from: good, to, cents: 1 }).await.unwrap();
            id
        };
        let poison = request(bad).await;
        runtime.execute(poison, Cancel).await.unwrap();
        let many = scaled(50, 1_000);
        for _ in 0..many {
            request(good).await;
        }
        let waited = tokio::time::timeout(LONG, async {
            while balance(&runtime, good).await < many || runtime.health().await.unwrap().process_managers[0].parked < 2 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "the others go on: {:?}", runtime.health().await);

        assert!(matches!(payments.retry(poison).await, Err(ProcessError::Order(_))), "it fails again");
        set_broken(bad, false);
        payments.retry(poison).await.unwrap();
        let ended = payments.get(poison).await.unwrap().unwrap();
        assert_eq!(ended.status, InstanceStatus::Ended, "what stood behind it was heard too");
        assert_eq!(balance(&runtime, bad).await, 1);
        assert_eq!(runtime.health().await.unwrap().process_managers[0].parked, 0);
        runtime.shutdown().await.unwrap();
    }

    async fn an_instance_that_cannot_begin_is_given_up(store: _, _clock: _) {
        let runtime = Runtime::builder(Arc::clone(&store))
            .process_manager::<Payment>(Beginning::Start)
            .start()
            .await
            .unwrap();
        let payments = runtime.process_manager::<Payment>();
        let bad = account_with(&runtime, 0).await;
        set_broken(bad, true);
        let poison = Id::<TransferRequest>::new();
        runtime.execute(poison, Request { from: bad, to: bad, cents: 1 }).await.unwrap();
        runtime.execute(poison, Cancel).await.unwrap();
        let waited = tokio::time::timeout(LONG, async {
            while runtime.health().await.unwrap().process_managers[0].parked < 2 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "it is parked, with what stands behind it: {:?}", runtime.health().await);

        payments.end(poison, "settled by hand, ticket 4712").await.unwrap();
        assert_eq!(runtime.health().await.unwrap().process_managers[0].parked, 0);
        assert!(payments.get(poison).await.unwrap().is_none(), "it never began");
        assert!(matches!(payments.end(poison, "again").await, Err(ProcessError::NotFound { .. })));
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn an_opened_runtime_shows_a_process_manager_and_does_not_run_it() {
    let store = MemoryStore::new();
    let builder = || Runtime::builder(store.clone()).process_manager::<Payment>(Beginning::Start);
    let opened = builder().open().await.unwrap();
    let to = account_with(&opened, 0).await;
    let id = Id::<TransferRequest>::new();
    let request = Request { from: to, to, cents: 5 };
    opened.execute(id, request).await.unwrap();
    let health = opened.health().await.unwrap().process_managers;
    let shown =
        |health: &es_runtime::subscription::SubscriptionHealth| (health.status, health.lag_events, health.parked);
    assert_eq!(shown(&health[0]), (Status::Standby, 2, 0));
    assert!(
        store.lease("process/payment").await.unwrap().is_none(),
        "it takes no lease"
    );
    let payments = opened.process_manager::<Payment>();
    assert_eq!(payments.list().await.unwrap(), []);

    set_broken(to, true);
    let runs = builder().start().await.unwrap();
    let parked = async |count| {
        while opened.health().await.unwrap().process_managers[0].parked != count {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, parked(1)).await.unwrap();
    let refused = payments.end(id, "no account").await;
    assert!(
        matches!(refused, Err(ProcessError::Order(ControlError::Elsewhere { .. }))),
        "{refused:?}"
    );
    set_broken(to, false);
    runs.process_manager::<Payment>().retry(id).await.unwrap();
    let here = payments.retry(id).await;
    assert!(matches!(here, Err(ProcessError::NotParked { .. })), "{here:?}");
    let typed = payments.get(id).await.unwrap().unwrap();
    let any = opened.process_managers().next().unwrap();
    let shown = any.get(&id.to_string()).await.unwrap().unwrap();
    let state: serde_json::Value = serde_json::from_slice(&shown.state.unwrap()).unwrap();
    assert_eq!((any.name(), &state["to"]), ("payment", &serde_json::json!(to)));
    assert_eq!((shown.version, shown.since), (typed.version, typed.since));
    assert_eq!(any.get("no id").await.unwrap(), None);
    assert!(matches!(any.retry("no id").await, Err(ProcessError::NotFound { .. })));
    runs.shutdown().await.unwrap();
}
