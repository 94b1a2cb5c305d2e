//! Durable appends per second on SQLite, by the number of concurrent callers, beside the physical limit: a bare file to
//! which one thread writes what is waiting, with one `fdatasync` for all of it.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use es_benches::closed_loop::{Figure, closed_loop};
use es_runtime::Runtime;
use es_runtime::prelude::*;
use es_sqlite::SqliteStore;
use es_tests::bank::{Account, Deposit, Open};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

const TIME: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    for callers in [1, 8, 32, 256] {
        let mut ratios = Vec::new();
        let mut lines = Vec::new();
        for _ in 0..ROUNDS {
            let sqlite = sqlite(callers).await?;
            let file = file(callers).await?;
            ratios.push(sqlite.rate() / file.rate());
            lines.push((sqlite, file));
        }
        lines.sort_by(|a, b| a.0.rate().total_cmp(&b.0.rate()));
        ratios.sort_by(f64::total_cmp);
        let (sqlite, file) = &lines[ROUNDS / 2];
        println!(
            "{callers:>3} callers   SQLite {sqlite}   bare file {file}   ratio {:.2}",
            ratios[ROUNDS / 2]
        );
    }
    Ok(())
}

/// Executes deposits, each caller on accounts of its own.
async fn sqlite(callers: usize) -> Result<Figure> {
    let folder = tempfile::tempdir()?;
    let runtime = Runtime::builder(SqliteStore::open(folder.path().join("bench.db")).await?)
        .start()
        .await?;
    let mut accounts: Vec<Vec<Id<Account>>> = Vec::new();
    for _ in 0..callers {
        let mut own = Vec::new();
        for _ in 0..20 {
            let id = Id::new();
            runtime.execute(id, Open { owner: "Alice".into() }).await?;
            own.push(id);
        }
        accounts.push(own);
    }
    let callers = accounts.into_iter().map(|own| {
        let runtime = runtime.clone();
        move |turn: usize| -> BoxFuture<'static, ()> {
            let (runtime, account) = (runtime.clone(), own[turn % own.len()]);
            Box::pin(async move {
                runtime
                    .execute(account, Deposit { amount: 1 })
                    .await
                    .expect("the account is open");
            })
        }
    });
    Ok(closed_loop(TIME, callers).await)
}

/// Appends 220 bytes to a file and waits until they are flushed.
async fn file(callers: usize) -> Result<Figure> {
    let folder = tempfile::tempdir()?;
    let mut file = File::create(folder.path().join("bench.log"))?;
    let (sender, receiver) = mpsc::channel::<oneshot::Sender<()>>();
    let writer = std::thread::spawn(move || {
        while let Ok(first) = receiver.recv() {
            let waiting: Vec<_> = std::iter::once(first).chain(receiver.try_iter().take(1_023)).collect();
            file.write_all(&vec![b'x'; 220 * waiting.len()]).expect("there is room");
            file.sync_data().expect("the file can be flushed");
            for caller in waiting {
                let _ = caller.send(());
            }
        }
    });
    let sender = Arc::new(sender);
    let callers = (0..callers).map(|_| {
        let sender = Arc::clone(&sender);
        move |_| -> BoxFuture<'static, ()> {
            let (done, wait) = oneshot::channel();
            sender.send(done).expect("the writer runs");
            Box::pin(async { wait.await.expect("the writer answers") })
        }
    });
    let figure = closed_loop(TIME, callers).await;
    drop(sender);
    writer.join().expect("the writer ends");
    Ok(figure)
}
