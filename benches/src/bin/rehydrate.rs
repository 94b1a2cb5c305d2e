//! Events per second from stored bytes to state: streams of 10, 1,000 and 100,000 events, in memory and on SQLite.

use es_benches::{Contender, in_turns, per_second, timed};
use es_runtime::prelude::*;
use es_runtime::{EventStore, MemoryStore, Runtime};
use es_sqlite::SqliteStore;
use es_tests::bank::{Account, Deposited, Opened};

const EVENTS: usize = 100_000;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let memory = Runtime::builder(MemoryStore::new()).start().await?;
    let sqlite = Runtime::builder(SqliteStore::open(folder.path().join("bench.db")).await?)
        .start()
        .await?;
    for length in [10, 1_000, 100_000] {
        let (in_memory, on_disk) = (filled(&memory, length).await?, filled(&sqlite, length).await?);
        let figures = in_turns(
            7,
            [
                Contender::new("memory", || timed(load_all(&memory, &in_memory))),
                Contender::new("SQLite", || timed(load_all(&sqlite, &on_disk))),
                Contender::new("SQLite, bare read", || timed(read_all(&**sqlite.store(), &on_disk))),
            ],
        )
        .await;
        for (name, time) in figures {
            println!(
                "{length:>7} events a stream   {name:18} {:>10.0} events/s",
                per_second(EVENTS, time)
            );
        }
    }
    Ok(())
}

/// As many streams of this length as make up `EVENTS` events.
async fn filled(runtime: &Runtime, length: usize) -> Result<Vec<Id<Account>>> {
    let mut ids = Vec::new();
    for _ in 0..EVENTS / length {
        let id = Id::new();
        runtime.append(id, Opened { owner: "Alice".into() }).await?;
        let mut left = length - 1;
        while left > 0 {
            let events = left.min(1_000);
            let deposits = vec![Deposited { amount: 1 }; events];
            runtime.append(id, deposits).await?;
            left -= events;
        }
        ids.push(id);
    }
    Ok(ids)
}

async fn load_all(runtime: &Runtime, ids: &[Id<Account>]) {
    for id in ids {
        let account = runtime
            .load(id)
            .await
            .expect("the stream can be read")
            .expect("the account was opened");
        assert!(account.balance >= 0);
    }
}

/// Reads the same events and does nothing with them.
async fn read_all(store: &dyn EventStore, ids: &[Id<Account>]) {
    use es_runtime::Key as _;
    use futures_util::TryStreamExt as _;

    for id in ids {
        let events = store.read_stream(es_runtime::store::ReadStream::new(id.stream_id()));
        let count = events
            .try_fold(0, |count, _| async move { Ok(count + 1) })
            .await
            .expect("the stream can be read");
        assert!(count > 0);
    }
}
