//! A deploy in the middle: instances that a former build has begun go on with the code, and the shapes, of the new one.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::process::{InstanceStatus, ProcessState};
use es_runtime::store::ProjectionStore;
use es_tests::bank::{Account, Deposit, Withdraw, account_with, balance};
use es_tests::on_every_store;
use es_tests::waits::LONG;

use super::by_hand::{HOUR, Request, Requested, TransferRequest};

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
}
