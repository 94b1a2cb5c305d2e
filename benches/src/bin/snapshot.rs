//! Snapshots: a load of a stream of 100,000 events that has one, beside a bare SELECT of the state that decodes it; and the rate of
//! commands with `every = 100` beside that without.
//!
//! `snapshot [STORE]…`: `sqlite` and `postgres` unless said otherwise, the last in a new database on the server of `ES_TEST_DATABASE_URL`.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use es_benches::closed_loop::closed_loop;
use es_benches::{Contender, in_turns, timed};
use es_runtime::Key as _;
use es_runtime::prelude::*;
use es_runtime::store::ProjectionStore;
use es_sqlite::SqliteStore;
use es_tests::stores;
use futures_util::future::BoxFuture;
use tokio_postgres::NoTls;

/// Events of the stream that is loaded.
const EVENTS: u32 = 100_000;
/// Loads that are timed together.
const LOADS: usize = 50;
const ROUNDS: usize = 21;

const TIME: Duration = Duration::from_secs(2);
const CALLERS: usize = 16;

/// A board of cards.
macro_rules! board {
    ($module:ident, $($es:tt)*) => {
        mod $module {
            use std::collections::BTreeMap;

            use es_runtime::prelude::*;

            #[event]
            pub(crate) struct Opened;

            #[event]
            pub(crate) struct Placed {
                pub(crate) card: u32,
                pub(crate) text: String,
            }

            #[command]
            pub(crate) struct Open;

            #[command]
            pub(crate) struct Place {
                pub(crate) card: u32,
            }

            #[value]
            #[derive(Aggregate)]
            #[es($($es)*)]
            pub(crate) struct Board {
                pub(crate) cards: BTreeMap<u32, String>,
            }

            #[aggregate(vis = pub(crate))]
            impl Board {
                #[handle]
                fn open(_: Open) -> Opened {
                    Opened
                }

                #[handle]
                fn place(&self, cmd: Place) -> Placed {
                    Placed { card: cmd.card, text: super::text(cmd.card) }
                }

                #[apply]
                fn opened(_: Opened) -> Self {
                    Self { cards: BTreeMap::new() }
                }

                #[apply]
                fn placed(&mut self, event: Placed) {
                    self.cards.insert(event.card, event.text);
                }
            }
        }
    };
}

board!(kept, name = "kept", snapshot(every = 100));
board!(plain, name = "plain");

fn text(card: u32) -> String {
    format!("a card with some words, number {card}")
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = ["sqlite", "postgres"].map(str::to_owned).into();
    }
    for name in names {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("bench.db");
        if name == "sqlite" {
            let store = Arc::new(SqliteStore::open(&file).await?);
            for cards in [10, 1_000] {
                let (runtime, board, kind) = filled(store.clone(), cards).await?;
                let connection = rusqlite::Connection::open(&file).expect("the file opens");
                let key = (kind, board.stream_id().id().to_owned());
                let sql = "SELECT payload FROM states WHERE namespace = ?1 AND kind = 'kept' AND id = ?2";
                let statement = RefCell::new(connection.prepare(sql).expect("it is SQL"));
                loads(&name, &runtime, board, cards, async || select(&statement, &key)).await;
            }
            rates(&name, store).await?;
        } else {
            let address = stores::postgres_address().await;
            let store = Arc::new(stores::postgres_at(&address).await);
            let connected = tokio_postgres::connect(&address, NoTls).await;
            let (client, connection) = connected.expect("the server is there");
            tokio::spawn(connection);
            let sql = "SELECT payload::text FROM es.states WHERE namespace = $1 AND kind = 'kept' AND id = $2";
            let statement = client.prepare(sql).await.expect("it is SQL");
            for cards in [10, 1_000] {
                let (runtime, board, kind) = filled(store.clone(), cards).await?;
                let id = board.stream_id().id().to_owned();
                let bare = async || {
                    let row = client.query_one(&statement, &[&kind, &id]).await.expect("it is there");
                    decode(row.get::<_, &str>(0).as_bytes())
                };
                loads(&name, &runtime, board, cards, bare).await;
            }
            rates(&name, store).await?;
        }
    }
    Ok(())
}

/// A stream of many events with so many cards, and the namespace of its snapshot.
async fn filled(store: Arc<dyn ProjectionStore>, cards: u32) -> Result<(Runtime, Id<kept::Board>, String)> {
    let runtime = Runtime::builder(Arc::clone(&store)).start().await?;
    let board = Id::new();
    runtime.execute(board, kept::Open).await?;
    for first in (0..EVENTS).step_by(1_000) {
        let placed = (first..first + 1_000).map(|number| kept::Placed {
            card: number % cards,
            text: text(number % cards),
        });
        runtime.append(board, placed.collect::<Vec<_>>()).await?;
    }
    runtime.snapshot(board).await?;
    let states = store.state_store().expect("it keeps states");
    let mut namespaces = states.namespaces().await?;
    namespaces.retain(|namespace| namespace.starts_with("es/snapshot/"));
    Ok((runtime, board, namespaces.pop().expect("there is a snapshot")))
}

/// The stored form, of which the bare one reads no more than the state.
#[derive(serde::Deserialize)]
struct Stored {
    state: kept::Board,
}

fn decode(payload: &[u8]) -> kept::Board {
    serde_json::from_slice::<Stored>(payload).expect("it is one").state
}

fn select(statement: &RefCell<rusqlite::Statement<'_>>, (kind, id): &(String, String)) -> kept::Board {
    let mut statement = statement.borrow_mut();
    let row = statement.query_row((kind, id), |row| Ok(decode(row.get_ref(0)?.as_bytes()?)));
    row.expect("it is there")
}

async fn loads(
    store: &str,
    runtime: &Runtime,
    board: Id<kept::Board>,
    cards: u32,
    bare: impl AsyncFn() -> kept::Board,
) {
    let cards = cards as usize;
    let figures = in_turns(
        ROUNDS,
        [
            Contender::new("load", || {
                timed(async {
                    for _ in 0..LOADS {
                        let loaded = runtime.load(board).await.expect("it can be read");
                        assert_eq!(loaded.expect("it is there").cards.len(), cards);
                    }
                })
            }),
            Contender::new("SELECT, decoded", || {
                timed(async {
                    for _ in 0..LOADS {
                        assert_eq!(bare().await.cards.len(), cards);
                    }
                })
            }),
        ],
    )
    .await;
    let [load, select] = figures.map(|(_, time)| time / u32::try_from(LOADS).expect("it is small"));
    let times = load.as_secs_f64() / select.as_secs_f64();
    println!(
        "{store:<9} load of {EVENTS} events, {cards:>4} cards: {load:>9.1?}, bare {select:>9.1?}: {times:.2} times"
    );
}

/// The rates of commands with snapshots and without.
async fn rates(name: &str, store: Arc<dyn ProjectionStore>) -> Result<()> {
    let runtime = Runtime::builder(store).start().await?;
    let mut figures = [Vec::new(), Vec::new()];
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let (mut kept, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..CALLERS {
            let (one, other) = (Id::<kept::Board>::new(), Id::<plain::Board>::new());
            runtime.execute(one, kept::Open).await?;
            runtime.execute(other, plain::Open).await?;
            kept.push(one);
            plain.push(other);
        }
        let callers = kept.into_iter().map(|board| {
            let runtime = runtime.clone();
            move |turn: usize| -> BoxFuture<'static, ()> {
                let runtime = runtime.clone();
                Box::pin(async move {
                    let placed = runtime.execute(board, kept::Place { card: card(turn) });
                    placed.await.expect("the board is open");
                })
            }
        });
        let with = closed_loop(TIME, callers).await;
        let callers = plain.into_iter().map(|board| {
            let runtime = runtime.clone();
            move |turn: usize| -> BoxFuture<'static, ()> {
                let runtime = runtime.clone();
                Box::pin(async move {
                    let placed = runtime.execute(board, plain::Place { card: card(turn) });
                    placed.await.expect("the board is open");
                })
            }
        });
        let without = closed_loop(TIME, callers).await;
        ratios.push(with.rate() / without.rate());
        figures[0].push(with);
        figures[1].push(without);
    }
    for (what, figures) in ["every = 100", "none"].iter().zip(&mut figures) {
        figures.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
        println!(
            "{name:<9} commands, snapshots: {what:<12} {}",
            figures[figures.len() / 2]
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "{name:<9} with snapshots {:.3} of the rate without",
        ratios[ratios.len() / 2]
    );
    Ok(())
}

fn card(turn: usize) -> u32 {
    u32::try_from(turn % 10).unwrap_or(0)
}
