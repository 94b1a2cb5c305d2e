//! Process managers as the engine carries them out, on every store.

use std::sync::Arc;

use es_runtime::StreamId;
use es_runtime::prelude::*;
use es_runtime::process::Beginning;
use es_runtime::store::{ProjectionStore, ReadStream, StateChange};
use es_tests::bank::{Account, account_with, balance};
use es_tests::on_every_store_and_postgres;
use es_tests::waits::LONG;
use futures_util::TryStreamExt as _;
use serde_json::Value;

use super::by_hand::{Cancel, Request, Requested, Transfer, TransferRequest};

type Store = Arc<dyn ProjectionStore>;

async fn start(store: &Store) -> Runtime {
    let builder = Runtime::builder(Arc::clone(store)).process_manager::<Transfer>(Beginning::Start);
    builder.start().await.unwrap()
}

/// The steps of an instance, once it has ended.
pub(crate) async fn steps(runtime: &Runtime, id: Id<TransferRequest>) -> Vec<Value> {
    let stream = StreamId::new("transfer", id.to_string());
    let waited = tokio::time::timeout(LONG, async {
        loop {
            let steps = runtime.store().read_stream(ReadStream::new(stream.clone()));
            let steps: Vec<_> = steps.try_collect().await.unwrap();
            let steps: Vec<Value> = steps
                .iter()
                .map(|step| serde_json::from_slice(&step.payload).unwrap())
                .collect();
            if steps.last().is_some_and(|step| step["state"].is_null()) {
                return steps;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    match waited.await {
        Ok(steps) => steps,
        Err(late) => panic!("it never ends: {late}: {:?}", runtime.health().await),
    }
}

async fn transfer(runtime: &Runtime, from: Id<Account>, to: Id<Account>, cents: i64) -> Id<TransferRequest> {
    let id = Id::new();
    runtime.execute(id, Request { from, to, cents }).await.unwrap();
    id
}

/// Waits for a moment, and ends.
#[process_manager(id = Id<TransferRequest>)]
struct Nap;

#[process_manager]
impl Nap {
    #[on]
    fn requested(_: Requested, todo: &mut Todo<Self>) -> Self {
        todo.remind(std::time::Duration::from_millis(30), Over);
        Nap
    }

    #[on]
    fn over(self, _: Due<Over>) -> Option<Self> {
        None
    }
}

#[value]
struct Over;

on_every_store_and_postgres! {
    async fn a_transfer_takes_place_once(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 100).await, account_with(&runtime, 0).await);
        let id = transfer(&runtime, alice, bob, 30).await;
        let steps = steps(&runtime, id).await;
        assert_eq!(steps.len(), 3, "{steps:#?}");
        assert_eq!((balance(&runtime, alice).await, balance(&runtime, bob).await), (70, 30));
        runtime.shutdown().await.unwrap();
    }

    async fn refused_commands_are_answered(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 10).await, account_with(&runtime, 0).await);
        let refused = steps(&runtime, transfer(&runtime, alice, bob, 30).await).await;
        assert_eq!(refused[1]["cause"]["answer"]["failed"], "insufficient funds: the balance is 10");
        let nowhere = steps(&runtime, transfer(&runtime, alice, Id::new(), 5).await).await;
        assert_eq!(nowhere[2]["cause"]["answer"]["failed"], "the aggregate does not exist");
        assert_eq!(balance(&runtime, alice).await, 10, "it was given back");
        runtime.shutdown().await.unwrap();
    }

    async fn what_it_causes_is_linked_to_its_cause(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 100).await, account_with(&runtime, 0).await);
        let id = Id::<TransferRequest>::new();
        let request = Request { from: alice, to: bob, cents: 30 };
        runtime.execute(id, request).correlation("req-7").await.unwrap();
        steps(&runtime, id).await;
        let read = async |stream| -> Vec<_> {
            let events = runtime.store().read_stream(ReadStream::new(stream));
            events.try_collect().await.unwrap()
        };
        let steps: Vec<es_runtime::RecordedEvent> = read(StreamId::new("transfer", id.to_string())).await;
        let withdrawn = read(StreamId::new("account", alice.to_string())).await.pop().unwrap();
        assert_eq!(withdrawn.metadata.causation_id(), Some(&*steps[0].id.to_string()));
        let all = steps.iter().chain([&withdrawn]);
        all.for_each(|event| assert_eq!(event.metadata.correlation_id(), Some("req-7")));
        runtime.shutdown().await.unwrap();
    }

    async fn a_timer_is_heard_when_it_is_due(store: _, clock: _) {
        let builder = Runtime::builder(Arc::clone(&store)).process_manager::<Nap>(Beginning::Start);
        let runtime = builder.start().await.unwrap();
        let alice = account_with(&runtime, 0).await;
        let id = transfer(&runtime, alice, alice, 1).await;
        let waited = tokio::time::timeout(LONG, async {
            while !matches!(runtime.process_manager::<Nap>().get(id).await, Ok(Some(nap)) if nap.state.is_none()) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                clock.advance(std::time::Duration::from_millis(5));
            }
        });
        assert!(waited.await.is_ok(), "it never wakes: {:?}", runtime.health().await);
        runtime.shutdown().await.unwrap();
    }

    async fn an_instance_that_its_timer_has_ended_is_forgotten(store: _, clock: _) {
        let builder = Runtime::builder(Arc::clone(&store)).process_manager::<Nap>(Beginning::Start);
        let runtime = builder.start().await.unwrap();
        let alice = account_with(&runtime, 0).await;
        let id = transfer(&runtime, alice, alice, 1).await;
        let states = Arc::clone(runtime.store()).state_store().unwrap();
        let remembered = async || -> usize {
            let changes: Vec<StateChange> = states.load("es/process/nap").try_collect().await.unwrap();
            changes.iter().filter(|change| change.payload.is_some()).count()
        };
        let waited = tokio::time::timeout(LONG, async {
            let has_ended = async || {
                let nap = runtime.process_manager::<Nap>().get(id).await.unwrap();
                nap.is_some_and(|nap| nap.state.is_none())
            };
            while !has_ended().await || remembered().await > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                clock.advance(std::time::Duration::from_millis(5));
            }
        });
        assert!(waited.await.is_ok(), "remembered are {}", remembered().await);
        runtime.shutdown().await.unwrap();
    }

    async fn ended_instances_stay_ended_or_begin_anew(store: _, _clock: _) {
        let runtime = start(&store).await;
        let (alice, bob) = (account_with(&runtime, 100).await, account_with(&runtime, 0).await);
        let id = transfer(&runtime, alice, bob, 30).await;
        let before = steps(&runtime, id).await.len();
        runtime.execute(id, Cancel).await.unwrap();
        // Behind the event that is not for it.
        steps(&runtime, transfer(&runtime, alice, bob, 1).await).await;
        assert_eq!(steps(&runtime, id).await.len(), before);
        runtime.shutdown().await.unwrap();
    }
}
