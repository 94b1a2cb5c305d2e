use std::io::{IsTerminal as _, Write as _, stderr};

use indicatif::{ProgressBar, ProgressStyle};

use crate::ledger::Ledger;

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
