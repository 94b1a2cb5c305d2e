//! Events per second through a handler that takes a millisecond: one stream at a time, 16 at once, and 16 at once where the first event
//! of one stream is parked, and all others of that stream behind it.
//!
//! `handle [STREAMS] [STORE]…`: 9,999 streams of a deposit each, and all stores unless said otherwise; a store is `memory`, `sqlite` or
//! `postgres`, the last in a new database on the server of `ES_TEST_DATABASE_URL`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use es_benches::per_second;
use es_runtime::Recorded;
use es_runtime::prelude::*;
use es_runtime::store::ProjectionStore;
use es_sqlite::SqliteStore;
use es_tests::bank::{Account, Deposited, Opened};
use es_tests::stores;

/// The part of the events that one stream at a time is given: one in so many.
const SHARE: usize = 5;
/// The amount that cannot be handled.
const UNLUCKY: i64 = 13;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let streams = arguments.next().map_or(Ok(9_999), |streams| streams.parse())?;
    let mut names: Vec<String> = arguments.collect();
    if names.is_empty() {
        names = ["memory", "sqlite", "postgres"].map(str::to_owned).into();
    }
    for name in names {
        let calm = filled(&name, streams, false).await?;
        let one = handle(&calm, "one", 1, streams / SHARE).await?;
        let sixteen = handle(&calm, "sixteen", 16, streams).await?;
        let troubled = filled(&name, streams, true).await?;
        let parked = handle(&troubled, "sixteen", 16, streams).await?;
        println!("{name:<9} {one:>7.0} events/s one stream at a time");
        println!(
            "{name:<9} {sixteen:>7.0} events/s 16 at once: {:.1} times",
            sixteen / one
        );
        println!(
            "{name:<9} {parked:>7.0} events/s of the others beside a parked stream: {:.2} times",
            parked / sixteen
        );
    }
    Ok(())
}

/// A runtime on a store with a deposit into each of so many accounts. With trouble, there is one account more: its first deposit cannot be
/// handled, and another one follows before each of the others.
async fn filled(name: &str, streams: usize, has_trouble: bool) -> Result<Runtime> {
    let store: Arc<dyn ProjectionStore> = match name {
        "memory" => Arc::new(MemoryStore::new()),
        "sqlite" => Arc::new(SqliteStore::open(tempfile::tempdir()?.keep().join("bench.db")).await?),
        _ => Arc::new(stores::postgres().await),
    };
    let runtime = Runtime::builder(store).start().await?;
    let unlucky = Id::new();
    if has_trouble {
        deposit(&runtime, unlucky, UNLUCKY, true).await;
    }
    for _ in 0..streams {
        if has_trouble {
            deposit(&runtime, unlucky, 1, false).await;
        }
        deposit(&runtime, Id::new(), 1, true).await;
    }
    Ok(runtime)
}

/// A deposit, into a new account if that is said.
async fn deposit(runtime: &Runtime, account: Id<Account>, amount: i64, is_new: bool) {
    let deposited = Deposited { amount };
    let appended = if is_new {
        let opened = Opened { owner: "Alice".into() };
        runtime.append(account, (opened, deposited)).await
    } else {
        runtime.append(account, [deposited]).await
    };
    appended.expect("the store takes it");
}

/// Has so many events handled.
async fn handle(runtime: &Runtime, name: &str, at_once: u16, events: usize) -> Result<f64> {
    let handled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handled);
    let handler = move |posting: Recorded<Deposited>| {
        let handled = Arc::clone(&counted);
        async move {
            if posting.event.amount == UNLUCKY {
                return Err(std::io::Error::other("13 brings bad luck"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            handled.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    };
    let started = Instant::now();
    let subscribe = runtime.subscribe(name).event::<Deposited>().from_start();
    subscribe
        .handle(handler)
        .at_once(at_once)
        .attempts(1)
        .park()
        .start()
        .await?;
    while handled.load(Ordering::Relaxed) < events {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(per_second(events, started.elapsed()))
}
