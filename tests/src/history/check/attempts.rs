//! The requests of a history, each with its answer.

use std::collections::{BTreeMap, HashMap};

use crate::history::History;
use crate::history::plan::Request;
use crate::history::record::{Answer, Receipt, Record};

/// One request that was sent.
pub(super) struct Attempt<'a> {
    pub(super) name: &'a str,
    pub(super) request: &'a Request,
    /// Whether its store loses answers.
    pub(super) lossy: bool,
    /// The line of its call, and that of its answer.
    pub(super) called: usize,
    pub(super) answered: usize,
    /// `None` if its process was killed before.
    pub(super) answer: Option<&'a Answer>,
}

impl Attempt<'_> {
    /// What it was told to have done.
    pub(super) fn receipts(&self) -> &[Receipt] {
        match self.answer {
            Some(Answer::Done(receipts) | Answer::Resolved(Some(receipts))) => receipts,
            _ => &[],
        }
    }

    /// Whether it was told that the request is done.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.answer, Some(Answer::Done(_) | Answer::Resolved(Some(_))))
    }

    /// Whether it was told that the request was done before it.
    pub(super) fn is_repeated(&self) -> bool {
        matches!(self.answer, Some(Answer::Done(receipts)) if receipts.iter().any(|receipt| receipt.repeated))
    }

    /// Its call and its answer, as they were written down.
    pub(super) fn lines(&self) -> Vec<String> {
        let answer = match self.answer {
            Some(answer) => format!("line {}: {} was answered {answer:?}", self.answered, self.name),
            None => format!("{} was not answered", self.name),
        };
        vec![
            format!("line {}: {} calls {:?}", self.called, self.name, self.request),
            answer,
        ]
    }
}

/// Every request of a history.
pub(super) struct Attempts<'a> {
    /// In the order of their calls.
    all: Vec<Attempt<'a>>,
    by_name: HashMap<&'a str, usize>,
    by_key: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Attempts<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut attempts = Self {
            all: Vec::new(),
            by_name: HashMap::new(),
            by_key: BTreeMap::new(),
        };
        for (line, record) in history.records.iter().enumerate() {
            match record {
                Record::Called {
                    attempt,
                    request,
                    lossy,
                } => attempts.call(Attempt {
                    name: attempt,
                    request,
                    lossy: *lossy,
                    called: line,
                    answered: usize::MAX,
                    answer: None,
                }),
                Record::Answered { attempt, answer } => {
                    // Its call is torn only if it was never made.
                    if let Some(index) = attempts.by_name.get(&**attempt) {
                        let called = &mut attempts.all[*index];
                        (called.answered, called.answer) = (line, Some(answer));
                    }
                }
                _ => {}
            }
        }
        attempts
    }

    fn call(&mut self, attempt: Attempt<'a>) {
        let index = self.all.len();
        self.by_name.insert(attempt.name, index);
        if let Some(key) = &attempt.request.key {
            self.by_key.entry(key).or_default().push(index);
        }
        self.all.push(attempt);
    }

    pub(super) fn all(&self) -> &[Attempt<'a>] {
        &self.all
    }

    pub(super) fn named(&self, name: &str) -> Option<&Attempt<'a>> {
        self.by_name.get(name).map(|index| &self.all[*index])
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.by_key.keys().copied()
    }

    /// Those with this key, in the order of their calls.
    pub(super) fn with_key(&self, key: &str) -> impl Iterator<Item = &Attempt<'a>> {
        self.by_key
            .get(key)
            .into_iter()
            .flatten()
            .map(|index| &self.all[*index])
    }
}
