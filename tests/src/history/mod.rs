//! Histories: several runtimes in several processes do what a seed says, are dropped, cut off and killed, and
//! afterwards everything that the README promises is checked.
//!
//! `run` makes a history. A `node` is one of its processes: `worker`s send the requests that [`plan`] gives them,
//! `readers` follow the log, and each call, answer and delivery becomes a line of one [`record`]. [`check()`] holds the
//! record against what is [`stored`], by a [`model`] that shares no code with the runtime. A seed repeats the requests,
//! not how processes meet.

mod check;
mod lossy;
pub mod model;
mod node;
pub mod plan;
mod readers;
pub mod record;
mod rows;
mod run;
pub mod stored;
mod worker;

pub use check::{Violation, check};
pub use es_conformance::__private::seed;
pub use rows::Row;
pub use run::{in_process, in_process_without_projections, on_postgres, on_sqlite, process};

use std::collections::BTreeMap;

use record::Record;
use stored::Stored;

/// How long a history is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// What its requests follow from.
    pub seed: u64,
    /// How many events are stored in the end, at least.
    pub events: u64,
    /// How often a process is killed, and another one started.
    pub kills: u64,
}

/// What was done, what was answered, and what is stored in the end.
#[derive(Debug, Clone)]
pub struct History {
    /// What its requests follow from.
    pub seed: u64,
    /// How many processes were killed.
    pub kills: u64,
    /// Whether the store was cut off from its clients now and then, so that it may have been unavailable.
    pub sessions_end: bool,
    /// How many lines of the record are torn.
    pub torn: usize,
    /// What was written down, in real time.
    pub records: Vec<Record>,
    /// What is stored.
    pub stored: Stored,
}

impl History {
    /// How often each kind of answer was given.
    pub fn answers(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in &self.records {
            if let Record::Answered { answer, .. } = record {
                let text = format!("{answer:?}");
                let kind = text.split(['(', ' ']).next().unwrap_or_default();
                *counts.entry(kind.to_owned()).or_default() += 1;
            }
        }
        counts
    }
}
