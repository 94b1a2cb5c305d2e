//! A deploy in the middle: instances that a former build has begun go on with the code, and the shapes, of the new one.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::process::{InstanceStatus, ProcessState};
use es_runtime::projection::Status;
use es_runtime::store::ProjectionStore;
use es_runtime::subscription::SubscriptionHealth;
use es_tests::bank::{Account, Deposit, Withdraw, account_with, balance};
use es_tests::on_every_store;
use es_tests::waits::LONG;

use super::by_hand::{Cancel, Cancelled, HOUR, Request, Requested, TransferRequest};

/// The build before.
mod before {
    use super::*;

    #[process_manager(name = "savings", id = Id<TransferRequest>)]
    pub(super) struct Savings {
        pub(super) account: Id<Account>,
    }

    #[process_manager]
    impl Savings {
        #[on]
        fn requested(event: Requested, todo: &mut Todo<Self>) -> Self {
            if event.cents == 13 {
                todo.remind(HOUR, Gone);
            }
            todo.remind(HOUR, Payday);
            Savings { account: event.from }
        }

        #[on]
        fn gone(&mut self, _: Due<Gone>) {}

        #[on]
        fn payday(self, _: Due<Payday>) -> Option<Self> {
            None
        }
    }

    #[value]
    struct Gone;
}

#[value]
struct Payday;

/// The build after: it knows more of each instance, does more, and has forgotten a timer.
mod after {
    use super::*;

    #[process_manager(name = "savings", version = 2, id = Id<TransferRequest>)]
    pub(super) struct Savings {
        pub(super) account: Id<Account>,
        #[process_manager(added(since = 2, default = 5))]
        pub(super) cents: i64,
    }

    #[process_manager]
    impl Savings {
        #[on]
        fn requested(event: Requested, todo: &mut Todo<Self>) -> Self {
            todo.remind(HOUR, Payday);
            Savings {
                account: event.from,
                cents: event.cents,
            }
        }

        #[on]
        fn payday(&mut self, _: Due<Payday>, todo: &mut Todo<Self>) {
            todo.send(self.account, Deposit { amount: self.cents });
            todo.send(self.account, Withdraw { amount: 1 });
        }

        #[on]
        fn paid(&mut self, _: Done<Deposit>) {}

        #[on]
        fn charged(self, _: Done<Withdraw>) -> Option<Self> {
            None
        }

        #[on]
        fn failed(&mut self, _: AnyFailed) {}
    }
}

/// A build that hears requests, and nothing else.
mod older {
    use super::*;

    #[process_manager(name = "watch", id = Id<TransferRequest>)]
    pub(super) struct Watch;

    #[process_manager]
    impl Watch {
        #[on]
        fn requested(_: Requested) -> Self {
            Watch
        }
    }
}

/// A build that hears when they are cancelled, too.
mod newer {
    use super::*;

    #[process_manager(name = "watch", id = Id<TransferRequest>)]
    pub(super) struct Watch;

    #[process_manager]
    impl Watch {
        #[on]
        fn requested(_: Requested) -> Self {
            Watch
        }

        #[on]
        fn cancelled(self, _: Cancelled) -> Option<Self> {
            None
        }
    }
}

/// Waits until the only process manager of the runtime is so.
async fn becomes(runtime: &Runtime, is_so: impl Fn(&SubscriptionHealth) -> bool) -> SubscriptionHealth {
    let waited = tokio::time::timeout(LONG, async {
        loop {
            let health = runtime.health().await.unwrap().process_managers.remove(0);
            if is_so(&health) {
                return health;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    match waited.await {
        Ok(health) => health,
        Err(late) => panic!("never: {late}: {:?}", runtime.health().await),
    }
}

async fn begun<P: es_runtime::process::ProcessManager + ProcessState<Id = Id<TransferRequest>>>(
    runtime: &Runtime,
    account: Id<Account>,
    cents: i64,
) -> Id<TransferRequest> {
    let id = Id::new();
    let request = Request {
        from: account,
        to: account,
        cents,
    };
    runtime.execute(id, request).await.unwrap();
    let waited = tokio::time::timeout(LONG, async {
        while runtime.process_manager::<P>().get(id).await.unwrap().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "it never begins: {:?}", runtime.health().await);
    id
}

on_every_store! {
    async fn a_deploy_in_the_middle(store: _, clock: _) {
        let store: Arc<dyn ProjectionStore> = store;
        let builder = Runtime::builder(Arc::clone(&store)).process_manager::<before::Savings>(Beginning::Start);
        let old = builder.start().await.unwrap();
        let account = account_with(&old, 0).await;
        let id = begun::<before::Savings>(&old, account, 1).await;
        let stuck = begun::<before::Savings>(&old, account, 13).await;
        drop(old);
        clock.advance(HOUR * 2);

        let builder = Runtime::builder(Arc::clone(&store)).process_manager::<after::Savings>(Beginning::Start);
        let new = builder.start().await.unwrap();
        let savings = new.process_manager::<after::Savings>();
        let status = async |id| savings.get(id).await.unwrap().unwrap().status;
        let waited = tokio::time::timeout(LONG, async {
            while status(id).await != InstanceStatus::Ended
                || !matches!(status(stuck).await, InstanceStatus::Parked { .. })
            {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "it never ends: {:?}", new.health().await);
        assert_eq!(balance(&new, account).await, 4, "what the field was given, and what the new method does");
        let InstanceStatus::Parked { error, .. } = status(stuck).await else {
            unreachable!("it was a moment ago")
        };
        assert!(error.contains("has set timer `gone`"), "{error}");
        assert_eq!(savings.get(stuck).await.unwrap().unwrap().timers.len(), 2, "it waits for a build that hears of it");
        new.shutdown().await.unwrap();
    }

    async fn an_older_build_passes_over_nothing(store: _, _clock: _) {
        let store: Arc<dyn ProjectionStore> = store;
        let builder = || Runtime::builder(Arc::clone(&store));
        let old = builder().process_manager::<older::Watch>(Beginning::Start).start().await.unwrap();
        let account = account_with(&old, 0).await;
        let id = begun::<older::Watch>(&old, account, 1).await;

        let new = builder().process_manager::<newer::Watch>(Beginning::Start).start().await.unwrap();
        new.execute(id, Cancel).await.unwrap();
        let watches = new.process_manager::<newer::Watch>();
        let waited = tokio::time::timeout(LONG, async {
            while watches.get(id).await.unwrap().unwrap().status != InstanceStatus::Ended {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "the newer build hears it: {:?}", new.health().await);
        let owner = becomes(&new, |health| health.owner.is_some()).await.owner;
        drop(new);
        let waited = tokio::time::timeout(LONG, async {
            while store.lease("process/watch").await.unwrap().is_some_and(|lease| lease.owner == owner) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "it gives the lease back");

        let second = Id::new();
        let request = Request { from: account, to: account, cents: 1 };
        let before = becomes(&old, |_| true).await.position;
        old.execute(second, request).await.unwrap();
        old.execute(second, Cancel).await.unwrap();
        let aside = becomes(&old, |health| health.status == Status::Outdated).await;
        assert_eq!(aside.position, before, "nothing is passed over");
        let error = aside.last_error.unwrap().error;
        assert!(error.contains("hears event `request/cancelled`, and this one does not"), "{error}");
        assert!(error.contains("call `ProcessManagerHandle::accept_fewer`"), "{error}");

        let watches = old.process_manager::<older::Watch>();
        watches.accept_fewer().await.unwrap();
        becomes(&old, |health| health.lag_events == 0).await;
        assert_eq!(watches.get(second).await.unwrap().unwrap().status, InstanceStatus::Waiting);
        drop(old);
        let new = builder().process_manager::<newer::Watch>(Beginning::Start).start().await.unwrap();
        becomes(&new, |health| health.status == Status::Live).await;
        new.shutdown().await.unwrap();
    }
}
