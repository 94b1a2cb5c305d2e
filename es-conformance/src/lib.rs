#![doc = include_str!("../docs/conformance.md")]

mod append;
mod archives;
pub mod broken;
mod cancellation;
mod capability;
mod cases;
mod chains;
mod check;
mod decisions;
mod deployments;
mod domain;
mod durability;
mod fidelity;
mod filters;
mod fixture;
mod forgotten_keys;
mod hints;
mod idempotency;
mod inline;
mod intercept;
mod kinds;
mod leases;
mod limits;
mod mixed;
mod model;
mod multi_stream;
mod order;
mod process;
mod projections;
mod queries;
mod random;
mod random_rows;
mod random_states;
mod reads;
mod rebuilds;
mod row_numbers;
mod rows;
mod run;
mod sample;
mod scale;
mod shared_rows;
mod sql;
mod sql_tables;
mod state_limits;
mod state_races;
mod states;
mod subject;
pub mod wrap;

#[doc = include_str!("../docs/writing-a-store.md")]
#[doc = "```no_run"]
#[doc = include_str!("../tests/vec_store.rs")]
#[doc = "```"]
#[doc = include_str!("../docs/what-a-store-promises.md")]
pub mod writing_a_store {}

pub use capability::Capability;
pub use cases::cases;
pub use fixture::{Fixture, Transaction, Work};
pub use run::{Case, Verdict};
pub use sql_tables::{SqlInline, SqlStep, SqlTables};

/// Items that the macros' expansions call; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::process::writer_process;
    pub use crate::random::{Random, seed};
    pub use crate::run::{Tally, run_case};
}
