//! One hot account: 16 callers that all deposit there, beside 16 callers with an account each, and one caller alone.
//!
//! `hot [STORE]…`: `sqlite` and `postgres` unless said otherwise, the last in a new database on the server of `ES_TEST_DATABASE_URL`.

use std::sync::Arc;
use std::time::Duration;

use es_benches::closed_loop::{Figure, closed_loop};
use es_runtime::prelude::*;
use es_runtime::{EventStore, MemoryStore};
use es_sqlite::SqliteStore;
use es_tests::bank::{Account, Deposit, Open};
use es_tests::stores;
use futures_util::future::BoxFuture;

const TIME: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;

/// The part that is timed.
struct Case {
    name: &'static str,
    callers: usize,
    accounts: usize,
    /// Each stands for a process.
    runtimes: usize,
    cached: usize,
}

const CASES: [Case; 5] = [
    Case {
        name: "16 callers, 16 accounts",
        callers: 16,
        accounts: 16,
        runtimes: 1,
        cached: usize::MAX,
    },
    Case {
        name: "16 callers, one account",
        callers: 16,
        accounts: 1,
        runtimes: 1,
        cached: usize::MAX,
    },
    Case {
        name: "16 callers, one account, no cache",
        callers: 16,
        accounts: 1,
        runtimes: 1,
        cached: 0,
    },
    Case {
        name: "16 runtimes, one account",
        callers: 16,
        accounts: 1,
        runtimes: 16,
        cached: usize::MAX,
    },
    Case {
        name: "one caller",
        callers: 1,
        accounts: 1,
        runtimes: 1,
        cached: usize::MAX,
    },
];

#[tokio::main]
async fn main() -> Result<()> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = ["sqlite", "postgres"].map(str::to_owned).into();
    }
    for name in names {
        let folder = tempfile::tempdir()?;
        let store: Arc<dyn EventStore> = match &*name {
            "memory" => Arc::new(MemoryStore::new()),
            "sqlite" => Arc::new(SqliteStore::open(folder.path().join("bench.db")).await?),
            _ => Arc::new(stores::postgres_at(&stores::postgres_address().await).await),
        };
        let mut figures: Vec<Vec<Figure>> = CASES.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for (case, figures) in CASES.iter().zip(&mut figures) {
                figures.push(case.run(&store).await?);
            }
        }
        for (case, figures) in CASES.iter().zip(&mut figures) {
            figures.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
            println!("{name:<9} {:<34} {}", case.name, figures[ROUNDS / 2]);
        }
        let mut ratios: Vec<f64> = figures[0]
            .iter()
            .zip(&figures[1])
            .map(|(all, one)| one.rate() / all.rate())
            .collect();
        ratios.sort_by(f64::total_cmp);
        println!("{name:<9} one account has {:.2} of the rate of 16", ratios[ROUNDS / 2]);
        store.close().await?;
    }
    Ok(())
}

impl Case {
    async fn run(&self, store: &Arc<dyn EventStore>) -> Result<Figure> {
        let mut runtimes = Vec::new();
        for _ in 0..self.runtimes {
            runtimes.push(Runtime::builder(Arc::clone(store)).cache(self.cached).start().await?);
        }
        let accounts: Vec<Id<Account>> = (0..self.accounts).map(|_| Id::new()).collect();
        for account in &accounts {
            runtimes[0].execute(account, Open { owner: "Alice".into() }).await?;
        }
        let callers = (0..self.callers).map(|caller| {
            let runtime = runtimes[caller % self.runtimes].clone();
            let account = accounts[caller % self.accounts];
            move |_: usize| -> BoxFuture<'static, ()> {
                let runtime = runtime.clone();
                Box::pin(async move {
                    let deposit = runtime.execute(account, Deposit { amount: 1 });
                    deposit.await.expect("the account is open");
                })
            }
        });
        Ok(closed_loop(TIME, callers).await)
    }
}
