use es_runtime::prelude::*;
use es_runtime::runtime::Execute;
use es_runtime::{AnyRefusal, CommandOf, Metadata, Receipt};

use crate::account::{Account, Deposit, Open, Withdraw};
use crate::{AccountNumber, Cents, Refused};

/// One request to the bank: a line of a ledger, or a command of the command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    Open {
        account: AccountNumber,
        open: Open,
    },
    Deposit {
        account: AccountNumber,
        amount: Cents,
    },
    Withdraw {
        account: AccountNumber,
        amount: Cents,
    },
    Transfer {
        from: AccountNumber,
        to: AccountNumber,
        amount: Cents,
    },
}

/// The parts of a request besides its content.
#[derive(Debug, Clone)]
pub(crate) struct Slip {
    /// The same key again is the same request again: it is done once.
    pub(crate) key: String,
    /// Recorded with each event.
    pub(crate) metadata: Metadata,
}

impl Entry {
    /// The accounts that it concerns, each once.
    pub(crate) fn accounts(&self) -> Vec<AccountNumber> {
        match *self {
            Self::Open { account, .. } | Self::Deposit { account, .. } | Self::Withdraw { account, .. } => {
                vec![account]
            }
            Self::Transfer { from, to, .. } if from == to => vec![from],
            Self::Transfer { from, to, .. } => vec![from, to],
        }
    }

    /// By how much it changes the money in the bank.
    pub(crate) fn change(&self) -> Cents {
        match *self {
            Self::Open { .. } | Self::Transfer { .. } => Cents::ZERO,
            Self::Deposit { amount, .. } => amount,
            Self::Withdraw { amount, .. } => Cents(-amount.0),
        }
    }

    /// Asks the accounts to do it.
    pub(crate) async fn post(&self, bank: &Runtime, slip: &Slip) -> Result<Vec<Receipt>, ExecuteError<AnyRefusal>> {
        match self {
            Self::Open { account, open } => one(bank.execute(account, open.clone()), slip).await,
            Self::Deposit { account, amount } => one(bank.execute(account, Deposit { amount: *amount }), slip).await,
            Self::Withdraw { account, amount } => one(bank.execute(account, Withdraw { amount: *amount }), slip).await,
            Self::Transfer { from, to, amount } => transfer(bank, *from, *to, *amount, slip).await,
        }
    }
}

async fn one<C: CommandOf<Account>>(
    request: Execute<'_, Account, C, C::Refusal>,
    slip: &Slip,
) -> Result<Vec<Receipt>, ExecuteError<AnyRefusal>> {
    let receipt = request
        .idempotency_key(&slip.key)
        .with_metadata(slip.metadata.clone())
        .await;
    Ok(vec![receipt.map_err(|error| error.map_refused(AnyRefusal::new))?])
}

/// Both accounts change, or neither.
async fn transfer(
    bank: &Runtime,
    from: AccountNumber,
    to: AccountNumber,
    amount: Cents,
    slip: &Slip,
) -> Result<Vec<Receipt>, ExecuteError<AnyRefusal>> {
    let both = bank.atomically(async |tx| {
        if from == to {
            return Err(Refused::SameAccount.into());
        }
        tx.execute(from, Withdraw { amount }).await?;
        tx.execute(to, Deposit { amount }).await
    });
    both.idempotency_key(&slip.key)
        .with_metadata(slip.metadata.clone())
        .await
}
