//! Events per second into a projection that catches up, and the time from a commit to the row that shows it.
//!
//! `project [EVENTS] [STORE]…`: 1,000,000 events and all stores unless said otherwise; a store is `memory`, `sqlite` or `postgres` for a row
//! projection with two indexes, `sqlite-plain` or `postgres-plain` for one without, `sqlite-sql` or `postgres-sql` for an SQL projection with one
//! statement an event. PostgreSQL is the server of `ES_TEST_DATABASE_URL`.

use std::time::{Duration, Instant};

use es_benches::{fill, per_second};
use es_runtime::Projection;
use es_runtime::prelude::*;
use es_runtime::projection::Project;
use es_runtime::store::ProjectionStore;
use es_sqlite::SqliteStore;
use es_tests::balances::Balance;
use es_tests::bank::{Account, Deposit, Deposited, Opened};
use es_tests::{stores, totals};

/// The samples of the latency.
const PROBES: usize = 1_000;

/// A row an account, without indexes.
#[projection(name = "plain")]
struct Plain {
    cents: i64,
}

#[projection]
impl Plain {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.cents += event.amount;
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let events = arguments.next().map_or(Ok(1_000_000), |events| events.parse())?;
    let mut stores: Vec<String> = arguments.collect();
    if stores.is_empty() {
        stores = [
            "memory",
            "sqlite",
            "sqlite-plain",
            "sqlite-sql",
            "postgres",
            "postgres-plain",
            "postgres-sql",
        ]
        .map(str::to_owned)
        .into();
    }
    for name in stores {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("bench.db");
        match &*name {
            "memory" => measure::<_, Balance>(&name, MemoryStore::new(), events).await?,
            "sqlite" => measure::<_, Balance>(&name, SqliteStore::open(file).await?, events).await?,
            "postgres" => measure::<_, Balance>(&name, stores::postgres().await, events).await?,
            "sqlite-plain" => measure::<_, Plain>(&name, SqliteStore::open(file).await?, events).await?,
            "postgres-plain" => measure::<_, Plain>(&name, stores::postgres().await, events).await?,
            "sqlite-sql" => {
                measure::<_, totals::sqlite::Totals>(&name, SqliteStore::open(file).await?, events).await?;
            }
            "postgres-sql" => measure::<_, totals::postgres::Totals>(&name, stores::postgres().await, events).await?,
            other => panic!("{other} is no store"),
        }
    }
    Ok(())
}

async fn measure<S: ProjectionStore, P: Project<S> + Projection>(name: &str, store: S, events: usize) -> Result<()> {
    let accounts = fill(&store, events).await;
    let started = Instant::now();
    let runtime = Runtime::builder(store).projection::<P>().start().await?;
    let head = runtime.store().head().await?;
    let projection = runtime.projection::<P>();
    projection.wait_for(head, Duration::from_secs(3_600)).await?;
    let rate = per_second(events, started.elapsed());
    let (p50, p99) = latency::<P>(&runtime, accounts[0]).await?;
    println!("{name:<14} {rate:>9.0} events/s   commit to row: {p50:>6} µs p50, {p99:>6} µs p99");
    runtime.shutdown().await?;
    Ok(())
}

/// From the answer to a command to the row that shows it, in microseconds.
async fn latency<P: Projection>(runtime: &Runtime, account: Id<Account>) -> Result<(u128, u128)> {
    let projection = runtime.projection::<P>();
    let mut times = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let receipt = runtime.execute(account, Deposit { amount: 1 }).await?;
        let start = Instant::now();
        projection.wait_for(receipt.position, Duration::from_secs(60)).await?;
        times.push(start.elapsed().as_micros());
    }
    times.sort_unstable();
    Ok((times[PROBES / 2], times[PROBES * 99 / 100]))
}
