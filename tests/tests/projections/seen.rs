//! What a process sees of a projection that runs in another one.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::projection::{ProjectionHealth, Status};
use es_tests::balances::Store;
use es_tests::bank::{Account, Deposit, Deposited, Opened, account_with};
use es_tests::faults::Faulty;
use es_tests::waits::until;

/// Fails as it is told to.
#[projection(name = "fragile")]
struct Fragile {
    cents: i64,
}

#[projection]
impl Fragile {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited, _: &Meta<Account>) {
        if event.amount == 13 {
            // Without the hook: with debug information the trace that it prints takes seconds.
            std::panic::resume_unwind(Box::new("13 brings bad luck"));
        }
        self.cents += event.amount;
    }
}

async fn start(store: Store) -> Runtime {
    let builder = Runtime::builder(store).projection::<Fragile>();
    builder.start().await.unwrap()
}

/// A runtime that sees the projection and never runs it.
async fn observer(store: &Store) -> Runtime {
    let observed = Faulty::new(Arc::clone(store));
    observed.stand_by(true);
    start(Arc::new(observed)).await
}

async fn status(runtime: &Runtime) -> ProjectionHealth {
    runtime.projection::<Fragile>().status().await.unwrap()
}

es_tests::on_every_store_and_postgres! {
    async fn every_process_sees_who_runs_it_and_why_it_does_not_go_on(store: _, _clock: _) {
        let store: Store = store;
        let there = start(Arc::clone(&store)).await;
        let here = observer(&store).await;
        let account = account_with(&there, 1).await;
        let seen = until::<Fragile>(&here, |seen| seen.status == Status::Live && seen.lag_events == 0).await;
        assert!(!seen.runs_here && seen.ready && seen.progressed_at.is_some(), "{seen:?}");
        assert_eq!(seen.owner, status(&there).await.owner);
        assert!(seen.owner.is_some() && status(&there).await.runs_here);

        let poison = there.execute(account, Deposit { amount: 13 }).await.unwrap();
        there.execute(account, Deposit { amount: 4 }).await.unwrap();
        // A lease that was given back does not hide what was wrong, nor does one that was just taken again.
        let held = until::<Fragile>(&here, |seen| seen.status == Status::Held).await;
        let failure = held.last_error.unwrap();
        assert_eq!(failure.position, Some(poison.position));
        assert!(failure.error.contains("13 brings bad luck"), "{failure:?}");
        assert!(held.panics >= 1 && held.lag_events == 2, "{} {}", held.panics, held.lag_events);

        there.projection::<Fragile>().skip(poison.position, "booked by hand").await.unwrap();
        let seen = until::<Fragile>(&here, |seen| seen.status == Status::Live && seen.lag_events == 0).await;
        assert_eq!(seen.last_error, None);
        assert!(seen.panics >= held.panics);
        assert_eq!(here.get::<Fragile>(account).await.unwrap().unwrap().cents, 5);
    }

    async fn where_nobody_runs_it_there_is_no_owner(store: _, _clock: _) {
        let store: Store = store;
        let there = start(Arc::clone(&store)).await;
        let here = observer(&store).await;
        account_with(&there, 1).await;
        until::<Fragile>(&here, |seen| seen.owner.is_some() && seen.lag_events == 0).await;
        // Not shut down: the store belongs to the test too.
        drop(there);
        let seen = until::<Fragile>(&here, |seen| seen.owner.is_none()).await;
        assert_eq!((seen.status, seen.rate, seen.last_error), (Status::Standby, 0.0, None));
        assert!(seen.ready && seen.lag_events == 0);
    }
}
