//! A bank with something of everything that an operator looks at.

use es_runtime::prelude::*;
use es_runtime::testing::ManualClock;
use es_runtime::{Builder, RetryPolicy};
use std::time::Duration;

#[event]
pub(crate) struct Opened {
    pub(crate) owner: String,
}

#[event]
pub(crate) struct Deposited {
    pub(crate) cents: i64,
}

#[event]
pub(crate) struct Withdrawn {
    cents: i64,
}

#[event]
pub(crate) struct Frozen;

#[command]
pub(crate) struct Open {
    pub(crate) owner: String,
}

#[command]
pub(crate) struct Deposit {
    pub(crate) cents: i64,
}

#[command]
pub(crate) struct Withdraw {
    pub(crate) cents: i64,
}

#[command]
pub(crate) struct Freeze;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("insufficient funds: the balance is {balance}")]
pub(crate) struct InsufficientFunds {
    balance: i64,
}

#[derive(Debug, Aggregate)]
#[es(id = String)]
pub(crate) struct Account {
    #[expect(dead_code, reason = "read by `Debug`")]
    owner: String,
    balance: i64,
    is_frozen: bool,
}

#[aggregate]
impl Account {
    #[handle]
    fn open(cmd: Open) -> Opened {
        Opened { owner: cmd.owner }
    }

    #[handle]
    fn deposit(&self, cmd: Deposit) -> Deposited {
        Deposited { cents: cmd.cents }
    }

    #[handle]
    fn withdraw(&self, cmd: Withdraw) -> Result<Withdrawn, InsufficientFunds> {
        let balance = self.balance;
        if cmd.cents > balance {
            return Err(InsufficientFunds { balance });
        }
        Ok(Withdrawn { cents: cmd.cents })
    }

    #[handle]
    fn freeze(&self, _: Freeze) -> Option<Frozen> {
        (!self.is_frozen).then_some(Frozen)
    }

    #[apply]
    fn opened(event: Opened) -> Self {
        Account {
            owner: event.owner,
            balance: 0,
            is_frozen: false,
        }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.balance += event.cents;
    }

    #[apply]
    fn withdrawn(&mut self, event: Withdrawn) {
        self.balance -= event.cents;
    }

    #[apply]
    fn frozen(&mut self, _: Frozen) {
        self.is_frozen = true;
    }
}

/// A row for each account.
#[projection(name = "balances")]
pub(crate) struct Balance {
    cents: i64,
}

#[projection]
impl Balance {
    #[apply]
    fn opened(_: Opened) -> Self {
        Balance { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: Deposited) {
        self.cents += event.cents;
    }

    #[apply]
    fn withdrawn(&mut self, event: Withdrawn) {
        self.cents -= event.cents;
    }
}

pub(crate) fn account(id: &str) -> KeyOf<Account> {
    KeyOf::new(id)
}

/// The bank on its store.
pub(crate) struct Bank {
    pub(crate) store: MemoryStore,
    pub(crate) clock: ManualClock,
}

impl Bank {
    pub(crate) fn builder(&self) -> Builder<MemoryStore> {
        let builder = Runtime::builder(self.store.clone()).clock(self.clock.clone());
        builder
            .aggregate::<Account>()
            .projection::<Balance>()
            .retry(RetryPolicy::default())
    }

    /// A bank without an event.
    pub(crate) fn empty() -> Self {
        let clock = ManualClock::at("2026-03-02T08:00:00Z".parse().unwrap());
        let store = MemoryStore::new().with_clock(clock.clone());
        Self { store, clock }
    }

    /// A bank with two accounts and five events, a second apart.
    pub(crate) async fn seeded() -> Self {
        let bank = Self::empty();
        let runtime = bank.builder().open().await.unwrap();
        let second = || bank.clock.advance(Duration::from_secs(1));
        let open = |owner: &str| Open {
            owner: owner.to_owned(),
        };
        let request = runtime.execute(account("alice"), open("Alice"));
        request.actor("teller").correlation("visit-1").await.unwrap();
        second();
        runtime.execute(account("bob"), open("Bob")).await.unwrap();
        second();
        let deposit = runtime.execute(account("alice"), Deposit { cents: 100 });
        deposit.actor("teller").correlation("visit-1").await.unwrap();
        second();
        runtime.execute(account("alice"), Withdraw { cents: 30 }).await.unwrap();
        second();
        runtime.execute(account("alice"), Freeze).await.unwrap();
        bank
    }
}
