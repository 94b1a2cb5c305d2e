use std::fmt::Display;
use std::io::{self, Write as _};

use serde_json::Value;

/// The result of a command, for people and for programs.
pub(crate) trait Report: Display {
    fn json(&self) -> Value;
}

/// Writes the report to stdout.
pub(crate) fn print(report: &dyn Report, json: bool) -> io::Result<()> {
    let text = if json {
        format!("{:#}\n", report.json())
    } else {
        format!("{report}\n")
    };
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes one of many reports to stdout: one a line.
pub(crate) fn print_line(report: &dyn Report, json: bool) -> io::Result<()> {
    let text = if json {
        format!("{}\n", report.json())
    } else {
        format!("{report}\n")
    };
    io::stdout().write_all(text.as_bytes())
}
