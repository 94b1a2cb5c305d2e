//! U: whole appends, read in the order of the log and restored as they were.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use es_runtime::store::{
    Append, AppendError, AppendRef, ArchiveStore, Change, Demand, KeyRecord, Purge, RecordedAppend, RestoreAppendError,
    StateChange, StateKey, StateStore, StreamAppend,
};
use es_runtime::testing::ManualClock;
use es_runtime::{Clock as _, ExpectedVersion, MemoryStore, Metadata, NewEvent, Position, StreamId, Timestamp};
use futures_util::TryStreamExt;

use crate::Capability;
use crate::cancellation::polled;
use crate::check::{Among, Checked, Stop, holds, present, same};
use crate::idempotency::key;
use crate::random::Random;
use crate::sample::{event, events, stream, with_payload};
use crate::scale::scaled;
use crate::states::change;
use crate::subject::{Store, Subject, clock};

impl From<RestoreAppendError> for Stop {
    #[track_caller]
    fn from(error: RestoreAppendError) -> Self {
        Self::broken("a restore of appends", "success", format_args!("{error} ({error:?})"))
    }
}

/// Names of which one begins as another does, and that are hard to keep.
const IDS: [&str; 6] = ["a", "a ", "A", "a/b", "\u{1F600}", "\"\\"];

/// Every append, through a handle that checks the order.
async fn appends(store: &Store) -> Checked<Vec<RecordedAppend>> {
    Ok(archive(store)?.appends().try_collect().await?)
}

fn archive(store: &Store) -> Checked<Arc<dyn ArchiveStore>> {
    present(
        "the store as one that gives out whole appends",
        Arc::clone(&store.0).archive_store(),
    )
}

/// Random appends that succeed, in the order in which they are done.
struct History<'a> {
    random: &'a mut Random,
    clock: ManualClock,
    over_several: bool,
    done: u64,
}

impl History<'_> {
    /// Does one append, and returns it as it must be read back.
    async fn step(&mut self, store: &Store) -> Checked<RecordedAppend> {
        self.done += 1;
        // Also back: recorded times do not go along.
        let hour = self.random.below(3_600_000_000);
        self.clock.set(clock(i64::try_from(hour).unwrap_or(0)).now());
        let append = self.append();
        let mut exact = append.clone();
        for part in &mut exact.streams {
            part.expected = ExpectedVersion::Exact(store.version(&part.stream).await?);
        }
        let appended = store.append(append).await?;
        same(
            "whether an append that is done once is a repetition",
            appended.repeated,
            false,
        )?;
        Ok(RecordedAppend {
            append: exact,
            recorded_at: appended.recorded_at,
            position: appended.head().unwrap_or_default(),
        })
    }

    fn append(&mut self) -> Append {
        let has_key = self.random.below(3) == 0;
        let parts = if self.over_several { 1 + self.random.below(3) } else { 1 };
        let mut streams: Vec<StreamAppend> = Vec::new();
        for _ in 0..parts {
            let stream = self.stream();
            if streams.iter().all(|part| part.stream != stream) {
                let count = self.random.below(4);
                streams.push(StreamAppend {
                    stream,
                    expected: ExpectedVersion::Any,
                    last: None,
                    events: (0..count).map(|_| self.event()).collect(),
                });
            }
        }
        if !has_key && streams.iter().all(|part| part.events.is_empty()) {
            streams[0].events.push(self.event());
        }
        let name = self.any_of(&IDS);
        let key = has_key.then(|| key(&format!("{} {name}", self.done), self.done.into()));
        let id = es_runtime::AppendId(self.id());
        Append { id, key, streams }
    }

    fn stream(&mut self) -> StreamId {
        StreamId::new(self.any_of(&["u", "u/u"]), self.any_of(&IDS))
    }

    fn event(&mut self) -> NewEvent {
        let payloads = [
            "{}",
            "{ \"a\" : [1.50, -0.0, 18446744073709551615, 1e400] }\n",
            "\"\\u0000\\ud800\u{1F600}\u{2028}\"",
            " null",
            "[\r\n]",
        ];
        let mut metadata = Metadata::EMPTY;
        if self.random.below(2) == 0 {
            metadata.set_actor(self.any_of(&IDS));
            metadata.set_occurred_at(Timestamp::MIN);
            metadata.set("number", 0.1 + 0.2);
        }
        NewEvent {
            id: es_runtime::EventId(self.id()),
            name: Cow::Borrowed(self.any_of(&["happened", "is said \u{fc}", "\""])),
            shape_version: u32::try_from(1 + self.random.below(i32::MAX as u64)).unwrap_or(1),
            metadata,
            ..with_payload(self.any_of(&payloads))
        }
    }

    /// Any UUID: ids are not in the order of the log.
    fn id(&mut self) -> uuid::Uuid {
        uuid::Uuid::from_u64_pair(self.random.any(), self.random.any())
    }

    fn any_of(&mut self, texts: &[&'static str]) -> &'static str {
        texts[usize::try_from(self.random.below(texts.len() as u64)).unwrap_or(0)]
    }
}

/// Puts what was done one by one into the order in which it is read: appends without events at one position by their ids.
fn in_order(mut appends: Vec<RecordedAppend>) -> Vec<RecordedAppend> {
    appends.sort_by_key(|append| {
        let is_empty = append.events() == 0;
        (append.position, is_empty, is_empty.then_some(append.append.id))
    });
    appends
}

/// A log in memory, and everything that was appended to it.
async fn source(subject: &Subject<'_>, random: &mut Random, steps: u64) -> Checked<(Store, Vec<RecordedAppend>)> {
    let clock = clock(0);
    let memory = Store(Arc::new(MemoryStore::new().with_clock(clock.clone())));
    let mut history = History {
        random,
        clock,
        over_several: subject.offers(Capability::MultiStream),
        done: 0,
    };
    let mut done = Vec::new();
    for _ in 0..steps {
        done.push(history.step(&memory).await?);
    }
    Ok((memory, in_order(done)))
}

pub(crate) async fn u01_appends_are_read_back_whole(subject: &Subject<'_>) -> Checked {
    let (store, reader) = (subject.open().await, subject.open().await);
    same("the appends of an empty store", appends(&reader).await?, Vec::new())?;
    let mut random = subject.random();
    let mut history = History {
        random: &mut random,
        clock: subject.clock.clone(),
        over_several: subject.offers(Capability::MultiStream),
        done: 0,
    };
    let mut done = Vec::new();
    for round in 0..scaled(4, 40) {
        for _ in 0..scaled(40, 400) {
            done.push(history.step(&store).await?);
        }
        done = in_order(done);
        let read = appends(&reader).await?;
        for (number, (read, done)) in read.iter().zip(&done).enumerate() {
            same(format_args!("append number {number} in round {round}"), read, done)?;
        }
        same("the number of appends", read.len(), done.len())?;
    }
    Ok(())
}

pub(crate) async fn u02_restored_appends_are_the_same(subject: &Subject<'_>) -> Checked {
    let mut random = subject.random();
    let (source, all) = source(subject, &mut random, scaled(200, 4_000)).await?;
    // Later than all that is restored.
    subject.clock.set(clock(0).now());
    subject.clock.advance(Duration::from_secs(7_200));
    let (store, archive) = (subject.open().await, archive(&subject.open().await)?);
    let mut rest = &all[..];
    while !rest.is_empty() {
        let most = 1 + random.below(40);
        let (batch, behind) = rest.split_at(rest.len().min(usize::try_from(most).unwrap_or(1)));
        archive.restore(batch.to_vec()).await?;
        rest = behind;
    }
    same("the log", store.check_log().await?, source.log().await?)?;
    same("all appends", appends(&store).await?, all.clone())?;
    same(
        "the kinds of events",
        store.stored_events().await?,
        source.stored_events().await?,
    )?;
    for RecordedAppend { append, .. } in &all {
        let about = AppendRef::of(append);
        same(
            "what `resolve` tells",
            store.resolve(&about).await?,
            source.resolve(&about).await?,
        )?;
        let first = source.append(append.clone()).await?;
        same("the result of a repetition", store.append(append.clone()).await?, first)?;
        if let Some(key) = &append.key {
            let found: Option<KeyRecord> = store.find_key(&key.key).await?;
            same("the record of a key", found, source.find_key(&key.key).await?)?;
            let mut again = append.clone();
            again.id = es_runtime::AppendId::new();
            let repeated = store.append(again).await?;
            same(
                "the id of what stands under the key",
                (repeated.repeated, repeated.id),
                (true, append.id),
            )?;
        }
    }
    // The log goes on.
    let head = store.head().await?;
    let next = store
        .put(&stream("next"), ExpectedVersion::NoStream, events(0..1))
        .await?;
    same("the position of the next event", next.head(), Some(head.next()))?;
    store.check_log().await.map(drop)
}

/// A fault in an append, and the error that it must have.
type Fault = (
    &'static str,
    fn(&mut RecordedAppend, &RecordedAppend),
    fn(&RestoreAppendError) -> bool,
);

const FAULTS: [Fault; 9] = [
    (
        "another position",
        |append, _| append.position = append.position.next(),
        |error| matches!(error, RestoreAppendError::Misplaced { .. }),
    ),
    (
        "an expected version that is too high",
        |append, _| append.append.streams[0].expected = ExpectedVersion::Exact(7.into()),
        is_conflict,
    ),
    (
        "no exact version",
        |append, _| append.append.streams[0].expected = ExpectedVersion::Any,
        is_invalid,
    ),
    (
        "a time before the last event",
        |append, last| {
            append.recorded_at = Timestamp::from_micros(last.recorded_at.as_micros() - 1).unwrap_or(Timestamp::MIN);
        },
        |error| matches!(error, RestoreAppendError::BackInTime { .. }),
    ),
    (
        "an id that is stored",
        |append, last| append.append.id = last.append.id,
        is_known,
    ),
    (
        "a key that is stored",
        |append, last| append.append.key.clone_from(&last.append.key),
        is_known,
    ),
    (
        "a key that is stored with another content",
        |append, last| {
            let content = |known: &es_runtime::store::IdempotencyKey| key(&known.key, u128::MAX);
            append.append.key = last.append.key.as_ref().map(content);
        },
        is_known,
    ),
    (
        "one event twice",
        |append, _| {
            let events = &mut append.append.streams[0].events;
            events[1].id = events[0].id;
        },
        |error| is_refused(error, |error| matches!(error, AppendError::DuplicateEventId(_))),
    ),
    (
        "a name that is too long",
        |append, _| append.append.streams[0].events[0].name = "n".repeat(10_000).into(),
        |error| is_refused(error, |error| matches!(error, AppendError::LimitExceeded(_))),
    ),
];

fn is_refused(error: &RestoreAppendError, is: impl FnOnce(&AppendError) -> bool) -> bool {
    matches!(error, RestoreAppendError::Refused { source, .. } if is(source))
}

fn is_conflict(error: &RestoreAppendError) -> bool {
    is_refused(error, |error| matches!(error, AppendError::Conflict { .. }))
}

fn is_invalid(error: &RestoreAppendError) -> bool {
    is_refused(error, |error| matches!(error, AppendError::Invalid { .. }))
}

/// A store that compares contents tells these of another append.
fn is_known(error: &RestoreAppendError) -> bool {
    is_invalid(error) || is_refused(error, |error| matches!(error, AppendError::IdempotencyMismatch { .. }))
}

/// An append of two events to a stream of its own, behind `last`.
fn behind(last: &RecordedAppend, id: &str) -> RecordedAppend {
    RecordedAppend {
        append: Append {
            key: Some(key(id, 1)),
            ..Append::new(stream(id), ExpectedVersion::Exact(0.into()), vec![event(1), event(2)])
        },
        recorded_at: last.recorded_at,
        position: Position(last.position.0 + 2),
    }
}

pub(crate) async fn u03_refused_restore_changes_nothing(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let archive = archive(&store)?;
    let start = RecordedAppend {
        append: Append::new(stream("start"), ExpectedVersion::Exact(0.into()), Vec::new()),
        recorded_at: clock(0).now(),
        position: Position::ZERO,
    };
    let first = behind(&start, "first");
    archive.restore(vec![first.clone()]).await?;
    let before = (appends(&store).await?, store.stored_events().await?);
    for (what, change, is_right) in FAULTS {
        for place in 0..3 {
            let mut batch = Vec::new();
            let mut last = first.clone();
            for number in 0..3 {
                let next = behind(&last, &format!("next {number}"));
                batch.push(next.clone());
                last = next;
            }
            change(&mut batch[place], &first);
            let restored = archive.restore(batch).await;
            let right = restored.as_ref().is_err_and(is_right);
            holds(
                right,
                format_args!("a restore with {what} at place {place}"),
                "that error",
                restored,
            )?;
            let after = (appends(&store).await?, store.stored_events().await?);
            same(
                format_args!("what is stored after a restore with {what} at place {place}"),
                after,
                before.clone(),
            )?;
        }
    }
    // Somebody else writes meanwhile.
    store
        .put(&stream("foreign"), ExpectedVersion::NoStream, events(0..1))
        .await?;
    let restored = archive.restore(vec![behind(&first, "late")]).await;
    let right =
        matches!(&restored, Err(RestoreAppendError::Misplaced { actual, .. }) if actual.0 == first.position.0 + 3);
    holds(
        right,
        "a restore behind an event of somebody else",
        "Misplaced",
        restored,
    )?;
    archive.restore(Vec::new()).await?;
    store.check_log().await.map(drop)
}

pub(crate) async fn u04_dropped_restore_is_whole(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let archive = archive(&store)?;
    for round in 0..scaled(5, 50) {
        let mut polls = 0;
        loop {
            let mut last = appends(&store).await?.pop().unwrap_or_else(|| RecordedAppend {
                append: Append::new(stream("start"), ExpectedVersion::Exact(0.into()), Vec::new()),
                recorded_at: clock(0).now(),
                position: Position::ZERO,
            });
            let stored = last.position.0 / 2;
            let mut batch = Vec::new();
            for number in 0..8 {
                last = behind(&last, &format!("{}", stored + number));
                batch.push(last.clone());
            }
            let done = polled(polls, archive.restore(batch.clone())).await;
            // Comes behind anything that the dropped one had begun.
            let settled = archive.restore(batch).await;
            let events = store
                .check_log()
                .await
                .among(format_args!("dropped after {polls} polls"))?
                .len() as u64;
            same("the events of restores that are whole or nothing", events % 16, 0)?;
            holds(
                events / 2 == stored + 8,
                "the restore that follows a dropped one",
                "done by one of both",
                settled,
            )?;
            if let Some(done) = done {
                done?;
                break;
            }
            polls += 1;
            holds(polls < 10_000, "a restore", "to be done within 10,000 polls", round)?;
        }
    }
    Ok(())
}

pub(crate) async fn u05_namespaces_are_told(subject: &Subject<'_>) -> Checked {
    let states = subject.states().await?;
    same("the namespaces at first", states.namespaces().await?, Vec::new())?;
    let of = |namespace: &str, id: &str| StateChange {
        key: StateKey::new(namespace, "kind", id),
        ..change(id, 1, 1)
    };
    let mut expected = Vec::new();
    for namespace in ["b", "a", "a ", "ab", "A", "\u{fc}", "\u{1F600}"] {
        states
            .save(vec![of(namespace, "1"), of(namespace, "2")], Demand::Next)
            .await?;
        expected.push(namespace.to_owned());
        expected.sort_unstable();
        same(
            "the namespaces, by their bytes",
            states.namespaces().await?,
            expected.clone(),
        )?;
    }
    let deleted = StateChange {
        sequence: 2,
        change: Change::Delete,
        payload: None,
        ..of("b", "1")
    };
    states.save(vec![deleted], Demand::Next).await?;
    states.purge(Purge::entities([of("b", "2").key])).await?;
    same(
        "the namespaces, one with a deleted entity",
        states.namespaces().await?,
        expected.clone(),
    )?;
    states.purge(Purge::entities([of("b", "1").key])).await?;
    expected.retain(|namespace| namespace != "b");
    same("the namespaces after a purge", states.namespaces().await?, expected)
}
