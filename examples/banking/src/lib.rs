//! A small bank, the example of `es-runtime`: it imports a ledger, keeps accounts, and can say how each got where it is.
//!
//! The domain is [`Account`]; everything else brings requests to it or shows what became of them.

pub mod account;
mod accounts;
mod audit;
pub mod balance;
mod balances;
pub mod cli;
mod entry;
mod error;
mod general_ledger;
mod history;
pub mod import;
mod importer;
mod ledger;
mod money;
mod number;
mod opened;
mod posted;
mod progress;
mod projections;
mod refused;
mod report;
mod show;
mod store;
mod summary;
mod tally;
mod totals;
mod turn;
mod watch;

pub use account::Account;
pub use balance::Balance;
pub use money::{Cents, ParseCentsError};
pub use number::{AccountNumber, ParseAccountNumberError};
pub use refused::Refused;
