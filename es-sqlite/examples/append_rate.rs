//! Durable appends per second by the number of concurrent callers, beside a bare file to which one thread writes what is
//! waiting, with one `fdatasync` for all of it.
//!
//! `cargo run --release -p es-sqlite --example append_rate`

use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use es_runtime::store::{Append, EventStore};
use es_runtime::{EventId, ExpectedVersion, Metadata, NewEvent, StreamId};
use es_sqlite::SqliteStore;
use tokio::sync::oneshot;
use uuid::Uuid;

const TIME: Duration = Duration::from_secs(2);
const STREAMS: usize = 100;
const PAYLOAD: &[u8] = &[b'7'; 150];

#[tokio::main]
async fn main() {
    for callers in [1, 8, 32, 256] {
        let file = bare_file(callers).await;
        let sqlite = sqlite(callers).await;
        println!("{callers:>4} callers: SQLite {sqlite}, bare file {file}");
    }
}

async fn sqlite(callers: usize) -> Figure {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = SqliteStore::open(directory.path().join("rate.db"))
        .await
        .expect("it opens");
    let shared = store.clone();
    let figure = closed_loop(callers, move |caller, turn| {
        let store = shared.clone();
        let stream = StreamId::new("account", format!("{caller}-{}", turn % STREAMS));
        async move {
            let append = Append::new(stream, ExpectedVersion::Any, vec![event()]);
            store.append(append).await.expect("it is stored");
        }
    })
    .await;
    store.close().await.expect("it closes");
    figure
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

async fn bare_file(callers: usize) -> Figure {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut file = File::create(directory.path().join("rate.log")).expect("a file");
    let (sender, receiver) = mpsc::channel::<oneshot::Sender<()>>();
    let writer = std::thread::spawn(move || {
        while let Ok(first) = receiver.recv() {
            let waiting: Vec<_> = std::iter::once(first).chain(receiver.try_iter().take(1023)).collect();
            file.write_all(&vec![b'x'; 220 * waiting.len()]).expect("there is room");
            file.sync_data().expect("it is flushed");
            for caller in waiting {
                let _ = caller.send(());
            }
        }
    });
    let requests = sender.clone();
    let figure = closed_loop(callers, move |_, _| {
        let (done, wait) = oneshot::channel();
        requests.send(done).expect("the writer runs");
        async move { wait.await.expect("the writer answers") }
    })
    .await;
    drop(sender);
    writer.join().expect("the writer ends");
    figure
}

struct Figure {
    latencies: Vec<Duration>,
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = |percent: usize| self.latencies[(self.latencies.len() - 1) * percent / 100].as_micros();
        let rate = self.latencies.len() as u128 * 1000 / TIME.as_millis();
        write!(f, "{rate}/s (p50 {} µs, p99 {} µs)", micros(50), micros(99))
    }
}

/// Each caller calls again as soon as it was answered.
async fn closed_loop<F>(callers: usize, call: impl Fn(usize, usize) -> F + Clone + Send + 'static) -> Figure
where
    F: Future<Output = ()> + Send,
{
    let start = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let call = call.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while start.elapsed() < TIME {
                    let begun = Instant::now();
                    call(caller, latencies.len()).await;
                    latencies.push(begun.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("the caller ends"));
    }
    latencies.sort_unstable();
    Figure { latencies }
}
