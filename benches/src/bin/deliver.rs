//! The time from a commit to the handler that takes its event, within a process and between two, and events per second into a
//! subscription that catches up.
//!
//! `deliver [EVENTS] [STORE]…`: 100,000 events to catch up with and all stores unless said otherwise; a store is `memory`, `sqlite` or
//! `postgres`, the last in a new database on the server of `ES_TEST_DATABASE_URL`.

use std::sync::Arc;
use std::time::Instant;

use es_benches::per_second;
use es_runtime::prelude::*;
use es_runtime::store::ProjectionStore;
use es_runtime::{Position, Recorded};
use es_sqlite::SqliteStore;
use es_tests::bank::{Account, AccountEvent, Deposit, Deposited, account_with};
use es_tests::stores;
use tokio::sync::mpsc;

/// The samples of the latency.
const PROBES: usize = 1_000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let events = arguments.next().map_or(Ok(100_000), |events| events.parse())?;
    let mut names: Vec<String> = arguments.collect();
    if names.is_empty() {
        names = ["memory", "sqlite", "postgres"].map(str::to_owned).into();
    }
    for name in names {
        let folder = tempfile::tempdir()?;
        // Two stores on the same file or database know of each other no more than two processes do.
        let (here, there): (Arc<dyn ProjectionStore>, Arc<dyn ProjectionStore>) = match &*name {
            "memory" => {
                let store = MemoryStore::new();
                (Arc::new(store.clone()), Arc::new(store))
            }
            "sqlite" => {
                let path = folder.path().join("bench.db");
                (
                    Arc::new(SqliteStore::open(&path).await?),
                    Arc::new(SqliteStore::open(&path).await?),
                )
            }
            _ => {
                let address = stores::postgres_address().await;
                (
                    Arc::new(stores::postgres_at(&address).await),
                    Arc::new(stores::postgres_at(&address).await),
                )
            }
        };
        let here = Runtime::builder(here).start().await?;
        let there = Runtime::builder(there).start().await?;
        let account = fill(&here, events).await;
        let rate = catch_up(&here, events).await?;
        println!("{name:<9} {rate:>9.0} events/s caught up with");
        for (writer, place) in [(&here, "the same process"), (&there, "another process")] {
            let (p50, p99) = latency(&here, writer, account, place).await?;
            println!("{name:<9} commit to handler, appended by {place:<16}: {p50:>6} µs p50, {p99:>6} µs p99");
        }
        here.shutdown().await?;
        there.shutdown().await?;
    }
    Ok(())
}

/// So many deposits into one account.
async fn fill(runtime: &Runtime, events: usize) -> Id<Account> {
    let account = account_with(runtime, 1).await;
    let mut left = events;
    while left > 0 {
        let deposits = vec![Deposited { amount: 1 }; left.min(500)];
        left -= deposits.len();
        runtime.append(account, deposits).await.expect("the store takes it");
    }
    account
}

/// Takes each event from the stream and acknowledges it.
async fn catch_up(runtime: &Runtime, events: usize) -> Result<f64> {
    let started = Instant::now();
    let mut postings = runtime
        .subscribe("catching up")
        .aggregate::<Account>()
        .from_start()
        .start()
        .await?;
    for _ in 0..events {
        let posting = postings.next().await?.expect("nobody shuts it down");
        posting.ack_soon();
    }
    Ok(per_second(events, started.elapsed()))
}

/// From the answer to a command to the handler that is called for its event, in microseconds.
async fn latency(reader: &Runtime, writer: &Runtime, account: Id<Account>, name: &str) -> Result<(u128, u128)> {
    let (handled, mut calls) = mpsc::unbounded_channel();
    let handler = move |posting: Recorded<AccountEvent>| {
        let sent = handled.send((posting.position, Instant::now()));
        async move { sent }
    };
    let subscribe = reader.subscribe(name).stream(account).from_head();
    subscribe.handle(handler).start().await?;
    let mut times = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let receipt = writer.execute(account, Deposit { amount: 1 }).await?;
        let committed = Instant::now();
        let mut at = (Position::ZERO, committed);
        while at.0 < receipt.position {
            at = calls.recv().await.expect("nobody shuts it down");
        }
        times.push(at.1.saturating_duration_since(committed).as_micros());
    }
    times.sort_unstable();
    Ok((times[PROBES / 2], times[PROBES * 99 / 100]))
}
