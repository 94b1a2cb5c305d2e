//! The part of a history that shows a violation.

use std::fmt;

use super::Facts;
use super::attempts::Attempt;
use crate::history::plan::id;
use crate::history::stored::Event;

/// How many events are shown of a stream or of the log.
const EVENTS: usize = 8;
/// How many lines are shown of a key.
const LINES: usize = 40;

/// What a violation is about.
#[derive(Clone, Copy)]
pub(super) enum About<'a> {
    /// One request.
    Attempt(&'a Attempt<'a>),
    /// All requests with this key.
    Key(&'a str),
    /// A stream, about this version.
    Stream(&'a str, u64),
    /// The log, about this position.
    Position(u64),
    /// All of it.
    Whole,
}

impl Facts<'_> {
    pub(super) fn excerpt(&self, about: About<'_>) -> Vec<String> {
        match about {
            About::Attempt(attempt) => {
                let mut lines = self.with_events(attempt);
                for receipt in attempt.receipts() {
                    lines.extend(self.events(&receipt.stream, receipt.version));
                }
                if let ([], [account]) = (attempt.receipts(), &attempt.request.what.accounts()[..]) {
                    let stream = id(*account).to_string();
                    lines.extend(self.events(&stream, self.timeline.version_before(attempt, &stream)));
                }
                lines
            }
            About::Key(key) => {
                let all = self
                    .attempts
                    .with_key(key)
                    .flat_map(|attempt| self.with_events(attempt));
                all.take(LINES).collect()
            }
            About::Stream(stream, version) => self.events(stream, version),
            About::Position(position) => {
                let log = &self.history.stored.log;
                let at = log.partition_point(|event| event.seen.0 < position);
                about_place(log, at).iter().map(ToString::to_string).collect()
            }
            About::Whole => Vec::new(),
        }
    }

    fn with_events(&self, attempt: &Attempt<'_>) -> Vec<String> {
        let mut lines = attempt.lines();
        lines.extend(self.accounts.attempt(attempt.name).iter().map(ToString::to_string));
        lines
    }

    fn events(&self, stream: &str, version: u64) -> Vec<String> {
        let at = usize::try_from(version).unwrap_or(usize::MAX);
        let shown = about_place(self.accounts.stream(stream), at);
        shown.iter().map(|(event, _)| event.to_string()).collect()
    }
}

fn about_place<T>(all: &[T], at: usize) -> &[T] {
    let at = at.min(all.len());
    &all[at.saturating_sub(EVENTS / 2)..all.len().min(at + EVENTS / 2)]
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seen: (position, _),
            stream,
            version,
            name,
            payload,
            attempt,
            ..
        } = self;
        write!(
            f,
            "position {position}: {name} {payload}, version {version} of {stream}, by {attempt}"
        )
    }
}
