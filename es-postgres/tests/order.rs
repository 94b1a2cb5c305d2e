//! C08 with writers that hold their transactions open: a reader by position skips nothing, and a reader of numbers drawn from a
//! sequence, in the same run, does.

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use es_runtime::EventStore;
use es_runtime::store::ReadLog;
use futures_util::TryStreamExt;
use support::{Database, log, scaled};
use tokio_postgres::Client;
use uuid::Uuid;

const WRITERS: u64 = 16;

/// A small generator, so that no crate is needed for it.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Writes the control row early, as other stores do, and the event last, as ours demands; holds the transaction open before and
/// after; aborts one in eight.
async fn writer(client: Client, number: u64, left: Arc<AtomicU64>) {
    let mut random = Random(number * 0x9e37_79b9 + 1);
    while left.load(Ordering::Relaxed) > 0 {
        let events = 1 + random.below(10);
        client.batch_execute("BEGIN").await.unwrap();
        client
            .execute("INSERT INTO public.control (id) VALUES ($1)", &[&Uuid::now_v7()])
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
        let names = vec!["held"; usize::try_from(events).unwrap()];
        let payloads = vec!["{}"; names.len()];
        client
            .execute(
                "SELECT es.append('{test}', ARRAY[$1], '{any}', $2, $3::text[]::json[])",
                &[&format!("{}", (number + random.below(2)) % WRITERS), &names, &payloads],
            )
            .await
            .unwrap();
        if random.below(4) == 0 {
            tokio::time::sleep(Duration::from_micros(random.below(500))).await;
        }
        if random.below(8) == 0 {
            client.batch_execute("ROLLBACK").await.unwrap();
        } else {
            client.batch_execute("COMMIT").await.unwrap();
            let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_sub(events))
            });
        }
    }
}

/// Follows the log by position, and gives what it saw.
async fn follow(store: es_postgres::PostgresStore, done: Arc<AtomicBool>) -> Vec<Uuid> {
    let (mut next, mut seen) = (1, Vec::new());
    loop {
        let last = done.load(Ordering::SeqCst);
        let mut events = store.read_log(ReadLog::new().from(next).limit(500));
        let mut read = 0;
        while let Some(event) = events.try_next().await.unwrap() {
            assert_eq!(event.position, next, "no gap");
            next += 1;
            read += 1;
            seen.push(event.id.0);
        }
        if last && read == 0 {
            return seen;
        }
    }
}

/// Follows the control table by the numbers of its sequence.
async fn follow_naively(client: Client, done: Arc<AtomicBool>) -> HashSet<i64> {
    let (mut last_seen, mut seen) = (0_i64, HashSet::new());
    loop {
        let last = done.load(Ordering::SeqCst);
        let rows = client
            .query(
                "SELECT number FROM public.control WHERE number > $1 ORDER BY number LIMIT 500",
                &[&last_seen],
            )
            .await
            .unwrap();
        for row in &rows {
            last_seen = row.get(0);
            seen.insert(last_seen);
        }
        if last && rows.is_empty() {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_skipped_while_writers_hold_their_transactions_open() {
    let database = Database::new().await;
    let client = database.client().await;
    client
        .batch_execute("CREATE TABLE public.control (number bigserial PRIMARY KEY, id uuid); CREATE TABLE public.unrelated (n int)")
        .await
        .unwrap();
    // An open write that has nothing to do with it stalls nobody.
    let unrelated = database.client().await;
    unrelated
        .batch_execute("BEGIN; INSERT INTO public.unrelated VALUES (1)")
        .await
        .unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let left = Arc::new(AtomicU64::new(scaled(10_000, 100_000)));
    let store = database.open().await;
    let readers: Vec<_> = (0..3)
        .map(|_| tokio::spawn(follow(store.clone(), Arc::clone(&done))))
        .collect();
    let naive = tokio::spawn(follow_naively(database.client().await, Arc::clone(&done)));
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        writers.push(tokio::spawn(writer(database.client().await, number, Arc::clone(&left))));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);

    let stored: Vec<Uuid> = log(&store).await.iter().map(|event| event.id.0).collect();
    assert!(stored.len() as u64 >= scaled(10_000, 100_000));
    for reader in readers {
        assert_eq!(reader.await.unwrap(), stored, "each event once, in order");
    }
    let controls: i64 = client
        .query_one("SELECT count(*) FROM public.control", &[])
        .await
        .unwrap()
        .get(0);
    let skipped = usize::try_from(controls).unwrap() - naive.await.unwrap().len();
    println!(
        "of {controls} control rows a naive reader skipped {skipped}; of {} events ours skipped 0",
        stored.len()
    );
    assert!(skipped > 0, "the test would not notice a store that skips");
    unrelated.batch_execute("ROLLBACK").await.unwrap();
}
