//! Events per second into a projection of 1, 2 and 4 segments that catches up on PostgreSQL, in one process: rows, and one SQL statement
//! an event.
//!
//! `segments [EVENTS]`: 200,000 unless said otherwise. The server is that of `ES_TEST_DATABASE_URL`.

use std::time::{Duration, Instant};

use es_benches::per_second;
use es_postgres::PostgresStore;
use es_runtime::Projection;
use es_runtime::prelude::*;
use es_runtime::projection::Project;
use es_tests::stores;

/// The measurements of each, in turns.
const ROUNDS: usize = 5;

/// The same projections in this many segments.
macro_rules! segments {
    ($module:ident, $segments:literal) => {
        mod $module {
            use es_postgres::PgTransaction;
            use es_runtime::prelude::*;
            use es_tests::bank::{Account, Deposited, Opened};

            #[projection(version = $segments, segments = $segments)]
            pub(super) struct Balance {
                cents: i64,
                events: u64,
            }

            #[projection]
            impl Balance {
                #[apply]
                fn opened(_: Opened) -> Self {
                    Self { cents: 0, events: 1 }
                }

                #[apply]
                fn deposited(&mut self, event: Deposited) {
                    self.cents += event.amount;
                    self.events += 1;
                }
            }

            #[projection(version = $segments, segments = $segments, schema = "../../../tests/src/totals/postgres.sql")]
            pub(super) struct Totals;

            #[projection]
            impl Totals {
                #[apply]
                async fn opened(tx: &mut PgTransaction<'_>, _: Opened, meta: &Meta<Account>) -> Result<()> {
                    let sql = "INSERT INTO totals (account, cents, events) VALUES ($1, 0, 1)";
                    tx.execute(sql, &[&meta.stream().id()]).await?;
                    Ok(())
                }

                #[apply]
                async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited, meta: &Meta<Account>) -> Result<()> {
                    let sql = "UPDATE totals SET cents = cents + $2, events = events + 1 WHERE account = $1";
                    tx.execute(sql, &[&meta.stream().id(), &event.amount]).await?;
                    Ok(())
                }
            }
        }
    };
}

segments!(one, 1);
segments!(two, 2);
segments!(four, 4);

#[tokio::main]
async fn main() -> Result<()> {
    let events = std::env::args().nth(1).map_or(Ok(200_000), |events| events.parse())?;
    let mut rates: [[Vec<f64>; 3]; 2] = Default::default();
    for round in 0..ROUNDS {
        let store = stores::postgres().await;
        es_benches::fill(&store, events).await;
        let [rows, sql] = &mut rates;
        // Each is the first now and then.
        for turn in 0..3 {
            let at = (round + turn) % 3;
            let (row, statement) = match at {
                0 => (
                    catch_up::<one::Balance>(&store, events).await?,
                    catch_up::<one::Totals>(&store, events).await?,
                ),
                1 => (
                    catch_up::<two::Balance>(&store, events).await?,
                    catch_up::<two::Totals>(&store, events).await?,
                ),
                _ => (
                    catch_up::<four::Balance>(&store, events).await?,
                    catch_up::<four::Totals>(&store, events).await?,
                ),
            };
            rows[at].push(row);
            sql[at].push(statement);
        }
    }
    for (name, rates) in ["rows", "sql"].iter().zip(&mut rates) {
        let medians = rates.each_mut().map(|rates| {
            rates.sort_unstable_by(f64::total_cmp);
            rates[ROUNDS / 2]
        });
        for (segments, rate) in [1, 2, 4].iter().zip(medians) {
            println!(
                "{name:<5} {segments} segments {rate:>9.0} events/s  {:.2}",
                rate / medians[0]
            );
        }
    }
    Ok(())
}

/// The events a second that it takes in, from the first to the last.
async fn catch_up<P: Project<PostgresStore> + Projection>(store: &PostgresStore, events: usize) -> Result<f64> {
    let head = store.head().await?;
    let started = Instant::now();
    let runtime = Runtime::builder(store.clone()).projection::<P>().start().await?;
    runtime
        .projection::<P>()
        .wait_for(head, Duration::from_secs(3_600))
        .await?;
    let rate = per_second(events, started.elapsed());
    // Not shut down, which would close the store of the others.
    drop(runtime);
    Ok(rate)
}
