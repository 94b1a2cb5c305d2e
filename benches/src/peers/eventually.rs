//! With `eventually`.

use eventually::aggregate::Aggregate;
use eventually::inmemory::{EventStore, EventStoreBuilder};
use eventually::{AggregateRootBuilder, Repository};
use futures_util::future::BoxFuture;

/// A bank account.
#[derive(Clone, Copy)]
pub struct Account;

/// Its events.
#[derive(Debug, Clone)]
pub enum Event {
    /// It was opened.
    Opened {
        /// By whom.
        owner: String,
    },
    /// Money came in.
    Deposited {
        /// In cents.
        amount: i64,
    },
}

/// Its commands.
#[derive(Debug)]
pub enum Command {
    /// Open it.
    Open {
        /// For whom.
        owner: String,
    },
    /// Put money in.
    Deposit {
        /// In cents.
        amount: i64,
    },
}

impl Aggregate for Account {
    type Id = String;
    type State = i64;
    type Event = Event;
    type Command = Command;
    type Error = std::convert::Infallible;

    fn apply(balance: i64, event: Event) -> Result<i64, Self::Error> {
        Ok(match event {
            Event::Opened { .. } => balance,
            Event::Deposited { amount } => balance + amount,
        })
    }

    fn handle<'a, 's: 'a>(
        &'a self,
        _: &'s String,
        _: &'s i64,
        command: Command,
    ) -> BoxFuture<'a, Result<Option<Vec<Event>>, Self::Error>> {
        Box::pin(async move {
            Ok(Some(vec![match command {
                Command::Open { owner } => Event::Opened { owner },
                Command::Deposit { amount } => Event::Deposited { amount },
            }]))
        })
    }
}

/// An empty bank.
pub fn bank() -> Repository<Account, EventStore<String, Event>> {
    Repository::new(
        AggregateRootBuilder::from(Account),
        EventStoreBuilder::for_aggregate(&Account),
    )
}

/// Loads the account, decides, appends.
///
/// # Panics
///
/// If the store fails, which this one cannot.
pub async fn execute(bank: &mut Repository<Account, EventStore<String, Event>>, id: &str, command: Command) {
    let mut account = bank.get(id.to_owned()).await.expect("the account can be loaded");
    account.handle(command).await.expect("the command is not refused");
    bank.add(account).await.expect("nobody else writes");
}
