//! What is done under one key.

use super::attempts::Attempt;
use super::{About, Facts, Findings};
use crate::history::model;
use crate::history::record::{Answer, Receipt};

impl Facts<'_> {
    pub(super) fn keys(&self) -> Findings {
        let mut findings = Findings::default();
        for key in self.attempts.keys() {
            for (promise, found) in self.key(key) {
                findings.add(self, promise, found, About::Key(key));
            }
        }
        findings
    }

    fn key(&self, key: &str) -> Vec<(&'static str, String)> {
        let mut findings = Vec::new();
        let all: Vec<_> = self.attempts.with_key(key).collect();
        let is_stored = |attempt: &&Attempt<'_>| !self.accounts.attempt(attempt.name).is_empty();
        let stored: Vec<_> = all.iter().copied().filter(is_stored).collect();
        let done: Vec<_> = all.iter().copied().filter(|attempt| attempt.is_done()).collect();
        let firsts: Vec<_> = done.iter().copied().filter(|attempt| !attempt.is_repeated()).collect();
        if stored.len() > 1 || firsts.len() > 1 {
            let names = |attempts: Vec<&str>| attempts.join(", ");
            let stored = names(stored.iter().map(|attempt| attempt.name).collect());
            let firsts = names(firsts.iter().map(|attempt| attempt.name).collect());
            let found = format!("`{key}` is stored by [{stored}], and was done for the first time by [{firsts}]");
            findings.push(("a key is done once", found));
        }

        // Who did it: told by its events, or by the answers if it has none.
        let winner = stored.first().or(firsts.first()).or(done.first());
        let receipts = self.history.stored.keys.get(key).map_or(&[][..], |receipts| receipts);
        let Some(winner) = winner else {
            let mismatched = all.iter().find(|attempt| attempt.answer == Some(&Answer::Mismatched));
            if let Some(attempt) = mismatched.filter(|_| receipts.is_empty()) {
                let found = format!("nothing was done under `{key}`, but {} was mismatched", attempt.name);
                findings.push(("a key is refused only for another content", found));
            }
            // Whoever did it may have been cut off.
            if receipts.iter().any(|receipt| receipt.events > 0) {
                findings.push(("what a key stands for is stored", format!("{receipts:?} is not")));
            }
            return findings;
        };
        if stored.is_empty() && !model::events(&winner.request.what, 0).is_empty() {
            let found = format!("{} was told that `{key}` is done, which is not stored", winner.name);
            findings.push(("what a key stands for is stored", found));
        }
        if !same(receipts, winner.receipts()) && winner.is_done() || !self.tells_of(receipts, winner) {
            let found = format!("`{key}` was done by {}, and stands for {receipts:?}", winner.name);
            findings.push(("a key stands for the receipt of its request", found));
        }
        let first_told = done.iter().map(|attempt| attempt.answered).min().unwrap_or(usize::MAX);
        for attempt in &all {
            let has_content = attempt.request.what.has_content_of(&winner.request.what);
            let found = match attempt.answer {
                Some(Answer::Done(_) | Answer::Resolved(Some(_))) if !has_content => "was answered for another content",
                Some(Answer::Done(told) | Answer::Resolved(Some(told))) if !same(told, receipts) => {
                    "was answered with another receipt"
                }
                Some(Answer::Mismatched) if has_content => "was mismatched, though it is the same",
                Some(
                    Answer::Refused(_)
                    | Answer::NotFound(_)
                    | Answer::AlreadyExists(_)
                    | Answer::Conflict(..)
                    | Answer::Resolved(None),
                ) if first_told < attempt.called => "was decided again",
                _ => continue,
            };
            let found = format!("`{key}` was done by {}, and {} {found}", winner.name, attempt.name);
            findings.push((
                "each request with a key gets the receipt of the first, or is refused",
                found,
            ));
        }
        findings
    }

    /// Whether the receipts are about the events that the attempt has stored.
    fn tells_of(&self, receipts: &[Receipt], attempt: &Attempt<'_>) -> bool {
        let events = self.accounts.attempt(attempt.name);
        let mut told = receipts.iter().filter(|receipt| receipt.events > 0);
        let is_there = |receipt: &Receipt| {
            let place = (&receipt.stream, receipt.version, receipt.position);
            events
                .iter()
                .any(|event| (&event.stream, event.version, event.seen.0) == place)
        };
        told.clone().map(|receipt| receipt.events).sum::<u64>() == events.len() as u64 && told.all(is_there)
    }
}

/// Whether these are the same receipts, repeated or not.
fn same(one: &[Receipt], other: &[Receipt]) -> bool {
    let told = |receipt: &Receipt| Receipt {
        repeated: true,
        ..receipt.clone()
    };
    one.iter().map(told).eq(other.iter().map(told))
}
