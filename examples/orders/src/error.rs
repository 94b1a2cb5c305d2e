use std::convert::Infallible;
use std::error::Error as _;
use std::fmt::Write as _;

use es_runtime::subscription::SubscriptionError;
use es_runtime::{ExecuteError, ReadError, StartError, StoreError};

use crate::ParseKeyError;

/// Why something was not done, or cannot be shown.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what each is")]
pub enum ShopError {
    #[error("{open} orders are not settled, and nothing has happened to them for a minute: {status}")]
    Stuck { open: u64, status: String },
    #[error(transparent)]
    Key(#[from] ParseKeyError),
    #[error(transparent)]
    Execute(#[from] ExecuteError<Infallible>),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot use the network or stdout")]
    Io(#[from] std::io::Error),
}

impl ShopError {
    /// The error with its causes, in one line.
    pub(crate) fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
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
