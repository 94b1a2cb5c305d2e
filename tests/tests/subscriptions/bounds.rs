//! What projections and subscriptions read, hold and leave behind, on every store: counted, never timed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::store::AppendSignalSource;
use es_runtime::store::EventFilter;
use es_runtime::subscription::{Deliveries, Delivery};
use es_runtime::{Position, Recorded, RecordedEvent};
use es_tests::balances::{Balance, Store, dump, folded};
use es_tests::bank::{Account, AccountEvent, Deposit, Deposited, Opened, account_with};
use es_tests::faults::Faulty;
use es_tests::scaled;
use es_tests::waits::{LONG, wait_until};
use tokio::sync::Semaphore;
use tokio::time::timeout;

type Postings = Deliveries<Recorded<AccountEvent>>;

async fn runtime(store: &Faulty) -> Runtime {
    Runtime::builder(store.clone()).start().await.unwrap()
}

/// The next delivery, which comes.
async fn next<T>(deliveries: &mut Deliveries<T>) -> Delivery<T> {
    let next = timeout(LONG, deliveries.next()).await.expect("an event comes");
    next.unwrap().expect("it goes on")
}

/// Takes so many events in the order of the log, and no other.
async fn take(postings: &mut Postings, positions: impl IntoIterator<Item = u64>) {
    for position in positions {
        assert_eq!(next(postings).await.ack_soon().position, position);
    }
}

async fn subscribe(runtime: &Runtime, name: &str) -> Postings {
    let subscribe = runtime.subscribe(name).aggregate::<Account>().from_start();
    subscribe.start().await.unwrap()
}

/// The positions that a handler was called with.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<u64>>>);

impl Calls {
    fn seen(&self) -> Vec<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has a handler note what it is called with, once it gets a permit. Ten events are read ahead for it.
    async fn of(runtime: &Runtime, name: &str, permits: &Arc<Semaphore>) -> Self {
        let calls = Self::default();
        let (noted, permits) = (calls.clone(), Arc::clone(permits));
        let handle = move |posting: Recorded<AccountEvent>| {
            let (noted, permits) = (noted.clone(), Arc::clone(&permits));
            async move {
                permits.acquire().await.expect("nobody closes it").forget();
                let mut seen = noted.0.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push(posting.position.0);
                Ok::<_, es_runtime::Error>(())
            }
        };
        let subscribe = runtime
            .subscribe(name)
            .aggregate::<Account>()
            .from_start()
            .buffer(10, 1 << 20);
        drop(subscribe.handle(handle).start().await.unwrap());
        calls
    }
}

fn without_end() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))
}

/// Appends so many deposits to an account of its own, in few appends.
async fn deposit(runtime: &Runtime, events: u64) {
    let account = account_with(runtime, 1).await;
    let mut left = events;
    while left > 0 {
        let some = left.min(500);
        let deposits: Vec<_> = (0..some).map(|_| Deposited { amount: 1 }).collect();
        runtime.append(account, deposits).await.unwrap();
        left -= some;
    }
}

/// Appends so many events of a million bytes each.
async fn open_large(runtime: &Runtime, events: u64) {
    for _ in 0..events {
        let owner = "x".repeat(1_000_000 - r#"{"owner":""}"#.len());
        runtime.append(Id::<Account>::new(), [Opened { owner }]).await.unwrap();
    }
}

es_tests::on_every_store_and_postgres! {
    async fn each_name_gets_every_event_and_has_a_cursor_of_its_own(store: _, _clock: _) {
        let store = Faulty::new(store);
        let runtime = runtime(&store).await;
        deposit(&runtime, 48).await;
        let (mut first, mut second) = (subscribe(&runtime, "first").await, subscribe(&runtime, "second").await);
        take(&mut first, 1..=50).await;
        take(&mut second, 1..=20).await;
        drop((first, second));
        drop(runtime);

        let runtime = self::runtime(&store).await;
        account_with(&runtime, 1).await;
        take(&mut subscribe(&runtime, "first").await, 51..=52).await;
        take(&mut subscribe(&runtime, "second").await, 21..=52).await;
        take(&mut subscribe(&runtime, "third").await, 1..=52).await;
    }

    async fn no_more_deliveries_are_unacknowledged_than_is_said(store: _, _clock: _) {
        let store = Faulty::new(store);
        let runtime = runtime(&store).await;
        deposit(&runtime, 60).await;
        let subscribe = runtime.subscribe("few").aggregate::<Account>().from_start().unacknowledged(7);
        let mut deliveries = subscribe.start().await.unwrap();
        let mut in_hand = std::collections::VecDeque::new();
        for _ in 0..7 {
            in_hand.push_back(next(&mut deliveries).await);
        }
        for position in 8..=62 {
            // Nothing comes, however long it takes, as long as all are in hand.
            tokio::task::yield_now().await;
            assert!(timeout(Duration::from_millis(2), deliveries.next()).await.is_err(), "{} in hand", in_hand.len());
            let (first, second) = (in_hand.pop_front().unwrap(), in_hand.pop_front().unwrap());
            // Also behind one that is not acknowledged.
            if position % 2 == 0 {
                second.ack_soon();
                in_hand.push_front(first);
            } else {
                first.ack_soon();
                in_hand.push_front(second);
            }
            let another = next(&mut deliveries).await;
            assert_eq!(another.position, position);
            in_hand.push_back(another);
        }
        // One that is dropped comes again, and those behind it.
        let last = in_hand.pop_back().unwrap();
        let position = last.position;
        drop(last);
        assert_eq!(next(&mut deliveries).await.ack_soon().position, in_hand[0].position.min(position));
    }

    /// A hint without an event has the head read, and nothing else.
    async fn hints_without_events_repeat_nothing(store: _, _clock: _) {
        let (behind, hints): (Store, _) = (store, AppendSignalSource::new());
        let store = Faulty::new(Arc::clone(&behind));
        store.hints_from(hints.clone());
        let runtime = Runtime::builder(store.clone()).projection::<Balance>().start().await.unwrap();
        let mut postings = subscribe(&runtime, "hinted").await;
        let calls = Calls::of(&runtime, "called", &without_end()).await;
        let account = account_with(&runtime, 5).await;
        let balance = runtime.projection::<Balance>();
        take(&mut postings, 1..=2).await;
        wait_until(|| calls.seen() == [1, 2]).await;
        balance.wait_for(Position(2), LONG).await.unwrap();
        let before = store.reads();

        for hint in 3..10_003 {
            hints.wake(Position(hint));
            tokio::task::yield_now().await;
        }
        assert_eq!(store.reads().events, before.events, "nothing is read twice");

        let receipt = runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
        hints.wake(Position(10_003));
        take(&mut postings, [3]).await;
        wait_until(|| calls.seen() == [1, 2, 3]).await;
        balance.wait_for(receipt.position, LONG).await.unwrap();
        // By each of the three readers.
        assert_eq!(store.reads().events, before.events + 3);
        assert_eq!(dump(&behind).await, folded(&behind).await);
    }

    /// While nothing of its own comes a reader moves its cursor, and who begins there again reads nothing before it.
    async fn what_a_filter_leaves_out_is_not_looked_through_again(store: _, _clock: _) {
        let behind: Store = store;
        let length = scaled(2_000, 1_000_000);
        let begin = async || {
            let store = Faulty::new(Arc::clone(&behind));
            let runtime = Runtime::builder(store.clone()).start().await.unwrap();
            let nobodys = || runtime.subscribe("nobody's").only(EventFilter::category("nobody's")).from_start();
            let deliveries: Deliveries<RecordedEvent> = nobodys().start().await.unwrap();
            (store, runtime, deliveries)
        };
        let reached = async |head: Position| {
            for _ in 0..12_000 {
                let cursor = behind.checkpoint("subscription/nobody's").await.unwrap();
                if cursor.is_some_and(|cursor| cursor.position >= head) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("the cursor never comes to {head}");
        };
        let released = async || {
            for _ in 0..12_000 {
                let lease = behind.lease("subscription/nobody's").await.unwrap();
                if lease.is_none_or(|lease| lease.owner.is_none()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("the lease is never given back");
        };
        let (_, first, deliveries) = begin().await;
        deposit(&first, length).await;
        let head = behind.head().await.unwrap();
        reached(head).await;
        drop((deliveries, first));
        released().await;

        let (store, second, _deliveries) = begin().await;
        deposit(&second, 1).await;
        reached(behind.head().await.unwrap()).await;
        let reads = store.reads();
        assert_eq!(reads.events, 0);
        assert!(reads.from > Some(head), "{reads:?}");
    }

    async fn a_slow_subscriber_bounds_how_many_events_are_read_ahead(store: _, _clock: _) {
        let store = Faulty::new(store);
        let runtime = runtime(&store).await;
        let length = scaled(1_000, 100_000);
        deposit(&runtime, length - 2).await;

        let before = store.reads().events;
        let ahead = |taken: u64| store.reads().events - before - taken;
        let slow = runtime.subscribe("slow").aggregate::<Account>().from_start().buffer(10, 1 << 20);
        let mut slow = slow.start().await.unwrap();
        for taken in 0..length {
            // Ten in the buffer, and one for which there is no room.
            let most = (length - taken).min(11);
            if taken < 5 || taken + 5 > length {
                wait_until(|| ahead(taken) == most).await;
            }
            assert!(ahead(taken) <= 11, "{} are read ahead of {taken}", ahead(taken));
            take(&mut slow, [taken + 1]).await;
        }
        drop(slow);
    }

    async fn a_slow_handler_bounds_how_many_events_are_read_ahead(store: _, _clock: _) {
        let store = Faulty::new(store);
        let runtime = runtime(&store).await;
        let length = scaled(300, 100_000);
        deposit(&runtime, length - 2).await;
        let (before, permits) = (store.reads().events, Arc::new(Semaphore::new(0)));
        let calls = Calls::of(&runtime, "slow", &permits).await;
        let ahead = |handled: u64| store.reads().events - before - handled;
        for handled in 0..length {
            // Those in the buffer, the one in hand among them, and one for which there is no room.
            let most = (length - handled).min(11);
            if handled < 5 || handled + 5 > length {
                wait_until(|| ahead(handled) == most).await;
            }
            assert_eq!(calls.seen().len() as u64, handled);
            assert!(ahead(handled) <= 11, "{} are read ahead of {handled}", ahead(handled));
            permits.add_permits(1);
            wait_until(|| calls.seen().len() as u64 == handled + 1).await;
        }
        wait_until(|| calls.seen().len() as u64 == length).await;
        assert!(calls.seen().into_iter().eq(1..=length));
    }

    /// Without saying anything: 4 MiB, in which there is room for four events of a million bytes.
    async fn large_events_count_in_bytes(store: _, _clock: _) {
        let store = Faulty::new(store);
        let runtime = runtime(&store).await;
        open_large(&runtime, 12).await;
        for (name, bytes, room) in [("as a rule", None, 4), ("two", Some(2 << 20), 2), ("one", Some(1_000), 1)] {
            let before = store.reads();
            let large = runtime.subscribe(name).aggregate::<Account>().from_start();
            let large = match bytes {
                Some(bytes) => large.buffer(1_000, bytes),
                None => large,
            };
            let mut large = large.start().await.unwrap();
            for taken in 0..12 {
                // What has room, and one that has none.
                let most = (12 - taken).min(room + 1);
                wait_until(|| store.reads().events - before.events == taken + most).await;
                take(&mut large, [taken + 1]).await;
            }
            assert_eq!(store.reads().bytes - before.bytes, 12 * 1_000_000);
        }
    }

    /// A batch ends behind the event with which it comes to 4 MiB; one is written, one waits, one is read.
    async fn a_slow_projection_bounds_how_many_bytes_are_read_ahead(store: _, _clock: _) {
        const BATCH: u64 = 5;
        let behind: Store = store;
        let store = Faulty::new(Arc::clone(&behind));
        open_large(&runtime(&store).await, 60).await;
        store.slow_down(Duration::from_millis(30));
        let runtime = Runtime::builder(store.clone()).projection::<Balance>().start().await.unwrap();
        if let Err(error) = runtime.projection::<Balance>().wait_for(Position(60), LONG).await {
            panic!("{error}: {:?}", runtime.health().await);
        }
        let reads = store.reads();
        assert!(reads.ahead <= 3 * BATCH, "{reads:?}");
        assert_eq!(dump(&behind).await.len(), 60);
    }

    /// They may be larger than the events: 64 events with 60 KB each are a batch.
    async fn metadata_counts_in_bytes(store: _, _clock: _) {
        let behind: Store = store;
        let store = Faulty::new(Arc::clone(&behind));
        {
            let runtime = runtime(&store).await;
            for _ in 0..500 {
                let opened = runtime.append(Id::<Account>::new(), [Opened { owner: String::new() }]);
                let about = (0..6).fold(opened, |opened, part| opened.metadata(format!("part {part}"), "x".repeat(10_000)));
                about.await.unwrap();
            }
        }
        store.slow_down(Duration::from_millis(30));
        let runtime = Runtime::builder(store.clone()).projection::<Balance>().start().await.unwrap();
        if let Err(error) = runtime.projection::<Balance>().wait_for(Position(500), LONG).await {
            panic!("{error}: {:?}", runtime.health().await);
        }
        let reads = store.reads();
        assert!(reads.ahead <= 3 * (4 << 20) / 60_000 + 3, "{reads:?}");
        assert_eq!(dump(&behind).await.len(), 500);

        let before = store.reads();
        let mut stream = runtime.subscribe("stream").aggregate::<Account>().from_start().start().await.unwrap();
        // As many as have room, and one that has none.
        wait_until(|| store.reads().events - before.events == (4 << 20) / 60_000 + 1).await;
        take(&mut stream, 1..=500).await;
    }

    /// While some stand still the others get all there is and all that comes. Those that go on then miss nothing.
    async fn one_slow_subscriber_does_not_delay_others(store: _, _clock: _) {
        const SLOW: usize = 8;
        let (behind, length) = (store, 500);
        let store = Faulty::new(Arc::clone(&behind));
        let runtime = Runtime::builder(store.clone()).projection::<Balance>().start().await.unwrap();
        deposit(&runtime, length - 2).await;
        let permits = Arc::new(Semaphore::new(0));
        let (mut handlers, mut streams) = (Vec::new(), Vec::new());
        for number in 0..SLOW {
            handlers.push(Calls::of(&runtime, &format!("slow handler {number}"), &permits).await);
            let slow = runtime.subscribe(format!("slow stream {number}")).aggregate::<Account>();
            streams.push(slow.from_start().buffer(1, 1).start().await.unwrap());
        }
        // Each stands in the middle of a page: two events for the streams, eleven for the handlers, and all of them for the rows.
        wait_until(|| store.reads().events >= length + 3 * SLOW as u64).await;

        let mut fast = subscribe(&runtime, "fast stream").await;
        let calls = Calls::of(&runtime, "fast handler", &without_end()).await;
        take(&mut fast, 1..=length).await;
        let account = account_with(&runtime, 1).await;
        for position in length + 3..=length + 50 {
            runtime.execute(account, Deposit { amount: 1 }).wait_for::<Balance>().await.unwrap();
            if position == length + 3 {
                take(&mut fast, [length + 1, length + 2]).await;
            }
            take(&mut fast, [position]).await;
        }
        wait_until(|| calls.seen().len() as u64 == length + 50).await;
        assert!(calls.seen().into_iter().eq(1..=length + 50));
        assert!(handlers.iter().all(|slow| slow.seen().is_empty()));

        permits.add_permits(Semaphore::MAX_PERMITS);
        for (slow, mut stream) in handlers.into_iter().zip(streams) {
            take(&mut stream, 1..=length + 50).await;
            wait_until(|| slow.seen().len() as u64 == length + 50).await;
            assert!(slow.seen().into_iter().eq(1..=length + 50));
        }
    }

    /// Its task, the connections that it used, and its lease.
    async fn a_subscription_that_is_dropped_leaves_nothing_behind(store: _, _clock: _) {
        let behind: Store = store;
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let store = Faulty::new(Arc::clone(&behind));
        let runtime = runtime(&store).await;
        deposit(&runtime, 200).await;
        let round = async || {
            let mut all = Vec::new();
            for number in 0..10 {
                let mut postings = subscribe(&runtime, &format!("passing {number}")).await;
                drop(next(&mut postings).await);
                all.push(postings);
            }
            assert!(tasks() >= 10);
        };
        let is_free = async || {
            for number in 0..10 {
                let lease = behind.lease(&format!("subscription/passing {number}")).await.unwrap();
                if lease.is_some_and(|lease| lease.owner.is_some()) {
                    return false;
                }
            }
            true
        };
        let settled = async |most: usize| {
            for _ in 0..12_000 {
                if tasks() <= most && is_free().await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("{} tasks are left, and not at most {most}", tasks());
        };
        // Fewer more than one round has: the store keeps some connections, and a task that listens for hints.
        let most = tasks() + 9;
        for _ in 0..3 {
            round().await;
            settled(most).await;
        }
        assert_eq!(runtime.health().await.unwrap().subscriptions, []);
    }
}

/// The clock stands still but for what is waited for: after a storm of hints the store is asked as seldom as without one.
#[tokio::test(start_paused = true)]
async fn hints_without_events_are_forgotten() {
    let hints = AppendSignalSource::new();
    let store = Faulty::new(Arc::new(MemoryStore::new()));
    store.hints_from(hints.clone());
    let runtime = Runtime::builder(store.clone())
        .projection::<Balance>()
        .start()
        .await
        .unwrap();
    let mut postings = subscribe(&runtime, "hinted").await;
    let _calls = Calls::of(&runtime, "called", &without_end()).await;
    account_with(&runtime, 5).await;
    take(&mut postings, 1..=2).await;
    for hint in 3..10_003 {
        hints.wake(Position(hint));
        tokio::task::yield_now().await;
    }
    let before = store.reads().asked;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = store.reads().asked - before;
    // By three readers, twice a second, and somewhat more often until they are quiet.
    assert!(asked <= 3 * (2 * 60 + 10), "{asked} times in a minute");
    assert_eq!(runtime.health().await.unwrap().projections[0].status, Status::Live);
}
