//! Makes a history: starts its processes, kills some of them and starts them again, and reads in the end what is stored.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use es_conformance::__private::Random;
use es_runtime::store::ProjectionStore;
use es_runtime::{EventStore, Runtime};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::node::{self, Node};
use super::record::{self, Journal};
use super::stored::{Stored, Views};
use super::{History, Size};
use crate::process::Process;
use crate::stores;
use crate::totals::{self, Totals};

/// How many processes there are at a time.
const PROCESSES: u32 = 3;
/// The longest that a history takes.
const LONGEST: Duration = Duration::from_secs(3_600);

/// The variables by which a process learns what it is to do.
const ADDRESS: &str = "ES_TESTS_HISTORY";
const RECORD: &str = "ES_TESTS_HISTORY_RECORD";
const NUMBER: &str = "ES_TESTS_HISTORY_NUMBER";
const EVENTS: &str = "ES_TESTS_HISTORY_EVENTS";
const SEED: &str = "ES_TESTS_HISTORY_SEED";

/// One process, or what stands for one on a store that only this process can open.
enum Member {
    Process(Process),
    Task(JoinHandle<()>),
}

impl Member {
    async fn kill(self) {
        match self {
            Self::Process(process) => process.kill(),
            Self::Task(task) => {
                task.abort();
                // Aborted, or ended just before.
                let _ = task.await;
            }
        }
    }

    /// Waits until it has done what it is to do.
    async fn end(self) -> Result<(), String> {
        match self {
            Self::Process(process) => {
                let ends = tokio::task::spawn_blocking(move || process.says("done", LONGEST)).await;
                match ends {
                    Ok(true) => Ok(()),
                    _ => Err("a process ended too early".to_owned()),
                }
            }
            Self::Task(task) => task.await.map_err(|error| error.to_string()),
        }
    }
}

/// The body of the test that is a process of a history, if it was started as one.
///
/// # Panics
///
/// If it cannot begin.
pub async fn process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let variable = |name| std::env::var(name).expect("whoever starts it says so");
    let number = |name| variable(name).parse().expect("a number");
    let size = Size {
        seed: number(SEED),
        events: number(EVENTS),
        kills: 0,
    };
    let process = u32::try_from(number(NUMBER)).expect("a small number");
    let node = Node::at(&address, size.seed ^ u64::from(process)).await;
    println!("\nworking");
    node.run(process, size, Path::new(&variable(RECORD))).await;
    println!("\ndone");
}

/// A history in the making.
struct Making {
    size: Size,
    /// Holds the record, and the store if that is a file.
    folder: TempDir,
    random: Random,
    /// How many processes were started.
    started: u32,
}

impl Making {
    fn begin(size: Size) -> Self {
        Self {
            size,
            folder: crate::tempdir().expect("a folder"),
            random: Random::from_seed(size.seed),
            started: 0,
        }
    }

    fn record(&self) -> PathBuf {
        self.folder.path().join("record")
    }

    /// Starts a process that runs this test.
    fn process(&self, test: &str, address: &str, number: u32) -> Member {
        let Size { seed, events, .. } = self.size;
        let [number, seed, events] = [number.to_string(), seed.to_string(), events.to_string()];
        let record = self.record();
        let environment = [
            (ADDRESS, address),
            (RECORD, record.to_str().expect("a path of text")),
            (NUMBER, &number),
            (SEED, &seed),
            (EVENTS, &events),
        ];
        Member::Process(Process::start(test, environment, "working"))
    }

    /// Starts what stands for a process.
    fn task(&self, node: Node, number: u32) -> Member {
        let (size, record) = (self.size, self.record());
        Member::Task(tokio::spawn(async move { node.run(number, size, &record).await }))
    }

    /// Starts processes, kills some of them, and waits until the others have done what they are to do.
    async fn run(
        &mut self,
        store: &dyn EventStore,
        start: impl AsyncFn(&Self, u32) -> Member,
        disturb: impl AsyncFn(),
    ) {
        let mut members = Vec::new();
        for _ in 0..PROCESSES {
            members.push(self.next(&start).await);
        }
        for kill in 1..=self.size.kills {
            let until = self.size.events * kill / (self.size.kills + 1);
            while store.head().await.is_ok_and(|head| head.0 < until) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            disturb().await;
            let killed = self.random.below(members.len() as u64);
            members
                .swap_remove(usize::try_from(killed).unwrap_or_default())
                .kill()
                .await;
            members.push(self.next(&start).await);
        }
        let journal = self.journal();
        for member in members {
            if let Err(error) = member.end().await {
                journal.broke(error);
            }
        }
    }

    async fn next(&mut self, start: &impl AsyncFn(&Self, u32) -> Member) -> Member {
        self.started += 1;
        start(self, self.started).await
    }

    fn journal(&self) -> Journal {
        Journal::open(&self.record()).expect("the record can be written")
    }

    /// Reads what was written down and what is stored, by a runtime that does what all others did.
    async fn end(self, runtime: &Runtime, views: Option<Views>, sessions_end: bool) -> History {
        let (records, torn) = record::read(&self.record()).expect("the record can be read");
        let stored = Stored::read(runtime, &records, views).await;
        History {
            seed: self.size.seed,
            kills: self.size.kills,
            sessions_end,
            torn,
            records,
            stored,
        }
    }
}

/// Makes a history on a store of this process. What it gives when it is opened again, in the end, is what counts.
pub async fn in_process(size: Size, open: impl AsyncFn() -> Arc<dyn ProjectionStore>) -> History {
    let store = open().await;
    let mut making = Making::begin(size);
    let start = async |making: &Making, number| {
        let node = Node::whole(&store, size.seed ^ u64::from(number)).await;
        making.task(node, number)
    };
    making.run(&*store, start, async || {}).await;
    let runtime = node::whole(open().await).await;
    let views = Views::caught_up(&runtime, making.journal()).await;
    making.end(&runtime, Some(views), false).await
}

/// The same without projections and subscriptions.
pub async fn in_process_without_projections(size: Size, open: impl AsyncFn() -> Arc<dyn EventStore>) -> History {
    let store = open().await;
    let mut making = Making::begin(size);
    let start = async |making: &Making, number| {
        let node = Node::bare(&store, size.seed ^ u64::from(number)).await;
        making.task(node, number)
    };
    making.run(&*store, start, async || {}).await;
    let runtime = node::bare(open().await).await;
    making.end(&runtime, None, false).await
}

/// Makes a history on SQLite, in processes that run this test: its body is [`process`].
///
/// # Panics
///
/// If the store cannot be opened.
pub async fn on_sqlite(size: Size, test: &str) -> History {
    let making = Making::begin(size);
    let file = making.folder.path().join("test.db");
    let address = file.to_str().expect("a path of text").to_owned();
    let dump = async || {
        let store = crate::SqliteStore::open(&address).await.expect("the store opens");
        totals::sqlite::dump(&store).await
    };
    on_database(making, test, &address, false, async || {}, dump).await
}

/// Makes a history on PostgreSQL, in processes that run this test: its body is [`process`]. Now and then the server ends all sessions.
///
/// # Panics
///
/// If there is no server.
pub async fn on_postgres(size: Size, test: &str) -> History {
    let making = Making::begin(size);
    let address = stores::postgres_address().await;
    let disturb = async || stores::end_postgres_sessions(&address).await;
    let dump = async || totals::postgres::dump(&stores::postgres_at(&address).await).await;
    on_database(making, test, &address, true, disturb, dump).await
}

async fn on_database(
    mut making: Making,
    test: &str,
    address: &str,
    sessions_end: bool,
    disturb: impl AsyncFn(),
    dump: impl AsyncFn() -> Totals,
) -> History {
    let store = stores::open(address).await;
    let start = async |making: &Making, number| making.process(test, address, number);
    making.run(&*store, start, disturb).await;
    // Closed and opened again: what is read is what is on disk.
    store.close().await.expect("the store closes");
    let runtime = node::whole_at(address).await;
    let mut views = Views::caught_up(&runtime, making.journal()).await;
    views.totals = Some(dump().await);
    making.end(&runtime, Some(views), sessions_end).await
}
