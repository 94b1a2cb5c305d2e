//! A task that sends one request after the other, and writes down each with its answer.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use es_runtime::projection::ReadError;
use es_runtime::store::{AppendRef, Appended};
use es_runtime::{AppendError, ExecuteError, LoadError, Position, Runtime, StoreError, StoreErrorKind};

use super::plan::{Planner, Request, What, id, owner, share};
use super::record::{Answer, Journal, Receipt, Record};
use super::rows::Entries;
use crate::bank::{AccountEvent, Audit, Deposit, Deposited, InsufficientFunds, Open, Opened, Withdraw};

/// What the tasks of a process know.
pub(super) struct Known {
    /// How many events are to be stored.
    target: u64,
    /// How many are.
    stored: AtomicU64,
    /// The version and the position of the last event of each account.
    versions: Mutex<HashMap<u32, (u64, u64)>>,
}

impl Known {
    pub(super) fn new(target: u64) -> Self {
        Self {
            target,
            stored: AtomicU64::new(0),
            versions: Mutex::default(),
        }
    }

    fn version(&self, account: u32) -> (u64, u64) {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.get(&account).copied().unwrap_or_default()
    }

    fn learn(&self, what: &What, receipts: &[Receipt]) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        for receipt in receipts.iter().filter(|receipt| receipt.events > 0) {
            self.stored.fetch_max(receipt.position, Ordering::SeqCst);
            for account in what.accounts() {
                if id(account).to_string() == receipt.stream {
                    let known = versions.entry(account).or_default();
                    *known = (receipt.version, receipt.position).max(*known);
                }
            }
        }
    }
}

/// The task.
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) runtime: Runtime,
    /// Whether the runtime has [`Entries`].
    pub(super) has_rows: bool,
    /// Whether its store loses answers.
    pub(super) lossy: bool,
    pub(super) planner: Planner,
    pub(super) known: Arc<Known>,
    pub(super) journal: Journal,
}

impl Worker {
    /// Sends requests until so many events are stored as there are to be.
    pub(super) async fn run(mut self) {
        for number in 0.. {
            let stored = self.known.stored.load(Ordering::SeqCst);
            if stored >= self.known.target {
                return;
            }
            let mut order = self.planner.next(stored);
            for _ in 0..order.pause {
                tokio::task::yield_now().await;
            }
            if let ([account], true) = (&order.request.what.accounts()[..], order.demands) {
                order.request.expects = Some(self.known.version(*account).0);
            }
            let attempt = format!("{}-{number}", self.name);
            let answer = self.send(&attempt, &order.request, order.patience).await;
            if answer == Answer::Dropped && order.request.key.is_some() {
                self.send(&format!("{attempt}-again"), &order.request, None).await;
            }
        }
    }

    /// Sends a request, and drops it after so many polls.
    async fn send(&self, attempt: &str, request: &Request, patience: Option<u32>) -> Answer {
        let attempt = attempt.to_owned();
        self.journal.write(&Record::Called {
            attempt: attempt.clone(),
            request: request.clone(),
            lossy: self.lossy,
        });
        let answer = within(patience, self.call(&attempt, request)).await;
        let answer = answer.unwrap_or(Answer::Dropped);
        if let Answer::Done(receipts) | Answer::Resolved(Some(receipts)) = &answer {
            self.known.learn(&request.what, receipts);
        }
        self.journal.write(&Record::Answered {
            attempt,
            answer: answer.clone(),
        });
        answer
    }

    async fn call(&self, attempt: &str, request: &Request) -> Answer {
        let runtime = &self.runtime;
        // Each builder has these setters, and no trait for them.
        macro_rules! asked {
            ($builder:expr) => {{
                let mut builder = $builder.correlation(attempt);
                if let Some(key) = &request.key {
                    builder = builder.idempotency_key(key);
                }
                builder
            }};
        }
        macro_rules! demanded {
            ($builder:expr) => {{
                let mut builder = asked!($builder);
                if let Some(version) = request.expects {
                    builder = builder.expect_version(version);
                }
                builder.await.map(|receipt| vec![receipt])
            }};
        }
        let done = match request.what.clone() {
            What::Open(account) => {
                let owner = owner(account);
                without_refusal(demanded!(runtime.execute(id(account), Open { owner })))
            }
            What::Import(account, amounts) => {
                let opened = AccountEvent::Opened(Opened { owner: owner(account) });
                let events: Vec<_> = std::iter::once(opened).chain(deposits(&amounts)).collect();
                without_refusal(demanded!(runtime.append(id(account), events).expect_version(0)))
            }
            What::Deposit(account, amount) => {
                without_refusal(demanded!(runtime.execute(id(account), Deposit { amount })))
            }
            What::Withdraw(account, amount) => demanded!(runtime.execute(id(account), Withdraw { amount })),
            What::Audit(account) => without_refusal(demanded!(runtime.execute(id(account), Audit))),
            What::Append(account, amounts) => {
                let events: Vec<_> = deposits(&amounts).collect();
                without_refusal(demanded!(runtime.append(id(account), events)))
            }
            What::Transfer {
                from,
                to,
                amount,
                witness,
            } => {
                let to = &to;
                let done = asked!(runtime.atomically(async |tx| {
                    let amount = match witness {
                        Some(witness) => share(amount, tx.load(id(witness)).await.map_or(0, |read| read.version.0)),
                        None => amount,
                    };
                    for to in to {
                        tx.execute(id(from), Withdraw { amount }).await?;
                        tx.execute(id(*to), Deposit { amount }).await?;
                    }
                    Ok(())
                }));
                // Nothing else refuses.
                done.await
                    .map_err(|error| error.map_refused(|refusal| refusal.downcast().unwrap()))
            }
            What::Load(account) => return self.load(account).await,
            What::Row(account) => return self.row(account).await,
        };
        match done {
            Ok(receipts) => Answer::Done(receipts.into_iter().map(Receipt::from).collect()),
            Err(error) => self.failed(error).await,
        }
    }

    async fn failed(&self, error: ExecuteError<InsufficientFunds>) -> Answer {
        match error {
            ExecuteError::Refused(InsufficientFunds { balance }) => Answer::Refused(balance),
            // What is appended without a command to an account that is not there does not fold.
            ExecuteError::NotFound { stream } | ExecuteError::Misapplied { stream, .. } => {
                Answer::NotFound(stream.id().to_owned())
            }
            ExecuteError::AlreadyExists { stream } => Answer::AlreadyExists(stream.id().to_owned()),
            ExecuteError::Conflict { stream, actual, .. } => Answer::Conflict(stream.id().to_owned(), actual.0),
            ExecuteError::IdempotencyMismatch { .. } => Answer::Mismatched,
            ExecuteError::Indeterminate { append, .. } => self.resolve(&append).await,
            ExecuteError::Append(AppendError::Store(error)) | ExecuteError::Load(LoadError::Store(error)) => {
                failure(&error)
            }
            other => Answer::Unexpected(format!("{other} ({other:?})")),
        }
    }

    async fn resolve(&self, append: &AppendRef) -> Answer {
        for _ in 0..100 {
            match self.runtime.resolve(append).await {
                Ok(resolved) => return Answer::Resolved(resolved.map(receipts)),
                Err(error) if error.kind() == StoreErrorKind::Unavailable => {}
                Err(error) => return failure(&error),
            }
        }
        Answer::Unknown
    }

    async fn load(&self, account: u32) -> Answer {
        match self.runtime.load(id(account)).await {
            Ok(loaded) => Answer::Loaded(loaded.map(|account| (account.version.0, account.balance))),
            Err(LoadError::Store(error)) => failure(&error),
            Err(error) => Answer::Unexpected(format!("{error} ({error:?})")),
        }
    }

    async fn row(&self, account: u32) -> Answer {
        let (_, position) = self.known.version(account);
        if !self.has_rows || position == 0 {
            return self.load(account).await;
        }
        match self.runtime.get::<Entries>(id(account)).after(Position(position)).await {
            Ok(shown) => Answer::Row(shown.map(|shown| shown.row.row)),
            // Whoever ran the projection was killed, and nobody has taken it over yet.
            Err(error @ (ReadError::Timeout { .. } | ReadError::NotReady { .. })) => Answer::Late(error.to_string()),
            Err(ReadError::Store(error)) => failure(&error),
            Err(error) => Answer::Unexpected(format!("{error} ({error:?})")),
        }
    }
}

fn deposits(amounts: &[i64]) -> impl Iterator<Item = AccountEvent> {
    amounts
        .iter()
        .map(|amount| AccountEvent::Deposited(Deposited { amount: *amount }))
}

fn without_refusal<T>(
    done: Result<T, ExecuteError<std::convert::Infallible>>,
) -> Result<T, ExecuteError<InsufficientFunds>> {
    done.map_err(|error| error.map_refused(|never| match never {}))
}

fn failure(error: &StoreError) -> Answer {
    let text = format!("{error} ({error:?})");
    match error.kind() {
        StoreErrorKind::Unavailable => Answer::Unavailable(text),
        _ => Answer::Unexpected(text),
    }
}

impl From<es_runtime::Receipt> for Receipt {
    fn from(receipt: es_runtime::Receipt) -> Self {
        Self {
            stream: receipt.stream.id().to_owned(),
            version: receipt.version.0,
            position: receipt.position.0,
            events: receipt.events as u64,
            repeated: receipt.repeated,
        }
    }
}

/// The receipts of an append that the store tells of.
pub(super) fn receipts(appended: Appended) -> Vec<Receipt> {
    let receipt = |part: es_runtime::store::StreamAppended| Receipt {
        stream: part.stream.id().to_owned(),
        version: part.version.0,
        position: part.position.0,
        events: part.events as u64,
        repeated: true,
    };
    appended.streams.into_iter().map(receipt).collect()
}

/// What comes of a future that is polled so many times at most.
async fn within<F: Future>(polls: Option<u32>, future: F) -> Option<F::Output> {
    let (mut future, mut polls) = (pin!(future), polls);
    std::future::poll_fn(|context| match (&mut polls, future.as_mut().poll(context)) {
        (_, Poll::Ready(output)) => Poll::Ready(Some(output)),
        (None, Poll::Pending) => Poll::Pending,
        (Some(0), Poll::Pending) => Poll::Ready(None),
        (Some(left), Poll::Pending) => {
            *left -= 1;
            Poll::Pending
        }
    })
    .await
}
