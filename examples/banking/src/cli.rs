//! The command line.

use std::io::{Write as _, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use es_cli::Es;
use es_runtime::AppendId;
use es_runtime::prelude::*;

use crate::account::Open;
use crate::accounts::accounts;
use crate::balances::balances;
use crate::entry::Entry;
use crate::error::BankError;
use crate::history::history;
use crate::ledger::Ledger;
use crate::posted::Posted;
use crate::progress::Progress;
use crate::projections::{rebuild, run, status};
use crate::report::{Report, print};
use crate::show::{When, show};
use crate::store::Store;
use crate::summary::Summary;
use crate::watch::watch;
use crate::{AccountNumber, Cents};

const EXAMPLES: &str = "\
Examples:
  banking                                            import the shipped ledger into bank.db; again, and nothing changes
  banking accounts                                   every account and what it holds
  banking show ACC-000001                            one of them
  banking show ACC-000001 --at-version 3             as it was after its third event
  banking show ACC-000001 --at 2025-03-31T00:00:00Z  as it was at that time, though imported today
  banking history ACC-000001                         all that has happened to it
  banking balances --top 3                           who has most, from a read model
  banking totals                                     what happened on each day, from tables of SQL
  banking ledger --last 20                           the newest lines of the general ledger, as true as the events
  banking watch --name audit                         what is new since `audit` was last here; --follow goes on
  banking open ACC-900001 'Zoë Müller'
  banking open ACC-900002 'Zoë Müller' --joint 'Max Müller' --overdraft 500.00
  banking deposit ACC-900001 250.00
  banking deposit ACC-900001 250.00 --reference r7   sent twice, done once
  banking transfer ACC-900001 ACC-000001 99.90       both accounts change, or neither
  banking --store sqlite:other.db import my.csv      another ledger into another file
  banking es history account/ACC-000001 --diff       what each event changed in the account
  banking es dry-run account/ACC-000001 withdraw '{\"amount\": 8000}' --at-version 2   what would have come of it
  banking es export bank.archive                     all of the bank in one file
  banking --store sqlite:copy.db es import bank.archive
  banking --store memory --json                      try the import without a file, for a program to read

Exit status: 0 done, 1 refused or failed, 2 not understood; below `es` also 3 something needs attention, 4 refused.";

/// A small bank that keeps every event: who has what, and how it came to that.
///
/// Without a command it imports the ledger that comes with it.
#[derive(Debug, Parser)]
#[command(name = "banking", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The store of the events: `memory`, `sqlite:PATH` or `postgres://…`
    #[arg(long, global = true, value_name = "STORE", default_value = "sqlite:bank.db")]
    store: Store,

    /// Write one JSON document to stdout, also for an error; `watch` writes one a line
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import a ledger: lines that were imported before are skipped
    Import {
        /// CSV with the columns reference,time,kind,account,to,amount,owner
        file: PathBuf,
    },
    /// Open an account
    Open {
        /// Such as ACC-000123
        account: AccountNumber,
        owner: String,
        /// Another owner; may be repeated
        #[arg(long, value_name = "OWNER")]
        joint: Vec<String>,
        /// By how much it may be overdrawn, such as 500.00
        #[arg(long, value_name = "AMOUNT", default_value_t, allow_negative_numbers = true)]
        overdraft: Cents,
        #[command(flatten)]
        reference: Reference,
    },
    /// Pay money in
    Deposit {
        account: AccountNumber,
        /// Such as 12.34
        #[arg(allow_negative_numbers = true)]
        amount: Cents,
        #[command(flatten)]
        reference: Reference,
    },
    /// Pay money out
    Withdraw {
        account: AccountNumber,
        /// Such as 12.34
        #[arg(allow_negative_numbers = true)]
        amount: Cents,
        #[command(flatten)]
        reference: Reference,
    },
    /// Move money from one account to another
    Transfer {
        from: AccountNumber,
        to: AccountNumber,
        /// Such as 12.34
        #[arg(allow_negative_numbers = true)]
        amount: Cents,
        #[command(flatten)]
        reference: Reference,
    },
    /// Show an account as it is, or as it was
    Show {
        account: AccountNumber,
        #[command(flatten)]
        then: Then,
    },
    /// Show everything that has happened to an account
    History {
        account: AccountNumber,
        /// Only what had happened by then, such as 2026-11-21T09:30:00Z
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
    },
    /// List all accounts
    Accounts,
    /// List the richest accounts, from a read model that is kept up to date
    Balances {
        /// The number of accounts
        #[arg(long, value_name = "N", default_value_t = 10)]
        top: u32,
    },
    /// List what happened on each day, from tables that are kept up to date
    Totals,
    /// List the newest lines of the general ledger, whose table is written with the events
    Ledger {
        /// The number of lines
        #[arg(long, value_name = "N", default_value_t = 10)]
        last: u32,
    },
    /// Show what has happened to all accounts since this was last asked
    Watch {
        /// The name of the reader: each is shown everything, and has its own place
        #[arg(long, value_name = "NAME", default_value = "watch")]
        name: String,
        /// Go on, and show what happens from now on
        #[arg(long)]
        follow: bool,
    },
    /// Look after the read models
    #[command(subcommand)]
    Projections(Projections),
    /// Look at the events of the bank, and move them, with the commands of every program on es-runtime
    #[command(subcommand)]
    Es(Es),
}

#[derive(Debug, Subcommand)]
enum Projections {
    /// Say how far each is, and what went wrong
    Status,
    /// Keep them up to date until it is interrupted
    Run,
    /// Build the balances anew from the first event, while the old ones are shown
    Rebuild {
        /// The most events in a second
        #[arg(long, value_name = "EVENTS")]
        throttle: Option<u32>,
    },
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct Then {
    /// As it was after so many events
    #[arg(long, value_name = "N", conflicts_with = "at")]
    at_version: Option<u64>,
    /// As it was then, such as 2026-11-21T09:30:00Z, by the times at which things happened
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

impl From<Then> for When {
    fn from(Then { at_version, at }: Then) -> Self {
        match (at_version, at) {
            (Some(version), _) => Self::Version(version),
            (None, Some(time)) => Self::Time(time),
            (None, None) => Self::Now,
        }
    }
}

#[derive(Debug, clap::Args)]
struct Reference {
    /// A name for this request: sent again with it, it is not done again
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
}

impl Cli {
    /// Does what was asked, and says what became of it.
    pub async fn run(self) -> ExitCode {
        let json = self.json;
        let error = match self.perform().await {
            Ok(status) => return status,
            Err(error) => error,
        };
        if json && !matches!(error, BankError::DoesNotBalance) {
            // If nobody listens, the exit status still tells.
            let _ = print(&error, true);
        }
        let _ = writeln!(stderr(), "error: {}", error.line());
        ExitCode::FAILURE
    }

    async fn perform(self) -> Result<ExitCode, BankError> {
        let Self { store, json, command } = self;
        // Looked up before the store is opened, so that a mistake creates no file.
        match (&command, store.missing()) {
            (None | Some(Command::Import { .. } | Command::Open { .. }), _) | (_, None) => {}
            (Some(Command::Es(es)), _) if es.may_create() => {}
            (_, Some(path)) => return Err(BankError::NoBank(path.to_owned())),
        }
        let done = match command {
            None => import(&store, Ledger::shipped()?, json).await,
            Some(Command::Import { file }) => import(&store, Ledger::open(&file)?, json).await,
            Some(Command::Show { account, then }) => output(
                &store.open(async |bank| show(bank, account, then.into()).await).await?,
                json,
            ),
            Some(Command::History { account, at }) => {
                output(&store.open(async |bank| history(bank, account, at).await).await?, json)
            }
            Some(Command::Accounts) => output(&store.open(accounts).await?, json),
            Some(Command::Balances { top }) => output(
                &store.open_projecting(async |bank| balances(bank, top).await).await?,
                json,
            ),
            Some(Command::Totals) => output(&store.totals().await?, json),
            Some(Command::Ledger { last }) => output(&store.ledger(last).await?, json),
            Some(Command::Watch { name, follow }) => {
                store.open(async |bank| watch(bank, name, follow, json).await).await
            }
            Some(Command::Projections(Projections::Status)) => output(&store.open_projecting(status).await?, json),
            Some(Command::Es(es)) => return Ok(store.operate(es).await),
            Some(Command::Projections(Projections::Run)) => output(&store.open_projecting(run).await?, json),
            Some(Command::Projections(Projections::Rebuild { throttle })) => {
                let progress = if json { Progress::Quiet } else { Progress::of_rebuild() };
                let rebuilt = store
                    .open_projecting(async |bank| rebuild(bank, throttle, progress).await)
                    .await?;
                output(&rebuilt, json)
            }
            Some(Command::Open {
                account,
                owner,
                joint,
                overdraft,
                reference,
            }) => {
                let open = Open {
                    owner,
                    joint,
                    overdraft,
                };
                post(&store, Entry::Open { account, open }, reference, json).await
            }
            Some(Command::Deposit {
                account,
                amount,
                reference,
            }) => post(&store, Entry::Deposit { account, amount }, reference, json).await,
            Some(Command::Withdraw {
                account,
                amount,
                reference,
            }) => post(&store, Entry::Withdraw { account, amount }, reference, json).await,
            Some(Command::Transfer {
                from,
                to,
                amount,
                reference,
            }) => post(&store, Entry::Transfer { from, to, amount }, reference, json).await,
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

async fn import(store: &Store, ledger: Ledger, json: bool) -> Result<(), BankError> {
    let progress = if json {
        Progress::Quiet
    } else {
        Progress::of_import(&ledger)
    };
    let summary = store
        .open(async |bank| Summary::of(bank, ledger, progress).await)
        .await?;
    output(&summary, json)?;
    if summary.balances() {
        Ok(())
    } else {
        Err(BankError::DoesNotBalance)
    }
}

async fn post(store: &Store, entry: Entry, reference: Reference, json: bool) -> Result<(), BankError> {
    let reference = reference.reference.unwrap_or_else(|| AppendId::new().to_string());
    let posted = store
        .open(async |bank| Posted::of(bank, &entry, reference).await)
        .await?;
    output(&posted, json)
}

fn output(report: &impl Report, json: bool) -> Result<(), BankError> {
    print(report, json).map_err(BankError::Output)
}
