//! The log of a PostgreSQL server read from end to end, and each payload decoded, beside a bare read in pages from a table that has what
//! one would keep by hand: when nobody has analysed the tables, and when they were analysed. `scripts/postgres run -- cargo run --release
//! -p es-benches --bin log [EVENTS]`, with 300,000 events unless said otherwise.

use std::cell::RefCell;
use std::time::Duration;

use es_benches::{Contender, fill, in_turns, per_second, timed};
use es_runtime::store::{CategoryFilter, EventFilter, ReadLog};
use es_runtime::{Aggregate, EventEnum, EventSourced, EventStore};
use es_tests::bank::Account;
use es_tests::stores;
use futures_util::{TryStreamExt, pin_mut};
use tokio_postgres::{Client, NoTls};

const ROUNDS: usize = 5;
/// The rows that the bare read asks for at a time.
const PAGE: i64 = 1_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let events = std::env::args().nth(1).map_or(Ok(300_000), |events| events.parse())?;
    let address = stores::postgres_address().await;
    let store = stores::postgres_at(&address).await;
    let (client, connection) = tokio_postgres::connect(&address, NoTls).await?;
    tokio::spawn(connection);
    // Else the server analyses them when it likes.
    client
        .batch_execute(
            "ALTER TABLE es.recorded_events SET (autovacuum_enabled = off); \
             ALTER TABLE es.streams SET (autovacuum_enabled = off); \
             CREATE TABLE flat (position bigint PRIMARY KEY, stream text NOT NULL, version bigint NOT NULL, name text NOT NULL, \
             payload jsonb NOT NULL, metadata jsonb NOT NULL, recorded_at timestamptz NOT NULL, UNIQUE (stream, version)) \
             WITH (autovacuum_enabled = off)",
        )
        .await?;
    fill(&store, events).await;
    client
        .batch_execute(
            "INSERT INTO flat SELECT e.position, e.stream, e.version, e.name, e.payload, e.metadata, e.recorded_at FROM es.events AS e \
             ORDER BY e.position; CHECKPOINT",
        )
        .await?;
    measure("never analysed", &store, &client, events).await;
    client.batch_execute("VACUUM ANALYZE").await?;
    measure("analysed", &store, &client, events).await;
    store.close().await?;
    Ok(())
}

async fn measure(state: &str, store: &dyn EventStore, client: &Client, events: usize) {
    let of_accounts = EventFilter::Categories(vec![CategoryFilter {
        category: Account::NAME.into(),
        names: None,
    }]);
    let (whole, filtered) = (ReadLog::new(), ReadLog::new().only(of_accounts));
    let times: RefCell<[Vec<Duration>; 3]> = RefCell::default();
    let kept = async |of: usize, time: Duration| {
        times.borrow_mut()[of].push(time);
        time
    };
    in_turns(
        ROUNDS,
        [
            Contender::new("bare", || async { kept(0, timed(bare(client, events)).await).await }),
            Contender::new("whole", || async {
                kept(1, timed(ours(store, whole.clone(), events)).await).await
            }),
            Contender::new("filtered", || async {
                kept(2, timed(ours(store, filtered.clone(), events)).await).await
            }),
        ],
    )
    .await;
    let [bare, whole, filtered] = times.into_inner();
    report(state, "bare pages", &bare, &bare, events);
    report(state, "the whole log", &bare, &whole, events);
    report(state, "of a category", &bare, &filtered, events);
}

/// The rate in the middle, that of the slowest and the fastest round, and of the bare read of the same round.
fn report(state: &str, what: &str, bare: &[Duration], ours: &[Duration], events: usize) {
    let mut rates: Vec<f64> = ours.iter().map(|&time| per_second(events, time)).collect();
    let ratios = bare
        .iter()
        .zip(ours)
        .map(|(bare, ours)| bare.as_secs_f64() / ours.as_secs_f64());
    let mut ratios: Vec<f64> = ratios.collect();
    rates.sort_by(f64::total_cmp);
    ratios.sort_by(f64::total_cmp);
    println!(
        "{state:<15} {what:<14} {:>9.0} events/s ({:.0} to {:.0})   of the bare read {:.2} ({:.2} to {:.2})",
        rates[ROUNDS / 2],
        rates[0],
        rates[ROUNDS - 1],
        ratios[ROUNDS / 2],
        ratios[0],
        ratios[ROUNDS - 1],
    );
}

async fn ours(store: &dyn EventStore, query: ReadLog, expected: usize) {
    let mut log = store.read_log(query);
    let mut count = 0;
    while let Some(event) = log.try_next().await.expect("the log can be read") {
        decode(&event.name, event.shape_version, &event.payload);
        count += 1;
    }
    assert_eq!(count, expected);
}

/// The read that one would write by hand: the rows behind the last one that was read, in the order of the primary key.
async fn bare(client: &Client, expected: usize) {
    let sql = "SELECT position, stream, version, name, payload::text FROM flat WHERE position > $1 ORDER BY position LIMIT $2";
    let page = client.prepare(sql).await.expect("the statement is right");
    let (mut last, mut count) = (0_i64, 0);
    loop {
        let rows = client.query_raw(&page, [&last, &PAGE]).await.expect("a page");
        pin_mut!(rows);
        let before = count;
        while let Some(row) = rows.try_next().await.expect("a row") {
            last = row.get(0);
            let (stream, _): (String, i64) = (row.get(1), row.get(2));
            assert!(!stream.is_empty());
            decode(row.get(3), 1, row.get::<_, &str>(4).as_bytes());
            count += 1;
        }
        if count == before {
            break;
        }
    }
    assert_eq!(count, expected);
}

fn decode(name: &str, shape_version: u32, payload: &[u8]) {
    let decoded = <Account as EventSourced>::Event::decode(name, shape_version, payload);
    assert!(decoded.is_ok(), "it is an event of an account");
}
