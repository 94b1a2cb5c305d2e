use std::panic;
use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::{AnyRefusal, LoadError, Metadata, Receipt, StoreError};
use tokio::task::{JoinError, JoinSet};

use crate::entry::Slip;
use crate::import::{Import, Reason, Refuse, Start};
use crate::ledger::{Ledger, LedgerError, Line, Row};
use crate::progress::Progress;
use crate::tally::{Decided, Decision, Tally};
use crate::turn::{Turn, Turns};

/// The number of lines in progress at once: enough that the store can commit many of them together.
const IN_HAND: usize = 256;

/// The number of accounts to remember before those whose lines are done are forgotten.
const ACCOUNTS: usize = 4096;

/// Brings the lines of a ledger to the bank: each once, however often it is run and wherever it was interrupted.
///
/// A line is handed in when all lines before it that concern the same accounts are decided, and its decision is stored
/// under its own idempotency key: with the events of the accounts if it is accepted, with that of the [`Import`] if it is
/// refused. So a line that an interrupted run left undecided meets the very balances that it would have met then.
#[derive(Clone)]
pub(crate) struct Importer {
    bank: Runtime,
    ledger: Arc<str>,
}

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("line {number} of `{ledger}`: {source}")]
    Line {
        ledger: Arc<str>,
        number: u64,
        source: Box<ExecuteError<AnyRefusal>>,
    },
    #[error(
        "line {number} of `{ledger}`: reference `{reference}` was imported before with another content; give the changed line a reference of its own"
    )]
    Changed {
        ledger: Arc<str>,
        number: u64,
        reference: String,
    },
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Importer {
    pub(crate) fn new(bank: Runtime, ledger: &str) -> Self {
        Self {
            bank,
            ledger: ledger.into(),
        }
    }

    pub(crate) async fn run(&self, mut ledger: Ledger, mut progress: Progress) -> Result<Tally, ImportError> {
        self.start().await?;
        let mut tally = Tally::new();
        let mut turns = Turns::default();
        let mut in_hand = JoinSet::new();
        while let Some(row) = ledger.next()? {
            match row {
                Row::Malformed(line) => tally.malformed(line),
                Row::Line(line) => {
                    if in_hand.len() >= IN_HAND {
                        count(&mut tally, in_hand.join_next().await)?;
                    }
                    let turn = turns.next(line.entry.accounts());
                    in_hand.spawn(self.clone().line(line, turn));
                }
            }
            if turns.len() > ACCOUNTS {
                turns.forget_done();
            }
            progress.at(ledger.read());
        }
        while !in_hand.is_empty() {
            count(&mut tally, in_hand.join_next().await)?;
        }
        progress.done();
        Ok(tally)
    }

    /// The import as the store knows it.
    pub(crate) async fn load(&self) -> Result<Import, LoadError> {
        let import = self.bank.load(self.key()).await?;
        Ok(import.map_or_else(Import::default, |import| import.state))
    }

    async fn start(&self) -> Result<(), ImportError> {
        match self.bank.execute(self.key(), Start {}).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(1, error.map_refused(|never| match never {}))),
        }
    }

    /// Decides the line when its turn comes; `None` if a line before it failed.
    async fn line(self, line: Line, mut turn: Turn) -> Result<Option<Decided>, ImportError> {
        if !turn.comes().await {
            return Ok(None);
        }
        let decided = self.decide(&line).await?;
        turn.done();
        Ok(Some(decided))
    }

    async fn decide(&self, line: &Line) -> Result<Decided, ImportError> {
        let slip = self.slip(line);
        loop {
            let error = match line.entry.post(&self.bank, &slip).await {
                Ok(receipts) => return Ok(accepted(line, &receipts)),
                Err(ExecuteError::IdempotencyMismatch { .. }) => return self.refused_before(line, &slip).await,
                Err(error) => error,
            };
            let Some(reason) = Reason::of(&error) else {
                return Err(self.failed(line.number, error));
            };
            let refusal = Refuse {
                reference: line.reference.clone(),
                reason,
            };
            let noted = self.bank.execute(self.key(), refusal).idempotency_key(&slip.key);
            match noted.with_metadata(slip.metadata.clone()).await {
                Ok(receipt) => return Ok(refused(receipt.repeated)),
                // Another process that imports the same ledger was first: ask again what it decided.
                Err(ExecuteError::IdempotencyMismatch { .. }) => {}
                Err(error) => return Err(self.failed(line.number, error.map_refused(|never| match never {}))),
            }
        }
    }

    /// The key of the line stands for another request: for the note that it was refused, unless the ledger was changed.
    async fn refused_before(&self, line: &Line, slip: &Slip) -> Result<Decided, ImportError> {
        let record = self.bank.store().find_key(&slip.key).await?;
        let mut streams = record.iter().flat_map(|record| &record.appended.streams);
        if streams.any(|part| part.stream.category() == Import::NAME) {
            return Ok(refused(true));
        }
        Err(ImportError::Changed {
            ledger: Arc::clone(&self.ledger),
            number: line.number,
            reference: line.reference.clone(),
        })
    }

    fn key(&self) -> KeyOf<Import> {
        KeyOf::new(&*self.ledger)
    }

    fn slip(&self, line: &Line) -> Slip {
        let mut metadata = Metadata::default();
        metadata.set_actor("import");
        metadata.set_correlation_id(&line.reference);
        metadata.set_occurred_at(line.time);
        metadata.set("ledger", &*self.ledger);
        Slip {
            key: format!("import/{}/{}", self.ledger, line.reference),
            metadata,
        }
    }

    fn failed(&self, number: u64, source: ExecuteError<AnyRefusal>) -> ImportError {
        ImportError::Line {
            ledger: Arc::clone(&self.ledger),
            number,
            source: Box::new(source),
        }
    }
}

fn accepted(line: &Line, receipts: &[Receipt]) -> Decided {
    Decided {
        decision: Decision::Accepted {
            events: receipts.iter().map(|receipt| receipt.events).sum(),
            change: line.entry.change(),
        },
        known: receipts.iter().any(|receipt| receipt.repeated),
    }
}

fn refused(known: bool) -> Decided {
    Decided {
        decision: Decision::Refused,
        known,
    }
}

type Ended = Result<Result<Option<Decided>, ImportError>, JoinError>;

/// Counts a line that has ended, if one has.
fn count(tally: &mut Tally, ended: Option<Ended>) -> Result<(), ImportError> {
    match ended.transpose() {
        Ok(Some(line)) => {
            if let Some(decided) = line? {
                tally.decided(&decided);
            }
            Ok(())
        }
        Ok(None) => Ok(()),
        // Nobody aborts a line, so it has panicked: that is for this task to do too.
        Err(error) => panic::resume_unwind(error.into_panic()),
    }
}
