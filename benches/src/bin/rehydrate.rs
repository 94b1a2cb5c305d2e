//! Events per second from stored bytes to state: streams of 10, 1,000, 10,000 and 100,000 events, in memory and on SQLite; there beside what
//! the store alone takes for it, and what one would write by hand, who reads three columns and checks nothing.

use es_benches::{Contender, in_turns, per_second, timed};
use es_runtime::prelude::*;
use es_runtime::store::ReadStream;
use es_runtime::{EventEnum as _, EventSourced, EventStore, Key as _, MemoryStore, Runtime};
use es_sqlite::SqliteStore;
use es_tests::bank::{Account, Deposited, Opened};
use futures_util::TryStreamExt as _;

const EVENTS: usize = 100_000;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let memory = Runtime::builder(MemoryStore::new()).start().await?;
    let file = folder.path().join("bench.db");
    let sqlite = Runtime::builder(SqliteStore::open(&file).await?).start().await?;
    let connection = rusqlite::Connection::open(&file).expect("the file opens");
    for length in [10, 1_000, 10_000, 100_000] {
        let (in_memory, on_disk) = (filled(&memory, length).await?, filled(&sqlite, length).await?);
        let figures = in_turns(
            7,
            [
                Contender::new("memory", || timed(load_all(&memory, &in_memory))),
                Contender::new("SQLite", || timed(load_all(&sqlite, &on_disk))),
                Contender::new("SQLite, store alone", || {
                    timed(load_events(&**sqlite.store(), &on_disk))
                }),
                Contender::new("SQLite, by hand", || timed(async { by_hand(&connection, &on_disk) })),
            ],
        )
        .await;
        for (name, time) in figures {
            println!(
                "{length:>7} events a stream   {name:20} {:>10.0} events/s",
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

/// Reads the same events, and decodes them.
async fn load_events(store: &dyn EventStore, ids: &[Id<Account>]) {
    for id in ids {
        let mut events = store.load_stream(ReadStream::new(id.stream_id()));
        let mut count = 0;
        while let Some(event) = events.try_next().await.expect("the stream can be read") {
            decode(&event.name, event.shape_version, &event.payload);
            count += 1;
        }
        assert!(count > 0);
    }
}

fn by_hand(connection: &rusqlite::Connection, ids: &[Id<Account>]) {
    let sql = "SELECT name, shape_version, payload FROM recorded_events
               WHERE stream = (SELECT id FROM streams WHERE category = ?1 AND stream_id = ?2) ORDER BY version";
    let mut select = connection.prepare(sql).expect("the statement is right");
    for id in ids {
        let stream = id.stream_id();
        let mut rows = select.query((stream.category(), stream.id())).expect("a query");
        let mut count = 0;
        while let Some(row) = rows.next().expect("a row") {
            let name = row.get_ref(0).expect("a name").as_str().expect("text");
            let payload = row.get_ref(2).expect("a payload").as_bytes().expect("text");
            decode(name, row.get(1).expect("a version"), payload);
            count += 1;
        }
        assert!(count > 0);
    }
}

fn decode(name: &str, shape_version: u32, payload: &[u8]) {
    let decoded = <Account as EventSourced>::Event::decode(name, shape_version, payload);
    assert!(decoded.is_ok(), "it is an event of an account");
}
