//! Nobody waits for a projection that does not go on: whoever asks is told why at once, in every process.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::{ExecuteError, Position, ReadError};
use es_tests::balances::{Send, Store, Transfer};
use es_tests::bank::{Account, Deposit, Deposited, Opened, account_with};
use es_tests::faults::Faulty;
use es_tests::waits::{LONG, becomes, until};

/// Fails at 13.
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
    fn deposited(&mut self, event: Deposited) {
        fail_at_13(event.amount);
        self.cents += event.amount;
    }
}

/// The same, by two readers.
#[projection(name = "shared", segments = 2)]
struct Shared {
    cents: i64,
}

#[projection]
impl Shared {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        fail_at_13(event.amount);
        self.cents += event.amount;
    }
}

fn fail_at_13(amount: i64) {
    if amount == 13 {
        // Without the hook: with debug information the trace that it prints takes seconds.
        std::panic::resume_unwind(Box::new("13 brings bad luck"));
    }
}

/// A build that can apply 13.
mod mended {
    use es_runtime::prelude::*;
    use es_tests::bank::{Deposited, Opened};

    #[projection(name = "fragile")]
    pub(super) struct Fragile {
        pub(super) cents: i64,
    }

    #[projection]
    impl Fragile {
        #[apply]
        fn opened(_: Opened) -> Self {
            Self { cents: 0 }
        }

        #[apply]
        fn deposited(&mut self, event: Deposited) {
            self.cents += event.amount;
        }
    }
}

async fn start(store: &Store) -> Runtime {
    Runtime::builder(Arc::clone(store))
        .projection::<Fragile>()
        .start()
        .await
        .unwrap()
}

/// A runtime that never gets the lease.
async fn observer(store: &Store) -> Runtime {
    let observed = Faulty::new(Arc::clone(store));
    observed.stand_by(true);
    start(&(Arc::new(observed) as Store)).await
}

#[track_caller]
fn is_held(error: &ReadError, at: Position) {
    let ReadError::Held { position, error, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(*position, at);
    assert!(error.contains("13 brings bad luck"), "{error}");
}

/// Each way to wait, with a time that no test has.
async fn all_are_told(runtime: &Runtime, account: Id<Account>, poison: Position) {
    let got = runtime.get::<Fragile>(account).after(poison).timeout(LONG).await;
    is_held(&got.unwrap_err(), poison);
    let listed = runtime.list::<Fragile>().after(poison).timeout(LONG).await;
    is_held(&listed.unwrap_err(), poison);
    let waited = runtime.projection::<Fragile>().wait_for(poison, LONG).await;
    is_held(&waited.unwrap_err(), poison);
    let done = runtime
        .execute(account, Deposit { amount: 2 })
        .wait_for::<Fragile>()
        .await;
    let ExecuteError::NotProjected { receipt, source } = done.unwrap_err() else {
        panic!("the command is done, and not projected")
    };
    assert_eq!(receipt.events, 1);
    is_held(&source, poison);
}

es_tests::on_every_store_and_postgres! {
    async fn whoever_waits_is_told_at_once_that_it_holds_in_every_process(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start(&store).await;
        let account = account_with(&runtime, 1).await;
        becomes::<Fragile>(&runtime, Status::Live).await;
        let poison = runtime.execute(account, Deposit { amount: 13 }).await.unwrap().position;
        all_are_told(&runtime, account, poison).await;
        // Which tries the event too, and one that cannot.
        let other = start(&store).await;
        let observer = observer(&store).await;
        for _ in 0..3 {
            all_are_told(&other, account, poison).await;
            all_are_told(&observer, account, poison).await;
            all_are_told(&runtime, account, poison).await;
        }
        // What is there is shown all the same.
        assert_eq!(observer.get::<Fragile>(account).await.unwrap().unwrap().cents, 1);
        assert_eq!(other.list::<Fragile>().await.unwrap().rows.len(), 1);
    }

    async fn what_was_before_the_held_event_is_there(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = account_with(&runtime, 1).await;
        becomes::<Fragile>(&runtime, Status::Live).await;
        let transfer = Send { from: account, to: account, amount: 1 };
        let other = runtime.execute(Id::<Transfer>::new(), transfer).await.unwrap();
        let poison = runtime.execute(account, Deposit { amount: 13 }).await.unwrap().position;
        becomes::<Fragile>(&runtime, Status::Held).await;
        assert!(other.position < poison);
        runtime.projection::<Fragile>().wait_for(other.position, LONG).await.unwrap();
        let row = runtime.get::<Fragile>(account).after(other.position).timeout(LONG).await.unwrap().unwrap();
        assert_eq!(row.cents, 1);
    }

    async fn rows_that_were_never_shown_are_not_waited_for_either(store: _, _clock: _) {
        let plain = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
        let account = account_with(&plain, 1).await;
        let poison = plain.execute(account, Deposit { amount: 13 }).await.unwrap().position;
        let runtime = start(&store).await;
        let listed = runtime.list::<Fragile>().timeout(LONG).await;
        is_held(&listed.unwrap_err(), poison);
        let got = observer(&store).await.get::<Fragile>(account).timeout(LONG).await;
        is_held(&got.unwrap_err(), poison);
        runtime.projection::<Fragile>().skip(poison, "booked by hand").await.unwrap();
        assert_eq!(runtime.get::<Fragile>(account).after(poison).timeout(LONG).await.unwrap().unwrap().cents, 1);
    }

    async fn a_build_that_can_apply_the_event_does_not_believe_one_that_cannot(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = account_with(&runtime, 1).await;
        let poison = runtime.execute(account, Deposit { amount: 13 }).await.unwrap().position;
        becomes::<Fragile>(&runtime, Status::Held).await;
        let newer = Runtime::builder(Arc::clone(&store)).projection::<mended::Fragile>().start().await.unwrap();
        let row = newer.get::<mended::Fragile>(account).after(poison).timeout(LONG).await.unwrap().unwrap();
        assert_eq!(row.cents, 14);
        let row = runtime.get::<Fragile>(account).after(poison).timeout(LONG).await.unwrap().unwrap();
        assert_eq!(row.cents, 14);
    }

    async fn of_several_segments_only_the_one_that_holds_is_not_waited_for(store: _, _clock: _) {
        let runtime = Runtime::builder(Arc::clone(&store)).projection::<Shared>().start().await.unwrap();
        let account = account_with(&runtime, 1).await;
        // Each row is shown from then on.
        until::<Shared>(&runtime, |health| health.ready).await;
        let poison = runtime.execute(account, Deposit { amount: 13 }).await.unwrap().position;
        let (mut held, mut shown) = (0, 0);
        for _ in 0..20 {
            let other = account_with(&runtime, 1).await;
            let last = runtime.execute(other, Deposit { amount: 2 }).await.unwrap().position;
            match runtime.get::<Shared>(other).after(last).timeout(LONG).await {
                Ok(row) => {
                    assert_eq!(row.unwrap().cents, 3);
                    shown += 1;
                }
                Err(error) => {
                    is_held(&error, poison);
                    held += 1;
                }
            }
        }
        assert!(held > 0 && shown > 0, "{held} of {}", held + shown);
        let listed = runtime.list::<Shared>().after(poison).timeout(LONG).await;
        is_held(&listed.unwrap_err(), poison);
    }
}
