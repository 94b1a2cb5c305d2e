//! Code that ends its process at one event: a few processes later the event is held or parked, and the next process lives.

use std::fs::{OpenOptions, read_to_string};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use es_postgres::{PgTransaction, PostgresStore};
use es_runtime::prelude::*;
use es_runtime::projection::Status;
use es_runtime::store::{Lease, Parked, RowTable};
use es_runtime::{Position, Recorded, Timestamp};
use es_sqlite::{SqliteStore, SqliteTransaction};
use es_tests::balances::Store;
use es_tests::bank::{Account, AccountEvent, Deposit, Deposited, Opened, account_with};
use es_tests::process::Process;
use es_tests::stores;

/// Where the store is on which the process works. Only where this is said, the code is deadly: elsewhere it is mended.
const ADDRESS: &str = "ES_TESTS_CRASHING";
/// What it does there.
const WORK: &str = "ES_TESTS_CRASHING_WORK";
/// Where its handler writes down what it has handled.
const BOOK: &str = "ES_TESTS_CRASHING_BOOK";
/// Whether it tries the held event again.
const RETRIES: &str = "ES_TESTS_CRASHING_RETRIES";

/// The amount at which the code ends its process, and the event with it.
const DEADLY: i64 = 13;
const AT: u64 = 4;

/// What takes events in and remembers which.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Work {
    Rows,
    RowsParking,
    TablesParking,
    Handler,
    HandlerParking,
    HandlerAtOnce,
}

impl Work {
    const ALL: [Self; 6] = [
        Self::Rows,
        Self::RowsParking,
        Self::TablesParking,
        Self::Handler,
        Self::HandlerParking,
        Self::HandlerAtOnce,
    ];

    fn named(name: &str) -> Self {
        let named = |work: &Self| format!("{work:?}") == name;
        Self::ALL.into_iter().find(named).unwrap()
    }

    fn holds(self) -> bool {
        matches!(self, Self::Rows | Self::Handler)
    }

    fn lease(self) -> &'static str {
        match self {
            Self::Rows => "frail@1",
            Self::RowsParking => "frail-parking@1",
            Self::TablesParking => "seen@1",
            Self::Handler | Self::HandlerParking | Self::HandlerAtOnce => "subscription/frail",
        }
    }
}

fn take(amount: i64) {
    if amount == DEADLY && std::env::var(ADDRESS).is_ok() {
        std::process::abort();
    }
}

#[projection(name = "frail")]
struct Frail {
    seen: Vec<u64>,
}

#[projection]
impl Frail {
    #[apply]
    fn opened(_: Opened, meta: &Meta<Account>) -> Self {
        Self {
            seen: vec![meta.position().0],
        }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited, meta: &Meta<Account>) {
        take(event.amount);
        self.seen.push(meta.position().0);
    }
}

#[projection(name = "frail-parking", park_alone)]
struct Parking {
    seen: Vec<u64>,
}

#[projection]
impl Parking {
    #[apply]
    fn opened(_: Opened, meta: &Meta<Account>) -> Self {
        Self {
            seen: vec![meta.position().0],
        }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited, meta: &Meta<Account>) {
        take(event.amount);
        self.seen.push(meta.position().0);
    }
}

mod sqlite {
    use super::*;

    #[projection(name = "seen", park_alone, schema = "schemas/seen_sqlite.sql")]
    pub(super) struct Seen;

    #[projection]
    impl Seen {
        #[apply]
        fn opened(tx: &mut SqliteTransaction<'_>, _: Opened, meta: &Meta<Account>) -> Result<()> {
            insert(tx, meta)
        }

        #[apply]
        fn deposited(tx: &mut SqliteTransaction<'_>, event: Deposited, meta: &Meta<Account>) -> Result<()> {
            insert(tx, meta)?;
            take(event.amount);
            Ok(())
        }
    }

    fn insert(tx: &mut SqliteTransaction<'_>, meta: &Meta<Account>) -> Result<()> {
        let position = i64::try_from(meta.position().0)?;
        tx.execute("INSERT INTO seen_v1 (position) VALUES (?1)", [position])?;
        Ok(())
    }

    pub(super) async fn seen(store: &SqliteStore) -> Vec<u64> {
        let rows = store.query(|connection| {
            let mut statement = connection.prepare("SELECT position FROM seen_v1 ORDER BY number")?;
            statement
                .query_map([], |row| row.get(0))?
                .collect::<Result<Vec<i64>, _>>()
        });
        rows.await.unwrap().into_iter().map(i64::unsigned_abs).collect()
    }
}

mod postgres {
    use super::*;

    #[projection(name = "seen", park_alone, schema = "schemas/seen_postgres.sql")]
    pub(super) struct Seen;

    #[projection]
    impl Seen {
        #[apply]
        async fn opened(tx: &mut PgTransaction<'_>, _: Opened, meta: &Meta<Account>) -> Result<()> {
            insert(tx, meta).await
        }

        #[apply]
        async fn deposited(tx: &mut PgTransaction<'_>, event: Deposited, meta: &Meta<Account>) -> Result<()> {
            insert(tx, meta).await?;
            take(event.amount);
            Ok(())
        }
    }

    async fn insert(tx: &mut PgTransaction<'_>, meta: &Meta<Account>) -> Result<()> {
        let position = i64::try_from(meta.position().0)?;
        tx.execute("INSERT INTO seen (position) VALUES ($1)", &[&position])
            .await?;
        Ok(())
    }

    pub(super) async fn seen(store: &PostgresStore) -> Vec<u64> {
        let sql = "SELECT position FROM es_seen_v1.seen ORDER BY number";
        let rows = store.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, i64>(0).unsigned_abs()).collect()
    }
}

/// A runtime that does the work.
async fn start(work: Work, address: &str, book: &Path) -> Runtime {
    if work == Work::TablesParking {
        return if address.starts_with("postgres") {
            let store = stores::postgres_at(address).await;
            Runtime::builder(store)
                .projection::<postgres::Seen>()
                .start()
                .await
                .unwrap()
        } else {
            let store = SqliteStore::open(address).await.unwrap();
            Runtime::builder(store)
                .projection::<sqlite::Seen>()
                .start()
                .await
                .unwrap()
        };
    }
    let builder = Runtime::builder(stores::open(address).await);
    match work {
        Work::Rows => builder.projection::<Frail>().start().await.unwrap(),
        Work::RowsParking => builder.projection::<Parking>().start().await.unwrap(),
        _ => {
            let runtime = builder.start().await.unwrap();
            handle(&runtime, work, book.to_owned()).await;
            runtime
        }
    }
}

/// Has a line written down for each event that is handled.
async fn handle(runtime: &Runtime, work: Work, book: PathBuf) {
    let handler = move |event: Recorded<AccountEvent>| {
        let book = book.clone();
        async move {
            if let AccountEvent::Deposited(Deposited { amount }) = event.event {
                take(amount);
            }
            let mut book = OpenOptions::new().create(true).append(true).open(book)?;
            book.write_all(format!("{}\n", event.position).as_bytes())
        }
    };
    let subscribe = runtime.subscribe("frail").aggregate::<Account>().from_start();
    let handling = subscribe.handle(handler);
    let handling = match work {
        Work::HandlerParking => handling.park_alone(),
        // Any of them may be under way when one ends the process.
        Work::HandlerAtOnce => handling.park_alone().at_once(8).by(|event| event.position),
        _ => handling,
    };
    handling.start().await.unwrap();
}

/// Waits until an event is held, which was said after this process began, or was parked and all others are done. What went wrong last.
async fn settled(runtime: &Runtime, work: Work, began: Timestamp) -> Option<String> {
    until(runtime, |is| {
        if work.holds() {
            is.held_at > Some(began)
        } else {
            is.parked > 0 && is.left == 0
        }
    })
    .await
}

/// How the work is.
struct Is {
    held_at: Option<Timestamp>,
    parked: u64,
    left: u64,
}

/// Waits until the work is so. What went wrong last.
async fn until(runtime: &Runtime, is_so: impl Fn(Is) -> bool) -> Option<String> {
    for _ in 0..6_000 {
        let health = runtime.health().await.unwrap();
        let of_projection = health.projections.into_iter();
        let of_projection = of_projection.map(|is| (is.status, is.parked, is.lag_events, is.last_error));
        let of_subscription = health.subscriptions.into_iter();
        let of_subscription = of_subscription.map(|is| (is.status, is.parked, is.lag_events, is.last_error));
        let (status, parked, left, failure) = of_projection.chain(of_subscription).next().unwrap();
        let held_at = failure
            .as_ref()
            .filter(|_| status == Status::Held)
            .map(|failure| failure.at);
        if is_so(Is { held_at, parked, left }) {
            return failure.map(|failure| failure.error);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never so: {:?}", runtime.health().await);
}

async fn retry(runtime: &Runtime, work: Work, address: &str) -> Result<()> {
    match work {
        Work::Rows => runtime.projection::<Frail>().retry(AT).await?,
        Work::RowsParking => runtime.projection::<Parking>().retry(AT).await?,
        Work::TablesParking if address.starts_with("postgres") => {
            runtime.projection::<postgres::Seen>().retry(AT).await?;
        }
        Work::TablesParking => runtime.projection::<sqlite::Seen>().retry(AT).await?,
        Work::Handler | Work::HandlerParking | Work::HandlerAtOnce => {
            runtime.subscription("frail").expect("it was started").retry(AT).await?;
        }
    }
    Ok(())
}

/// Is a process of its own, if it is started as one: works until its code ends it.
#[tokio::test(flavor = "multi_thread")]
async fn crashing_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let work = Work::named(&std::env::var(WORK).unwrap());
    let began = Timestamp::now();
    println!("\nworking");
    let runtime = start(work, &address, Path::new(&std::env::var(BOOK).unwrap())).await;
    settled(&runtime, work, began).await;
    if std::env::var(RETRIES).is_ok() {
        retry(&runtime, work, &address).await.unwrap();
    }
    println!("\nsettled");
    // Until it is killed; bounded, should nobody do so.
    tokio::time::sleep(Duration::from_secs(60)).await;
}

/// One work on one store.
struct Case<'a> {
    work: Work,
    address: &'a str,
    book: &'a Path,
    store: Store,
    account: Id<Account>,
}

impl Case<'_> {
    /// Runs a process, and tells whether it lived until an event was held or parked.
    async fn lives(&self, retries: bool) -> bool {
        let work = format!("{:?}", self.work);
        let book = self.book.to_str().unwrap();
        let environment = [(ADDRESS, self.address), (WORK, &work), (BOOK, book), (RETRIES, "")];
        let environment = environment.into_iter().take(if retries { 4 } else { 3 });
        let process = Process::start("crashing::crashing_process", environment, "working");
        let lives = process.says("settled", Duration::from_secs(60));
        drop(process);
        self.free_lease().await;
        lives
    }

    /// As if the time of a lease whose owner is gone had run out.
    async fn free_lease(&self) {
        let name = self.work.lease().to_owned();
        let Some(lease) = self.store.lease(&name).await.unwrap() else {
            return;
        };
        let Some(owner) = lease.owner else { return };
        let epoch = lease.epoch;
        self.store.release(&Lease { name, owner, epoch }).await.unwrap();
    }

    /// Starts processes until one lives, and tells how many did not.
    async fn count_ended(&self) -> u32 {
        for ended in 0..20 {
            if self.lives(false).await {
                return ended;
            }
        }
        panic!("{:?}: no process has lived", self.work);
    }

    /// Which events count, in the order in which they were taken in.
    async fn seen(&self) -> Vec<u64> {
        match self.work {
            Work::Rows => self.row("frail").await,
            Work::RowsParking => self.row("frail-parking").await,
            Work::TablesParking if self.address.starts_with("postgres") => {
                postgres::seen(&stores::postgres_at(self.address).await).await
            }
            Work::TablesParking => sqlite::seen(&SqliteStore::open(self.address).await.unwrap()).await,
            Work::Handler | Work::HandlerParking | Work::HandlerAtOnce => {
                let book = read_to_string(self.book).unwrap();
                let mut first = Vec::new();
                for position in book.lines().map(|line| line.parse().unwrap()) {
                    // At least once.
                    if !first.contains(&position) {
                        first.push(position);
                    }
                }
                if self.work == Work::HandlerAtOnce {
                    first.sort_unstable();
                }
                first
            }
        }
    }

    /// What is seen in the row of the account, which is not shown before all events were.
    async fn row(&self, projection: &'static str) -> Vec<u64> {
        let table = RowTable {
            projection: projection.into(),
            version: 1,
            indexes: Vec::new().into(),
            beside: false,
        };
        let rows = self.store.rows(&table, &[self.account.to_string()]).await.unwrap();
        let row: serde_json::Value = serde_json::from_slice(&rows[0].as_ref().unwrap().data).unwrap();
        serde_json::from_value(row["seen"].clone()).unwrap()
    }

    async fn parked(&self) -> Vec<Parked> {
        self.store.parked(self.work.lease(), Position::ZERO, 10).await.unwrap()
    }
}

async fn the_event_does_not_end_processes_for_ever(work: Work, address: &str, folder: &Path) {
    let store = stores::open(address).await;
    let runtime = Runtime::builder(Arc::clone(&store)).start().await.unwrap();
    let account = account_with(&runtime, 100).await;
    for amount in [1, DEADLY, 1, 1] {
        runtime.execute(account, Deposit { amount }).await.unwrap();
    }
    let case = Case {
        work,
        address,
        book: &folder.join("book"),
        store,
        account,
    };
    let ended = case.count_ended().await;
    // Two whose events were tried together, and three in which it was alone: more, if the machine is so slow that some were done before.
    assert!((5..=10).contains(&ended), "{work:?}: {ended}");
    if work.holds() {
        assert!(!case.lives(true).await, "{work:?}: a retry tries it once");
        assert_eq!(case.count_ended().await, 0, "{work:?}: and only once");
    }

    // Another build, with code that is mended.
    let began = Timestamp::now();
    let runtime = start(work, address, case.book).await;
    let error = settled(&runtime, work, began).await;
    if work.holds() {
        let error = error.expect("health says why");
        assert!(error.contains("4 processes ended"), "{work:?}: {error}");
        assert_eq!(case.parked().await, []);
        assert_eq!(
            case.seen().await,
            [1, 2, 3],
            "{work:?}: those before it count, and none behind it"
        );
    } else {
        let parked = case.parked().await.remove(0);
        assert_eq!((parked.position.0, parked.attempts), (AT, 3), "{work:?}");
        assert!(parked.error.contains("3 processes ended"), "{work:?}: {parked:?}");
        assert_eq!(case.seen().await, [1, 2, 3, 5, 6], "{work:?}: all others count");
    }
    retry(&runtime, work, address).await.unwrap();
    until(&runtime, |is| is.parked == 0 && is.left == 0).await;
    let mut all = case.seen().await;
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 5, 6], "{work:?}");
}

/// Makes tests of each work, on both databases.
macro_rules! on_both_databases {
    ($($name:ident: $work:ident,)+) => {
        mod on_sqlite {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let folder = es_tests::tempdir().unwrap();
                let file = folder.path().join("test.db");
                the_event_does_not_end_processes_for_ever(Work::$work, file.to_str().unwrap(), folder.path()).await;
            })+
        }

        mod on_postgres {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let folder = es_tests::tempdir().unwrap();
                let address = stores::postgres_address().await;
                the_event_does_not_end_processes_for_ever(Work::$work, &address, folder.path()).await;
            })+
        }
    };
}

on_both_databases! {
    rows_hold: Rows,
    rows_park: RowsParking,
    tables_park: TablesParking,
    a_handler_holds: Handler,
    a_handler_parks: HandlerParking,
    a_handler_of_all_at_once_parks: HandlerAtOnce,
}
