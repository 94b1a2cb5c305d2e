//! What the runtime promises, on every store.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::store::ProjectionStore;
use es_runtime::store::{Append, ReadLog};
use es_runtime::testing::ManualClock;
use es_runtime::{
    AppendId, EventId, EventStore, ExecuteError, ExpectedVersion, Key, LoadError, Metadata, Misapplied, NewEvent,
    RetryPolicy, Runtime,
};
use es_tests::bank::{
    Account, Audit, Deposit, Deposited, InsufficientFunds, Open, Opened, Withdraw, Withdrawn, account_with, balance,
};
use futures_util::TryStreamExt;

async fn start(store: &Arc<dyn ProjectionStore>) -> Runtime {
    Runtime::builder(Arc::clone(store)).start().await.unwrap()
}

async fn events(store: &Arc<dyn ProjectionStore>) -> usize {
    store
        .read_log(ReadLog::new())
        .try_collect::<Vec<_>>()
        .await
        .unwrap()
        .len()
}

es_tests::on_every_store! {
    async fn a_command_is_answered_with_a_receipt(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = Id::new();
        let receipt = runtime.execute(id, Open { owner: "Alice".into() }).await.unwrap();
        assert_eq!(receipt.stream, id.stream_id());
        assert_eq!((receipt.version.0, receipt.events, receipt.repeated), (1, 1, false));
        let receipt = runtime.execute(id, Deposit { amount: 5 }).await.unwrap();
        assert_eq!((receipt.version.0, receipt.position), (2, store.head().await.unwrap()));
    }

    async fn a_command_finds_the_aggregate_that_it_needs_or_says_so(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = Id::new();
        let missing = runtime.execute(id, Deposit { amount: 5 }).await.unwrap_err();
        assert!(matches!(missing, ExecuteError::NotFound { stream } if stream == id.stream_id()));
        runtime.execute(id, Open { owner: "Alice".into() }).await.unwrap();
        let twice = runtime.execute(id, Open { owner: "Bob".into() }).await.unwrap_err();
        assert!(matches!(twice, ExecuteError::AlreadyExists { stream } if stream == id.stream_id()));
        assert_eq!(events(&store).await, 1);
    }

    async fn a_refusal_is_the_domains_own_error_and_stores_nothing(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = account_with(&runtime, 10).await;
        let refused = runtime.execute(id, Withdraw { amount: 11 }).await.unwrap_err();
        assert!(matches!(refused, ExecuteError::Refused(InsufficientFunds { balance: 10 })));
        assert_eq!(events(&store).await, 2);
    }

    async fn an_invalid_command_never_reaches_the_handler(store: _, _clock: _) {
        let runtime = start(&store).await;
        let invalid = runtime.execute(Id::new(), Deposit { amount: 0 }).await.unwrap_err();
        assert!(matches!(invalid, ExecuteError::Invalid(invalid) if invalid.field == "amount"), "not `NotFound`: nothing was loaded");
    }

    async fn a_command_without_events_changes_nothing(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = account_with(&runtime, 10).await;
        let receipt = runtime.execute(id, Audit).await.unwrap();
        assert_eq!((receipt.version.0, receipt.events), (2, 0));
        assert_eq!(events(&store).await, 2);
    }

    async fn an_expected_version_is_demanded_and_nothing_is_tried_again(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = account_with(&runtime, 10).await;
        for expected in [0, 1, 3] {
            let conflict = runtime.execute(id, Deposit { amount: 1 }).expect_version(expected).await.unwrap_err();
            assert!(conflict.is_callers_fault() && !conflict.is_retryable(), "the sender has to look again: {conflict}");
            assert!(matches!(conflict, ExecuteError::Conflict { actual, attempts: 1, .. } if actual == 2), "{conflict}");
        }
        runtime.execute(id, Deposit { amount: 1 }).expect_version(2).await.unwrap();
    }

    async fn commands_to_one_aggregate_in_one_process_do_not_conflict(store: _, _clock: _) {
        let runtime = Runtime::builder(Arc::clone(&store)).retry(RetryPolicy::never()).start().await.unwrap();
        let id = account_with(&runtime, 0).await;
        let tasks: Vec<_> = (0..8).map(|_| {
            let runtime = runtime.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    runtime.execute(id, Deposit { amount: 1 }).await.unwrap();
                }
            })
        }).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(balance(&runtime, id).await, 200);
    }

    async fn commands_of_several_processes_conflict_and_are_decided_again(store: _, _clock: _) {
        let patient = RetryPolicy::default().attempts(1_000);
        let first = start(&store).await;
        let id = account_with(&first, 0).await;
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let runtime = Runtime::builder(Arc::clone(&store)).retry(patient).start().await.unwrap();
            tasks.push(tokio::spawn(async move {
                for _ in 0..25 {
                    runtime.execute(id, Deposit { amount: 1 }).await.unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(balance(&first, id).await, 100);
    }

    async fn a_refusal_is_never_given_on_old_state(store: _, _clock: _) {
        let (here, elsewhere) = (start(&store).await, start(&store).await);
        let id = account_with(&here, 10).await;
        elsewhere.execute(id, Deposit { amount: 90 }).await.unwrap();
        here.execute(id, Withdraw { amount: 100 }).await.unwrap();
        elsewhere.execute(id, Deposit { amount: 1 }).await.unwrap();
        let receipt = here.execute(id, Audit).await.unwrap();
        assert_eq!(receipt.version.0, 5, "a decision without events is given on the newest state, too");
        let new = Id::new();
        let missing = here.execute(new, Deposit { amount: 1 }).await;
        assert!(matches!(missing, Err(ExecuteError::NotFound { .. })));
        elsewhere.execute(new, Open { owner: "Bob".into() }).await.unwrap();
        here.execute(new, Deposit { amount: 1 }).await.unwrap();
    }

    async fn the_cache_may_be_small_or_off(store: _, _clock: _) {
        for instances in [0, 1, 2] {
            let runtime = Runtime::builder(Arc::clone(&store)).cache(instances).start().await.unwrap();
            let ids = [account_with(&runtime, 1).await, account_with(&runtime, 2).await, account_with(&runtime, 3).await];
            for (id, before) in std::iter::zip(ids, 1..) {
                runtime.execute(id, Withdraw { amount: before }).await.unwrap();
                assert_eq!(balance(&runtime, id).await, 0);
            }
        }
    }

    async fn a_request_with_a_key_is_done_once(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = account_with(&runtime, 0).await;
        let first = runtime.execute(id, Deposit { amount: 5 }).idempotency_key("req-1").await.unwrap();
        let again = runtime.execute(id, Deposit { amount: 5 }).idempotency_key("req-1").await.unwrap();
        assert!(again.repeated && !first.repeated);
        assert_eq!((first.version, first.position, first.events), (again.version, again.position, again.events));
        let other = start(&store).await.execute(id, Deposit { amount: 6 }).idempotency_key("req-1").await.unwrap_err();
        assert!(matches!(other, ExecuteError::IdempotencyMismatch { .. }), "{other}");
        assert_eq!(balance(&runtime, id).await, 5);
    }

    async fn a_request_with_a_key_and_no_events_is_remembered_too(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = account_with(&runtime, 5).await;
        let first = runtime.execute(id, Audit).idempotency_key("audit").await.unwrap();
        runtime.execute(id, Deposit { amount: 1 }).await.unwrap();
        let again = runtime.execute(id, Audit).idempotency_key("audit").await.unwrap();
        assert!(again.repeated && !first.repeated);
        assert_eq!((again.version, again.events), (first.version, 0));
    }

    async fn one_key_sent_by_many_at_once_is_done_once(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = account_with(&runtime, 0).await;
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let runtime = start(&store).await;
            tasks.push(tokio::spawn(async move {
                runtime.execute(id, Deposit { amount: 5 }).idempotency_key("once").await.unwrap()
            }));
        }
        let mut fresh = 0;
        for task in tasks {
            fresh += usize::from(!task.await.unwrap().repeated);
        }
        assert_eq!((fresh, balance(&runtime, id).await), (1, 5));
    }

    async fn a_request_is_not_declined_because_it_was_done_meanwhile(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = account_with(&runtime, 100).await;
        let mut tasks = Vec::new();
        for turn in 0..40 {
            let (runtime, new) = (start(&store).await, Id::from_uuid(uuid::Uuid::from_u128(turn / 4 + 1)));
            tasks.push(tokio::spawn(async move {
                // Whichever of four comes first, the others would find the money gone, or the account opened.
                runtime.execute(id, Withdraw { amount: 100 }).idempotency_key("all").await.unwrap();
                runtime.execute(new, Open { owner: "Bob".into() }).idempotency_key(format!("open {new}")).await.unwrap();
                runtime
                    .atomically(async |tx| tx.execute(new, Deposit { amount: 1 }).await)
                    .idempotency_key(format!("deposit {new}"))
                    .await
                    .unwrap();
                runtime
                    .atomically(async |tx| tx.execute(new, Withdraw { amount: 1 }).await)
                    .idempotency_key(format!("withdraw {new}"))
                    .await
                    .unwrap();
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((balance(&runtime, id).await, events(&store).await), (0, 3 + 10 * 3));
    }

    async fn what_the_sender_says_is_recorded_with_each_event(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = account_with(&runtime, 0).await;
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        runtime.execute(id, Deposit { amount: 5 })
            .actor("user:42").correlation("order-7").causation("event-3").traceparent(trace).metadata("channel", "web")
            .await.unwrap();
        let mut history = runtime.history(id);
        history.next().await.unwrap();
        let (recorded, _) = history.next().await.unwrap().unwrap();
        let metadata = recorded.metadata;
        assert_eq!(metadata.actor(), Some("user:42"));
        assert_eq!((metadata.correlation_id(), metadata.causation_id()), (Some("order-7"), Some("event-3")));
        assert_eq!(metadata.traceparent(), Some(trace));
        assert_eq!(metadata.get("channel").and_then(|value| value.as_str()), Some("web"));
    }

    async fn a_malformed_traceparent_is_refused(store: _, _clock: _) {
        let runtime = start(&store).await;
        let invalid = runtime.execute(Id::new(), Open { owner: "Alice".into() }).traceparent("00-xyz").await.unwrap_err();
        assert!(matches!(invalid, ExecuteError::Invalid(invalid) if invalid.field == "traceparent"));
        assert_eq!(events(&store).await, 0);
    }

    async fn a_request_whose_key_was_forgotten_is_done_again(store: _, clock: _) {
        let runtime = start(&store).await;
        let alice = account_with(&runtime, 1).await;
        let deposit = |key: &str| runtime.execute(alice, Deposit { amount: 5 }).idempotency_key(key);
        deposit("old").await.unwrap();
        clock.advance(Duration::from_secs(60));
        deposit("young").await.unwrap();
        assert_eq!(runtime.purge_keys(Duration::from_secs(61)).await.unwrap(), 0);
        assert!(deposit("old").await.unwrap().repeated);
        assert_eq!(runtime.purge_keys(Duration::from_secs(30)).await.unwrap(), 1);
        assert!(!deposit("old").await.unwrap().repeated);
        assert!(deposit("young").await.unwrap().repeated);
        assert_eq!(balance(&runtime, alice).await, 16);
        assert_eq!(runtime.purge_keys(Duration::MAX).await.unwrap(), 0);
    }

    async fn a_state_is_loaded_as_it_was(store: _, clock: _) {
        let runtime = start(&store).await;
        let start = es_runtime::Clock::now(&clock);
        let id = account_with(&runtime, 10).await;
        let between = runtime.execute(id, Withdraw { amount: 3 }).await.unwrap();
        clock.advance(Duration::from_secs(60));
        runtime.execute(id, Deposit { amount: 100 }).await.unwrap();

        assert_eq!(runtime.load(id).at_version(2).await.unwrap().unwrap().balance, 10);
        assert_eq!(runtime.load(id).at_version(99).await.unwrap().unwrap().balance, 107);
        assert_eq!(runtime.load(id).at_position(between.position).await.unwrap().unwrap().balance, 7);
        assert_eq!(runtime.load(id).as_of(start).await.unwrap().unwrap().balance, 7);
        let loaded = runtime.load(id).await.unwrap().unwrap();
        assert_eq!((loaded.balance, loaded.version.0), (107, 4));
        assert_eq!(runtime.load(id).at_version(0).await.unwrap(), None);
        assert_eq!(runtime.load(Id::<Account>::new()).await.unwrap(), None);
    }

    async fn history_gives_each_event_with_the_state_after_it(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = account_with(&runtime, 10).await;
        runtime.execute(id, Withdraw { amount: 4 }).await.unwrap();
        let mut history = runtime.history(id);
        let mut seen = Vec::new();
        while let Some((recorded, account)) = history.next().await.unwrap() {
            seen.push((recorded.version.0, recorded.event, account.balance));
        }
        assert_eq!(seen, [
            (1, Opened { owner: "Alice".into() }.into(), 0),
            (2, Deposited { amount: 10 }.into(), 10),
            (3, Withdrawn { amount: 4 }.into(), 6),
        ]);
    }

    async fn a_dry_run_decides_and_stores_nothing(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = account_with(&runtime, 10).await;
        let decided = runtime.dry_run(id, Withdraw { amount: 4 }).await.unwrap();
        assert_eq!(decided, [Withdrawn { amount: 4 }.into()]);
        let refused = runtime.dry_run(id, Withdraw { amount: 4 }).at_version(1).await.unwrap_err();
        assert!(matches!(refused, ExecuteError::Refused(InsufficientFunds { balance: 0 })));
        let missing = runtime.dry_run(id, Withdraw { amount: 4 }).at_version(0).await.unwrap_err();
        assert!(matches!(missing, ExecuteError::NotFound { .. }));
        assert_eq!(events(&store).await, 2);
    }

    async fn streams_are_listed_with_their_versions(store: _, _clock: _) {
        let runtime = start(&store).await;
        let mut expected = vec![(account_with(&runtime, 1).await, 2), (account_with(&runtime, 0).await, 1)];
        expected.sort();
        let mut streams = runtime.streams::<Account>();
        let mut listed = Vec::new();
        while let Some((id, version)) = streams.next().await.unwrap() {
            listed.push((id, version.0));
        }
        assert_eq!(listed, expected);
    }

    async fn events_are_imported_with_their_own_times(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id: Id<Account> = Id::new();
        let then = "1999-12-31T23:59:59Z".parse().unwrap();
        runtime.append(id, (Opened { owner: "Alice".into() }, Deposited { amount: 5 })).occurred_at(then).await.unwrap();
        runtime.append(id, [Withdrawn { amount: 2 }]).await.unwrap();
        runtime.execute(id, Withdraw { amount: 3 }).await.unwrap();
        let mut history = runtime.history(id);
        let (recorded, _) = history.next().await.unwrap().unwrap();
        assert_eq!(recorded.occurred_at(), then);
        assert!(recorded.recorded_at > then);
        assert_eq!(balance(&runtime, id).await, 0);
    }

    async fn events_that_do_not_fold_are_never_stored(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id: Id<Account> = Id::new();
        let error = runtime.append(id, [Deposited { amount: 5 }]).await.unwrap_err();
        assert!(matches!(error, ExecuteError::Misapplied { source: Misapplied::NotCreated("deposited"), .. }));
        let twice = [Opened { owner: "Alice".into() }, Opened { owner: "Bob".into() }];
        let error = runtime.append(id, twice).await.unwrap_err();
        assert!(matches!(error, ExecuteError::Misapplied { source: Misapplied::AlreadyCreated("opened"), .. }));
        assert_eq!(events(&store).await, 0);
    }

    async fn an_unknown_event_is_named_with_its_place(store: _, _clock: _) {
        let runtime = start(&store).await;
        let id = account_with(&runtime, 0).await;
        let foreign = |name: &'static str, shape_version| NewEvent {
            id: EventId(AppendId::new().0),
            name: name.into(),
            shape_version,
            payload: "{}".into(),
            metadata: Metadata::EMPTY,
        };
        for (name, shape_version) in [("frozen", 1), ("deposited", 2)] {
            let id = account_with(&runtime, 0).await;
            let append = Append::new(id.stream_id(), ExpectedVersion::Any, vec![foreign(name, shape_version)]);
            store.append(append).await.unwrap();
            let head = store.head().await.unwrap();
            let error = runtime.load(id).await.unwrap_err();
            assert!(matches!(&error, LoadError::UnknownEvent(event)
                if event.stream == id.stream_id() && event.version == 2 && event.position == head
                    && event.name == name && event.shape_version == shape_version), "{error}");
            let error = runtime.execute(id, Deposit { amount: 1 }).await.unwrap_err();
            assert!(matches!(error, ExecuteError::Load(LoadError::UnknownEvent(_))), "{error}");
        }
        let append = Append::new(id.stream_id(), ExpectedVersion::Any, vec![foreign("deposited", 1)]);
        store.append(append).await.unwrap();
        let error = runtime.load(id).await.unwrap_err();
        assert!(matches!(&error, LoadError::UnreadableEvent(event) if event.version == 2), "`amount` is missing: {error}");
    }
}

#[tokio::test]
async fn what_was_folded_of_a_log_that_was_restored_since_is_forgotten() {
    let store = es_runtime::MemoryStore::new();
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let id = account_with(&runtime, 1).await;
    runtime.execute(id, Deposit { amount: 10 }).await.unwrap();
    store.rewind(es_runtime::Position(2));
    let receipt = runtime.execute(id, Deposit { amount: 100 }).await.unwrap();
    assert_eq!(receipt.version.0, 3);
    assert_eq!(balance(&runtime, id).await, 101);
}

#[tokio::test]
async fn a_handler_reads_the_clock_of_the_runtime() {
    let clock = ManualClock::at("2000-01-01T00:00:00Z".parse().unwrap());
    let runtime = Runtime::builder(es_runtime::MemoryStore::new())
        .clock(clock.clone())
        .start()
        .await
        .unwrap();
    let id: Id<Watch> = Id::new();
    runtime.execute(id, Look).actor("user:1").await.unwrap();
    let watch = runtime.load(id).await.unwrap().unwrap().state;
    assert_eq!(
        watch,
        Watch {
            seen: "2000-01-01T00:00:00Z user:1 0".into(),
            id: id.to_string()
        }
    );
}

#[event]
struct Looked {
    seen: String,
    id: String,
}

#[command]
struct Look;

#[derive(Debug, PartialEq, Aggregate)]
struct Watch {
    seen: String,
    id: String,
}

#[aggregate]
impl Watch {
    #[handle]
    fn look(_: Look, context: &Context) -> Looked {
        let actor = context.metadata().actor().unwrap_or_default();
        let seen = format!("{} {actor} {}", context.now(), context.version());
        Looked {
            seen,
            id: context.id::<Watch>().to_string(),
        }
    }

    #[apply]
    fn looked(event: Looked) -> Self {
        Watch {
            seen: event.seen,
            id: event.id,
        }
    }
}
