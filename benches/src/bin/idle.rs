//! The cost of a process with five projections that has nothing to do: its computing time, and the flushes of its store.
//!
//! `idle STORE [SECONDS]`: `sqlite` or `postgres`, the latter in a new database on the server of `ES_TEST_DATABASE_URL`; 60 seconds
//! unless said otherwise. Flushes are read from the server; those on SQLite are counted by
//! `strace -f -c -e trace=fsync,fdatasync`. Reads the computing time from `/proc`, so it needs Linux.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::store::ProjectionStore;
use es_sqlite::SqliteStore;
use es_tests::bank::{Deposited, Opened, account_with};
use es_tests::stores;
use tokio_postgres::{Client, NoTls};

macro_rules! projections {
    ($($name:ident)+) => {
        $(
            #[projection]
            struct $name {
                deposits: u64,
            }

            #[projection]
            impl $name {
                #[apply]
                fn opened(_: Opened) -> Self {
                    $name { deposits: 0 }
                }

                #[apply]
                fn deposited(&mut self, _: Deposited) {
                    self.deposits += 1;
                }
            }
        )+

        async fn start(store: Arc<dyn ProjectionStore>) -> Result<Runtime> {
            Ok(Runtime::builder(store)$(.projection::<$name>())+.start().await?)
        }
    };
}

projections! { First Second Third Fourth Fifth }

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "sqlite".to_owned());
    let seconds = arguments.next().map_or(Ok(60), |seconds| seconds.parse())?;
    let folder = tempfile::tempdir()?;
    let (store, server): (Arc<dyn ProjectionStore>, _) = if name == "postgres" {
        let address = stores::postgres_address().await;
        (
            Arc::new(stores::postgres_at(&address).await),
            Some(connect(&address).await?),
        )
    } else {
        (Arc::new(SqliteStore::open(folder.path().join("bench.db")).await?), None)
    };
    let runtime = start(store).await?;
    let account = account_with(&runtime, 10).await;
    while runtime.get::<First>(account).await?.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Until the projections have found that there is nothing more to do.
    tokio::time::sleep(Duration::from_secs(10)).await;

    let before = (computed()?, flushes(server.as_ref()).await?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let after = (computed()?, flushes(server.as_ref()).await?);
    println!(
        "{name}: idle for {seconds} s, {:.2} % of a core",
        after.0.saturating_sub(before.0).as_secs_f64() / seconds as f64 * 100.0
    );
    if let (Some(before), Some(after)) = (before.1, after.1) {
        println!(
            "{name}: {} commits that wrote, {} flushes of the log",
            after.0 - before.0,
            after.1 - before.1
        );
    }
    runtime.shutdown().await?;
    Ok(())
}

/// The computing time of this process so far.
fn computed() -> Result<Duration> {
    // As proc(5) has it: the fields behind the name of the program, in ticks of a hundredth of a second.
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

async fn connect(address: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Transactions that wrote, and flushes of the write-ahead log, of the whole server so far.
async fn flushes(server: Option<&Client>) -> Result<Option<(i64, i64)>> {
    let Some(server) = server else { return Ok(None) };
    let row = server
        .query_one(
            "SELECT pg_current_xact_id()::text::bigint, wal_sync FROM pg_stat_wal",
            &[],
        )
        .await?;
    Ok(Some((row.get(0), row.get(1))))
}
