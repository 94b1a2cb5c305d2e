//! The cost of reading older shapes: streams of which a third of the events is of each of three versions, beside streams of
//! current events alone, in memory and on SQLite. The payloads are of about the same length in each version.

use std::sync::Arc;
use std::time::Duration;

use es_benches::{Contender, in_turns, per_second, timed};
use es_runtime::prelude::*;
use es_runtime::store::Append;
use es_runtime::{AppendId, EventId, EventStore, ExpectedVersion, Key as _, Metadata, NewEvent};
use es_sqlite::SqliteStore;

const STREAMS: usize = 100;
const EVENTS: usize = 1_000;

#[event]
struct Opened;

/// Its past is told by its fields.
#[event(version = 3)]
struct Deposited {
    #[event(renamed(from = "sum", since = 2), changed(since = 3, from = i32))]
    amount: i64,
    channel: Channel,
    text: String,
}

#[value]
enum Channel {
    Counter,
    Online,
}

/// Its past is in structs of their own.
#[event(version = 3, from = WithdrawnV2)]
struct Withdrawn {
    amount: i64,
    channel: Channel,
    text: String,
}

#[event(name = "withdrawn", version = 2, from = WithdrawnV1)]
struct WithdrawnV2 {
    amount: i32,
    channel: Channel,
    text: String,
}

#[event(name = "withdrawn")]
struct WithdrawnV1 {
    sum: i32,
    channel: Channel,
    text: String,
}

impl From<WithdrawnV1> for WithdrawnV2 {
    fn from(old: WithdrawnV1) -> Self {
        Self {
            amount: old.sum,
            channel: old.channel,
            text: old.text,
        }
    }
}

impl From<WithdrawnV2> for Withdrawn {
    fn from(old: WithdrawnV2) -> Self {
        Self {
            amount: old.amount.into(),
            channel: old.channel,
            text: old.text,
        }
    }
}

#[command]
struct Open;

#[derive(Aggregate)]
struct Account {
    balance: i64,
    online: u64,
    text: usize,
}

#[aggregate(vis = pub(self))]
impl Account {
    #[handle]
    fn open(_: Open) -> Opened {
        Opened
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account {
            balance: 0,
            online: 0,
            text: 0,
        }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.balance += event.amount;
        self.online += u64::from(event.channel == Channel::Online);
        self.text += event.text.len();
    }

    #[apply]
    fn withdrawn(&mut self, event: Withdrawn) {
        self.balance -= event.amount;
        self.online += u64::from(event.channel == Channel::Online);
        self.text += event.text.len();
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let memory: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let sqlite: Arc<dyn EventStore> = Arc::new(SqliteStore::open(folder.path().join("bench.db")).await?);
    for (store, place) in [(memory, "memory"), (sqlite, "SQLite")] {
        let runtime = Runtime::builder(Arc::clone(&store)).start().await?;
        for (name, what) in [("deposited", "told by fields"), ("withdrawn", "structs and `From`")] {
            let current = filled(&store, name, &[3]).await?;
            let mixed = filled(&store, name, &[1, 2, 3]).await?;
            let contenders = [
                Contender::new("current", || timed(load_all(&runtime, &current))),
                Contender::new("mixed", || timed(load_all(&runtime, &mixed))),
            ];
            let [(_, current), (_, mixed)] = in_turns(15, contenders).await;
            println!(
                "{place:7} {what:19} {:>10.0} events/s current {:>10.0} mixed {:>6.2} times the time",
                per_second(STREAMS * EVENTS, current),
                per_second(STREAMS * EVENTS, mixed),
                times(mixed, current),
            );
        }
    }
    Ok(())
}

fn times(mixed: Duration, current: Duration) -> f64 {
    mixed.as_secs_f64() / current.as_secs_f64()
}

/// Streams of events that were stored in these versions in turn.
async fn filled(store: &Arc<dyn EventStore>, name: &'static str, versions: &[u32]) -> Result<Vec<Id<Account>>> {
    let mut ids = Vec::new();
    for _ in 0..STREAMS {
        let id: Id<Account> = Id::new();
        let opened = event("opened", 1, "null");
        let changed = versions.iter().cycle().take(EVENTS - 1).map(|&version| {
            event(
                name,
                version,
                match version {
                    1 => r#"{"sum":1200,"channel":"Online","text":"paid in at the counter"}"#,
                    _ => r#"{"amount":1200,"channel":"Online","text":"paid in at the counter"}"#,
                },
            )
        });
        let events = std::iter::once(opened).chain(changed).collect();
        store
            .append(Append::new(id.stream_id(), ExpectedVersion::NoStream, events))
            .await?;
        ids.push(id);
    }
    Ok(ids)
}

fn event(name: &'static str, shape_version: u32, payload: &'static str) -> NewEvent {
    NewEvent {
        id: EventId(AppendId::new().0),
        name: name.into(),
        shape_version,
        payload: payload.into(),
        metadata: Metadata::EMPTY,
    }
}

async fn load_all(runtime: &Runtime, ids: &[Id<Account>]) {
    for id in ids {
        let account = runtime
            .load(*id)
            .await
            .expect("the stream can be read")
            .expect("the account was opened");
        assert_eq!(account.balance.unsigned_abs(), 1_200 * (EVENTS as u64 - 1));
        assert!(account.online > 0 && account.text > 0);
    }
}
