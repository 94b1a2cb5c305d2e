//! Handlers that take several streams at once, batches, and events that are parked in sequence, on every store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::subscription::{Stopped, SubscriptionHandle, SubscriptionHealth};
use es_runtime::{ControlError, Position, Recorded};
use es_tests::balances::Store;
use es_tests::bank::{Account, Deposited, Opened};
use es_tests::faults::{Fault, Faulty};
use es_tests::parking::{Model, amount, broken};
use es_tests::random::{config, run};
use es_tests::stores;
use es_tests::waits::{at_the_head, wait_until};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::sync::{Barrier, Semaphore};

type Posting = Recorded<Deposited>;

/// The calls of a handler, by stream, in order: positions and amounts.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Pages>>);

type Pages = BTreeMap<String, Vec<(u64, i64)>>;

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, posting: &Posting) -> Result<(), std::io::Error> {
        let amount = posting.event.amount;
        if broken().contains(&amount) {
            return Err(std::io::Error::other("it is broken"));
        }
        let line = (posting.position.0, amount);
        self.pages()
            .entry(posting.stream.id().to_owned())
            .or_default()
            .push(line);
        Ok(())
    }

    /// Each amount of the account, where it was taken first.
    fn amounts(&self, account: impl ToString) -> Vec<i64> {
        let mut seen = BTreeSet::new();
        let pages = self.pages();
        let all = pages.get(&account.to_string()).into_iter().flatten();
        all.filter(|line| seen.insert(**line))
            .map(|(_, amount)| *amount)
            .collect()
    }

    fn count(&self) -> usize {
        self.pages().values().map(Vec::len).sum()
    }

    /// A handler that writes into it.
    fn handler(&self) -> impl Fn(Posting) -> std::future::Ready<Result<(), std::io::Error>> + use<> {
        let book = self.clone();
        move |posting| std::future::ready(book.take(&posting))
    }
}

async fn start(store: &Store) -> Runtime {
    Runtime::builder(Arc::clone(store)).start().await.unwrap()
}

async fn open(runtime: &Runtime) -> Id<Account> {
    let account = Id::new();
    runtime
        .append(account, [Opened { owner: "Alice".into() }])
        .await
        .unwrap();
    account
}

async fn deposit(runtime: &Runtime, account: Id<Account>, amount: i64) -> Position {
    runtime.append(account, [Deposited { amount }]).await.unwrap().position
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

async fn parked(handle: &SubscriptionHandle) -> Vec<(u64, u32)> {
    let parked = handle.parked().await.unwrap();
    parked
        .iter()
        .map(|parked| (parked.position.0, parked.attempts))
        .collect()
}

es_tests::on_every_store_and_postgres! {
    /// Each call waits until as many others wait: so many are made at once, and no two for one stream.
    async fn streams_are_handled_at_once_and_each_in_order(store: _, _clock: _) {
        let runtime = start(&store).await;
        let mut accounts = Vec::new();
        for _ in 0..4 {
            accounts.push(open(&runtime).await);
        }
        let mut amounts = BTreeMap::<_, Vec<_>>::new();
        for round in 0..10 {
            for account in &accounts {
                amounts.entry(account.to_string()).or_default().push(round);
                deposit(&runtime, *account, round).await;
            }
        }
        let (book, barrier) = (Book::default(), Arc::new(Barrier::new(4)));
        let busy = Arc::new(Mutex::new(BTreeSet::new()));
        let (taken, meet) = (book.clone(), Arc::clone(&barrier));
        let handler = move |posting: Posting| {
            let (book, barrier, busy) = (taken.clone(), Arc::clone(&meet), Arc::clone(&busy));
            async move {
                let stream = posting.stream.to_string();
                assert!(busy.lock().unwrap().insert(stream.clone()), "two of one stream");
                barrier.wait().await;
                busy.lock().unwrap().remove(&stream);
                book.take(&posting)
            }
        };
        let subscribe = runtime.subscribe("book").event::<Deposited>().from_start();
        subscribe.handle(handler).at_once(4).start().await.unwrap();
        at_the_head(&runtime, 1).await;
        for (account, amounts) in amounts {
            assert_eq!(book.amounts(account), amounts);
        }
        assert_eq!(book.count(), 40, "each once");
    }

    async fn a_failing_event_stops_its_own_stream_and_the_window_bounds_the_others(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (open(&runtime).await, open(&runtime).await);
        let bad = amount(true);
        let first = deposit(&runtime, alice, bad).await;
        deposit(&runtime, alice, 0).await;
        for number in 0..20 {
            deposit(&runtime, bob, number).await;
        }
        let book = Book::default();
        let subscribe = runtime.subscribe("book").event::<Deposited>().from_start().buffer(10, 1 << 20);
        subscribe.handle(book.handler()).at_once(4).attempts(u32::MAX).start().await.unwrap();
        // Ten events from the first that is not done on: two of Alice, eight of Bob.
        wait_until(|| book.count() == 8).await;
        let behind = health(&runtime, |book| book.position.0 == first.0 - 1).await;
        assert_eq!(behind.status, Status::Retrying);
        assert_eq!((book.amounts(alice), book.amounts(bob)), (vec![], (0..8).collect()));
        broken().remove(&bad);
        at_the_head(&runtime, 1).await;
        assert_eq!((book.amounts(alice), book.amounts(bob)), (vec![bad, 0], (0..20).collect()));
        assert_eq!(book.count(), 22, "each once");
    }

    async fn events_are_told_apart_by_what_the_user_says(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = open(&runtime).await;
        let bad = amount(true);
        let first = deposit(&runtime, account, bad).await;
        let second = deposit(&runtime, account, bad + 1_000_000_000).await;
        let third = deposit(&runtime, account, bad).await;
        let book = Book::default();
        let subscribe = runtime.subscribe("book").event::<Deposited>().from_start();
        let handling = subscribe.handle(book.handler()).at_once(2).attempts(1).park();
        let handle = handling.by(|posting: &Posting| posting.event.amount).start().await.unwrap();
        at_the_head(&runtime, 1).await;
        assert_eq!(parked(&handle).await, [(first.0, 1), (third.0, 0)]);
        let pages = book.pages().clone();
        assert_eq!(pages[&account.to_string()], [(second.0, bad + 1_000_000_000)]);
        broken().remove(&bad);
        handle.retry(first).await.unwrap();
        assert_eq!(parked(&handle).await, []);
    }

    async fn behind_a_parked_event_its_stream_waits_and_a_retry_handles_all_in_order(store: _, _clock: _) {
        let store: Store = store;
        let runtime = start(&store).await;
        let (alice, bob) = (open(&runtime).await, open(&runtime).await);
        let (bad, worse) = (amount(true), amount(true));
        let first = deposit(&runtime, alice, bad).await;
        let second = deposit(&runtime, alice, 1).await;
        deposit(&runtime, bob, 2).await;
        let third = deposit(&runtime, alice, worse).await;
        let book = Book::default();
        let subscribe = runtime.subscribe("book").event::<Deposited>().from_start();
        let handle = subscribe.handle(book.handler()).at_once(8).attempts(2).park().start().await.unwrap();
        at_the_head(&runtime, 1).await;
        assert_eq!(parked(&handle).await, [(first.0, 2), (second.0, 0), (third.0, 0)]);
        let behind = &handle.parked().await.unwrap()[1];
        assert!(behind.error.contains(&format!("behind position {first}")), "{behind:?}");
        assert_eq!((book.amounts(alice), book.amounts(bob)), (vec![], vec![2]));
        let refused = handle.retry(second).await.unwrap_err();
        assert!(matches!(refused, ControlError::Behind { first: ahead, .. } if ahead == first), "{refused}");
        drop(runtime);

        // Another process knows of it.
        let runtime = start(&store).await;
        let subscribe = runtime.subscribe("book").event::<Deposited>();
        let handle = subscribe.handle(book.handler()).at_once(8).attempts(2).park().start().await.unwrap();
        let fourth = deposit(&runtime, alice, 3).await;
        at_the_head(&runtime, 1).await;
        assert_eq!(parked(&handle).await, [(first.0, 2), (second.0, 0), (third.0, 0), (fourth.0, 0)]);
        broken().remove(&bad);
        handle.retry(first).await.unwrap();
        assert_eq!(parked(&handle).await, [(third.0, 1), (fourth.0, 0)], "it ends at the next that fails");
        assert_eq!(book.amounts(alice), [bad, 1]);
        handle.skip(third, "booked by hand").await.unwrap();
        assert_eq!(parked(&handle).await, [(fourth.0, 0)], "the next one comes first");
        handle.retry(fourth).await.unwrap();
        assert_eq!(book.amounts(alice), [bad, 1, 3]);
    }

    async fn while_it_holds_nothing_is_handled_again_and_again(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (open(&runtime).await, open(&runtime).await);
        let bad = amount(true);
        let first = deposit(&runtime, alice, bad).await;
        for number in 0..5 {
            deposit(&runtime, bob, number).await;
        }
        let book = Book::default();
        let subscribe = runtime.subscribe("book").event::<Deposited>().from_start();
        let handle = subscribe.handle(book.handler()).at_once(4).attempts(2).start().await.unwrap();
        health(&runtime, |book| book.status == Status::Held).await;
        assert_eq!(book.amounts(bob), (0..5).collect::<Vec<_>>(), "they were begun before it had failed so often");
        for _ in 0..3 {
            handle.retry(first).await.unwrap_err();
        }
        assert_eq!(book.count(), 5);
        broken().remove(&bad);
        let retried = handle.retry(first).await;
        assert!(matches!(retried, Ok(()) | Err(ControlError::NotParked { .. })), "{retried:?}");
        at_the_head(&runtime, 1).await;
        assert_eq!((book.amounts(alice), book.amounts(bob)), (vec![bad], (0..5).collect()));
        assert!(book.count() <= 11, "at most the window comes again");
    }

    async fn behind_ten_thousand_parked_events_a_handler_holds(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (account, bad) = (open(&runtime).await, amount(true));
        let first = deposit(&runtime, account, bad).await;
        for _ in 0..20 {
            runtime.append(account, vec![Deposited { amount: 1 }; 500]).await.unwrap();
        }
        let book = Book::default();
        let subscribe = runtime.subscribe("book").event::<Deposited>().from_start();
        let handle = subscribe.handle(book.handler()).at_once(4).attempts(1).park().start().await.unwrap();
        let last = first.0 + 10_000;
        let held = health(&runtime, |book| book.status == Status::Held && book.position.0 == last - 1).await;
        assert_eq!(held.parked, 10_000);
        let failure = held.last_error.expect("it says why");
        assert!(failure.error.contains("10000 events are parked"), "{failure:?}");
        handle.skip(first, "not wanted").await.unwrap();
        health(&runtime, |book| book.parked == 10_000 && book.lag_events == 0).await;
    }

    async fn shutting_down_ends_every_call_that_was_begun(store: _, _clock: _) {
        let runtime = start(&store).await;
        for number in 0..6 {
            let account = open(&runtime).await;
            deposit(&runtime, account, number).await;
        }
        let (began, ended) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let go = Arc::new(Semaphore::new(0));
        let (begin, end, wait) = (Arc::clone(&began), Arc::clone(&ended), Arc::clone(&go));
        let handler = move |_: Posting| {
            let (began, ended, go) = (Arc::clone(&begin), Arc::clone(&end), Arc::clone(&wait));
            async move {
                began.add_permits(1);
                go.acquire().await?.forget();
                ended.add_permits(1);
                Ok::<_, tokio::sync::AcquireError>(())
            }
        };
        let subscribe = runtime.subscribe("book").event::<Deposited>().from_start();
        subscribe.handle(handler).at_once(4).start().await.unwrap();
        wait_until(|| began.available_permits() == 4).await;
        let down = tokio::spawn(async move { runtime.shutdown().within(Duration::from_secs(60)).await });
        go.add_permits(6);
        down.await.unwrap().unwrap();
        assert_eq!(ended.available_permits(), began.available_permits(), "what was begun ended");
    }

    async fn a_batch_is_done_up_to_where_it_stopped(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = open(&runtime).await;
        let bad = amount(true);
        let amounts: Vec<i64> = (0..5).chain([bad]).chain(6..2_000).collect();
        for some in amounts.chunks(500) {
            let deposits = some.iter().map(|amount| Deposited { amount: *amount });
            runtime.append(account, deposits.collect::<Vec<_>>()).await.unwrap();
        }
        let (book, sizes) = (Book::default(), Arc::new(Mutex::new(Vec::new())));
        let (taken, seen) = (book.clone(), Arc::clone(&sizes));
        let index = move |batch: Vec<Posting>| {
            seen.lock().unwrap().push(batch.len());
            let mut done = 0;
            let taken = batch.iter().try_for_each(|posting| taken.take(posting).inspect(|()| done += 1));
            async move { taken.map_err(|error| Stopped { done, error: error.into() }) }
        };
        let subscribe = runtime.subscribe("book").event::<Deposited>().from_start();
        let handle = subscribe.handle_many(index).attempts(2).park_alone().start().await.unwrap();
        at_the_head(&runtime, 1).await;
        let behind: Vec<i64> = amounts.into_iter().filter(|amount| *amount != bad).collect();
        assert_eq!(book.amounts(account), behind);
        assert_eq!(book.count(), behind.len(), "each once");
        assert_eq!(parked(&handle).await.iter().map(|(_, attempts)| *attempts).collect::<Vec<_>>(), [2]);
        let sizes = sizes.lock().unwrap().clone();
        assert!(sizes.iter().all(|size| *size <= 1_000) && sizes.len() < 200, "{sizes:?}");
    }

    async fn a_batch_that_panics_is_divided_until_one_event_is_to_blame(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = open(&runtime).await;
        let bad = amount(true);
        let deposits = (0..50).chain([bad]).chain(51..100).map(|amount| Deposited { amount });
        runtime.append(account, deposits.collect::<Vec<_>>()).await.unwrap();
        let book = Book::default();
        let taken = book.clone();
        let index = move |batch: Vec<Posting>| {
            if batch.iter().any(|posting| taken.take(posting).is_err()) {
                // Without the hook: with debug information the trace that it prints takes seconds.
                std::panic::resume_unwind(Box::new("bad luck"));
            }
            std::future::ready(Ok(()))
        };
        let subscribe = runtime.subscribe("book").event::<Deposited>().from_start();
        let handle = subscribe.handle_many(index).attempts(1).park_alone().start().await.unwrap();
        at_the_head(&runtime, 1).await;
        assert_eq!(book.amounts(account), (0..50).chain(51..100).collect::<Vec<_>>());
        let parked = handle.parked().await.unwrap();
        assert_eq!(parked.len(), 1);
        assert!(parked[0].error.contains("the handler panicked: bad luck"), "{parked:?}");
    }
}

/// One step of a history. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Open,
    Deposit(usize, bool),
    /// The amount can be taken from now on.
    Mend(usize),
    Retry(usize),
    Skip(usize),
    Fault(Fault),
    /// Another runtime starts, and the one before ends.
    TakeOver,
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let any = 0..100_usize;
    let is_broken = prop::bool::weighted(0.2);
    let step = prop_oneof![
        3 => Just(Step::Open),
        12 => (any.clone(), is_broken).prop_map(|(account, is_broken)| Step::Deposit(account, is_broken)),
        2 => any.clone().prop_map(Step::Mend),
        2 => any.clone().prop_map(Step::Retry),
        1 => any.prop_map(Step::Skip),
        2 => select(Fault::ALL.into_iter().filter(|fault| *fault != Fault::Rows).collect::<Vec<_>>()).prop_map(Step::Fault),
        1 => Just(Step::TakeOver),
    ];
    vec(step, 1..50)
}

async fn keep(store: &Faulty, book: &Book, at_once: u16) -> (Runtime, SubscriptionHandle) {
    for _ in 0..100 {
        let Ok(runtime) = Runtime::builder(store.clone()).start().await else {
            continue;
        };
        let subscribe = runtime.subscribe("book").event::<Deposited>().from_start();
        let handling = subscribe.handle(book.handler()).at_once(at_once).attempts(1).park();
        if let Ok(handle) = handling.start().await {
            return (runtime, handle);
        }
    }
    panic!("it never starts");
}

/// Checks that the handler was given, and has parked, what the model says.
async fn agrees(store: &Store, faulty: &Faulty, handle: &SubscriptionHandle, book: &Book, model: &Model) {
    let head = store.head().await.unwrap();
    let lease = "subscription/book";
    for _ in 0..12_000 {
        let at = store.checkpoint(lease).await.unwrap();
        if at.is_some_and(|at| at.position == head) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    faulty.forgive();
    let parked = parked(handle).await;
    assert!(
        parked.iter().map(|(position, _)| position).eq(model.parked.keys()),
        "{parked:?} {:?}",
        model.parked
    );
    for (account, amounts) in &model.rows {
        assert_eq!(&book.amounts(account), amounts);
    }
}

async fn comes_out_right(store: Store, at_once: u16, history: Vec<Step>) {
    let faulty = Faulty::new(Arc::clone(&store));
    let bank = start(&store).await;
    let book = Book::default();
    let (mut _keeping, mut handle) = keep(&faulty, &book, at_once).await;
    let (mut model, mut accounts) = (Model::default(), Vec::new());
    for step in history {
        if accounts.is_empty() || matches!(step, Step::Open) {
            let account = open(&bank).await;
            model.rows.insert(account.to_string(), Vec::new());
            accounts.push(account);
        }
        match step {
            Step::Open => {}
            Step::Deposit(to, is_broken) => {
                let (to, amount) = (accounts[to % accounts.len()], amount(is_broken));
                let position = deposit(&bank, to, amount).await;
                model.happened(position.0, [to], amount);
            }
            Step::Fault(fault) => faulty.plan([fault]),
            Step::TakeOver => (_keeping, handle) = keep(&faulty, &book, at_once).await,
            Step::Mend(_) | Step::Retry(_) | Step::Skip(_) if model.parked.is_empty() => {}
            Step::Mend(number) => {
                agrees(&store, &faulty, &handle, &book, &model).await;
                let (_, amount) = model.parked.values().nth(number % model.parked.len()).unwrap();
                broken().remove(amount);
            }
            Step::Retry(number) | Step::Skip(number) => {
                agrees(&store, &faulty, &handle, &book, &model).await;
                let position = *model.parked.keys().nth(number % model.parked.len()).unwrap();
                let is_retry = matches!(step, Step::Retry(_));
                let answer = loop {
                    let answer = if is_retry {
                        handle.retry(position).await
                    } else {
                        handle.skip(position, "not wanted").await
                    };
                    // The runtime before ends in its own time.
                    if !matches!(answer, Err(ControlError::Elsewhere { .. })) {
                        break answer;
                    }
                };
                if is_retry {
                    assert_eq!(answer.is_ok(), model.retry(position), "{answer:?}");
                } else {
                    answer.unwrap();
                    model.parked.remove(&position);
                }
                agrees(&store, &faulty, &handle, &book, &model).await;
            }
        }
    }
    agrees(&store, &faulty, &handle, &book, &model).await;
}

proptest! {
    #![proptest_config(config(24, 500))]

    #[test]
    fn on_memory(history in history(), at_once in 1..5_u16) {
        run(comes_out_right(Arc::new(MemoryStore::new()), at_once, history));
    }
}

proptest! {
    #![proptest_config(config(6, 200))]

    #[test]
    fn on_sqlite(history in history(), at_once in 1..5_u16) {
        let folder = es_tests::tempdir().unwrap();
        run(async {
            let store = es_tests::SqliteStore::open(folder.path().join("test.db")).await.unwrap();
            comes_out_right(Arc::new(store), at_once, history).await;
        });
    }

    #[test]
    fn on_postgres(history in history(), at_once in 1..5_u16) {
        run(async { comes_out_right(Arc::new(stores::postgres().await), at_once, history).await });
    }
}
