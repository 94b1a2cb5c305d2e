use std::io::{IsTerminal as _, Write as _, stderr};

use es_runtime::projection::Build;
use indicatif::{ProgressBar, ProgressStyle};

use crate::ledger::Ledger;

/// Shows on stderr how far a rebuild is, on a terminal.
pub(crate) struct Rebuilding(ProgressBar);

impl Rebuilding {
    pub(crate) fn new(quiet: bool) -> Self {
        if quiet || !stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(0);
        // A template that cannot be read would leave the plain bar, which will do.
        if let Ok(style) = ProgressStyle::with_template("balances {wide_bar} {pos} of {len}, {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(crate) fn at(&mut self, build: &Build) {
        self.0.set_length(build.total.0);
        self.0.set_position(build.done.0);
        let left = build.remaining().map(|left| format!(", {} s left", left.as_secs()));
        self.0
            .set_message(format!("{:.0} events/s{}", build.rate, left.unwrap_or_default()));
    }

    pub(crate) fn done(self) {
        self.0.finish_and_clear();
    }
}

/// Shows on stderr how far an import is: a bar on a terminal, a line now and then elsewhere.
pub(crate) enum Progress {
    Quiet,
    Bar(ProgressBar),
    Lines { name: String, bytes: u64, tenths: u64 },
}

impl Progress {
    pub(crate) fn of(ledger: &Ledger) -> Self {
        if !stderr().is_terminal() {
            return Self::Lines {
                name: ledger.name().to_owned(),
                bytes: ledger.bytes().max(1),
                tenths: 0,
            };
        }
        let bar = ProgressBar::new(ledger.bytes()).with_message(ledger.name().to_owned());
        // A template that cannot be read would leave the plain bar, which will do.
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} %  {eta} left") {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// So many bytes were read.
    pub(crate) fn read(&mut self, read: u64) {
        match self {
            Self::Quiet => {}
            Self::Bar(bar) => bar.set_position(read),
            Self::Lines { name, bytes, tenths } => {
                let now = read.saturating_mul(10) / *bytes;
                if now > *tenths {
                    *tenths = now;
                    // Unlike `eprintln`, this does not panic when nobody listens any more.
                    let _ = writeln!(stderr(), "{name}: {now}0 % read");
                }
            }
        }
    }

    pub(crate) fn done(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
