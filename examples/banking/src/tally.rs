use crate::Cents;
use crate::ledger::Malformed;

/// The number of malformed lines that are listed; the others are counted.
const NAMED: usize = 100;

/// The outcome of the lines of a ledger.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) lines: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) malformed: u64,
    /// The first malformed lines.
    pub(crate) flaws: Vec<Malformed>,
    /// The number of lines that an earlier run has decided.
    pub(crate) known: u64,
    /// The number of events stored.
    pub(crate) events: u64,
    /// The sum of the accepted lines, unless it is too large.
    pub(crate) money: Option<Cents>,
}

/// The outcome of one line.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    /// True if an earlier run decided it.
    pub(crate) known: bool,
}

#[derive(Debug)]
pub(crate) enum Decision {
    Accepted {
        /// The number of its events.
        events: usize,
        /// By how much it changed the money in the bank.
        change: Cents,
    },
    Refused,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            money: Some(Cents::ZERO),
            ..Self::default()
        }
    }

    pub(crate) fn decided(&mut self, line: &Decided) {
        self.lines += 1;
        self.known += u64::from(line.known);
        match line.decision {
            Decision::Refused => self.refused += 1,
            Decision::Accepted { events, change } => {
                self.accepted += 1;
                self.money = self.money.and_then(|money| money.checked_add(change));
                if !line.known {
                    self.events += events as u64;
                }
            }
        }
    }

    pub(crate) fn malformed(&mut self, line: Malformed) {
        self.lines += 1;
        self.malformed += 1;
        if self.flaws.len() < NAMED {
            self.flaws.push(line);
        }
    }
}
