//! The publication of the tests, and the order on which its consumers rely.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::publication::Outgoing;
use es_runtime::store::ReadLog;
use futures_util::TryStreamExt as _;
use tokio::task::JoinHandle;

use crate::bank::{Account, Deposit, Deposited, Opened, Withdrawn, account_with};
use crate::waits::wait_for;

/// An account was opened.
#[message(name = "com.bank.account.opened", version = 2)]
pub struct AccountOpened {
    /// Its id.
    pub account: Id<Account>,
    /// By or for whom.
    pub owner: String,
}

/// Money came in, or went out.
#[message]
pub struct Moved {
    /// Below zero if it went out.
    pub cents: i64,
}

/// It was much.
#[message]
pub struct Large;

/// Tells of accounts.
#[publication(topic = "bank.accounts")]
pub struct Accounts;

#[publication]
impl Accounts {
    #[publish]
    fn opened(event: Opened, meta: &Meta<Account>) -> AccountOpened {
        AccountOpened {
            account: *meta.id(),
            owner: event.owner,
        }
    }

    #[publish]
    fn deposited(event: Deposited) -> (Moved, Option<Large>) {
        let large = (event.amount >= 1_000).then_some(Large);
        (Moved { cents: event.amount }, large)
    }

    #[publish]
    fn withdrawn(event: Withdrawn) -> Vec<Moved> {
        vec![Moved { cents: -event.amount }]
    }
}

/// The ids of the messages that the log gives, by key. Told by the events alone.
///
/// # Panics
///
/// If the log cannot be read.
pub async fn expected(store: &dyn EventStore) -> BTreeMap<String, Vec<String>> {
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut events = store.read_log(ReadLog::new());
    while let Some(event) = events.try_next().await.unwrap() {
        let payload: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        let is_large = event.name == "deposited" && payload["amount"].as_i64() >= Some(1_000);
        let ids = (0..=u32::from(is_large)).map(|index| format!("{}/{index}", event.id));
        expected.entry(event.stream.id().to_owned()).or_default().extend(ids);
    }
    expected
}

/// Checks what a consumer relies on, by the keys and ids of the messages that a broker has taken: within each key nothing is missing,
/// none comes before those in front of it, and what comes again goes on to the end.
///
/// # Panics
///
/// If it is not so.
pub fn check<'a>(published: impl IntoIterator<Item = (&'a str, &'a str)>, expected: &BTreeMap<String, Vec<String>>) {
    let mut next: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, id) in published {
        let place = expected[key].iter().position(|other| other == id);
        let place = place.unwrap_or_else(|| panic!("`{id}` of `{key}` is of no event"));
        let next = next.entry(key).or_default();
        assert!(place <= *next, "message {place} of `{key}` comes where {next} is due");
        *next = place + 1;
    }
    for (key, ids) in expected {
        assert_eq!(
            next.get(&**key),
            Some(&ids.len()),
            "the last message of `{key}` comes last"
        );
    }
}

/// The keys and ids of messages.
pub fn ids(messages: &[Outgoing]) -> impl Iterator<Item = (&str, &str)> {
    messages.iter().map(|message| (&*message.key, &*message.id))
}

/// Deposits into some accounts, one after the other, until it is [ended](Self::end).
pub struct Writer {
    is_over: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Begins.
    ///
    /// # Panics
    ///
    /// If the store fails.
    pub async fn start(runtime: &Runtime) -> Self {
        let mut accounts = Vec::new();
        for _ in 0..5 {
            accounts.push(account_with(runtime, 0).await);
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let (runtime, ends) = (runtime.clone(), Arc::clone(&is_over));
        let task = tokio::spawn(async move {
            for (amount, account) in (1..).zip(accounts.into_iter().cycle()) {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                // Some of them large, so that they give two messages.
                let amount = amount * 100 % 1_700 + 1;
                runtime.execute(account, Deposit { amount }).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self { is_over, task }
    }

    /// Waits for the last deposit. Not cut off: what it has begun would be appended at some time.
    ///
    /// # Panics
    ///
    /// If a deposit failed.
    pub async fn end(self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
    }
}

/// Waits until each publication of the runtime has come to the end of the log.
///
/// # Panics
///
/// If it never does.
pub async fn at_the_head(runtime: &Runtime) {
    wait_for(async || {
        let health = runtime.health().await.unwrap();
        health
            .publications
            .iter()
            .all(|publication| publication.position == health.head)
    })
    .await;
}
