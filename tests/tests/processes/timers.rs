//! Timers, on every store whose clock a test can move.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::process::{Cause, Instance, InstanceStatus, ProcessError};
use es_runtime::store::ProjectionStore;
use es_runtime::testing::ManualClock;
use es_tests::bank::{Account, Deposit, account_with, balance};
use es_tests::waits::LONG;
use es_tests::{on_every_store, scaled};

use super::by_hand::{Cancel, Cancelled, HOUR, Request, Requested, TransferRequest};
use super::parked::{is_broken, set_broken};

type Store = Arc<dyn ProjectionStore>;

#[value]
pub(crate) struct Once {
    times: u32,
}

/// Pays in a cent each time that it is reminded.
#[process_manager(id = Id<TransferRequest>)]
pub(crate) struct Saving {
    account: Id<Account>,
    reminded: u32,
}

#[process_manager]
impl Saving {
    #[on]
    fn requested(event: Requested, todo: &mut Todo<Self>) -> Self {
        todo.remind(HOUR * 2, Once { times: 2 });
        todo.remind(HOUR, Once { times: 1 });
        Saving {
            account: event.from,
            reminded: 0,
        }
    }

    #[on]
    fn once(&mut self, due: Due<Once>, todo: &mut Todo<Self>) {
        self.reminded += 1;
        assert_eq!(
            self.reminded, due.timer.times,
            "the one that is due first is heard first"
        );
        todo.send(self.account, Deposit { amount: 1 });
    }

    #[on]
    fn paid(&mut self, _: Done<Deposit>) {}

    #[on]
    fn not_paid(&mut self, _: AnyFailed) {}

    #[on]
    fn cancelled(self, _: Cancelled) -> Option<Self> {
        None
    }
}

/// Waits for an hour, and ends. It panics if the account is broken then.
#[process_manager(id = Id<TransferRequest>)]
pub(crate) struct Brittle {
    account: Id<Account>,
}

#[process_manager]
impl Brittle {
    #[on]
    fn requested(event: Requested, todo: &mut Todo<Self>) -> Self {
        todo.remind(HOUR, Once { times: 1 });
        Brittle { account: event.from }
    }

    #[on]
    fn once(self, _: Due<Once>) -> Option<Self> {
        assert!(!is_broken(self.account), "the account is broken");
        None
    }
}

async fn start(store: &Store) -> Runtime {
    // Its own clock does not count.
    let elsewhere = ManualClock::at("1999-12-31T23:59:59Z".parse().unwrap());
    let builder = Runtime::builder(Arc::clone(store))
        .clock(elsewhere)
        .process_manager::<Saving>(Beginning::Start);
    builder.start().await.unwrap()
}

async fn save(runtime: &Runtime, account: Id<Account>) -> Id<TransferRequest> {
    let (id, from, to) = (Id::new(), account, account);
    runtime.execute(id, Request { from, to, cents: 1 }).await.unwrap();
    id
}

/// Waits until the instance is so.
async fn until(
    runtime: &Runtime,
    id: Id<TransferRequest>,
    is_so: impl Fn(&Instance<Saving>) -> bool,
) -> Instance<Saving> {
    let waited = tokio::time::timeout(LONG, async {
        loop {
            if let Some(instance) = runtime.process_manager::<Saving>().get(id).await.unwrap()
                && is_so(&instance)
            {
                return instance;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    match waited.await {
        Ok(instance) => instance,
        Err(late) => panic!("never: {late}: {:?}", runtime.health().await),
    }
}

fn reminded(times: u32) -> impl Fn(&Instance<Saving>) -> bool {
    move |instance| {
        let is_so = instance.state.as_ref().is_some_and(|saving| saving.reminded == times);
        is_so && instance.status == InstanceStatus::Waiting
    }
}

on_every_store! {
    async fn timers_are_heard_once_by_the_clock_of_the_store(store: _, clock: _) {
        let runtime = start(&store).await;
        let account = account_with(&runtime, 0).await;
        let id = save(&runtime, account).await;
        let begun = until(&runtime, id, |_| true).await;
        let due: Vec<_> = begun.timers.iter().map(|timer| timer.due.as_micros() - begun.since.as_micros()).collect();
        assert_eq!(due, [7_200_000_000, 3_600_000_000]);
        clock.advance(HOUR);
        until(&runtime, id, reminded(1)).await;
        clock.advance(Duration::from_secs(3599));
        // Another one is reminded behind it, so that this one would have been by now.
        let second = save(&runtime, account).await;
        until(&runtime, second, |_| true).await;
        assert_eq!(until(&runtime, id, |_| true).await.timers.len(), 1);
        clock.advance(HOUR);
        until(&runtime, second, reminded(1)).await;
        until(&runtime, id, reminded(2)).await;
        clock.advance(HOUR);
        until(&runtime, second, reminded(2)).await;
        assert_eq!(balance(&runtime, account).await, 4);
        let mut history = runtime.process_manager::<Saving>().history(id);
        let mut causes = Vec::new();
        while let Some(step) = history.next().await.unwrap() {
            causes.push(match step.cause {
                Cause::Elapsed => "elapsed",
                Cause::Due { .. } => "due",
                Cause::Event { .. } => "event",
                _ => "answer",
            });
        }
        assert_eq!(causes, ["event", "elapsed", "due", "answer", "elapsed", "due", "answer"]);
        runtime.shutdown().await.unwrap();
    }

    async fn timers_of_ended_instances_are_never_heard(store: _, clock: _) {
        let runtime = start(&store).await;
        let account = account_with(&runtime, 0).await;
        let (ended, running) = (save(&runtime, account).await, save(&runtime, account).await);
        runtime.execute(ended, Cancel).await.unwrap();
        let version = until(&runtime, ended, |instance| instance.state.is_none()).await.version;
        clock.advance(HOUR * 3);
        until(&runtime, running, reminded(2)).await;
        assert_eq!(until(&runtime, ended, |_| true).await.version, version);
        runtime.shutdown().await.unwrap();
    }

    async fn timers_fire_once(store: _, clock: _) {
        let many = scaled(100, 100_000);
        let first = start(&store).await;
        let account = account_with(&first, 0).await;
        let mut ids = Vec::new();
        for _ in 0..many {
            ids.push(save(&first, account).await);
        }
        for id in &ids {
            until(&first, *id, |_| true).await;
        }
        drop(first);
        clock.advance(HOUR * 24);
        let second = start(&store).await;
        for id in &ids {
            until(&second, *id, reminded(2)).await;
        }
        assert_eq!(balance(&second, account).await, 2 * i64::from(many));
        let running = second.process_manager::<Saving>().list().await.unwrap();
        assert_eq!(running.len(), ids.len());
        let stuck = second.process_manager::<Saving>().list().stuck_for(HOUR).await.unwrap();
        assert_eq!(stuck.len(), 0, "by the clock of this runtime they are of the future");
        second.shutdown().await.unwrap();
    }

    async fn a_timer_that_panics_parks_its_instance(store: _, clock: _) {
        let builder = Runtime::builder(Arc::clone(&store)).process_manager::<Brittle>(Beginning::Start);
        let runtime = builder.start().await.unwrap();
        let brittle = runtime.process_manager::<Brittle>();
        let (good, bad) = (account_with(&runtime, 0).await, account_with(&runtime, 0).await);
        let (first, second) = (save(&runtime, bad).await, save(&runtime, good).await);
        let wait_for = async |id, is_so: fn(&InstanceStatus) -> bool| {
            let waited = tokio::time::timeout(LONG, async {
                while !brittle.get(id).await.unwrap().is_some_and(|instance| is_so(&instance.status)) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            assert!(waited.await.is_ok(), "never: {:?}", runtime.health().await);
        };
        wait_for(first, |status| *status == InstanceStatus::Waiting).await;
        wait_for(second, |status| *status == InstanceStatus::Waiting).await;
        set_broken(bad, true);
        clock.advance(HOUR * 2);
        wait_for(second, |status| *status == InstanceStatus::Ended).await;
        wait_for(first, |status| matches!(status, InstanceStatus::Parked { .. })).await;
        set_broken(bad, false);
        brittle.retry(first).await.unwrap();
        wait_for(first, |status| *status == InstanceStatus::Ended).await;
        runtime.shutdown().await.unwrap();
    }

    async fn timers_are_found_when_the_states_are_lost(store: _, clock: _) {
        let with_states = async |states: MemoryStore| {
            let builder = Runtime::builder(Arc::clone(&store)).states(Arc::new(states));
            builder.process_manager::<Saving>(Beginning::Start).start().await.unwrap()
        };
        let first = with_states(MemoryStore::new()).await;
        let account = account_with(&first, 0).await;
        let (id, ended) = (save(&first, account).await, save(&first, account).await);
        first.execute(ended, Cancel).await.unwrap();
        until(&first, id, |_| true).await;
        until(&first, ended, |instance| instance.state.is_none()).await;
        drop(first);

        let second = with_states(MemoryStore::new()).await;
        let saving = second.process_manager::<Saving>();
        assert_eq!(saving.list().await.unwrap().len(), 1);
        clock.advance(HOUR * 2);
        until(&second, id, reminded(2)).await;
        assert_eq!(saving.list().await.unwrap().len(), 1);
        second.shutdown().await.unwrap();
    }

    async fn an_instance_is_ended_by_hand(store: _, clock: _) {
        let runtime = start(&store).await;
        let saving = runtime.process_manager::<Saving>();
        let account = account_with(&runtime, 0).await;
        let id = save(&runtime, account).await;
        until(&runtime, id, |_| true).await;
        saving.end(id, "settled by hand, ticket 4711").await.unwrap();
        let ended = saving.get(id).await.unwrap().unwrap();
        assert_eq!((ended.status, ended.timers.len()), (InstanceStatus::Ended, 0));
        let mut history = saving.history(id);
        let mut last = None;
        while let Some(step) = history.next().await.unwrap() {
            last = Some(step.cause);
        }
        let reason = "settled by hand, ticket 4711".to_owned();
        assert_eq!(last, Some(Cause::Ended { reason }));
        assert!(matches!(saving.end(id, "again").await, Err(ProcessError::NotFound { .. })));
        assert!(matches!(saving.retry(id).await, Err(ProcessError::NotFound { .. })));
        assert!(saving.get(Id::new()).await.unwrap().is_none());
        let other = save(&runtime, account).await;
        until(&runtime, other, |_| true).await;
        assert!(matches!(saving.retry(other).await, Err(ProcessError::NotParked { .. })));
        clock.advance(HOUR * 3);
        until(&runtime, other, reminded(2)).await;
        assert_eq!(saving.get(id).await.unwrap().unwrap().state, None);
        runtime.shutdown().await.unwrap();
    }
}
