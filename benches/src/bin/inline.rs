//! A command whose rows change with its append, beside the same command with the same rows a moment later.
//!
//! `inline [STORE]…`: `memory`, `sqlite` and `postgres` unless said otherwise, the last in new databases on the server of
//! `ES_TEST_DATABASE_URL`.

use std::sync::Arc;
use std::time::Duration;

use es_benches::closed_loop::{Figure, closed_loop};
use es_runtime::prelude::*;
use es_runtime::store::ProjectionStore;
use es_sqlite::SqliteStore;
use es_tests::bank::{Account, Deposit, Deposited, Opened, account_with};
use es_tests::stores;

const TIME: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

/// A row an account.
#[projection(name = "later")]
struct Later {
    cents: i64,
}

#[projection]
impl Later {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.cents += event.amount;
    }
}

/// The same, with each append.
#[projection(name = "at_once", inline)]
struct AtOnce {
    cents: i64,
}

#[projection]
impl AtOnce {
    #[apply]
    fn opened(_: Opened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.cents += event.amount;
    }
}

type Store = Arc<dyn ProjectionStore>;

#[tokio::main]
async fn main() -> Result<()> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = ["memory", "sqlite", "postgres"].map(str::to_owned).into();
    }
    for name in names {
        let folder = tempfile::tempdir()?;
        let open = async |file: &str| {
            let store: Store = match &*name {
                "memory" => Arc::new(MemoryStore::new()),
                "sqlite" => Arc::new(SqliteStore::open(folder.path().join(file)).await?),
                _ => Arc::new(stores::postgres_at(&stores::postgres_address().await).await),
            };
            Ok::<_, es_runtime::Error>(store)
        };
        let later = Runtime::builder(open("later.db").await?)
            .projection::<Later>()
            .start()
            .await?;
        let inline = Runtime::builder(open("inline.db").await?)
            .projection::<AtOnce>()
            .start()
            .await?;
        for callers in [1, 16] {
            let mut rates = Vec::new();
            for _ in 0..ROUNDS {
                let (later, inline) = (deposits(&later, callers).await, deposits(&inline, callers).await);
                println!("{name:<9} {callers:>2} callers   later {later}   inline {inline}");
                rates.push(inline.rate() / later.rate());
            }
            rates.sort_unstable_by(f64::total_cmp);
            println!(
                "{name:<9} {callers:>2} callers   inline has {:.2} times the rate",
                rates[ROUNDS / 2]
            );
        }
        later.shutdown().await?;
        inline.shutdown().await?;
    }
    Ok(())
}

/// Each caller has an account of its own.
async fn deposits(runtime: &Runtime, callers: usize) -> Figure {
    let mut accounts: Vec<Id<Account>> = Vec::new();
    for _ in 0..callers {
        accounts.push(account_with(runtime, 1).await);
    }
    let calls = accounts.into_iter().map(|account| {
        let runtime = runtime.clone();
        move |_| -> futures_util::future::BoxFuture<'static, ()> {
            let runtime = runtime.clone();
            Box::pin(async move {
                let deposited = runtime.execute(account, Deposit { amount: 1 }).await;
                deposited.expect("nothing stands in the way of a deposit");
            })
        }
    });
    closed_loop(TIME, calls).await
}
