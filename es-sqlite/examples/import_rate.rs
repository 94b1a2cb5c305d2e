//! Events per second of the past of a bank, 25,000 events of 864 accounts: by one append for each event, and by an
//! import.
//!
//! `cargo run --release -p es-sqlite --example import_rate`

use std::time::Instant;

use es_runtime::Past;
use es_runtime::prelude::*;
use es_sqlite::SqliteStore;
use futures_util::stream;
use uuid::Uuid;

const ACCOUNTS: u32 = 864;
const EVENTS: u32 = 25_000;

#[event]
struct Opened {
    owner: String,
}

#[event]
struct Deposited {
    amount: i64,
}

#[command]
struct Open {
    owner: String,
}

#[derive(Aggregate)]
struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(cmd: Open) -> Opened {
        Opened { owner: cmd.owner }
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Self
    }

    #[apply]
    #[expect(clippy::unused_self, reason = "it says that the account must be open")]
    fn deposited(&mut self, _: Deposited) {}
}

#[tokio::main]
async fn main() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let fresh = async |name: &str| -> Result<Runtime> {
        let store = SqliteStore::open(directory.path().join(name)).await?;
        Ok(Runtime::builder(store).start().await?)
    };
    let appended = fresh("appends").await?;
    let start = Instant::now();
    for number in 0..EVENTS {
        appended
            .append(account(number), event(number))
            .occurred_at(time(number))
            .await?;
    }
    tell("one append for each", start);

    let by_time = fresh("by-time").await?;
    for run in ["imported as they happened", "  and again"] {
        let items = (0..EVENTS).map(|number| Past::of(account(number)).at(time(number), event(number)));
        let start = Instant::now();
        by_time.import("bank", stream::iter(items)).await?;
        tell(run, start);
    }

    let by_account = fresh("by-account").await?;
    for run in ["imported by account", "  and again"] {
        let items = (0..ACCOUNTS).map(|first| {
            let numbers = (0..EVENTS).filter(|number| index(*number) == first);
            numbers.fold(Past::of(account(first)), |past, number| {
                past.at(time(number), event(number))
            })
        });
        let items: Vec<_> = items.collect();
        let start = Instant::now();
        by_account.import("bank", stream::iter(items)).await?;
        tell(run, start);
    }
    Ok(())
}

fn tell(what: &str, start: Instant) {
    let rate = f64::from(EVENTS) / start.elapsed().as_secs_f64();
    println!("{what:26} {rate:>8.0} events/s");
}

/// The account of an event: each in turn at first, and then in a wild order.
fn index(number: u32) -> u32 {
    match number {
        0..ACCOUNTS => number,
        _ => (number.wrapping_mul(0x9e37_79b9) >> 8) % ACCOUNTS,
    }
}

fn account(number: u32) -> Id<Account> {
    Id::from_uuid(Uuid::from_u128(u128::from(index(number))))
}

fn time(number: u32) -> Timestamp {
    Timestamp::from_micros(i64::from(number)).unwrap_or(Timestamp::MIN)
}

fn event(number: u32) -> AccountEvent {
    if number < ACCOUNTS {
        Opened { owner: "Alice".into() }.into()
    } else {
        Deposited { amount: 5 }.into()
    }
}
