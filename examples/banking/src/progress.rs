use std::io::{IsTerminal as _, Write as _, stderr};

use es_runtime::projection::Build;
use indicatif::{ProgressBar, ProgressStyle};

use crate::ledger::Ledger;

/// Shows on stderr how far something is: a bar on a terminal, a line now and then elsewhere.
pub(crate) enum Progress {
    Quiet,
    Bar(ProgressBar),
    Lines(Lines),
}

const STYLE: &str = "{prefix} {wide_bar} {percent:>3} %  {eta} left";

/// A line for each tenth.
pub(crate) struct Lines {
    name: String,
    /// The verb for the work.
    done: &'static str,
    of: u64,
    tenths: u64,
}

impl Progress {
    /// Of an import.
    pub(crate) fn of_import(ledger: &Ledger) -> Self {
        Self::new(ledger.name(), "read", ledger.bytes(), STYLE)
    }

    /// Of a rebuild of the balances.
    pub(crate) fn of_rebuild() -> Self {
        Self::new("balances", "built", 0, "{prefix} {wide_bar} {pos} of {len}, {msg}")
    }

    fn new(name: &str, done: &'static str, of: u64, style: &str) -> Self {
        if !stderr().is_terminal() {
            return Self::Lines(Lines {
                name: name.to_owned(),
                done,
                of,
                tenths: 0,
            });
        }
        let bar = ProgressBar::new(of).with_prefix(name.to_owned());
        // A template that cannot be read would leave the plain bar, which will do.
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// So much was done.
    pub(crate) fn at(&mut self, done: u64) {
        match self {
            Self::Quiet => {}
            Self::Bar(bar) => bar.set_position(done),
            Self::Lines(lines) => lines.at(done),
        }
    }

    /// So many events are in the new rows.
    pub(crate) fn built(&mut self, build: &Build) {
        match self {
            Self::Quiet => {}
            Self::Bar(bar) => {
                bar.set_length(build.total.0);
                bar.set_position(build.done.0);
                let left = build.remaining().map(|left| format!(", {} s left", left.as_secs()));
                bar.set_message(format!("{:.0} events/s{}", build.rate, left.unwrap_or_default()));
            }
            Self::Lines(lines) => {
                lines.of = build.total.0;
                lines.at(build.done.0);
            }
        }
    }

    pub(crate) fn done(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    fn at(&mut self, done: u64) {
        let now = done.saturating_mul(10) / self.of.max(1);
        if now > self.tenths {
            self.tenths = now;
            // Unlike `eprintln`, this does not panic when nobody listens any more.
            let _ = writeln!(stderr(), "{}: {now}0 % {}", self.name, self.done);
        }
    }
}
