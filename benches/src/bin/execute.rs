//! Commands per second in memory, on one thread: 10,000 accounts, of which each is opened and gets nine deposits.
//!
//! Then the same for one event in several shapes: `execute shapes` prints only that.
//!
//! The figures go to stderr, because the in-memory store of `cqrs-es` prints two lines for each command: send them to `/dev/null`.

use es_benches::peers::{cqrs, eventually};
use es_benches::{Contender, in_turns, per_second, shapes, timed};
use es_runtime::prelude::*;
use es_runtime::{MemoryStore, Runtime};
use es_tests::bank::{Account, Deposit, Open};

const ACCOUNTS: usize = 10_000;
const DEPOSITS: i64 = 9;
const COMMANDS: usize = ACCOUNTS * 10;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if std::env::args().nth(1).as_deref() != Some("shapes") {
        peers().await;
    }
    shapes().await;
}

async fn peers() {
    let figures = in_turns(
        7,
        [
            Contender::new("es-runtime", || async {
                let runtime = Runtime::builder(MemoryStore::new())
                    .start()
                    .await
                    .expect("memory is there");
                timed(ours(&runtime)).await
            }),
            Contender::new("es-runtime, no cache", || async {
                let runtime = Runtime::builder(MemoryStore::new())
                    .cache(0)
                    .start()
                    .await
                    .expect("memory is there");
                timed(ours(&runtime)).await
            }),
            Contender::new("eventually 0.4", || timed(with_eventually())),
            Contender::new("cqrs-es 0.5", || timed(with_cqrs())),
        ],
    )
    .await;
    let (_, first) = figures[0];
    for (name, time) in figures {
        let ratio = time.as_secs_f64() / first.as_secs_f64();
        eprintln!(
            "{name:22} {:>10.0} commands/s   es-runtime is {ratio:.2} times as fast",
            per_second(COMMANDS, time)
        );
    }
}

/// Prints the price of each shape of an event.
async fn shapes() {
    let start = async || {
        Runtime::builder(MemoryStore::new())
            .start()
            .await
            .expect("memory is there")
    };
    let figures = in_turns(
        9,
        [
            Contender::new("plain", async || timed(shapes::plain::book(&start().await)).await),
            Contender::new("f64", async || timed(shapes::float::book(&start().await)).await),
            Contender::new("u128", async || timed(shapes::wide::book(&start().await)).await),
            Contender::new("tagged enum", async || {
                timed(shapes::tagged::book(&start().await)).await
            }),
            Contender::new("flatten", async || timed(shapes::flattened::book(&start().await)).await),
        ],
    )
    .await;
    let (_, plain) = figures[0];
    for (name, time) in figures {
        let ratio = time.as_secs_f64() / plain.as_secs_f64();
        let rate = per_second(shapes::COMMANDS, time);
        eprintln!("an event with {name:12} {rate:>10.0} commands/s   takes {ratio:.2} times the time of a plain one");
    }
}

async fn ours(runtime: &Runtime) {
    let ids: Vec<Id<Account>> = (0..ACCOUNTS).map(|_| Id::new()).collect();
    for id in &ids {
        runtime
            .execute(id, Open { owner: "Alice".into() })
            .await
            .expect("the account is new");
    }
    for amount in 1..=DEPOSITS {
        for id in &ids {
            runtime
                .execute(id, Deposit { amount })
                .await
                .expect("the account is open");
        }
    }
}

async fn with_eventually() {
    let mut bank = eventually::bank();
    let ids: Vec<String> = (0..ACCOUNTS).map(|_| Id::<Account>::new().to_string()).collect();
    for id in &ids {
        eventually::execute(&mut bank, id, eventually::Command::Open { owner: "Alice".into() }).await;
    }
    for amount in 1..=DEPOSITS {
        for id in &ids {
            eventually::execute(&mut bank, id, eventually::Command::Deposit { amount }).await;
        }
    }
}

async fn with_cqrs() {
    let bank = cqrs::bank();
    let ids: Vec<String> = (0..ACCOUNTS).map(|_| Id::<Account>::new().to_string()).collect();
    for id in &ids {
        bank.execute(id, cqrs::Command::Open { owner: "Alice".into() })
            .await
            .expect("the account is new");
    }
    for amount in 1..=DEPOSITS {
        for id in &ids {
            bank.execute(id, cqrs::Command::Deposit { amount })
                .await
                .expect("the account is open");
        }
    }
}
