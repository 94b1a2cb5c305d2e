//! What a subscription with a handler promises, on every store: each event is handled, whatever fails, and what cannot be handled is not
//! passed over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::{ApplyError, Status};
use es_runtime::subscription::{SubscriptionHandle, SubscriptionHealth};
use es_runtime::{ControlError, EventId, Position, Recorded};
use es_tests::balances::Store;
use es_tests::bank::{Account, AccountEvent, Deposit, Deposited, Withdraw, account_with};
use es_tests::faults::{Fault, Faulty};
use es_tests::stores;
use es_tests::waits::wait_until;

type Posting = Recorded<AccountEvent>;

/// What a handler was called with, and what it does not take.
#[derive(Clone, Default)]
struct Books(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    /// How often each event was taken, in the order in which they were taken first.
    taken: Vec<(Position, u32)>,
    ids: BTreeMap<EventId, usize>,
    /// How often each was refused.
    refused: BTreeMap<u64, u32>,
    unlucky: Option<i64>,
    panics: bool,
}

impl Books {
    /// Does not take deposits of this amount.
    fn refusing(amount: i64) -> Self {
        let books = Self::default();
        books.kept().unlucky = Some(amount);
        books
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, posting: &Posting) -> Result<()> {
        let mut kept = self.kept();
        if let AccountEvent::Deposited(Deposited { amount }) = posting.event
            && kept.unlucky == Some(amount)
        {
            *kept.refused.entry(posting.position.0).or_default() += 1;
            if kept.panics {
                drop(kept);
                // Without the hook: with debug information the trace that it prints takes seconds.
                std::panic::resume_unwind(Box::new("bad luck"));
            }
            return Err(std::io::Error::other("bad luck").into());
        }
        let next = kept.taken.len();
        let index = *kept.ids.entry(posting.id).or_insert(next);
        match kept.taken.get_mut(index) {
            Some((_, times)) => *times += 1,
            None => kept.taken.push((posting.position, 1)),
        }
        Ok(())
    }

    fn positions(&self) -> Vec<u64> {
        self.kept().taken.iter().map(|(position, _)| position.0).collect()
    }

    /// Waits until so many events are taken.
    async fn have(&self, events: usize) {
        wait_until(|| self.kept().taken.len() >= events).await;
    }
}

async fn runtime(store: &Store) -> Runtime {
    Runtime::builder(Arc::clone(store)).start().await.unwrap()
}

/// Has the books kept under the name `books`.
async fn keep(runtime: &Runtime, books: &Books, attempts: u32, parks: bool) -> SubscriptionHandle {
    let books = books.clone();
    let take = move |posting: Posting| {
        let books = books.clone();
        async move { books.take(&posting) }
    };
    let subscribe = runtime.subscribe("books").aggregate::<Account>().from_start();
    let keeping = subscribe.handle(take).attempts(attempts);
    let keeping = if parks { keeping.park_alone() } else { keeping };
    keeping.start().await.unwrap()
}

/// Waits until the subscription is as it should be.
async fn health(runtime: &Runtime, is_so: impl Fn(&SubscriptionHealth) -> bool) -> SubscriptionHealth {
    for _ in 0..12_000 {
        let health = runtime.health().await.unwrap().subscriptions.remove(0);
        if is_so(&health) {
            return health;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never so: {:?}", runtime.health().await.unwrap().subscriptions);
}

es_tests::on_every_store_and_postgres! {
    async fn every_event_is_handled_in_order_and_once_if_nothing_fails(store: _, _clock: _) {
        let store: Store = store;
        let runtime = runtime(&store).await;
        let account = account_with(&runtime, 5).await;
        let books = Books::default();
        keep(&runtime, &books, 5, false).await;
        for _ in 0..50 {
            runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
        }
        let done = health(&runtime, |books| books.position == 52).await;
        assert_eq!((done.status, done.lag_events, done.parked), (Status::Live, 0, 0));
        assert!(done.owner.is_some());
        runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
        books.have(53).await;
        drop(runtime);
        assert_eq!(books.positions(), (1..=53).collect::<Vec<_>>());
        assert!(books.kept().taken.iter().all(|(_, times)| *times == 1));
    }

    async fn an_event_that_is_not_taken_is_tried_again_and_then_held(store: _, _clock: _) {
        let runtime = runtime(&store).await;
        let account = account_with(&runtime, 13).await;
        runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
        let books = Books::refusing(13);
        let handle = keep(&runtime, &books, 3, false).await;
        let held = health(&runtime, |books| books.status == Status::Held).await;
        assert_eq!(held.position, 1, "those before it are done");
        let failure = held.last_error.expect("health says why");
        assert_eq!(failure.position, Some(Position(2)));
        assert!(failure.error.contains("bad luck"), "{failure:?}");
        assert!(books.kept().refused[&2] >= 3);
        assert_eq!(books.positions(), [1], "nothing is handled behind it");

        let failed = handle.retry(2).await.unwrap_err();
        assert!(matches!(&failed, ControlError::Failed(ApplyError::NotHandled(why)) if why == "bad luck"), "{failed:?}");
        let wrong = handle.skip(3, "not the one").await.unwrap_err();
        assert!(matches!(wrong, ControlError::NotParked { .. }), "{wrong}");
        // The bug is fixed.
        books.kept().unlucky = None;
        // It is tried again now and then, and may have been.
        let retried = handle.retry(2).await;
        assert!(matches!(retried, Ok(()) | Err(ControlError::NotParked { .. })), "{retried:?}");
        books.have(3).await;
        assert_eq!(books.positions(), [1, 2, 3]);
        let live = health(&runtime, |books| books.status == Status::Live && books.lag_events == 0).await;
        assert_eq!(live.last_error, None);
    }

    async fn a_held_event_can_be_given_up(store: _, _clock: _) {
        let runtime = runtime(&store).await;
        let account = account_with(&runtime, 13).await;
        runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
        let books = Books::refusing(13);
        keep(&runtime, &books, 1, false).await;
        health(&runtime, |books| books.status == Status::Held).await;
        let handle = runtime.subscription("books").expect("it runs here");
        handle.skip(2, "booked by hand").await.unwrap();
        books.have(2).await;
        assert_eq!(books.positions(), [1, 3]);
        assert!(runtime.subscription("nobody").is_none());
    }

    async fn an_event_is_parked_if_that_is_said_and_handled_later(store: _, _clock: _) {
        let runtime = runtime(&store).await;
        let account = account_with(&runtime, 13).await;
        runtime.execute(account, Deposit { amount: 13 }).await.unwrap();
        runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
        let books = Books::refusing(13);
        books.kept().panics = true;
        let handle = keep(&runtime, &books, 2, true).await;
        let parked = health(&runtime, |books| books.parked == 2 && books.lag_events == 0).await;
        assert_eq!(parked.position, 4);
        books.have(2).await;
        assert_eq!(books.positions(), [1, 4]);
        let parked = handle.parked().await.unwrap();
        assert_eq!(parked.iter().map(|parked| (parked.position.0, parked.attempts)).collect::<Vec<_>>(), [(2, 2), (3, 2)]);
        assert!(parked[0].error.contains("the handler panicked: bad luck"), "{parked:?}");

        handle.retry(2).await.unwrap_err();
        assert_eq!(handle.parked().await.unwrap()[0].attempts, 3);
        books.kept().unlucky = None;
        handle.retry(2).await.unwrap();
        handle.skip(3, "a duplicate").await.unwrap();
        assert_eq!(handle.parked().await.unwrap(), []);
        assert_eq!(books.positions(), [1, 4, 2]);
        let again = handle.retry(2).await.unwrap_err();
        assert!(matches!(again, ControlError::NotParked { .. }), "{again}");
    }

    async fn an_order_that_panics_is_answered_and_the_handler_goes_on(store: _, _clock: _) {
        let faulty = Faulty::new(store);
        let runtime = Runtime::builder(faulty.clone()).start().await.unwrap();
        let account = account_with(&runtime, 13).await;
        let books = Books::refusing(13);
        let handle = keep(&runtime, &books, 1, true).await;
        health(&runtime, |books| books.parked == 1 && books.position == 2).await;
        faulty.plan([Fault::PanicBeforeCommit]);
        let error = handle.skip(2, "a duplicate").await.unwrap_err();
        assert!(error.to_string().contains("panicked: the test wants it so"), "{error}");
        runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
        books.have(2).await;
        handle.skip(2, "a duplicate").await.unwrap();
        assert_eq!(handle.parked().await.unwrap(), []);
    }

    async fn one_process_handles_and_another_takes_over(store: _, _clock: _) {
        let store: Store = store;
        let (here, there) = (runtime(&store).await, runtime(&store).await);
        let account = account_with(&here, 5).await;
        let (first, second) = (Books::default(), Books::default());
        keep(&here, &first, 5, false).await;
        first.have(2).await;
        health(&here, |books| books.position == 2).await;
        let handle = keep(&there, &second, 5, false).await;
        let elsewhere = handle.retry(1).await.unwrap_err();
        assert!(matches!(elsewhere, ControlError::Elsewhere { .. }), "{elsewhere}");
        drop(here);
        there.execute(account, Deposit { amount: 1 }).await.unwrap();
        second.have(1).await;
        assert_eq!((first.positions(), second.positions()), (vec![1, 2], vec![3]));
    }

    /// Between the log, the handler and the cursor: every event is handled, in order, and by their ids each counts once.
    async fn each_event_is_handled_whatever_fails(store: _, _clock: _) {
        let store: Store = store;
        let faulty = Faulty::new(Arc::clone(&store));
        let runtime = Runtime::builder(faulty.clone()).start().await.unwrap();
        let account = account_with(&runtime, 1_000).await;
        let books = Books::default();
        keep(&runtime, &books, 5, false).await;
        for fault in Fault::ALL.into_iter().filter(|fault| *fault != Fault::Rows) {
            // Behind a refused commit it is asked where the cursor stands.
            faulty.plan([Fault::CommitRefused, fault]);
            while !faulty.planned().is_empty() {
                for _ in 0..4 {
                    runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
                }
                // Asked of the store behind, so that it is the subscription that meets the faults.
                let head = store.head().await.unwrap();
                books.have(usize::try_from(head.0).unwrap()).await;
                assert_eq!(books.positions(), (1..=head.0).collect::<Vec<_>>(), "after {fault:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn shutting_down_ends_the_handler_that_is_running(store: _, _clock: _) {
        let runtime = runtime(&store).await;
        account_with(&runtime, 5).await;
        let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let ended = Arc::new(Mutex::new(0));
        let handler = {
            let ended = Arc::clone(&ended);
            move |_: Posting| {
                let (began, ended) = (began.clone(), Arc::clone(&ended));
                async move {
                    began.send(()).unwrap();
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    *ended.lock().unwrap() += 1;
                    Ok::<(), std::io::Error>(())
                }
            }
        };
        let slow = runtime.subscribe("slow").aggregate::<Account>().from_start().handle(handler);
        slow.start().await.unwrap();
        begun.recv().await.unwrap();
        runtime.shutdown().within(Duration::from_secs(60)).await.unwrap();
        assert_eq!(*ended.lock().unwrap(), 1, "the one that ran, and no other");
        assert!(begun.recv().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_slept_goes_on_once_it_knows_that_it_has_the_lease() {
    let faulty = Faulty::new(Arc::new(MemoryStore::new().with_clock(stores::clock())));
    let runtime = Runtime::builder(faulty.clone()).start().await.unwrap();
    account_with(&runtime, 5).await;
    let (books, sleeper) = (Books::default(), faulty.clone());
    let taken = books.clone();
    let take = move |posting: Posting| {
        let (books, sleeper) = (taken.clone(), sleeper.clone());
        async move {
            if posting.position == 1 {
                sleeper.freeze(true);
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            books.take(&posting)
        }
    };
    let subscribe = runtime.subscribe("books").aggregate::<Account>().from_start();
    subscribe.handle(take).start().await.unwrap();
    books.have(1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(books.positions(), [1], "the next one may be another's");
    faulty.freeze(false);
    books.have(2).await;
}
