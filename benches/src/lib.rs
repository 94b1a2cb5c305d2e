//! Parts that the benchmarks share: the bank with other crates, and how to time.

pub mod closed_loop;
pub mod peers;

use std::time::{Duration, Instant};

use es_runtime::prelude::*;
use es_runtime::store::{Append, StreamAppend};
use es_runtime::{AppendId, EventId, EventStore, ExpectedVersion, Key as _, Metadata, NewEvent};
use es_tests::bank::Account;
use uuid::Uuid;

/// The median of `rounds` timings of each contender, who take turns: the machine's speed drifts, and then it drifts for all.
pub async fn in_turns<const N: usize>(
    rounds: usize,
    mut contenders: [Contender<'_>; N],
) -> [(&'static str, Duration); N] {
    let mut timings: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..rounds {
        for (contender, timings) in contenders.iter_mut().zip(&mut timings) {
            timings.push((contender.run)().await);
        }
    }
    let mut index = 0;
    timings.map(|mut timings| {
        timings.sort_unstable();
        index += 1;
        (contenders[index - 1].name, timings[timings.len() / 2])
    })
}

/// Something that is timed beside others.
pub struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut() -> futures_util::future::LocalBoxFuture<'a, Duration> + 'a>,
}

impl<'a> Contender<'a> {
    /// `run` does the work once and says how long it took.
    pub fn new<F: Future<Output = Duration> + 'a>(name: &'static str, mut run: impl FnMut() -> F + 'a) -> Self {
        Self {
            name,
            run: Box::new(move || Box::pin(run())),
        }
    }
}

/// Measures the time of `work`.
pub async fn timed(work: impl Future<Output = ()>) -> Duration {
    let start = Instant::now();
    work.await;
    start.elapsed()
}

/// The rate in a second, if `count` take `time`.
#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
pub fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// The accounts over which events are spread: one row each.
const ACCOUNTS: usize = 10_000;

/// Appends so many events to accounts, in large batches, and gives the accounts.
///
/// # Panics
///
/// If the store fails.
pub async fn fill(store: &dyn EventStore, events: usize) -> Vec<Id<Account>> {
    let accounts: Vec<Id<Account>> = (0..ACCOUNTS.min(events)).map(|_| Id::new()).collect();
    let mut left = events;
    let mut is_first = true;
    while left > 0 {
        for chunk in accounts.chunks(1_000) {
            let chunk = &chunk[..chunk.len().min(left)];
            left -= chunk.len();
            let streams = chunk.iter().map(|account| StreamAppend {
                stream: account.stream_id(),
                expected: ExpectedVersion::Any,
                last: None,
                events: vec![event(is_first)],
            });
            let streams: Vec<_> = streams.collect();
            if !streams.is_empty() {
                let append = Append {
                    id: AppendId::new(),
                    key: None,
                    streams,
                };
                store.append(append).await.expect("the store takes it");
            }
        }
        is_first = false;
    }
    accounts
}

fn event(opens: bool) -> NewEvent {
    let (name, payload) = if opens {
        ("opened", r#"{"owner":"Alice"}"#)
    } else {
        ("deposited", r#"{"amount":5}"#)
    };
    NewEvent {
        id: EventId(Uuid::now_v7()),
        name: name.into(),
        shape_version: 1,
        payload: payload.into(),
        metadata: Metadata::EMPTY,
    }
}
