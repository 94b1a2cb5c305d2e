//! Sixteen appends of which each rests on the one before: as a chain, beside one append after the other.
//!
//! `chain [STORE]…`: `sqlite` and `postgres` unless said otherwise, the last in a new database on the server of `ES_TEST_DATABASE_URL`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use es_runtime::store::{Append, append_one_by_one};
use es_runtime::{EventId, EventStore, ExpectedVersion, Metadata, NewEvent, Result, StreamId, Version};
use es_sqlite::SqliteStore;
use es_tests::stores;
use futures_util::future::join_all;
use uuid::Uuid;

const LENGTH: u64 = 16;
const ROUNDS: u64 = 200;
const PAYLOAD: &str = r#"{"amount":1250,"currency":"EUR","channel":"counter","reference":"INV-2026-000123","note":"payment for the month of March","clerk":"c-17"}"#;

#[tokio::main]
async fn main() -> Result<()> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = ["sqlite", "postgres"].map(str::to_owned).into();
    }
    for name in names {
        let folder = tempfile::tempdir()?;
        let store: Arc<dyn EventStore> = match &*name {
            "sqlite" => Arc::new(SqliteStore::open(folder.path().join("bench.db")).await?),
            _ => Arc::new(stores::postgres_at(&stores::postgres_address().await).await),
        };
        for callers in [1, 8] {
            let (mut chains, mut singles) = (Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                for (of, times) in [("chain", &mut chains), ("single", &mut singles)] {
                    let calls = (0..callers).map(|caller| sixteen(&*store, format!("{of}-{callers}-{caller}"), round));
                    times.extend(join_all(calls).await);
                }
            }
            let (chain, single) = (median(chains), median(singles));
            let times = single.as_secs_f64() / chain.as_secs_f64();
            println!(
                "{name:<9} {callers} callers   a chain {chain:?}   one after the other {single:?}   {times:.1} times as fast"
            );
        }
        store.close().await?;
    }
    Ok(())
}

/// Appends sixteen events to a stream that has had as many each round, and returns how long that took.
async fn sixteen(store: &dyn EventStore, id: String, round: u64) -> Duration {
    let appends: Vec<Append> = (round * LENGTH..(round + 1) * LENGTH)
        .map(|version| {
            let expected = ExpectedVersion::Exact(Version(version));
            Append::new(StreamId::new("bench", id.clone()), expected, vec![event()])
        })
        .collect();
    let start = Instant::now();
    let answers = if id.starts_with("chain") {
        store.append_chain(appends).await
    } else {
        append_one_by_one(store, appends).await
    };
    let time = start.elapsed();
    assert!(answers.len() as u64 == LENGTH && answers.iter().all(std::result::Result::is_ok));
    time
}

fn event() -> NewEvent {
    NewEvent {
        id: EventId(Uuid::now_v7()),
        name: "deposited".into(),
        shape_version: 1,
        payload: PAYLOAD.into(),
        metadata: Metadata::EMPTY,
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
