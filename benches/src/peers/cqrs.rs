//! With `cqrs-es`.

use cqrs_es::event_sink::EventSink;
use cqrs_es::mem_store::MemStore;
use cqrs_es::{Aggregate, CqrsFramework, DomainEvent};
use serde::{Deserialize, Serialize};

/// A bank account.
#[derive(Default, Serialize, Deserialize)]
pub struct Account {
    balance: i64,
}

/// Its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Opened { .. } => "opened".into(),
            Self::Deposited { .. } => "deposited".into(),
        }
    }

    fn event_version(&self) -> String {
        "1".into()
    }
}

/// Its commands.
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
    const TYPE: &'static str = "account";
    type Command = Command;
    type Event = Event;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, command: Command, (): &(), sink: &EventSink<Self>) -> Result<(), Self::Error> {
        let event = match command {
            Command::Open { owner } => Event::Opened { owner },
            Command::Deposit { amount } => Event::Deposited { amount },
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        if let Event::Deposited { amount } = event {
            self.balance += amount;
        }
    }
}

/// An empty bank.
pub fn bank() -> CqrsFramework<Account, MemStore<Account>> {
    CqrsFramework::new(MemStore::default(), Vec::new(), ())
}
