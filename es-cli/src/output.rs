//! Lines for people and for programs.

use std::io::{BufWriter, Write, stderr, stdout};

use serde::Serialize;

use crate::failed::Failed;
use crate::text::shown;

/// The form of the output.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Form {
    /// Write a JSON document a line, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// The output of a command.
pub(crate) struct Output<'w> {
    lines: BufWriter<Box<dyn Write + Send + 'w>>,
    notes: Box<dyn Write + Send + 'w>,
    json: bool,
}

impl<'w> Output<'w> {
    pub(crate) fn new(lines: impl Write + Send + 'w, notes: impl Write + Send + 'w, form: Form) -> Self {
        Self {
            lines: BufWriter::new(Box::new(lines)),
            notes: Box::new(notes),
            json: form.json,
        }
    }

    pub(crate) fn of_process(form: Form) -> Self {
        Self::new(stdout(), stderr(), form)
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes the value as a line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failed> {
        let json = serde_json::to_string(value)?;
        self.raw_line(&shown(&json))
    }

    /// Writes a line for people.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failed> {
        self.raw_line(&shown(text.as_ref()))
    }

    /// Writes a text of several lines for people.
    pub(crate) fn lines(&mut self, text: &str) -> Result<(), Failed> {
        text.lines().try_for_each(|line| self.line(line))
    }

    fn raw_line(&mut self, line: &str) -> Result<(), Failed> {
        let written = self.lines.write_all(line.as_bytes());
        written
            .and_then(|()| self.lines.write_all(b"\n"))
            .map_err(Failed::of_output)
    }

    /// Writes a line beside the output, for people only.
    pub(crate) fn note(&mut self, text: impl AsRef<str>) {
        // If nobody listens, the exit status still tells.
        let _ = writeln!(self.notes, "{}", shown(text.as_ref()));
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failed> {
        self.lines.flush().map_err(Failed::of_output)
    }
}

/// A table that is written in parts. Its columns grow with what comes.
pub(crate) struct Table {
    columns: Vec<Column>,
    has_head: bool,
}

struct Column {
    name: &'static str,
    width: usize,
    is_number: bool,
}

impl Table {
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        let columns = columns.iter().map(|name| Column {
            name,
            width: name.len(),
            is_number: true,
        });
        Self {
            columns: columns.collect(),
            has_head: false,
        }
    }

    /// Writes rows, each with a cell for each column.
    pub(crate) fn rows(&mut self, rows: &[Vec<String>], output: &mut Output<'_>) -> Result<(), Failed> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<Vec<_>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| shown(cell)).collect())
            .collect();
        for (index, column) in self.columns.iter_mut().enumerate() {
            let cells = rows.iter().map(|row: &Vec<_>| &row[index]);
            let widest = cells.clone().map(|cell| cell.chars().count()).max();
            column.width = column.width.max(widest.unwrap_or_default());
            column.is_number &= cells
                .clone()
                .all(|cell| cell.chars().all(|letter| letter.is_ascii_digit()));
        }
        if !self.has_head {
            self.has_head = true;
            let head: Vec<_> = self.columns.iter().map(|column| column.name).collect();
            self.row(&head, output)?;
        }
        rows.iter().try_for_each(|row| self.row(row, output))
    }

    fn row<T: AsRef<str>>(&self, cells: &[T], output: &mut Output<'_>) -> Result<(), Failed> {
        let mut line = String::new();
        for (column, cell) in self.columns.iter().zip(cells) {
            let cell = cell.as_ref();
            let padding = " ".repeat(column.width.saturating_sub(cell.chars().count()));
            if !line.is_empty() {
                line.push_str("  ");
            }
            let (before, after) = if column.is_number {
                (&*padding, "")
            } else {
                ("", &*padding)
            };
            line.extend([before, cell, after]);
        }
        output.raw_line(line.trim_end())
    }
}
