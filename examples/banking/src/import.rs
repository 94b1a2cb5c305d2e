//! The import of a ledger: which of its lines were refused.
//!
//! A line that is accepted leaves events in the accounts. One that is refused would leave nothing, and on a later run be
//! decided again, on another balance, perhaps otherwise. So its refusal is an event too.

use std::collections::BTreeMap;
use std::fmt;

use es_runtime::AnyRefusal;
use es_runtime::prelude::*;

use crate::Refused;

/// Begins the import of a ledger, or goes on with it.
#[command]
pub struct Start {}

/// Notes that a line was refused.
#[command]
pub struct Refuse {
    /// The number of the line.
    pub reference: String,
    /// Why.
    pub reason: Reason,
}

/// The import of a ledger began.
#[event]
pub struct Started {}

/// A line was refused.
#[event]
pub struct LineRefused {
    /// The number of the line.
    pub reference: String,
    /// Why.
    pub reason: Reason,
}

/// Why a line was refused.
#[value]
#[derive(Copy, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the variants are the words of `Display`")]
pub enum Reason {
    AccountAlreadyOpen,
    AccountNotOpen,
    BalanceTooLarge,
    InsufficientFunds,
    NotPositive,
    SameAccount,
}

/// The import of the ledger of this name.
#[derive(Debug, Default, Aggregate)]
#[es(name = "import", id = String)]
pub struct Import {
    /// The number of refused lines for each reason.
    pub refused: BTreeMap<Reason, u64>,
}

#[aggregate]
impl Import {
    #[handle]
    fn start(this: Option<&Self>, _: Start) -> Option<Started> {
        this.is_none().then_some(Started {})
    }

    #[handle]
    #[expect(clippy::unused_self, reason = "it says that the import must have started")]
    fn refuse(&self, cmd: Refuse) -> LineRefused {
        LineRefused {
            reference: cmd.reference,
            reason: cmd.reason,
        }
    }

    #[apply]
    fn started(_: Started) -> Self {
        Self::default()
    }

    #[apply]
    fn line_refused(&mut self, event: LineRefused) {
        *self.refused.entry(event.reason).or_default() += 1;
    }
}

impl Reason {
    /// Why the bank said no; `None` if it did not, but something failed.
    pub fn of(error: &ExecuteError<AnyRefusal>) -> Option<Self> {
        match error {
            ExecuteError::Refused(refusal) => Some(match refusal.downcast_ref()? {
                Refused::NotPositive => Self::NotPositive,
                Refused::InsufficientFunds { .. } => Self::InsufficientFunds,
                Refused::TooLarge => Self::BalanceTooLarge,
                Refused::SameAccount => Self::SameAccount,
            }),
            ExecuteError::NotFound { .. } => Some(Self::AccountNotOpen),
            ExecuteError::AlreadyExists { .. } => Some(Self::AccountAlreadyOpen),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AccountAlreadyOpen => "account already open",
            Self::AccountNotOpen => "account not open",
            Self::BalanceTooLarge => "balance too large",
            Self::InsufficientFunds => "insufficient funds",
            Self::NotPositive => "amount not positive",
            Self::SameAccount => "transfer to the same account",
        })
    }
}
