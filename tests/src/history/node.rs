//! One process of a history: its runtimes, the tasks that send requests to them, and what reads meanwhile.

use std::path::Path;
use std::sync::Arc;

use es_conformance::__private::Random;
use es_runtime::projection::Project;
use es_runtime::store::ProjectionStore;
use es_runtime::{EventStore, Runtime};
use tokio::task::JoinSet;

use super::lossy::Lossy;
use super::plan::Planner;
use super::record::Journal;
use super::rows::Entries;
use super::worker::{Known, Worker};
use super::{Size, readers};
use crate::stores;
use crate::totals::{postgres, sqlite};

/// How many tasks of a process send requests to each of its runtimes.
const TASKS: u32 = 5;

/// The runtimes of a process.
pub(super) struct Node {
    /// Does everything.
    whole: Runtime,
    /// Whether that has projections.
    has_rows: bool,
    /// Executes and loads only, and does not learn each outcome.
    lossy: Runtime,
}

impl Node {
    /// On a store of this process.
    pub(super) async fn whole(store: &Arc<dyn ProjectionStore>, seed: u64) -> Self {
        Self {
            whole: whole(Arc::clone(store)).await,
            has_rows: true,
            lossy: bare(Lossy::new(Arc::clone(store), seed)).await,
        }
    }

    /// On the database at this address.
    pub(super) async fn at(address: &str, seed: u64) -> Self {
        Self {
            whole: whole_at(address).await,
            has_rows: true,
            lossy: bare(Lossy::new(stores::open(address).await, seed)).await,
        }
    }

    /// The same, without projections and subscriptions.
    pub(super) async fn bare(store: &Arc<dyn EventStore>, seed: u64) -> Self {
        Self {
            whole: bare(Arc::clone(store)).await,
            has_rows: false,
            lossy: bare(Lossy::new(Arc::clone(store), seed)).await,
        }
    }

    /// Sends requests until so many events are stored as there are to be. `number` is its own.
    ///
    /// # Panics
    ///
    /// If it cannot begin.
    pub(super) async fn run(self, number: u32, size: Size, record: &Path) {
        let journal = Journal::open(record).expect("the record can be written");
        let name = format!("process {number}");
        let mut readers = JoinSet::new();
        let head = self.whole.store().head().await.expect("the store can be read");
        let store = Arc::clone(self.whole.store());
        readers.spawn(readers::tail(store, journal.clone(), name.clone(), head));
        if readers::can_subscribe(&self.whole) {
            let random = Random::from_seed(size.seed ^ u64::from(number));
            readers.spawn(readers::subscribe(self.whole.clone(), journal.clone(), random));
            let handling = readers::handle(&self.whole, journal.clone()).await;
            handling.expect("the handler starts");
        }

        let known = Arc::new(Known::new(size.events));
        let mut workers = JoinSet::new();
        for task in 0..2 * TASKS {
            let is_whole = task % 2 == 0;
            let worker = Worker {
                name: format!("{number}.{task}"),
                runtime: if is_whole { &self.whole } else { &self.lossy }.clone(),
                has_rows: is_whole && self.has_rows,
                lossy: !is_whole,
                planner: Planner::new(size.seed, number * 2 * TASKS + task),
                known: Arc::clone(&known),
                journal: journal.clone(),
            };
            workers.spawn(worker.run());
        }
        while let Some(ended) = workers.join_next().await {
            if let Err(error) = ended {
                journal.broke(format!("a task of {name} ended: {error}"));
            }
        }
        readers.shutdown().await;
        for runtime in [&self.whole, &self.lossy] {
            if let Err(error) = runtime.shutdown().await {
                journal.broke(format!("{name} could not be shut down: {error}"));
            }
        }
    }
}

/// A runtime with projections on the database at this address.
pub(super) async fn whole_at(address: &str) -> Runtime {
    if address.starts_with("postgres") {
        with_totals::<_, postgres::Totals>(stores::postgres_at(address).await).await
    } else {
        let store = crate::SqliteStore::open(address).await.expect("the store opens");
        with_totals::<_, sqlite::Totals>(store).await
    }
}

async fn with_totals<S: ProjectionStore, Totals: Project<S>>(store: S) -> Runtime {
    let builder = Runtime::builder(store).projection::<Entries>().projection::<Totals>();
    builder.start().await.expect("the runtime starts")
}

/// A runtime with projections.
pub(super) async fn whole<S: ProjectionStore>(store: S) -> Runtime {
    let builder = Runtime::builder(store).projection::<Entries>();
    builder.start().await.expect("the runtime starts")
}

/// A runtime without.
pub(super) async fn bare<S: EventStore>(store: S) -> Runtime {
    Runtime::builder(store).start().await.expect("the runtime starts")
}
