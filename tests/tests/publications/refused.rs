//! Messages that the broker does not take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::publication::{Outgoing, SinkError};
use es_runtime::store::Append;
use es_runtime::testing::RecordingSink;
use es_runtime::{EventId, ExpectedVersion, Metadata, NewEvent, StreamId};
use es_tests::bank::{Account, Deposit, Deposited, account_with};
use es_tests::on_every_store;
use es_tests::waits::wait_for;

use es_tests::published::{Accounts, Moved, check, expected, ids};

#[publication(name = "patient", topic = "bank.patient", park)]
struct Patient;

#[publication]
impl Patient {
    #[publish]
    fn deposited(event: Deposited) -> Moved {
        Moved { cents: event.amount }
    }
}

/// Refuses the message of 13 cents for good, for as long as the switch is on.
fn unlucky(is_on: &Arc<std::sync::atomic::AtomicBool>) -> RecordingSink {
    let is_on = Arc::clone(is_on);
    RecordingSink::failing(move |message: &Outgoing| {
        if is_on.load(Ordering::SeqCst) && &message.payload[..] == br#"{"cents":13}"# {
            return Err(SinkError::rejected(0, "too large"));
        }
        Ok(())
    })
}

on_every_store! {
    async fn an_outage_is_waited_out(store: _, _clock: _) {
        let fails = Arc::new(AtomicU32::new(7));
        let left = Arc::clone(&fails);
        let sink = RecordingSink::failing(move |_| {
            let failed = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            failed.map_or(Ok(()), |_| Err(SinkError::retry(0, "the broker is away")))
        });
        let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink.clone(), Beginning::Start);
        let runtime = builder.start().await.unwrap();
        account_with(&runtime, 5).await;
        // More often than a handler would be called before its event is held.
        let messages = sink.wait_for(2).await;
        check(ids(&messages), &expected(&*store).await);
        assert_eq!(fails.load(Ordering::SeqCst), 0);
        runtime.shutdown().await.unwrap();
    }

    async fn what_is_confirmed_is_not_published_again(store: _, _clock: _) {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        // Fails before the fourth message, once.
        let sink = RecordingSink::failing(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
            3 => Err(SinkError::retry(0, "the broker is away")),
            _ => Ok(()),
        });
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        let account = account_with(&runtime, 1).await;
        for amount in 2..=5 {
            runtime.execute(account, Deposit { amount }).await.unwrap();
        }
        drop(runtime);
        let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink.clone(), Beginning::Start);
        let runtime = builder.start().await.unwrap();
        let messages = sink.wait_for(6).await;
        check(ids(&messages), &expected(&*store).await);
        runtime.shutdown().await.unwrap();
        assert_eq!(sink.messages().len(), 6, "the three before the failure came once");
        assert_eq!(calls.load(Ordering::SeqCst), 7);
    }

    async fn a_refused_message_holds_what_comes_behind_it(store: _, _clock: _) {
        let is_on = Arc::new(true.into());
        let sink = unlucky(&is_on);
        let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink.clone(), Beginning::Start);
        let runtime = builder.start().await.unwrap();
        account_with(&runtime, 13).await;
        account_with(&runtime, 5).await;
        wait_for(async || runtime.health().await.unwrap().publications[0].status == Status::Held).await;
        assert_eq!(sink.messages().len(), 1);
        let health = runtime.health().await.unwrap();
        let failure = health.publications[0].last_error.as_ref().unwrap();
        assert!(failure.error.contains("too large"), "{failure:?}");
        assert_eq!(failure.position, Some(Position(2)));
        is_on.store(false, Ordering::SeqCst);
        runtime.publication::<Accounts>().unwrap().retry(2).await.unwrap();
        let messages = sink.wait_for(4).await;
        check(ids(&messages), &expected(&*store).await);
        runtime.shutdown().await.unwrap();
    }

    async fn a_refused_message_is_parked_with_those_behind_it_of_its_key(store: _, _clock: _) {
        let is_on = Arc::new(true.into());
        let sink = unlucky(&is_on);
        let builder = Runtime::builder(store.clone()).publication::<Patient>(sink.clone(), Beginning::Start);
        let runtime = builder.start().await.unwrap();
        let unlucky = account_with(&runtime, 13).await;
        let lucky = account_with(&runtime, 5).await;
        runtime.execute(unlucky, Deposit { amount: 2 }).await.unwrap();
        runtime.execute(lucky, Deposit { amount: 6 }).await.unwrap();
        let of_key = |key: Id<Account>| {
            let messages = sink.messages().into_iter().filter(move |message| message.key == key.to_string());
            messages.map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect::<Vec<_>>()
        };
        sink.wait_for(2).await;
        assert_eq!(of_key(lucky), [r#"{"cents":5}"#, r#"{"cents":6}"#]);
        let publication = runtime.publication::<Patient>().unwrap();
        wait_for(async || publication.parked().await.unwrap().len() == 2).await;
        is_on.store(false, Ordering::SeqCst);
        publication.retry(2).await.unwrap();
        assert_eq!(of_key(unlucky), [r#"{"cents":13}"#, r#"{"cents":2}"#]);
        assert!(publication.parked().await.unwrap().is_empty());
        runtime.shutdown().await.unwrap();
    }
}

/// A message with a number that JSON does not have.
#[message]
struct Share {
    of_the_whole: f64,
}

#[publication(topic = "bank.shares")]
struct Shares;

#[publication]
impl Shares {
    #[publish]
    fn deposited(event: Deposited) -> Share {
        Share {
            of_the_whole: if event.amount == 13 { f64::NAN } else { 1.0 },
        }
    }
}

#[tokio::test]
async fn a_message_without_a_published_form_is_held() {
    let store = Arc::new(MemoryStore::new());
    let sink = RecordingSink::new();
    let builder = Runtime::builder(store).publication::<Shares>(sink.clone(), Beginning::Start);
    let runtime = builder.start().await.unwrap();
    account_with(&runtime, 5).await;
    account_with(&runtime, 13).await;
    wait_for(async || runtime.health().await.unwrap().publications[0].status == Status::Held).await;
    let failure = runtime
        .health()
        .await
        .unwrap()
        .publications
        .remove(0)
        .last_error
        .unwrap();
    let message = "event `deposited` at position 4 is not published, as its message has no published form: repair the \
                   `#[publish]` method or the message: `share` cannot be stored";
    assert!(failure.error.contains(message), "{failure:?}");
    assert_eq!(sink.messages().len(), 1);
    runtime.shutdown().await.unwrap();
}

/// Appends an event that this build does not know.
async fn append_unknown(store: &MemoryStore, id: Id<Account>) {
    let event = NewEvent {
        id: EventId(uuid::Uuid::now_v7()),
        name: "renamed".into(),
        shape_version: 1,
        payload: "{}".into(),
        metadata: Metadata::EMPTY,
    };
    let stream = StreamId::new("account", id.to_string());
    store
        .append(Append::new(stream, ExpectedVersion::Any, vec![event]))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_event_that_the_build_does_not_know_is_not_passed_over() {
    let store = MemoryStore::new();
    let sink = RecordingSink::new();
    let builder = Runtime::builder(store.clone()).publication::<Accounts>(sink.clone(), Beginning::Start);
    let runtime = builder.start().await.unwrap();
    let account = account_with(&runtime, 0).await;
    append_unknown(&store, account).await;
    account_with(&runtime, 0).await;
    wait_for(async || runtime.health().await.unwrap().publications[0].status == Status::Held).await;
    let health = runtime.health().await.unwrap().publications.remove(0);
    assert_eq!((health.position, sink.messages().len()), (Position(1), 1), "{health:?}");
    runtime.shutdown().await.unwrap();
}
