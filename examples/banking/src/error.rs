use std::fmt::Write as _;
use std::path::PathBuf;

use es_runtime::prelude::*;
use es_runtime::subscription::SubscriptionError;
use es_runtime::{AnyRefusal, ControlError, LoadError, ReadError, StartError, StoreError, Version};
use serde_json::{Value, json};

use crate::audit::AuditError;
use crate::importer::ImportError;
use crate::ledger::LedgerError;
use crate::report::Report;
use crate::{AccountNumber, Refused};

/// Why a command was not done: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BankError {
    #[error("{0}")]
    Refused(Refused),
    #[error("account {number} is not open: open it with `banking open {number} OWNER`")]
    NotOpen { number: AccountNumber },
    #[error(
        "account {number} was not open at {time}: `banking history --json {number}` says when each event was recorded"
    )]
    NotOpenAt { number: AccountNumber, time: Timestamp },
    #[error("account {number} has no version {wanted}: its last one is {last}")]
    NoSuchVersion {
        number: AccountNumber,
        wanted: u64,
        last: Version,
    },
    #[error("account {number} is open already")]
    AlreadyOpen { number: AccountNumber },
    #[error("reference `{0}` was used before for another request: give each request its own")]
    ReferenceUsed(String),
    #[error(
        "`{}` does not exist: `banking` without a command imports the shipped ledger into it, `banking open` begins an empty bank", .0.display()
    )]
    NoBank(PathBuf),
    #[error("the bank holds another sum than the accepted lines of the ledger: see the summary above")]
    DoesNotBalance,
    #[error(transparent)]
    Execute(#[from] ExecuteError<AnyRefusal>),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the totals of a day are kept in a database: say `--store sqlite:PATH`")]
    NoDatabase,
    #[error("the general ledger is kept in a database: say `--store sqlite:PATH`")]
    NoLedger,
    #[error("the balances cannot be built: {0}")]
    NotBuilt(String),
    #[error("cannot wait to be interrupted: {0}")]
    Signal(std::io::Error),
    #[error(transparent)]
    Projection(#[from] ControlError),
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    #[error(transparent)]
    Rows(#[from] ReadError),
    #[error("cannot write to stdout: {0}")]
    Output(std::io::Error),
}

impl BankError {
    /// Says `error` of a request in the words of the bank.
    pub(crate) fn of(error: ExecuteError<AnyRefusal>, reference: &str) -> Self {
        match error {
            ExecuteError::Refused(refusal) => match refusal.downcast() {
                Ok(refused) => Self::Refused(refused),
                Err(refusal) => Self::Execute(ExecuteError::Refused(refusal)),
            },
            ExecuteError::NotFound { stream } => match stream.id().parse() {
                Ok(number) => Self::NotOpen { number },
                Err(_) => Self::Execute(ExecuteError::NotFound { stream }),
            },
            ExecuteError::AlreadyExists { stream } => match stream.id().parse() {
                Ok(number) => Self::AlreadyOpen { number },
                Err(_) => Self::Execute(ExecuteError::AlreadyExists { stream }),
            },
            ExecuteError::IdempotencyMismatch { .. } => Self::ReferenceUsed(reference.to_owned()),
            other => Self::Execute(other),
        }
    }

    /// The error with its causes, in one line.
    pub(crate) fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            if !line.contains(&said) {
                // Writing to a string does not fail.
                let _ = write!(line, ": {said}");
            }
            cause = error.source();
        }
        line
    }
}

impl Report for BankError {
    fn json(&self) -> Value {
        let kind = match self {
            Self::Refused(_) | Self::NotOpen { .. } | Self::AlreadyOpen { .. } | Self::ReferenceUsed(_) => "refused",
            Self::NotOpenAt { .. } | Self::NoSuchVersion { .. } | Self::NoBank(_) => "not_found",
            _ => "failed",
        };
        json!({ "error": { "kind": kind, "message": self.line() } })
    }
}
