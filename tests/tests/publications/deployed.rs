//! A rolling deploy: an older build that publishes less passes over nothing that the newer one publishes.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::testing::RecordingSink;
use es_tests::bank::{Opened, Withdraw, account_with};
use es_tests::on_every_store;
use es_tests::waits::wait_for;

use es_tests::published::{AccountOpened, Accounts, at_the_head, check, expected, ids};

/// The build before, which publishes one kind of event only.
mod before {
    use es_tests::bank::Account;

    use super::*;

    #[publication(topic = "bank.accounts")]
    pub(super) struct Accounts;

    #[publication]
    impl Accounts {
        #[publish]
        fn opened(event: Opened, meta: &Meta<Account>) -> AccountOpened {
            AccountOpened {
                account: *meta.id(),
                owner: event.owner,
            }
        }
    }
}

on_every_store! {
    async fn an_older_build_stands_aside_for_one_that_publishes_more(store: _, _clock: _) {
        let (old_sink, new_sink) = (RecordingSink::new(), RecordingSink::new());
        let builder = Runtime::builder(store.clone()).publication::<before::Accounts>(old_sink.clone(), Beginning::Start);
        let old = builder.start().await.unwrap();
        account_with(&old, 0).await;
        old_sink.wait_for(1).await;

        let builder = Runtime::builder(store.clone()).publication::<Accounts>(new_sink.clone(), Beginning::Start);
        let new = builder.start().await.unwrap();
        let account = account_with(&old, 5).await;
        new.execute(account, Withdraw { amount: 1 }).await.unwrap();
        new_sink.wait_for(3).await;
        let all = [old_sink.messages(), new_sink.messages()].concat();
        check(ids(&all), &expected(&*store).await);
        wait_for(async || old.health().await.unwrap().publications[0].status == Status::Outdated).await;
        let health = old.health().await.unwrap();
        let error = &health.publications[0].last_error.as_ref().unwrap().error;
        assert!(error.contains("event `account/deposited`, event `account/withdrawn`"), "{error}");
        assert!(error.contains("call `PublicationHandle::accept_fewer`"), "{error}");
        new.shutdown().await.unwrap();
    }

    async fn a_build_that_publishes_less_goes_on_when_that_is_accepted(store: _, _clock: _) {
        let (new_sink, old_sink) = (RecordingSink::new(), RecordingSink::new());
        let builder = Runtime::builder(store.clone()).publication::<Accounts>(new_sink.clone(), Beginning::Start);
        let new = builder.start().await.unwrap();
        account_with(&new, 5).await;
        new_sink.wait_for(2).await;
        drop(new);
        let builder = Runtime::builder(store.clone()).publication::<before::Accounts>(old_sink.clone(), Beginning::Start);
        let old = builder.start().await.unwrap();
        wait_for(async || old.health().await.unwrap().publications[0].status == Status::Outdated).await;
        account_with(&old, 5).await;
        assert!(old_sink.messages().is_empty());
        old.publication::<before::Accounts>().unwrap().accept_fewer().await.unwrap();
        old_sink.wait_for(1).await;
        old.shutdown().await.unwrap();
    }

    async fn a_kind_that_nobody_publishes_is_passed_over(store: _, _clock: _) {
        let sink = RecordingSink::new();
        let builder = Runtime::builder(Arc::clone(&store)).publication::<before::Accounts>(sink.clone(), Beginning::Start);
        let runtime = builder.start().await.unwrap();
        account_with(&runtime, 5).await;
        account_with(&runtime, 5).await;
        let messages = sink.wait_for(2).await;
        assert_eq!(messages.len(), 2);
        at_the_head(&runtime).await;
        runtime.shutdown().await.unwrap();
    }
}
