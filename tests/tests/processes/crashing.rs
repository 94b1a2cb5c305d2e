//! A process ends at each point of a transfer, or loses each answer: the transfer takes place once all the same.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use es_conformance::wrap::{Wrap, Wrapped};
use es_runtime::prelude::*;
use es_runtime::store::{Append, AppendError, AppendRef, Appended, ReadStream};
use es_runtime::testing::ManualClock;
use es_runtime::{RecordedEvent, StoreError, StoreErrorKind};
use es_tests::bank::{Account, account_with, balance};
use es_tests::stores;
use es_tests::waits::wait_until;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::by_hand::{Request, Transfer, TransferRequest};
use super::carried_out::steps;

/// The fate of the call of this number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// The process ends before it.
    Before,
    /// The process ends behind it, without its answer.
    Behind,
    /// It is done, and its answer is lost; and so is that to the question what became of it.
    AnswerLost,
}

/// Ends a process at one of its reads and appends: none returns from then on.
struct Ending {
    store: Arc<MemoryStore>,
    calls: AtomicU64,
    at: u64,
    end: End,
    has_ended: AtomicBool,
    is_resolved: AtomicBool,
}

impl Ending {
    /// Returns whether the call is the last one; does not return behind it.
    async fn call(&self) -> bool {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if call < self.at || self.end == End::AnswerLost {
            return call == self.at;
        }
        self.has_ended.store(true, Ordering::SeqCst);
        if call == self.at && self.end == End::Behind {
            return true;
        }
        pending().await
    }
}

#[async_trait]
impl Wrap for Ending {
    fn inner(&self) -> &dyn EventStore {
        &*self.store
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let is_last = self.call().await;
        let reference = AppendRef::of(&append);
        let appended = self.store.append(append).await;
        match self.end {
            End::Behind if is_last => pending().await,
            End::AnswerLost if is_last && appended.is_ok() => {
                self.has_ended.store(true, Ordering::SeqCst);
                self.is_resolved.store(false, Ordering::SeqCst);
                let source = StoreError::new(StoreErrorKind::Unavailable, "the answer is lost");
                Err(AppendError::Indeterminate {
                    append: Box::new(reference),
                    source,
                })
            }
            _ => appended,
        }
    }

    async fn resolve(&self, append: &AppendRef) -> Result<Option<Appended>, StoreError> {
        if self.is_resolved.swap(true, Ordering::SeqCst) {
            return self.store.resolve(append).await;
        }
        Err(StoreError::new(StoreErrorKind::Unavailable, "so is this one"))
    }

    fn read_stream(&self, query: ReadStream) -> BoxStream<'_, Result<RecordedEvent, StoreError>> {
        let read = async move {
            if self.call().await && self.end == End::Behind {
                pending::<()>().await;
            }
            self.store.read_stream(query)
        };
        stream::once(read).flatten().boxed()
    }
}

/// A machine: what runs on it ends with it.
fn machine() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

struct Bank {
    store: Arc<MemoryStore>,
    clock: ManualClock,
    alice: Id<Account>,
    bob: Id<Account>,
    transfer: Id<TransferRequest>,
}

impl Bank {
    /// In which a transfer is requested.
    fn open(cents: i64) -> Self {
        let clock = stores::clock();
        let store = Arc::new(MemoryStore::new().with_clock(clock.clone()));
        let opened = machine().block_on(async {
            let runtime = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
            let (from, to) = (account_with(&runtime, 100).await, account_with(&runtime, 0).await);
            let id = Id::new();
            runtime.execute(id, Request { from, to, cents }).await.unwrap();
            (from, to, id)
        });
        let (alice, bob, transfer) = opened;
        Self {
            store,
            clock,
            alice,
            bob,
            transfer,
        }
    }

    /// Has a process work until it ends. Whether it ended before it was done.
    fn work(&self, at: u64, end: End) -> bool {
        let ending = Arc::new(Ending {
            store: Arc::clone(&self.store),
            calls: AtomicU64::new(0),
            at,
            end,
            has_ended: AtomicBool::new(false),
            is_resolved: AtomicBool::new(true),
        });
        let machine = machine();
        let stream = es_runtime::StreamId::new("transfer", self.transfer.to_string());
        machine.block_on(async {
            let builder = Runtime::builder(Wrapped(Arc::clone(&ending)))
                .cursors(Arc::clone(&self.store).cursor_store().unwrap())
                .states(Arc::clone(&self.store).state_store().unwrap())
                .process_manager::<Transfer>(Beginning::Start);
            let runtime = builder.start().await.unwrap();
            let is_done = || {
                let last = self
                    .store
                    .read_stream(ReadStream::new(stream.clone()).backwards().limit(1));
                let last = futures_util::FutureExt::now_or_never(last.try_collect::<Vec<_>>());
                let last = last.and_then(Result::ok).and_then(|mut steps| steps.pop());
                last.is_some_and(|step| !step.payload.windows(8).any(|part| part == br#""state":"#))
            };
            wait_until(|| ending.has_ended.load(Ordering::SeqCst) || is_done()).await;
            if end == End::AnswerLost {
                wait_until(is_done).await;
            }
            drop(runtime);
        });
        machine.shutdown_background();
        ending.has_ended.load(Ordering::SeqCst)
    }

    /// Has another process do what is left, and looks at what there is then.
    fn check(&self, what: &str) {
        self.clock.advance(Duration::from_secs(10));
        machine().block_on(async {
            let builder = Runtime::builder(Arc::clone(&self.store)).process_manager::<Transfer>(Beginning::Start);
            let runtime = builder.start().await.unwrap();
            let steps = steps(&runtime, self.transfer).await;
            assert_eq!(steps.len(), 3, "{what}: {steps:#?}");
            let balances = (balance(&runtime, self.alice).await, balance(&runtime, self.bob).await);
            assert_eq!(balances, (70, 30), "{what}");
            runtime.shutdown().await.unwrap();
        });
    }
}

#[test]
fn crash_at_each_read_and_append() {
    for end in [End::Before, End::Behind] {
        let mut points = 0;
        while {
            let bank = Bank::open(30);
            let ended = bank.work(points, end);
            bank.check(&format!("{end:?} call {points}"));
            ended
        } {
            points += 1;
        }
        assert!(
            points >= 6,
            "a transfer reads and appends more often than {points} times"
        );
    }
}

#[test]
fn lost_answers() {
    let mut lost = 0;
    for at in 0..12 {
        let bank = Bank::open(30);
        lost += u64::from(bank.work(at, End::AnswerLost));
        bank.check(&format!("without the answer of call {at}"));
    }
    assert_eq!(lost, 3, "each append of a transfer");
}
