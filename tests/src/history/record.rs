//! The record of a history: a file to which all of its processes write, and which survives them.
//!
//! Each line is one write to a file that is open for appending, so the order of the lines is an order in real time: an answer that stands
//! before a call was given before that call was made.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plan::Request;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A request is about to be sent, under a name that no other has.
    Called {
        /// The name.
        attempt: String,
        /// The request.
        request: Request,
        /// Whether it is sent to a store that loses answers.
        lossy: bool,
    },
    /// What became of it.
    Answered {
        /// The name.
        attempt: String,
        /// The answer.
        answer: Answer,
    },
    /// A reader of the log begins to read to its end.
    Reads {
        /// The reader's name.
        reader: String,
        /// Behind this position.
        from: u64,
    },
    /// The reader has read this, and was at the end then.
    Read {
        /// The reader's name.
        reader: String,
        /// What it has read.
        events: Vec<Seen>,
    },
    /// An event was delivered to a subscription.
    Delivered {
        /// The subscription's name.
        subscription: String,
        /// The event.
        event: Seen,
    },
    /// Something happened that should not.
    Broke {
        /// What.
        what: String,
    },
}

/// An event as a reader sees it: its position and its id.
pub type Seen = (u64, String);

/// What was answered to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done(Vec<Receipt>),
    /// The withdrawal is more than this balance.
    Refused(i64),
    /// There is no such account.
    NotFound(String),
    /// The account is there already.
    AlreadyExists(String),
    /// The account is at this version.
    Conflict(String, u64),
    /// The key stands for another request.
    Mismatched,
    /// The outcome was not learnt, but asked for afterwards: what is stored, if that could be learnt.
    Resolved(Option<Vec<Receipt>>),
    /// The outcome was not learnt, not even afterwards.
    Unknown,
    /// The store failed, and nothing is stored.
    Unavailable(String),
    /// The future was dropped.
    Dropped,
    /// Version and balance of an account, if it is there.
    Loaded(Option<(u64, i64)>),
    /// A row, if it is there.
    Row(Option<super::Row>),
    /// The row does not show yet what it was to show.
    Late(String),
    /// What is not among what is promised.
    Unexpected(String),
}

/// What became of one account by a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The id of its stream.
    pub stream: String,
    /// Its version after that.
    pub version: u64,
    /// The position of the last event.
    pub position: u64,
    /// How many events were appended.
    pub events: u64,
    /// Whether they were stored since before.
    pub repeated: bool,
}

/// Writes lines. Clones write to the same file.
#[derive(Clone)]
pub(super) struct Journal(Arc<File>);

impl Journal {
    /// The record at this path, which is made if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Arc::new(file)))
    }

    /// Writes one line.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub(super) fn write(&self, record: &Record) {
        // Set off on both sides: a process may be killed in the middle of a line.
        let mut line = vec![b'\n'];
        serde_json::to_writer(&mut line, record).expect("a record has a JSON form");
        line.push(b'\n');
        let written = (&*self.0).write(&line).expect("the record can be written");
        assert_eq!(written, line.len(), "a line is one write");
    }

    /// Writes down what should not happen.
    pub(super) fn broke(&self, what: impl Into<String>) {
        self.write(&Record::Broke { what: what.into() });
    }
}

/// Reads the record at this path; also how many lines of it are torn.
///
/// # Errors
///
/// If it cannot be read.
pub fn read(path: &Path) -> io::Result<(Vec<Record>, usize)> {
    let text = std::fs::read_to_string(path)?;
    let (mut records, mut torn) = (Vec::new(), 0);
    for line in text.lines().filter(|line| !line.is_empty()) {
        match serde_json::from_str(line) {
            Ok(record) => records.push(record),
            Err(_) => torn += 1,
        }
    }
    Ok((records, torn))
}
