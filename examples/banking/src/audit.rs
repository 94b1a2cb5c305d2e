use es_runtime::prelude::*;
use es_runtime::{LoadError, StoreError};

use crate::account::{AccountEvent, Deposited, Withdrawn};
use crate::{Account, Cents};

/// The balances of the accounts, each folded again from its events.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) accounts: u64,
    /// The sum over all accounts.
    pub(crate) total: Cents,
    /// The part of it that one ledger has brought.
    pub(crate) imported: Cents,
}

/// Why the accounts could not be added up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error("the accounts hold more than can be added up")]
    TooLarge,
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Audit {
    /// Reads the events of every account.
    pub(crate) async fn of(bank: &Runtime, ledger: &str) -> Result<Self, AuditError> {
        let mut audit = Self::default();
        let mut accounts = bank.streams::<Account>();
        while let Some((account, _)) = accounts.next().await? {
            audit.accounts += 1;
            let mut balance = Cents::ZERO;
            let mut history = bank.history(account);
            while let Some((recorded, state)) = history.next().await? {
                balance = state.balance;
                if recorded.metadata.get("ledger").and_then(|name| name.as_str()) == Some(ledger) {
                    add(&mut audit.imported, change(&recorded.event))?;
                }
            }
            add(&mut audit.total, balance)?;
        }
        Ok(audit)
    }
}

fn change(event: &AccountEvent) -> Cents {
    match event {
        AccountEvent::Opened(_) => Cents::ZERO,
        AccountEvent::Deposited(Deposited { amount }) => *amount,
        AccountEvent::Withdrawn(Withdrawn { amount }) => Cents(-amount.0),
    }
}

fn add(sum: &mut Cents, amount: Cents) -> Result<(), AuditError> {
    *sum = sum.checked_add(amount).ok_or(AuditError::TooLarge)?;
    Ok(())
}
