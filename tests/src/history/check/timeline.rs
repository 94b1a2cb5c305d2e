//! What was known when: by what was answered and read before a request was called.

use std::collections::HashMap;

use super::attempts::{Attempt, Attempts};
use crate::history::History;
use crate::history::plan::id;
use crate::history::record::{Answer, Receipt, Record};
use crate::history::stored::Event;

/// What was known before each line of the record.
pub(super) struct Timeline<'a> {
    /// The highest position that was acknowledged.
    acknowledged: Vec<u64>,
    /// For each attempt, the versions of its accounts that somebody knew of when it was called.
    versions: HashMap<&'a str, HashMap<String, u64>>,
}

impl<'a> Timeline<'a> {
    pub(super) fn of(history: &'a History, attempts: &Attempts<'a>) -> Self {
        let log: HashMap<u64, &Event> = history.stored.log.iter().map(|event| (event.seen.0, event)).collect();
        let (mut known, mut highest) = (HashMap::new(), 0);
        let mut timeline = Self {
            acknowledged: Vec::with_capacity(history.records.len()),
            versions: HashMap::new(),
        };
        for record in &history.records {
            timeline.acknowledged.push(highest);
            let mut learn = |stream: &str, version: u64| {
                let known: &mut u64 = known.entry(stream.to_owned()).or_default();
                *known = version.max(*known);
            };
            let learn_position = |position: &u64, learn: &mut dyn FnMut(&str, u64)| {
                if let Some(event) = log.get(position) {
                    learn(&event.stream, event.version);
                }
            };
            match record {
                Record::Called { attempt, request, .. } => {
                    let of = |account| {
                        let stream = id(account).to_string();
                        let version = known.get(&stream).copied().unwrap_or_default();
                        (stream, version)
                    };
                    let versions = request.what.accounts().into_iter().map(of).collect();
                    timeline.versions.insert(attempt, versions);
                }
                Record::Answered { attempt, answer } => match answer {
                    Answer::Done(receipts) | Answer::Resolved(Some(receipts)) => {
                        for Receipt { stream, version, .. } in receipts {
                            learn(stream, *version);
                        }
                        let positions = receipts.iter().map(|receipt| receipt.position);
                        highest = positions.max().unwrap_or_default().max(highest);
                    }
                    Answer::Conflict(stream, version) => learn(stream, *version),
                    Answer::Loaded(Some((version, _))) => learn_of_account(attempts, attempt, *version, &mut learn),
                    Answer::Row(Some(row)) => learn_of_account(attempts, attempt, row.events, &mut learn),
                    _ => {}
                },
                Record::Read { events, .. } => {
                    for (position, _) in events {
                        learn_position(position, &mut learn);
                    }
                }
                Record::Delivered { event, .. } => learn_position(&event.0, &mut learn),
                Record::Reads { .. } | Record::Broke { .. } => {}
            }
        }
        timeline
    }

    /// The highest position that was acknowledged before this line.
    pub(super) fn acknowledged(&self, line: usize) -> u64 {
        self.acknowledged.get(line).copied().unwrap_or_default()
    }

    /// The version of a stream that was known of when the attempt was called.
    pub(super) fn version_before(&self, attempt: &Attempt<'_>, stream: &str) -> u64 {
        let versions = self.versions.get(attempt.name);
        versions
            .and_then(|versions| versions.get(stream))
            .copied()
            .unwrap_or_default()
    }
}

fn learn_of_account(attempts: &Attempts<'_>, attempt: &str, version: u64, learn: &mut dyn FnMut(&str, u64)) {
    let asked = attempts.named(attempt).map(|attempt| attempt.request.what.accounts());
    if let Some([account]) = asked.as_deref() {
        learn(&id(*account).to_string(), version);
    }
}
