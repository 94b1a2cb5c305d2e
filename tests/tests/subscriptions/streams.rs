//! What subscriptions promise, on every store: each event at least once, in the order of its stream, none passed over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::store::{Append, EventFilter};
use es_runtime::subscription::{Acked, Deliveries, Delivery, SubscriptionError};
use es_runtime::{
    EventId, ExpectedVersion, Key as _, Metadata, NewEvent, Position, Recorded, RecordedEvent, StoreErrorKind,
};
use es_tests::balances::{Send, Store, Transfer};
use es_tests::bank::{Account, AccountEvent, Deposit, Deposited, Opened, Withdraw, account_with};
use es_tests::faults::{Fault, Faulty};
use es_tests::stores;
use futures_util::FutureExt as _;
use tokio::time::timeout;

/// Only so that a test ends in which nothing comes.
const LONG: Duration = Duration::from_secs(120);

type Postings = Deliveries<Recorded<AccountEvent>>;

async fn runtime(store: &Store) -> Runtime {
    Runtime::builder(Arc::clone(store)).start().await.unwrap()
}

async fn subscribe(runtime: &Runtime, name: &str) -> Postings {
    let subscribe = runtime.subscribe(name).aggregate::<Account>().from_start();
    subscribe.start().await.unwrap()
}

/// The next delivery, which comes.
async fn next<T>(deliveries: &mut Deliveries<T>) -> Delivery<T> {
    let next = timeout(LONG, deliveries.next()).await.expect("an event comes");
    next.unwrap().expect("it goes on")
}

/// The error that comes next.
async fn fails<T: std::fmt::Debug>(deliveries: &mut Deliveries<T>) -> SubscriptionError {
    timeout(LONG, deliveries.next())
        .await
        .expect("an error comes")
        .unwrap_err()
}

async fn stored(store: &Store, name: &str) -> Position {
    let checkpoint = store.checkpoint(&format!("subscription/{name}")).await.unwrap();
    checkpoint.map_or(Position::ZERO, |checkpoint| checkpoint.position)
}

/// Waits until what was acknowledged up to `position` is stored.
async fn reached(store: &Store, name: &str, position: Position) {
    for _ in 0..12_000 {
        if stored(store, name).await >= position {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("`{name}` stands at {}, not at {position}", stored(store, name).await);
}

/// Appends an event that no build of these tests knows.
async fn append_unknown(store: &Store, account: Id<Account>) -> Position {
    let event = NewEvent {
        id: EventId(uuid::Uuid::now_v7()),
        name: "frozen".into(),
        shape_version: 1,
        payload: "{}".into(),
        metadata: Metadata::EMPTY,
    };
    let append = Append::new(account.stream_id(), ExpectedVersion::Any, vec![event]);
    store.append(append).await.unwrap().head().unwrap()
}

/// What a subscriber has seen: it goes by the ids of the events, as one does who is to do each only once.
#[derive(Default)]
struct Seen {
    versions: BTreeMap<String, u64>,
    ids: std::collections::HashSet<EventId>,
    twice: usize,
}

impl Seen {
    /// Takes an event in. None of its stream may be missing before it.
    #[track_caller]
    fn take<E>(&mut self, event: &Recorded<E>) {
        if !self.ids.insert(event.id) {
            self.twice += 1;
            return;
        }
        let version = self.versions.entry(event.stream.to_string()).or_default();
        *version += 1;
        assert_eq!(event.version, *version, "of {}", event.stream);
    }
}

es_tests::on_every_store_and_postgres! {
    async fn what_was_acknowledged_does_not_come_again(store: _, _clock: _) {
        let store: Store = store;
        let runtime = runtime(&store).await;
        let account = account_with(&runtime, 5).await;
        let mut postings = subscribe(&runtime, "mailer").await;
        let opened = next(&mut postings).await;
        assert!(matches!(&opened.event, AccountEvent::Opened(_)));
        assert_eq!((opened.version.0, opened.attempt()), (1, 1));
        assert_eq!(opened.ack().await.unwrap(), Acked::Stored);
        assert_eq!(stored(&store, "mailer").await, 1, "it is stored when the answer comes");
        drop(postings);

        let mut postings = subscribe(&runtime, "mailer").await;
        let deposited = next(&mut postings).await;
        assert_eq!(deposited.event, AccountEvent::Deposited(Deposited { amount: 5 }));
        assert_eq!((deposited.version.0, deposited.stream.id()), (2, &*account.to_string()));
        deposited.ack_soon();
        runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
        let withdrawn = next(&mut postings).await;
        assert_eq!(withdrawn.position, 3, "it was appended while the subscription ran");
        withdrawn.ack_soon();
        reached(&store, "mailer", Position(3)).await;
    }

    /// Writers append while a subscriber catches up, and after that.
    async fn there_is_no_seam_between_catching_up_and_following(store: _, _clock: _) {
        const WRITERS: usize = 4;
        const EACH: usize = 60;
        let runtime = runtime(&store).await;
        let mut writers = Vec::new();
        for _ in 0..WRITERS {
            let runtime = runtime.clone();
            writers.push(tokio::spawn(async move {
                let account = account_with(&runtime, 1).await;
                for _ in 2..EACH {
                    runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
                }
            }));
        }
        let mut postings = subscribe(&runtime, "seamless").await;
        let (mut seen, mut last) = (Seen::default(), Position::ZERO);
        while seen.ids.len() < WRITERS * EACH {
            let posting = next(&mut postings).await;
            assert!(posting.position > last, "in the order of the log");
            last = posting.position;
            seen.take(&posting);
            posting.ack_soon();
        }
        assert_eq!(seen.twice, 0);
        for writer in writers {
            writer.await.unwrap();
        }
        reached(&store, "seamless", store.head().await.unwrap()).await;
    }

    async fn acknowledgements_may_come_in_any_order(store: _, _clock: _) {
        let store: Store = store;
        let runtime = runtime(&store).await;
        let account = account_with(&runtime, 5).await;
        runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
        let mut postings = subscribe(&runtime, "parallel").await;
        let (first, second, third) = (next(&mut postings).await, next(&mut postings).await, next(&mut postings).await);
        assert_eq!(third.ack().await.unwrap(), Acked::Behind(Position(1)));
        assert_eq!(stored(&store, "parallel").await, 0);
        assert_eq!(first.ack().await.unwrap(), Acked::Stored);
        assert_eq!(stored(&store, "parallel").await, 1);
        assert_eq!(second.ack().await.unwrap(), Acked::Stored);
        assert_eq!(stored(&store, "parallel").await, 3);
    }

    async fn what_is_dropped_comes_again_before_what_is_behind_it(store: _, _clock: _) {
        let runtime = runtime(&store).await;
        let account = account_with(&runtime, 5).await;
        runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
        let mut postings = subscribe(&runtime, "dropping").await;
        next(&mut postings).await.ack_soon();
        for attempt in 1..=3 {
            let posting = next(&mut postings).await;
            assert_eq!((posting.position.0, posting.attempt()), (2, attempt));
            drop(posting);
        }
        for position in [2, 3] {
            let posting = next(&mut postings).await;
            assert_eq!(posting.position, position);
            posting.ack().await.unwrap();
        }
    }

    async fn one_subscriber_of_a_name_at_a_time_and_another_takes_over(store: _, _clock: _) {
        let store: Store = store;
        let (here, there) = (runtime(&store).await, runtime(&store).await);
        account_with(&here, 5).await;
        let mut first = subscribe(&here, "shared").await;
        let one = next(&mut first).await;
        let mut second = subscribe(&there, "shared").await;
        assert!(timeout(Duration::from_millis(700), second.next()).await.is_err(), "it stands by");
        let health = there.health().await.unwrap();
        assert_eq!((health.subscriptions[0].status, &health.subscriptions[0].owner), (Status::Standby, &None));
        // Another name is another cursor.
        assert_eq!(next(&mut subscribe(&there, "other").await).await.position, 1);

        one.ack().await.unwrap();
        drop(here);
        assert!(timeout(LONG, first.next()).await.unwrap().unwrap().is_none(), "it ends with its runtime");
        let taken_over = next(&mut second).await;
        assert_eq!(taken_over.position, 2);
        assert!(there.health().await.unwrap().subscriptions[0].owner.is_some());
    }

    async fn a_subscriber_that_was_stopped_is_told_so_and_writes_nothing(store: _, _clock: _) {
        let store: Store = store;
        let faulty = Faulty::new(Arc::clone(&store));
        let asleep = Runtime::builder(faulty.clone()).start().await.unwrap();
        account_with(&asleep, 5).await;
        let mut first = subscribe(&asleep, "sleeper").await;
        let in_hand = next(&mut first).await;
        faulty.freeze(true);
        let awake = runtime(&store).await;
        let mut second = subscribe(&awake, "sleeper").await;
        // Taken over when the lease has run out.
        for position in [1, 2] {
            let posting = next(&mut second).await;
            assert_eq!(posting.position, position);
            posting.ack().await.unwrap();
        }
        let buffered = first.next().now_or_never();
        assert!(buffered.is_none(), "it does not know who has the lease: {buffered:?}");
        faulty.freeze(false);
        let refused = in_hand.ack().await.unwrap_err();
        assert!(matches!(refused, SubscriptionError::LeaseLost(_)), "{refused}");
        let error = fails(&mut first).await;
        assert!(matches!(error, SubscriptionError::LeaseLost(_)), "{error}");
        assert!(first.next().await.unwrap().is_none());
        assert_eq!(stored(&store, "sleeper").await, 2);
    }

    async fn where_it_begins_has_to_be_said_once(store: _, _clock: _) {
        let runtime = runtime(&store).await;
        let account = account_with(&runtime, 5).await;
        let unsaid = runtime.subscribe("new").start().await.unwrap_err();
        assert!(matches!(&unsaid, SubscriptionError::NoBeginning(name) if name == "new"), "{unsaid}");

        let mut new = runtime.subscribe("new").from_head().start().await.unwrap();
        runtime.execute(account, Withdraw { amount: 2 }).await.unwrap();
        let withdrawn = next(&mut new).await;
        assert_eq!((withdrawn.position.0, &*withdrawn.name), (3, "withdrawn"));
        withdrawn.ack().await.unwrap();
        drop(new);
        runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
        // It goes on where it was, whatever is said.
        let mut again = runtime.subscribe("new").start().await.unwrap();
        assert_eq!(next(&mut again).await.position, 4);
        let running = runtime.subscribe("new").forget().await.unwrap_err();
        assert!(matches!(running, SubscriptionError::Elsewhere(_)), "{running}");
        drop(again);

        let mut anew = loop {
            // The cursor is left as soon as the task has heard that nobody wants it.
            if runtime.subscribe("new").forget().await.is_ok() {
                break runtime.subscribe("new").from_start().start().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(next(&mut anew).await.position, 1);
    }

    async fn a_part_of_the_log_is_delivered_and_the_cursor_passes_the_rest(store: _, _clock: _) {
        let store: Store = store;
        let runtime = runtime(&store).await;
        let (alice, bob) = (account_with(&runtime, 5).await, account_with(&runtime, 7).await);
        let send = Send { from: alice, to: bob, amount: 3 };
        runtime.execute(Id::<Transfer>::new(), send).await.unwrap();

        let mut of_bob = runtime.subscribe("bob").stream(bob).from_start().start().await.unwrap();
        let positions = [next(&mut of_bob).await.ack_soon().position, next(&mut of_bob).await.ack_soon().position];
        assert_eq!(positions, [3, 4]);
        let mut opened = runtime.subscribe("opened").event::<Opened>().from_start().start().await.unwrap();
        let owners = [next(&mut opened).await.ack_soon().event, next(&mut opened).await.ack_soon().event];
        assert_eq!(owners, [const { "Alice" }; 2].map(|owner| Opened { owner: owner.into() }));
        let transfers = runtime.subscribe("transfers").only(EventFilter::category("transfer"));
        let mut transfers: Deliveries<RecordedEvent> = transfers.from_start().start().await.unwrap();
        assert_eq!(&*next(&mut transfers).await.ack_soon().name, "sent");
        for name in ["bob", "opened", "transfers"] {
            reached(&store, name, Position(5)).await;
        }
    }

    async fn an_event_that_is_not_known_is_passed_over_only_if_it_is_said(store: _, _clock: _) {
        let store: Store = store;
        let runtime = runtime(&store).await;
        let account = account_with(&runtime, 5).await;
        let unknown = append_unknown(&store, account).await;
        let receipt = runtime.append(Id::<Account>::new(), [Opened { owner: "Bob".into() }]).await.unwrap();
        // Also by one that wants another event of the same aggregate.
        let mut opened = runtime.subscribe("careful").event::<Opened>().from_start().start().await.unwrap();
        next(&mut opened).await.ack().await.unwrap();
        let error = fails(&mut opened).await;
        assert!(matches!(&error, SubscriptionError::UnknownEvent(event) if event.position == unknown), "{error}");
        assert!(opened.next().await.unwrap().is_none(), "nothing comes behind it");
        let health = runtime.health().await.unwrap().subscriptions.remove(0);
        let failure = health.last_error.expect("health says so");
        assert_eq!((health.status, failure.position), (Status::Held, Some(unknown)));
        drop(opened);

        let mut opened = runtime.subscribe("careful").event::<Opened>().start().await.unwrap();
        let again = fails(&mut opened).await;
        assert!(matches!(again, SubscriptionError::UnknownEvent(_)), "{again}");
        assert_eq!(opened.skip("written by a build that was taken back").await.unwrap(), Acked::Stored);
        assert_eq!(stored(&store, "careful").await, unknown);
        let behind = next(&mut opened).await;
        assert_eq!(behind.position, receipt.position);
    }

    async fn no_more_is_read_ahead_than_is_allowed(store: _, _clock: _) {
        let store: Store = store;
        let runtime = runtime(&store).await;
        let account = account_with(&runtime, 50).await;
        for _ in 0..30 {
            runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
        }
        let narrow = runtime.subscribe("narrow").aggregate::<Account>().from_start().buffer(2, 1);
        let mut narrow = narrow.start().await.unwrap();
        let mut seen = Seen::default();
        while seen.ids.len() < 32 {
            let posting = next(&mut narrow).await;
            seen.take(&posting);
            posting.ack_soon();
        }
        assert_eq!(seen.twice, 0);
        reached(&store, "narrow", Position(32)).await;
    }

    /// Between the log, the subscriber, his acknowledgement and the cursor: every event comes, and by their ids each counts once.
    async fn each_event_comes_whatever_fails(store: _, _clock: _) {
        let store: Store = store;
        let faulty = Faulty::new(Arc::clone(&store));
        let runtime = Runtime::builder(faulty.clone()).start().await.unwrap();
        let account = account_with(&runtime, 1_000).await;
        let mut postings = subscribe(&runtime, "unlucky").await;
        let mut seen = Seen::default();
        for fault in [
            Fault::Head,
            Fault::Log,
            Fault::LogMidway,
            Fault::Checkpoint,
            Fault::CommitRefused,
            Fault::CommitLost,
            Fault::AnswerLost,
            Fault::PanicBeforeCommit,
            Fault::PanicAfterCommit,
        ] {
            // Behind a refused commit it is asked where the cursor stands.
            faulty.plan([Fault::CommitRefused, fault]);
            while !faulty.planned().is_empty() {
                for _ in 0..4 {
                    runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
                }
                // Asked of the store behind, so that it is the subscription that meets the faults.
                let head = store.head().await.unwrap();
                while seen.ids.len() < usize::try_from(head.0).unwrap() {
                    match timeout(LONG, postings.next()).await.expect("something comes") {
                        Ok(Some(posting)) => {
                            seen.take(&posting);
                            // What is not known to be stored comes again in the worst case.
                            drop(posting.ack().await);
                        }
                        // A process that ends in a panic is started again.
                        Ok(None) | Err(_) => postings = subscribe(&runtime, "unlucky").await,
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        drop(postings);
        let head = store.head().await.unwrap();
        assert_eq!(seen.versions[&account.stream_id().to_string()], head.0);
        let mut postings = subscribe(&runtime, "unlucky").await;
        runtime.execute(account, Withdraw { amount: 1 }).await.unwrap();
        while stored(&store, "unlucky").await <= head {
            next(&mut postings).await.ack().await.unwrap();
        }
    }

    async fn shutting_down_waits_for_what_is_in_hand(store: _, _clock: _) {
        let store: Store = store;
        let runtime = runtime(&store).await;
        account_with(&runtime, 5).await;
        let mut postings = subscribe(&runtime, "polite").await;
        let in_hand = next(&mut postings).await;
        let stopping = tokio::spawn({
            let runtime = runtime.clone();
            async move { runtime.shutdown().within(LONG).await }
        });
        let ended = tokio::spawn(async move {
            while let Some(posting) = postings.next().await.unwrap() {
                posting.ack_soon();
            }
        });
        assert!(!stopping.is_finished());
        assert_eq!(in_hand.ack().await.unwrap(), Acked::Stored);
        stopping.await.unwrap().unwrap();
        ended.await.unwrap();
    }

    async fn what_is_never_let_go_is_cut_off(store: _, _clock: _) {
        let runtime = runtime(&store).await;
        account_with(&runtime, 5).await;
        let mut postings = subscribe(&runtime, "hoarder").await;
        let in_hand = next(&mut postings).await;
        let error = runtime.shutdown().within(Duration::from_millis(50)).await.unwrap_err();
        assert!(error.to_string().contains("subscriptions `hoarder` did not stop"), "{error}");
        let late = in_hand.ack().await.unwrap_err();
        assert!(matches!(late, SubscriptionError::Ended(_)), "{late}");
    }

    /// Without a hint an event is found by looking again.
    async fn no_hint_is_needed(store: _, _clock: _) {
        let store: Store = store;
        let faulty = Faulty::new(Arc::clone(&store));
        faulty.silence();
        let runtime = Runtime::builder(faulty).start().await.unwrap();
        let mut postings = subscribe(&runtime, "deaf").await;
        let account = account_with(&runtime, 5).await;
        for position in 1..=20 {
            let posting = next(&mut postings).await;
            assert_eq!(posting.position, position);
            posting.ack_soon();
            if position > 1 {
                runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_was_restored_to_an_earlier_point_is_noticed() {
    let store = MemoryStore::new();
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let account = account_with(&runtime, 5).await;
    let mut postings = subscribe(&runtime, "restored").await;
    for _ in 0..2 {
        next(&mut postings).await.ack().await.unwrap();
    }
    store.rewind(Position(1));
    let error = fails(&mut postings).await;
    assert!(matches!(error, SubscriptionError::Checkpoint(_)), "{error}");
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    runtime.append(account, [Deposited { amount: 7 }]).await.unwrap();
    let error = runtime.subscribe("restored").start().await.unwrap_err();
    assert!(matches!(error, SubscriptionError::Checkpoint(_)), "{error}");
    runtime.subscribe("restored").forget().await.unwrap();
    let mut anew = subscribe(&runtime, "restored").await;
    assert_eq!(next(&mut anew).await.position, 1);
}

#[tokio::test]
async fn what_was_read_of_a_log_that_is_restored_is_not_taken_for_read() {
    let store = MemoryStore::new();
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    account_with(&runtime, 5).await;
    let mut postings = subscribe(&runtime, "ahead").await;
    let opened = next(&mut postings).await;
    opened.ack().await.unwrap();
    let lost = next(&mut postings).await;
    assert_eq!(lost.position, 2);
    store.rewind(Position(1));
    let error = fails(&mut postings).await;
    assert!(
        matches!(&error, SubscriptionError::Store(error) if error.kind() == StoreErrorKind::Corrupt),
        "{error}"
    );
    assert!(lost.ack().await.is_err());
    let writer = Runtime::builder(store).start().await.unwrap();
    account_with(&writer, 7).await;
    let mut postings = subscribe(&runtime, "ahead").await;
    let instead = next(&mut postings).await;
    assert_eq!((instead.position.0, instead.version.0), (2, 1), "what happened instead");
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_slept_goes_on_once_it_knows_that_it_has_the_lease() {
    let faulty = Faulty::new(Arc::new(MemoryStore::new().with_clock(stores::clock())));
    let runtime = Runtime::builder(faulty.clone()).start().await.unwrap();
    account_with(&runtime, 5).await;
    let mut postings = subscribe(&runtime, "sleeper").await;
    next(&mut postings).await.ack_soon();
    faulty.freeze(true);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(
        timeout(Duration::from_secs(60), postings.next()).await.is_err(),
        "it may be another's"
    );
    faulty.freeze(false);
    assert_eq!(next(&mut postings).await.position, 2);
}

/// The clock stands still but for what is waited for: no event is found later than the longest pause between two looks.
#[tokio::test(start_paused = true)]
async fn without_hints_an_event_comes_within_the_longest_pause() {
    let faulty = Faulty::new(Arc::new(MemoryStore::new()));
    faulty.silence();
    let runtime = Runtime::builder(faulty).start().await.unwrap();
    let account = account_with(&runtime, 5).await;
    let mut postings = subscribe(&runtime, "deaf").await;
    for _ in 0..2 {
        next(&mut postings).await.ack_soon();
    }
    for idle in [1, 10, 100, 1_000, 10_000, 60_000] {
        tokio::time::sleep(Duration::from_millis(idle)).await;
        runtime.execute(account, Deposit { amount: 1 }).await.unwrap();
        let appended = tokio::time::Instant::now();
        next(&mut postings).await.ack_soon();
        assert!(
            appended.elapsed() <= Duration::from_millis(510),
            "{:?} after {idle} ms",
            appended.elapsed()
        );
    }
}

/// The connection that listens is ended by the server, and nothing is appended after that which could hint at it.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_listening_connection_delays_no_event() {
    let address = stores::postgres_address().await;
    // Two stores know of each other no more than two processes do.
    let here: Store = Arc::new(stores::postgres_at(&address).await);
    let there: Store = Arc::new(stores::postgres_at(&address).await);
    let (subscriber, writer) = (runtime(&here).await, runtime(&there).await);
    let mut postings = subscribe(&subscriber, "listening").await;
    let account = account_with(&writer, 5).await;
    for _ in 0..2 {
        next(&mut postings).await.ack_soon();
    }
    // A hint at what another store appended has come over the connection that listens.
    timeout(LONG, here.wakes().beyond(Position(1)))
        .await
        .expect("it is hinted at");
    let (admin, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE query LIKE 'SELECT coalesce(max(position)%' AND datname = current_database() AND pid <> pg_backend_pid()";
    let ended: i64 = admin.query_one(end, &[]).await.unwrap().get(0);
    assert!(
        ended > 0,
        "one connection listens, and others may have asked the same last"
    );
    for _ in 0..10 {
        writer.execute(account, Deposit { amount: 1 }).await.unwrap();
    }
    for position in 3..=12 {
        assert_eq!(next(&mut postings).await.ack_soon().position, position);
    }
}
