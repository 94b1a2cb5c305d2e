//! Holds a history against what is promised.

mod answers;
mod attempts;
mod excerpt;
mod keys;
mod log;
mod readers;
mod timeline;
mod views;

use std::fmt;

use attempts::Attempts;
use excerpt::About;
use timeline::Timeline;

use super::History;
use super::model::Accounts;
use super::record::Record;

/// A promise that a history breaks.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The promise.
    pub promise: &'static str,
    /// How it is broken.
    pub found: String,
    /// What happened to the stream or the key.
    pub excerpt: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "broken: {}\n  {}", self.promise, self.found)?;
        self.excerpt.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// Every violation in the history.
pub fn check(history: &History) -> Vec<Violation> {
    let attempts = Attempts::of(history);
    let accounts = Accounts::of(&history.stored);
    let timeline = Timeline::of(history, &attempts);
    let facts = Facts {
        history,
        attempts,
        accounts,
        timeline,
    };
    let checks = [
        Facts::record,
        Facts::log,
        Facts::answers,
        Facts::keys,
        Facts::readers,
        Facts::views,
    ];
    checks.into_iter().flat_map(|check| check(&facts).0).collect()
}

/// A history, from every side from which it is looked at.
struct Facts<'a> {
    history: &'a History,
    attempts: Attempts<'a>,
    accounts: Accounts<'a>,
    timeline: Timeline<'a>,
}

/// What one check has found.
#[derive(Default)]
struct Findings(Vec<Violation>);

impl Facts<'_> {
    /// Nothing panics, and the record is whole.
    fn record(&self) -> Findings {
        let mut findings = Findings::default();
        for record in &self.history.records {
            if let Record::Broke { what } = record {
                findings.add(self, "nothing panics, and nothing ends by itself", what, About::Whole);
            }
        }
        let (torn, kills) = (self.history.torn, self.history.kills);
        if torn as u64 > kills {
            let found = format!("{torn} lines are torn, but {kills} processes were killed");
            findings.add(self, "each line of the record is one write", found, About::Whole);
        }
        findings
    }
}

impl Findings {
    fn add(&mut self, facts: &Facts<'_>, promise: &'static str, found: impl Into<String>, about: About<'_>) {
        self.0.push(Violation {
            promise,
            found: found.into(),
            excerpt: facts.excerpt(about),
        });
    }
}
