//! The log: gapless, in order, the same however it is read, and no more than was asked for.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{About, Facts, Findings};
use crate::history::plan::What;
use crate::history::record::Seen;

impl Facts<'_> {
    pub(super) fn log(&self) -> Findings {
        let mut findings = Findings::default();
        self.positions(&mut findings);
        self.streams(&mut findings);
        self.other_reads(&mut findings);
        self.origins(&mut findings);
        self.money(&mut findings);
        findings
    }

    fn positions(&self, findings: &mut Findings) {
        let (mut ids, mut latest) = (HashSet::new(), i64::MIN);
        for (event, position) in self.history.stored.log.iter().zip(1..) {
            let about = About::Position(event.seen.0);
            if event.seen.0 != position {
                let found = format!("position {} stands where {position} is to be", event.seen.0);
                return findings.add(self, "positions have no gap", found, about);
            }
            if event.at < latest {
                findings.add(self, "recorded_at never goes back", event.to_string(), about);
            }
            if !ids.insert(&event.seen.1) {
                findings.add(self, "an event is stored once", event.to_string(), about);
            }
            latest = event.at;
        }
    }

    fn streams(&self, findings: &mut Findings) {
        for (stream, events) in self.accounts.streams() {
            for ((event, row), version) in events.iter().zip(1..) {
                let about = About::Stream(stream, version);
                if event.version != version {
                    let found = format!("version {} of {stream} stands where {version} is to be", event.version);
                    findings.add(self, "versions have no gap", found, about);
                    break;
                }
                if (event.name == "opened") != (version == 1) {
                    findings.add(self, "an account is opened first, and once", event.to_string(), about);
                }
                if row.cents < 0 {
                    let found = format!("the balance is {} at {event}", row.cents);
                    findings.add(self, "a decision is made on the newest state", found, about);
                }
            }
        }
    }

    fn other_reads(&self, findings: &mut Findings) {
        let stored = &self.history.stored;
        for unreadable in &stored.unreadable {
            findings.add(self, "what is stored can be read", unreadable, About::Whole);
        }
        let seen = |events: &mut dyn Iterator<Item = &Seen>| events.cloned().collect::<Vec<_>>();
        let backwards = seen(&mut stored.log.iter().rev().map(|event| &event.seen));
        if stored.backwards != backwards {
            findings.add(self, "the log is the same backwards", "it is not", About::Whole);
        }
        if stored.head != stored.log.len() as u64 {
            let found = format!("the head is {}, the log ends at {}", stored.head, stored.log.len());
            findings.add(
                self,
                "the head is the last position",
                found,
                About::Position(stored.head),
            );
        }
        let mut versions: BTreeMap<_, _> = stored
            .listed
            .iter()
            .map(|(stream, version)| (&**stream, *version))
            .collect();
        for (stream, events) in self.accounts.streams() {
            let about = About::Stream(stream, events.len() as u64);
            let listed = versions.remove(stream);
            if listed != Some(events.len() as u64) {
                let found = format!("{stream} has {} events, and is listed with {listed:?}", events.len());
                findings.add(self, "streams are listed with their versions", found, about);
            }
            let of_stream = seen(&mut events.iter().map(|(event, _)| &event.seen));
            if stored.streams.get(stream) != Some(&of_stream) {
                findings.add(self, "a stream is the same in the log", stream, about);
            }
            let folded = events.last().map(|(event, row)| (event.version, row.cents));
            let loaded = stored.loaded.get(stream).copied().flatten();
            if loaded != folded {
                let found = format!("{stream} is loaded as {loaded:?}, and folded to {folded:?}");
                findings.add(self, "a state is the fold of its events", found, about);
            }
        }
        if !versions.is_empty() {
            findings.add(
                self,
                "no stream is without events",
                format!("{versions:?}"),
                About::Whole,
            );
        }
        let kinds: BTreeSet<_> = stored.log.iter().map(|event| &event.name).collect();
        if stored.kinds.iter().collect::<BTreeSet<_>>() != kinds || stored.kinds.len() != kinds.len() {
            let found = format!("{:?}, but {kinds:?} are stored", stored.kinds);
            findings.add(self, "the kinds of stored events are told", found, About::Whole);
        }
    }

    /// Each event comes from a request.
    fn origins(&self, findings: &mut Findings) {
        for event in &self.history.stored.log {
            if self.attempts.named(&event.attempt).is_none() {
                let about = About::Position(event.seen.0);
                findings.add(
                    self,
                    "nothing is stored that nobody asked for",
                    event.to_string(),
                    about,
                );
            }
        }
    }

    /// Transfers make no money, and lose none.
    fn money(&self, findings: &mut Findings) {
        let (mut all, mut transferred) = (0, 0);
        for event in &self.history.stored.log {
            all += event.cents();
            let attempt = self.attempts.named(&event.attempt);
            if attempt.is_some_and(|attempt| matches!(attempt.request.what, What::Transfer { .. })) {
                transferred += event.cents();
            }
        }
        let balances = self.accounts.streams().filter_map(|(_, events)| events.last());
        let balances: i64 = balances.map(|(_, row)| row.cents).sum();
        if transferred != 0 || balances != all {
            let found = format!("transfers come to {transferred}, and the accounts hold {balances} of {all}");
            findings.add(self, "money is conserved", found, About::Whole);
        }
    }
}
