//! One schedule: callers, each with some commands, and what they were answered.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use es_conformance::wrap::Wrapped;
use es_runtime::prelude::*;
use es_runtime::store::ReadStream;
use es_runtime::{AppendError, EventStore, ExecuteError, Receipt, RetryPolicy, StreamId};
use futures_util::TryStreamExt as _;

use super::ledger::{Break, Ledger, Look, Move, Moved, Open, TooLittle, digest};
use super::unsteady::{Chance, Unsteady};

/// A schedule by this seed.
pub(super) struct Play {
    seed: u64,
    stalls: bool,
}

/// A move that was asked for, and what is known of it.
#[derive(Debug)]
struct Asked {
    tag: u64,
    /// The version at which it is said to be stored.
    stored: Option<u64>,
    known: Known,
}

#[derive(Debug, PartialEq)]
enum Known {
    Stored,
    NotStored,
    Unknown,
}

/// An event of the log: its version, its position, its tag, and the digest with it.
struct Logged {
    version: u64,
    position: u64,
    moved: Option<Moved>,
    digest: u64,
}

impl Play {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, stalls: false }
    }

    /// Some calls of the store last longer than those who wait have patience, for which time has to be one that is only played.
    pub(super) fn stalling(self) -> Self {
        Self { stalls: true, ..self }
    }

    /// Plays it. Returns the number of appends that went to the store in chains of several.
    pub(super) async fn on<S: EventStore + Clone>(&self, store: S) -> u64 {
        let chance = Chance::new(self.seed);
        let stranger = Runtime::builder(store.clone()).start().await.unwrap();
        let ledger = Id::new();
        stranger.execute(ledger, Open { balance: 5 }).await.unwrap();
        let unsteady = Wrapped(Arc::new(Unsteady {
            store: store.clone(),
            stranger,
            ledger,
            fault: chance.one_of([4, 10, 40, u64::MAX / 4]),
            stalls: self.stalls,
            chained: AtomicU64::new(0),
            chance: Chance::new(self.seed.wrapping_add(1 << 40)),
        }));
        let retry = RetryPolicy::default()
            .attempts(chance.one_of([1, 2, 3, 6]))
            .first_pause(Duration::ZERO);
        let runtime = Runtime::builder(unsteady.clone())
            .retry(retry)
            .cache(chance.one_of([0, 1, 100]))
            .queue(chance.one_of([2, 1_000, 1_000]))
            .start()
            .await
            .unwrap();
        let callers: Vec<_> = (0..2 + chance.below(8))
            .map(|number| {
                let caller = Caller {
                    runtime: runtime.clone(),
                    store: store.clone(),
                    ledger,
                    chance: Chance::new(self.seed ^ (number + 1) << 50),
                    number,
                };
                tokio::spawn(caller.run())
            })
            .collect();
        let mut asked = Vec::new();
        for caller in callers {
            asked.extend(
                caller
                    .await
                    .unwrap_or_else(|error| panic!("seed {}: {error}", self.seed)),
            );
        }
        let log = log(&store, ledger).await;
        for asked in asked {
            let of_tag = log
                .iter()
                .filter(|logged| logged.moved.as_ref().is_some_and(|moved| moved.tag == asked.tag));
            let versions: Vec<_> = of_tag.map(|logged| logged.version).collect();
            let is_right = match asked.known {
                Known::Stored => versions.len() == 1 && asked.stored.is_none_or(|version| versions == [version]),
                Known::NotStored => versions.is_empty(),
                Known::Unknown => versions.len() <= 1,
            };
            assert!(
                is_right,
                "seed {}: {asked:?} stands at versions {versions:?}",
                self.seed
            );
        }
        unsteady.0.chained.load(Ordering::Relaxed)
    }
}

/// Reads the log, in which each event has to have been decided on those before it.
async fn log(store: &impl EventStore, ledger: Id<Ledger>) -> Vec<Logged> {
    let stream = StreamId::new("digested", ledger.to_string());
    let mut events = store.read_stream(ReadStream::new(stream));
    let (mut log, mut before) = (Vec::new(), 0);
    while let Some(event) = events.try_next().await.unwrap() {
        let moved: Option<Moved> = (event.name == "moved").then(|| serde_json::from_slice(&event.payload).unwrap());
        if let Some(moved) = &moved {
            assert_eq!(
                moved.seen, before,
                "the event at version {} was decided on something else",
                event.version
            );
            before = digest(before, moved.tag);
        }
        log.push(Logged {
            version: event.version.0,
            position: event.position.0,
            moved,
            digest: before,
        });
    }
    log
}

struct Caller<S> {
    runtime: Runtime,
    store: S,
    ledger: Id<Ledger>,
    chance: Chance,
    number: u64,
}

impl<S: EventStore> Caller<S> {
    async fn run(self) -> Vec<Asked> {
        let mut asked = Vec::new();
        for round in 0..=self.chance.below(4) {
            match self.chance.below(12) {
                0 => self.look().await,
                1 => self.fall().await,
                _ => asked.push(self.change(self.number * 1_000 + round).await),
            }
        }
        asked
    }

    async fn look(&self) {
        match self.runtime.execute(self.ledger, Look).await {
            Ok(receipt) => {
                let log = log(&self.store, self.ledger).await;
                let last = log.iter().find(|logged| logged.version == receipt.version.0);
                let last = last.expect("what was looked at is stored");
                assert_eq!((receipt.position.0, receipt.events), (last.position, 0));
            }
            Err(error) => assert!(is_failure(&error), "{error:?}"),
        }
    }

    async fn fall(&self) {
        let (runtime, ledger) = (self.runtime.clone(), self.ledger);
        let fallen = tokio::spawn(async move { runtime.execute(ledger, Break).await });
        match fallen.await {
            Ok(Ok(receipt)) => panic!("it has no answer: {receipt:?}"),
            Ok(Err(error)) => assert!(is_failure(&error), "{error:?}"),
            Err(error) => assert!(error.is_panic(), "{error}"),
        }
    }

    async fn change(&self, tag: u64) -> Asked {
        let amount = i64::try_from(self.chance.below(9)).unwrap() - 5;
        let key = self.chance.once_in(3).then(|| format!("{} {tag}", self.ledger));
        let expected = self.chance.once_in(8).then(|| 1 + self.chance.below(6));
        let mut request = self.runtime.execute(self.ledger, Move { tag, amount });
        if let Some(key) = &key {
            request = request.idempotency_key(key);
        }
        if let Some(version) = expected {
            request = request.expect_version(version);
        }
        let mut asked = Asked {
            tag,
            stored: None,
            known: Known::Unknown,
        };
        if self.chance.once_in(6) {
            // Sent, looked at some times, and dropped.
            let Some(answer) = Dropped::after(self.chance.below(6), request.into_future()).await else {
                return asked;
            };
            self.note(&mut asked, answer, expected).await;
            return asked;
        }
        let Some(key) = key.filter(|_| self.chance.once_in(2)) else {
            self.note(&mut asked, request.await, expected).await;
            return asked;
        };
        // Twice at once.
        let again = self
            .runtime
            .execute(self.ledger, Move { tag, amount })
            .idempotency_key(key);
        let (first, second) = tokio::join!(request.into_future(), again.into_future());
        let stored = [&first, &second].map(|answer| answer.as_ref().ok().map(|receipt| receipt.version));
        if let [Some(first), Some(second)] = stored {
            assert_eq!(first, second, "one request has one receipt");
        }
        let mut other = Asked {
            tag,
            stored: None,
            known: Known::Unknown,
        };
        self.note(&mut asked, first, expected).await;
        self.note(&mut other, second, None).await;
        if other.known == Known::Stored || asked.known != Known::Stored && other.known == Known::Unknown {
            asked = other;
        }
        asked
    }

    /// Notes what an answer says, and holds a refusal to what is stored.
    async fn note(&self, asked: &mut Asked, answer: Result<Receipt, ExecuteError<TooLittle>>, expected: Option<u64>) {
        asked.known = match answer {
            Ok(receipt) => {
                asked.stored = Some(receipt.version.0);
                Known::Stored
            }
            Err(ExecuteError::Refused(TooLittle { version, seen })) => {
                let log = log(&self.store, self.ledger).await;
                let last = log.iter().find(|logged| logged.version == version);
                assert_eq!(
                    last.map(|logged| logged.digest),
                    Some(seen),
                    "refused on what is not stored"
                );
                Known::NotStored
            }
            Err(ExecuteError::Conflict { actual, demanded, .. }) => {
                assert_eq!(demanded, expected.is_some());
                let log = log(&self.store, self.ledger).await;
                assert!(
                    log.iter().any(|logged| logged.version == actual.0),
                    "in conflict with what is not stored"
                );
                Known::NotStored
            }
            Err(ExecuteError::Append(AppendError::UnderReplicated { .. })) => Known::Stored,
            Err(ExecuteError::Indeterminate { .. }) => Known::Unknown,
            Err(error) => {
                assert!(is_failure(&error), "{error:?}");
                Known::NotStored
            }
        };
    }
}

/// A failure of the store, or of those who wait too many.
fn is_failure<R>(error: &ExecuteError<R>) -> bool {
    matches!(
        error,
        ExecuteError::Append(AppendError::Store(_)) | ExecuteError::Load(_) | ExecuteError::Busy { .. }
    )
}

/// A future that is dropped after some looks at it.
struct Dropped<F> {
    looks: u64,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Dropped<F> {
    async fn after(looks: u64, future: F) -> Option<F::Output> {
        let future = Some(Box::pin(future));
        pin!(Self { looks, future }).await
    }
}

impl<F: Future> Future for Dropped<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if self.looks == 0 {
            self.future = None;
            return Poll::Ready(None);
        }
        self.looks -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
