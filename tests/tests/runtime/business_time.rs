//! When something happened, beside when it was recorded: on every store.

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::projection::LiveError;
use es_runtime::store::ProjectionStore;
use es_runtime::store::ReadLog;
use es_runtime::{LoadError, Metadata, RecordedEvent};
use es_tests::bank::{Account, Deposit, Deposited, InsufficientFunds, Open, Opened, Withdraw, Withdrawn, account_with};
use futures_util::TryStreamExt as _;

#[projection(live)]
#[derive(Eq)]
struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.cents += event.amount;
    }
}

/// A day of January 2020.
fn day(day: u8) -> Timestamp {
    format!("2020-01-{day:02}T00:00:00Z").parse().unwrap()
}

async fn start(store: &Arc<dyn ProjectionStore>) -> Runtime {
    Runtime::builder(Arc::clone(store)).start().await.unwrap()
}

/// An account whose events were booked in another order than they happened: opened on day 1, deposits on days 5, 3 and 7.
async fn booked_late(runtime: &Runtime) -> Id<Account> {
    let account = Id::new();
    let opened = Opened { owner: "Alice".into() };
    runtime
        .append(account, ())
        .at(day(1), opened)
        .at(day(5), Deposited { amount: 500 })
        .at(day(3), Deposited { amount: 30 })
        .await
        .unwrap();
    runtime
        .append(account, Deposited { amount: 7 })
        .occurred_at(day(7))
        .await
        .unwrap();
    account
}

async fn log(store: &Arc<dyn ProjectionStore>) -> Vec<RecordedEvent> {
    store.read_log(ReadLog::new()).try_collect().await.unwrap()
}

es_tests::on_every_store_and_postgres! {
    async fn a_state_holds_what_had_happened_by_then(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = booked_late(&runtime).await;
        for (date, balance, version) in [(1, 0, 1), (2, 0, 1), (3, 30, 3), (4, 30, 3), (5, 530, 3), (6, 530, 3), (7, 537, 4)] {
            let loaded = runtime.load(account).as_of_occurred(day(date)).await.unwrap().unwrap();
            assert_eq!((loaded.balance, loaded.version.0, loaded.position.0), (balance, version, version), "day {date}");
            let live = runtime.live::<Balance>().of(account).as_of_occurred(day(date)).await.unwrap().unwrap();
            assert_eq!((live.cents, live.position.0), (balance, version), "day {date}");
        }
        let before = "2019-12-31T23:59:59.999999Z".parse().unwrap();
        assert_eq!(runtime.load(account).as_of_occurred(before).await.unwrap(), None);
        assert_eq!(runtime.live::<Balance>().as_of_occurred(before).await.unwrap(), []);
    }

    async fn a_history_holds_what_had_happened_by_then(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = booked_late(&runtime).await;
        let all: Vec<_> = runtime.history(account).try_collect().await.unwrap();
        for date in 0..=8 {
            let time = if date == 0 { Timestamp::MIN } else { day(date) };
            let then: Vec<_> = runtime.history(account).as_of_occurred(time).try_collect().await.unwrap();
            let happened: Vec<_> = all.iter().filter(|(recorded, _)| recorded.occurred_at() <= time).collect();
            let told = |(recorded, _): &(es_runtime::Recorded<_>, _)| (recorded.id, recorded.version, recorded.position);
            assert_eq!(then.iter().map(told).collect::<Vec<_>>(), happened.into_iter().map(told).collect::<Vec<_>>(), "day {date}");
            let loaded = runtime.load(account).as_of_occurred(time).await.unwrap();
            assert_eq!(then.last().map(|(_, state)| state.balance), loaded.map(|loaded| loaded.balance), "day {date}");
        }
        let mut unasked = runtime.history(account).as_of_occurred(day(3));
        let mut versions = Vec::new();
        while let Some((recorded, _)) = unasked.next().await.unwrap() {
            versions.push(recorded.version.0);
        }
        assert_eq!(versions, [1, 3]);
    }

    async fn an_event_without_a_time_of_its_own_happened_when_it_was_recorded(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = account_with(&runtime, 5).await;
        let now = log(&store).await[1].recorded_at;
        let just_before = Timestamp::from_micros(now.as_micros() - 1).unwrap();
        assert_eq!(runtime.load(account).as_of_occurred(now).await.unwrap().unwrap().balance, 5);
        let opened = runtime.load(account).as_of_occurred(just_before).await.unwrap();
        assert!(opened.is_none_or(|opened| opened.balance == 0));
    }

    async fn what_was_known_then_of_what_had_happened_by_another_time(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = booked_late(&runtime).await;
        let events = log(&store).await;
        // Known were the first two events only: the third was recorded later, or is not read.
        let known = runtime.load(account).at_version(2).as_of_occurred(day(4)).await.unwrap().unwrap();
        assert_eq!((known.balance, known.version.0), (0, 1));
        let all = runtime.load(account).as_of_occurred(day(4)).at_position(events[3].position).await.unwrap().unwrap();
        assert_eq!(all.balance, 30);
        let long_before = runtime.load(account).as_of(day(30)).as_of_occurred(day(30)).await.unwrap();
        assert_eq!(long_before, None, "it was imported in another year");
        let live = runtime.live::<Balance>().of(account).up_to(2).as_of_occurred(day(6)).await.unwrap().unwrap();
        assert_eq!(live.cents, 500);
    }

    async fn a_command_is_tried_on_what_had_happened_by_then(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = booked_late(&runtime).await;
        let withdraw = || runtime.dry_run(account, Withdraw { amount: 100 });
        let refused = withdraw().as_of_occurred(day(4)).await;
        assert!(matches!(refused, Err(ExecuteError::Refused(InsufficientFunds { balance: 30 }))), "{refused:?}");
        assert_eq!(withdraw().as_of_occurred(day(5)).await.unwrap().len(), 1);
    }

    async fn an_aggregate_that_changed_before_it_was_created_is_named(store: _, _clock: _) {
        let runtime = start(&store).await;
        let account = Id::<Account>::new();
        let opened = Opened { owner: "Alice".into() };
        runtime.append(account, ()).at(day(5), opened).at(day(3), Deposited { amount: 1 }).await.unwrap();
        assert_eq!(runtime.load(account).as_of_occurred(day(2)).await.unwrap(), None);
        let error = runtime.load(account).as_of_occurred(day(4)).await.unwrap_err();
        assert!(matches!(&error, LoadError::UnreadableEvent(event) if event.version == 2), "{error}");
        let error = runtime.live::<Balance>().as_of_occurred(day(4)).await.unwrap_err();
        assert!(matches!(&error, LiveError::NotApplied { version, .. } if *version == 2), "{error}");
        assert_eq!(runtime.load(account).as_of_occurred(day(5)).await.unwrap().unwrap().balance, 1);
    }

    async fn each_event_of_an_append_has_its_own_time(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (account, opened) = (Id::<Account>::new(), Opened { owner: "Alice".into() });
        let both = (Deposited { amount: 1 }, Withdrawn { amount: 1 });
        let append = async |last| {
            let append = runtime.append(account, opened.clone()).at(day(2), both.clone()).at(last, Deposited { amount: 9 });
            append.occurred_at(day(1)).actor("import").idempotency_key("alice").await
        };
        let receipt = append(day(3)).await.unwrap();
        assert_eq!((receipt.events, receipt.repeated), (4, false));
        let events = log(&store).await;
        let occurred: Vec<_> = events.iter().map(RecordedEvent::occurred_at).collect();
        assert_eq!(occurred, [day(1), day(2), day(2), day(3)]);
        assert!(events.iter().all(|event| event.metadata.actor() == Some("import")));
        assert!(append(day(3)).await.unwrap().repeated);
        let other = append(day(4)).await.unwrap_err();
        assert!(matches!(other, ExecuteError::IdempotencyMismatch { .. }), "at another time it is another request: {other}");
    }

    async fn a_command_of_a_transaction_says_more_than_the_transaction(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 100).await, account_with(&runtime, 0).await);
        let before = log(&store).await.len();
        runtime.atomically(async |tx| {
            tx.execute(alice, Withdraw { amount: 30 }).occurred_at(day(2)).actor("teller").metadata("desk", 4).await?;
            tx.execute(bob, Deposit { amount: 30 }).causation("letter-7").correlation("c-2").await?;
            let mut own = Metadata::default();
            own.set_actor("robot");
            tx.execute(bob, Deposit { amount: 1 }).with_metadata(own).await?;
            Ok(())
        }).actor("branch").correlation("c-1").occurred_at(day(1)).await.unwrap();
        let events = log(&store).await.split_off(before);
        let told: Vec<_> = events.iter().map(|event| {
            let metadata = &event.metadata;
            (metadata.actor(), metadata.correlation_id(), metadata.causation_id(), metadata.occurred_at(), metadata.get("desk").is_some())
        }).collect();
        assert_eq!(told, [
            (Some("teller"), Some("c-1"), None, Some(day(2)), true),
            (Some("branch"), Some("c-2"), Some("letter-7"), Some(day(1)), false),
            (Some("robot"), None, None, None, false),
        ]);
    }

    async fn a_trace_that_is_none_ends_the_transaction(store: _, _clock: _) {
        let runtime = start(&store).await;
        let alice = account_with(&runtime, 100).await;
        let head = store.head().await.unwrap();
        let invalid = runtime.atomically(async |tx| {
            tx.execute(alice, Withdraw { amount: 30 }).await?;
            tx.execute(alice, Withdraw { amount: 30 }).traceparent("nonsense").await
        }).await;
        assert!(matches!(&invalid, Err(ExecuteError::Invalid(invalid)) if invalid.field == "traceparent"), "{invalid:?}");
        assert_eq!(store.head().await.unwrap(), head);
        runtime.execute(Id::<Account>::new(), Open { owner: "Bob".into() }).await.unwrap();
    }
}
