//! Each answer, held against what is stored.

use std::collections::BTreeMap;

use super::attempts::Attempt;
use super::{About, Facts, Findings};
use crate::history::model;
use crate::history::plan::{What, id};
use crate::history::record::{Answer, Receipt};

const WHOLE: &str = "an `Ok` is stored once, whole, as its receipt says";
const NO_TRACE: &str = "what is not done leaves no trace";
const ALL_OR_NOTHING: &str = "what was cut off is stored as a whole or not at all";
const REAL_TIME: &str = "what was acknowledged stands before what was called later";
const FRESH: &str = "an answer tells of a state as it was during the call";

impl Facts<'_> {
    pub(super) fn answers(&self) -> Findings {
        let mut findings = Findings::default();
        for attempt in self.attempts.all() {
            let told = match attempt.answer {
                Some(Answer::Done(receipts)) if !attempt.is_repeated() => self.done(attempt, receipts),
                Some(Answer::Resolved(Some(receipts))) => self.done(attempt, receipts),
                Some(Answer::Dropped | Answer::Unknown) | None => self.whole_or_not(attempt),
                Some(_) => self.without_trace(attempt),
            };
            let checks = [told, self.in_real_time(attempt), self.as_it_was(attempt)];
            for (promise, found) in checks.into_iter().flatten() {
                findings.add(self, promise, found, About::Attempt(attempt));
            }
        }
        findings
    }

    fn done(&self, attempt: &Attempt<'_>, receipts: &[Receipt]) -> Option<Found> {
        let whole = self.is_whole(attempt).and_then(|()| self.is_as_told(attempt, receipts));
        whole.err().map(|found| (WHOLE, found))
    }

    fn whole_or_not(&self, attempt: &Attempt<'_>) -> Option<Found> {
        if self.accounts.attempt(attempt.name).is_empty() {
            return None;
        }
        self.is_whole(attempt).err().map(|found| (ALL_OR_NOTHING, found))
    }

    fn without_trace(&self, attempt: &Attempt<'_>) -> Option<Found> {
        let events = self.accounts.attempt(attempt.name).len();
        (events > 0).then(|| (NO_TRACE, format!("{} has left {events} events", attempt.name)))
    }

    /// Whether the events of the attempt are those of its request, each stored once, in one place of the log.
    fn is_whole(&self, attempt: &Attempt<'_>) -> Result<(), String> {
        let mut stored: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let events = self.accounts.attempt(attempt.name);
        for event in events {
            let stream = stored.entry(event.stream.clone()).or_default();
            stream.push((&*event.name, event.payload.clone()));
        }
        let witness = attempt.request.what.witness().zip(events.first());
        let witness = witness.map_or(0, |(witness, first)| {
            self.accounts.version_before(&witness, first.seen.0)
        });
        if stored != model::events(&attempt.request.what, witness) {
            return Err(format!("the events of {} are not those of its request", attempt.name));
        }
        let scattered = events.windows(2).find(|pair| pair[0].seen.0 + 1 != pair[1].seen.0);
        match scattered {
            Some(pair) => Err(format!(
                "{} is scattered behind position {}",
                attempt.name, pair[0].seen.0
            )),
            None => Ok(()),
        }
    }

    /// Whether the receipts are those of the events.
    fn is_as_told(&self, attempt: &Attempt<'_>, receipts: &[Receipt]) -> Result<(), String> {
        let accounts = attempt.request.what.accounts();
        let told: Vec<_> = receipts.iter().map(|receipt| &receipt.stream).collect();
        if !accounts
            .iter()
            .map(|account| id(*account).to_string())
            .eq(told.iter().map(|told| (*told).clone()))
        {
            return Err(format!(
                "{} is about accounts {accounts:?}, its receipts about {told:?}",
                attempt.name
            ));
        }
        for receipt in receipts {
            let events = self.accounts.attempt(attempt.name).iter();
            let of_stream: Vec<_> = events.filter(|event| event.stream == receipt.stream).collect();
            let last = of_stream.last().map(|last| (last.version, last.seen.0));
            let is_right = of_stream.len() as u64 == receipt.events
                && last.is_none_or(|last| last == (receipt.version, receipt.position));
            if !is_right {
                return Err(format!("{} is told {receipt:?}, but {last:?} is stored", attempt.name));
            }
            if let Some(expected) = attempt
                .request
                .expects
                .filter(|expected| *expected + receipt.events != receipt.version)
            {
                return Err(format!(
                    "{} is done at version {expected}, but was told {receipt:?}",
                    attempt.name
                ));
            }
        }
        Ok(())
    }

    fn in_real_time(&self, attempt: &Attempt<'_>) -> Option<Found> {
        let first = self.accounts.attempt(attempt.name).first()?;
        let acknowledged = self.timeline.acknowledged(attempt.called);
        (first.seen.0 <= acknowledged).then(|| {
            let found = format!(
                "{acknowledged} was acknowledged before {} was called: {first}",
                attempt.name
            );
            (REAL_TIME, found)
        })
    }

    /// Whether the answer tells of a state that was there during the call.
    fn as_it_was(&self, attempt: &Attempt<'_>) -> Option<Found> {
        let stale = |stream: &str, version: u64| self.was_there(attempt, stream, version).err();
        let of_account = || id(attempt.request.what.accounts()[0]).to_string();
        let found = match attempt.answer? {
            Answer::Done(receipts) if !attempt.is_repeated() => receipts
                .iter()
                .find_map(|receipt| stale(&receipt.stream, receipt.version)),
            Answer::Refused(balance) => self.refused(attempt, *balance).err(),
            Answer::NotFound(stream) => match self.timeline.version_before(attempt, stream) {
                0 => None,
                version => Some(format!("{stream} was at version {version} before")),
            },
            Answer::AlreadyExists(stream) => stale(stream, self.timeline.version_before(attempt, stream).max(1)),
            Answer::Conflict(stream, actual) => stale(stream, *actual).or_else(|| {
                let is_import = matches!(attempt.request.what, What::Import(..));
                let expected = attempt.request.expects.or(is_import.then_some(0));
                (expected == Some(*actual)).then(|| format!("{stream} was at version {actual}, as expected"))
            }),
            Answer::Loaded(loaded) => {
                let (stream, (version, balance)) = (of_account(), loaded.unwrap_or_default());
                let folded = self.accounts.at(&stream, version).unwrap_or_default();
                let differs = || (folded.cents != balance).then(|| format!("version {version} folds to {folded:?}"));
                stale(&stream, version).or_else(differs)
            }
            Answer::Row(row) => {
                let (stream, row) = (of_account(), row.unwrap_or_default());
                let folded = self.accounts.at(&stream, row.events).unwrap_or_default();
                (folded != row).then(|| format!("after {} events the row is {folded:?}", row.events))
            }
            Answer::Unavailable(failure) if !attempt.lossy && !self.history.sessions_end => Some(failure.clone()),
            Answer::Unexpected(what) => Some(what.clone()),
            _ => None,
        };
        found.map(|found| (FRESH, found))
    }

    /// Whether the stream was at this version at some time during the call.
    fn was_there(&self, attempt: &Attempt<'_>, stream: &str, version: u64) -> Result<(), String> {
        let before = self.timeline.version_before(attempt, stream);
        if version < before {
            return Err(format!(
                "{stream} is told to be at version {version}, but was at {before} before"
            ));
        }
        let Some(last) = version.checked_sub(1) else {
            return Ok(());
        };
        let event = usize::try_from(last)
            .ok()
            .and_then(|last| self.accounts.stream(stream).get(last));
        let Some((event, _)) = event else {
            return Err(format!(
                "{stream} is told to be at version {version}, which is not stored"
            ));
        };
        match self.attempts.named(&event.attempt) {
            Some(by) if by.called < attempt.answered => Ok(()),
            _ => Err(format!(
                "{stream} is told to be at version {version}, which was called for later"
            )),
        }
    }

    /// Whether the account was at some version during the call at which the request is refused with this balance.
    fn refused(&self, attempt: &Attempt<'_>, told: i64) -> Result<(), String> {
        let (What::Withdraw(account, _) | What::Transfer { from: account, .. }) = attempt.request.what else {
            return Err("there is nothing to refuse".to_owned());
        };
        let stream = id(account).to_string();
        let witness = attempt.request.what.witness();
        for version in self.versions_during(attempt, &stream) {
            let balance = self.accounts.at(&stream, version).unwrap_or_default().cents;
            let is_refused = |witness| model::refused_at(&attempt.request.what, balance, witness) == Some(told);
            let is_right = match &witness {
                Some(witness) => self.versions_during(attempt, witness).any(is_refused),
                None => is_refused(0),
            };
            if is_right {
                return Ok(());
            }
        }
        Err(format!("{stream} did not have a balance of {told} that is too small"))
    }

    /// The versions at which the stream was during the call.
    fn versions_during(&self, attempt: &Attempt<'_>, stream: &str) -> impl Iterator<Item = u64> {
        let before = self.timeline.version_before(attempt, stream);
        (before..).take_while(move |version| self.was_there(attempt, stream, *version).is_ok())
    }
}

/// The promise, and how it is broken.
type Found = (&'static str, String);
