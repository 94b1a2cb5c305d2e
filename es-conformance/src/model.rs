//! A store that does one append after the other, as far as answers tell: what a batch of appends sent at once is held against.

use std::collections::HashMap;

use es_runtime::store::{Append, AppendError, AppendRef, Appended, KeyRecord, ReadLog, StreamAppend};
use es_runtime::{AppendId, EventId, ExpectedVersion, NewEvent, Position, StreamId, Version};
use uuid::Uuid;

use crate::check::{Among, Checked, Stop, holds, present, same};
use crate::sample::given;
use crate::subject::Store;

/// The content that the store must have, according to the answers given so far.
#[derive(Default)]
pub(crate) struct Model {
    versions: HashMap<StreamId, Version>,
    /// The last event of each stream.
    lasts: HashMap<StreamId, EventId>,
    head: Position,
    /// The content and the append under each key.
    keys: HashMap<String, (Uuid, AppendId)>,
    done: HashMap<AppendId, Appended>,
}

/// An append with its answer.
pub(crate) struct Answered {
    append: Append,
    /// None if it was not tried, as a chain had ended before it.
    answer: Option<Result<Appended, AppendError>>,
    /// The append before it in its chain.
    after: Option<AppendId>,
}

impl Answered {
    pub(crate) fn alone(append: Append, answer: Result<Appended, AppendError>) -> Self {
        Self {
            append,
            answer: Some(answer),
            after: None,
        }
    }

    /// The appends of a chain. Checks that its answers end with the first that was not stored.
    pub(crate) fn of_a_chain(chain: Vec<Append>, answers: Vec<Result<Appended, AppendError>>) -> Checked<Vec<Self>> {
        let stored = answers.iter().take_while(|answer| is_recorded(answer)).count();
        same(
            format_args!("the number of answers to a chain, which are {answers:?}"),
            answers.len(),
            chain.len().min(stored + 1),
        )?;
        let mut answers = answers.into_iter();
        let mut after = None;
        let answered = chain.into_iter().map(|append| Self {
            after: after.replace(append.id),
            answer: answers.next(),
            append,
        });
        Ok(answered.collect())
    }
}

/// An append that was tried.
struct Tried<'a> {
    append: &'a Append,
    answer: &'a Result<Appended, AppendError>,
    after: Option<AppendId>,
}

impl Model {
    /// The version of a stream; 0 if it has no events.
    pub(crate) fn version(&self, stream: &StreamId) -> Version {
        self.versions.get(stream).copied().unwrap_or_default()
    }

    /// The last event of a stream; none if it has no events.
    pub(crate) fn last(&self, stream: &StreamId) -> Option<EventId> {
        self.lasts.get(stream).copied()
    }

    /// Checks that some order of the appends, done one by one, gives these answers, and that the store holds what they say: the
    /// events, and what is recorded of each append and under each key.
    pub(crate) async fn check(&mut self, store: &Store, batch: Vec<Answered>) -> Checked {
        let before = self.head;
        let tried = batch.iter().filter_map(|of| {
            Some(Tried {
                append: &of.append,
                answer: of.answer.as_ref()?,
                after: of.after,
            })
        });
        let (mut writes, mut others): (Vec<Tried<'_>>, Vec<_>) =
            tried.partition(|tried| is_recorded(tried.answer) && tried.append.events().next().is_some());
        // The order of those that wrote is that of their positions. The others may stand anywhere between them.
        writes.sort_by_key(|tried| tried.answer.as_ref().ok().and_then(Appended::head));
        self.take(&mut others);
        for tried @ Tried { append, answer, .. } in &writes {
            holds(
                self.allows(tried),
                format_args!("the answer to {append:?}, behind the appends with lower positions"),
                format_args!("what it is when it is done alone at head {}", self.head),
                answer,
            )?;
            self.record(append, answer);
            self.take(&mut others);
        }
        if let Some(Tried { append, answer, .. }) = others.first() {
            return Err(Stop::broken(
                format_args!("the answer to {append:?}"),
                "what it is when it is done alone, at some moment of the batch",
                format_args!("{answer:?}"),
            ));
        }
        self.check_log(store, before, writes.iter().map(|tried| tried.append))
            .await?;
        for Answered { append, .. } in &batch {
            self.check_records(store, append)
                .await
                .among(format_args!("{append:?}"))?;
        }
        Ok(())
    }

    /// Takes in the answers that can have been given now. First those that leave no trace: behind the append that records their
    /// key they would be repetitions.
    fn take(&mut self, others: &mut Vec<Tried<'_>>) {
        loop {
            others.retain(|tried| is_recorded(tried.answer) || !self.allows(tried));
            let Some(next) = others.iter().position(|tried| self.allows(tried)) else {
                return;
            };
            let Tried { append, answer, .. } = others.swap_remove(next);
            self.record(append, answer);
        }
    }

    /// Returns whether the append, done now, has this answer, and is not done before the one that it follows.
    fn allows(&self, Tried { append, answer, after }: &Tried<'_>) -> bool {
        if after.is_some_and(|before| !self.done.contains_key(&before)) {
            return false;
        }
        let under_key = append
            .key
            .as_ref()
            .and_then(|key| Some((key, self.keys.get(&key.key)?)));
        if let Some(first) = self.done.get(&append.id) {
            return answer.as_ref().is_ok_and(|appended| appended == first);
        }
        if let Some((key, (content, first))) = under_key {
            return match answer {
                Ok(appended) => key.fingerprint == *content && Some(appended) == self.done.get(first),
                Err(AppendError::IdempotencyMismatch { .. }) => key.fingerprint != *content,
                Err(_) => false,
            };
        }
        let conflicts = |part: &StreamAppend| {
            !fits(part.expected, self.version(&part.stream))
                || part.last.is_some() && part.last != self.last(&part.stream)
        };
        match answer {
            Ok(appended) => {
                let no_conflict = !append.streams.iter().any(conflicts);
                no_conflict && appended.id == append.id && !appended.repeated && self.is_receipt(append, appended)
            }
            Err(AppendError::Conflict {
                stream,
                expected,
                actual,
            }) => {
                let told = append
                    .streams
                    .iter()
                    .any(|part| part.stream == *stream && part.expected == *expected && conflicts(part));
                told && *actual == self.version(stream)
            }
            Err(_) => false,
        }
    }

    /// Returns whether an append, done now, has this receipt.
    fn is_receipt(&self, append: &Append, appended: &Appended) -> bool {
        let mut head = self.head.0;
        let last = head + append.events().count() as u64;
        append.streams.len() == appended.streams.len()
            && append.streams.iter().zip(&appended.streams).all(|(part, told)| {
                let events = part.events.len() as u64;
                head += events;
                let right_position = if events == 0 {
                    (self.head.0..=last).contains(&told.position.0)
                } else {
                    told.position.0 == head
                };
                right_position
                    && told.stream == part.stream
                    && told.events == part.events.len()
                    && told.version.0 == self.version(&part.stream).0 + events
            })
    }

    fn record(&mut self, append: &Append, answer: &Result<Appended, AppendError>) {
        let Some(appended) = answer.as_ref().ok().filter(|appended| !appended.repeated) else {
            return;
        };
        for told in &appended.streams {
            self.head.0 += told.events as u64;
            self.versions.insert(told.stream.clone(), told.version);
        }
        for part in &append.streams {
            if let Some(last) = part.events.last() {
                self.lasts.insert(part.stream.clone(), last.id);
            }
        }
        let repeated = Appended {
            repeated: true,
            ..appended.clone()
        };
        self.done.insert(append.id, repeated);
        if let Some(key) = &append.key {
            self.keys.insert(key.key.clone(), (key.fingerprint, append.id));
        }
    }

    /// The log behind `before` holds the events of these appends, in this order, and nothing else.
    async fn check_log(&self, store: &Store, before: Position, writes: impl Iterator<Item = &Append>) -> Checked {
        let mut versions: HashMap<&StreamId, u64> = HashMap::new();
        let mut expected: Vec<(&StreamId, u64, &NewEvent)> = Vec::new();
        for part in writes.flat_map(|append| &append.streams) {
            for event in &part.events {
                let version = versions.entry(&part.stream).or_default();
                *version += 1;
                expected.push((&part.stream, *version, event));
            }
        }
        // Numbered from behind, as only the version after the batch is known.
        for (stream, version, _) in &mut expected {
            *version += self.version(stream).0 - versions[*stream];
        }
        let log = store.read_positions(ReadLog::new().from(before.next())).await?;
        let came: Vec<NewEvent> = log.iter().map(given).collect();
        let places: Vec<(u64, &StreamId, u64)> = log
            .iter()
            .map(|event| (event.position.0, &event.stream, event.version.0))
            .collect();
        let right_places: Vec<(u64, &StreamId, u64)> = (before.0 + 1..)
            .zip(&expected)
            .map(|(position, (stream, version, _))| (position, *stream, *version))
            .collect();
        same("the places of the events that were stored", places, right_places)?;
        let sent: Vec<NewEvent> = expected.into_iter().map(|(_, _, event)| event.clone()).collect();
        same("the events that were stored", came, sent)
    }

    /// Checks what the store says about an append, and about its key.
    async fn check_records(&self, store: &Store, append: &Append) -> Checked {
        let resolved = store.resolve(&AppendRef::of(append)).await?;
        same("the outcome of an append", resolved.as_ref(), self.done.get(&append.id))?;
        let Some(key) = &append.key else { return Ok(()) };
        let found = store.find_key(&key.key).await?;
        let Some((fingerprint, first)) = self.keys.get(&key.key) else {
            return same(
                "what is stored under the key of an append that was refused",
                found,
                None,
            );
        };
        let appended = present("the append under a key", self.done.get(first))?;
        let record = KeyRecord {
            fingerprint: *fingerprint,
            appended: appended.clone(),
        };
        same("what is stored under a key", found, Some(record))
    }
}

/// Returns whether the append was stored, and not before.
fn is_recorded(answer: &Result<Appended, AppendError>) -> bool {
    answer.as_ref().is_ok_and(|appended| !appended.repeated)
}

fn fits(expected: ExpectedVersion, version: Version) -> bool {
    match expected {
        ExpectedVersion::Any => true,
        ExpectedVersion::NoStream => version == Version::ZERO,
        ExpectedVersion::Exists => version > Version::ZERO,
        ExpectedVersion::Exact(exact) => version == exact,
    }
}
