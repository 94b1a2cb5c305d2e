//! Decides by a seed which requests a task sends.

use es_conformance::__private::Random;
use es_runtime::Id;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bank::Account;

/// How many accounts most requests are about at a time.
const SHARED: u64 = 60;
/// How many of these get a quarter of the requests.
const HOT: u64 = 3;
/// After how many events others of them do, so that no stream becomes so long that reading it takes most of the time.
const EVENTS_PER_WINDOW: u64 = 5_000;
/// By how many the accounts move on then.
const MOVED: u64 = 30;
/// How many events are stored for each key that comes into use.
const EVENTS_PER_KEY: u64 = 10;

/// A request as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its idempotency key.
    pub key: Option<String>,
    /// The version at which alone it is to be decided.
    pub expects: Option<u64>,
    /// What it asks for.
    pub what: What,
}

/// What a request asks for. Accounts are numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Opens an account.
    Open(u32),
    /// Appends the events of an account that is opened, and of these deposits.
    Import(u32, Vec<i64>),
    /// Puts money in.
    Deposit(u32, i64),
    /// Takes money out, or is refused.
    Withdraw(u32, i64),
    /// Looks at an existing account, and changes nothing.
    Audit(u32),
    /// Appends these deposits without a command.
    Append(u32, Vec<i64>),
    /// Moves money from one account to each of the others, as one: an account may stand there twice. Reads the witness as well, whose
    /// version says [how much](share).
    Transfer {
        /// Where the money comes from.
        from: u32,
        /// Where it goes.
        to: Vec<u32>,
        /// How much each gets at least.
        amount: i64,
        /// An account that is only read.
        witness: Option<u32>,
    },
    /// Loads an account.
    Load(u32),
    /// Gets the row of an account, as it is after the last event that this process knows of it.
    Row(u32),
}

impl What {
    /// The accounts that it is about, once each, in the order in which they come up.
    pub fn accounts(&self) -> Vec<u32> {
        match self {
            Self::Open(account)
            | Self::Import(account, _)
            | Self::Deposit(account, _)
            | Self::Withdraw(account, _)
            | Self::Audit(account)
            | Self::Append(account, _)
            | Self::Load(account)
            | Self::Row(account) => vec![*account],
            Self::Transfer { from, to, witness, .. } => {
                let mut accounts = Vec::new();
                for account in witness.iter().chain([from]).chain(to) {
                    if !accounts.contains(account) {
                        accounts.push(*account);
                    }
                }
                accounts
            }
        }
    }

    /// The stream of the account that is only read.
    pub fn witness(&self) -> Option<String> {
        match self {
            Self::Transfer { witness, .. } => witness.map(|witness| id(witness).to_string()),
            _ => None,
        }
    }

    /// Whether a key stands for both alike: what a transaction does cannot be compared.
    pub fn has_content_of(&self, other: &Self) -> bool {
        self == other || matches!((self, other), (Self::Transfer { .. }, Self::Transfer { .. }))
    }
}

/// How much each account gets by a transfer of this amount, if its witness is at this version.
pub fn share(amount: i64, witness: u64) -> i64 {
    amount + (witness % 100).cast_signed()
}

/// The id of an account.
pub fn id(account: u32) -> Id<Account> {
    Id::from_uuid(Uuid::from_u128(
        0x0194_0b6e_5f3c_7000_8000_0000_0000_0000 + u128::from(account),
    ))
}

/// The owner of an account.
pub fn owner(account: u32) -> String {
    format!("owner of {account}")
}

/// What a task is to send next.
pub(super) struct Order {
    pub(super) request: Request,
    /// Whether it demands the version that was heard of last.
    pub(super) demands: bool,
    /// After how many polls its future is dropped.
    pub(super) patience: Option<u32>,
    /// How often others get their turn before.
    pub(super) pause: u32,
}

/// Gives one order after the other.
pub(super) struct Planner {
    random: Random,
    seed: u64,
    /// The numbers of accounts that this task alone opens.
    own: std::ops::RangeFrom<u32>,
}

impl Planner {
    /// For the task of this number, which no other task of the history has.
    pub(super) fn new(seed: u64, task: u32) -> Self {
        Self {
            random: Random::from_seed(seed ^ (u64::from(task) << 32)),
            seed,
            own: 100_000 + task * 10_000..,
        }
    }

    /// The next one, when so many events are stored.
    pub(super) fn next(&mut self, stored: u64) -> Order {
        let request = self.request(stored);
        let is_single = matches!(request.what, What::Deposit(..) | What::Withdraw(..) | What::Append(..));
        let is_read = matches!(request.what, What::Load(_) | What::Row(_));
        let most = if self.one_in(2) { 3 } else { 60 };
        Order {
            demands: is_single && request.key.is_none() && self.one_in(6),
            patience: (!is_read && self.one_in(12)).then(|| below(&mut self.random, most)),
            pause: below(&mut self.random, 100),
            request,
        }
    }

    fn request(&mut self, stored: u64) -> Request {
        // First of all there must be accounts.
        let has_begun = stored >= SHARED;
        if has_begun && self.one_in(3) {
            return self.keyed(stored);
        }
        let kind = if has_begun { self.random.below(100) } else { 0 };
        let what = match kind {
            0..5 => What::Open(self.new_or_shared(stored)),
            5..8 => What::Import(self.new_or_shared(stored), amounts(&mut self.random, 8)),
            8..22 => What::Load(account(&mut self.random, stored)),
            22..24 => What::Row(account(&mut self.random, stored)),
            _ => change(&mut self.random, stored),
        };
        Request {
            key: None,
            expects: None,
            what,
        }
    }

    /// A request that other tasks send as well, sooner or later, or another one under its key.
    fn keyed(&mut self, stored: u64) -> Request {
        let newest = stored / EVENTS_PER_KEY;
        let number = if self.one_in(10) {
            self.random.below(newest + 1)
        } else {
            newest + self.random.below(5)
        };
        let mut content = Random::from_seed(self.seed.wrapping_add(number.wrapping_mul(0x5851_F42D_4C95_7F2D)));
        let mut what = change(&mut content, number * EVENTS_PER_KEY);
        if self.one_in(20) {
            what = change(&mut self.random, stored);
        }
        Request {
            key: Some(format!("key {number}")),
            expects: None,
            what,
        }
    }

    fn new_or_shared(&mut self, stored: u64) -> u32 {
        match self.random.below(4) {
            0 => self.own.next().unwrap_or_default(),
            _ => among(&mut self.random, stored, SHARED),
        }
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.random.below(times) == 0
    }
}

/// What changes an account, if it is there; or looks at it.
fn change(random: &mut Random, stored: u64) -> What {
    match random.below(20) {
        0..4 => What::Deposit(account(random, stored), amount(random)),
        4..8 => What::Withdraw(account(random, stored), amount(random)),
        8 => What::Audit(account(random, stored)),
        9..12 => What::Append(account(random, stored), amounts(random, 16)),
        _ => What::Transfer {
            from: account(random, stored),
            to: (0..=random.below(4)).map(|_| account(random, stored)).collect(),
            amount: amount(random) / 4 + 1,
            witness: (random.below(2) == 0).then(|| account(random, stored)),
        },
    }
}

/// An account of those that requests are about when so many events are stored.
fn account(random: &mut Random, stored: u64) -> u32 {
    let accounts = if random.below(4) == 0 { HOT } else { SHARED };
    among(random, stored, accounts)
}

/// One of the first so many of them.
fn among(random: &mut Random, stored: u64, accounts: u64) -> u32 {
    let first = stored / EVENTS_PER_WINDOW * MOVED;
    u32::try_from(first + random.below(accounts)).unwrap_or_default()
}

fn amount(random: &mut Random) -> i64 {
    i64::from(below(random, 1_000)) + 1
}

fn amounts(random: &mut Random, most: u64) -> Vec<i64> {
    (0..=random.below(most)).map(|_| amount(random)).collect()
}

fn below(random: &mut Random, bound: u64) -> u32 {
    u32::try_from(random.below(bound)).unwrap_or_default()
}
