//! D16 to D18 and Q06: appends of every kind, sent together. Whatever travels in one batch, each has the result that it would have alone.

use es_runtime::store::{Append, IdempotencyKey, StreamAppend};
use es_runtime::{AnyRefusal, AppendId, EventId, ExecuteError, ExpectedVersion, Receipt, Runtime, StreamId, Version};
use futures_util::future::join_all;

use crate::Capability;
use crate::check::{Among, Checked, Stop, same};
use crate::domain::{Count, Counted, keeper};
use crate::idempotency::key;
use crate::model::{Answered, Model};
use crate::random::Random;
use crate::sample::{event, events, stream};
use crate::scale::scaled;
use crate::subject::{Store, Subject, at_once};

pub(crate) async fn d16_mixed_batches_equal_one_by_one(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut model = Model::default();
    let mut plan = Plan::new(subject);
    for number in 0..scaled(300, 20_000) {
        let batch = plan.batch(&model);
        let answers = if number % 2 == 0 {
            in_one_task(&store, batch).await
        } else {
            at_once(batch.into_iter().map(|append| {
                let store = store.clone();
                async move { Answered::alone(append.clone(), store.append(append).await) }
            }))
            .await
        };
        model
            .check(&store, answers)
            .await
            .among(format_args!("batch {number}"))?;
    }
    Ok(())
}

pub(crate) async fn q06_chains_and_single_appends_share_a_batch(subject: &Subject<'_>) -> Checked {
    const CALLERS: usize = 16;
    let store = subject.open().await;
    let mut model = Model::default();
    let mut plan = Plan::new(subject);
    for number in 0..scaled(100, 5_000) {
        let sent: Vec<Vec<Append>> = (0..CALLERS).map(|_| plan.chain(&model)).collect();
        let calls = sent.into_iter().map(|appends| {
            let store = store.clone();
            async move {
                let answers = store.append_chain(appends.clone()).await;
                (appends, answers)
            }
        });
        let answers = if number % 2 == 0 {
            join_all(calls).await
        } else {
            at_once(calls).await
        };
        let mut batch = Vec::new();
        for (appends, answers) in answers {
            batch.extend(Answered::of_a_chain(appends, answers)?);
        }
        model.check(&store, batch).await.among(format_args!("batch {number}"))?;
    }
    Ok(())
}

pub(crate) async fn d17_keys_survive_conflicting_neighbours(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut model = Model::default();
    let stored = keyed("stored", 1, vec![part("stored", ExpectedVersion::NoStream, 1)]);
    model
        .check(&store, in_one_task(&store, vec![stored.clone()]).await)
        .await?;

    let kinds = Kind::all(subject.offers(Capability::MultiStream));
    for (number, (first, second, third)) in triples(&kinds).enumerate() {
        let batch = [first, second, third];
        let batch = (0..)
            .zip(batch)
            .map(|(place, kind)| kind.append(&format!("{number}-{place}"), &stored))
            .collect();
        model
            .check(&store, in_one_task(&store, batch).await)
            .await
            .among(format_args!("{first:?}, {second:?} and {third:?} sent together"))?;
    }
    Ok(())
}

pub(crate) async fn d18_keys_under_several_runtimes(subject: &Subject<'_>) -> Checked {
    const TASKS: u64 = 16;
    let store = subject.open().await;
    let runtimes = [runtime(subject).await?, runtime(subject).await?];
    for round in 0..scaled(10, 200) {
        let done = at_once((0..TASKS).map(|task| {
            let runtimes = runtimes.clone();
            // Two tasks meet in one stream.
            let own = format!("{round}-{}", task / 2);
            async move {
                requests(&runtimes, &own, task)
                    .await
                    .map(|receipts| (own, task, receipts))
            }
        }))
        .await;
        for done in done {
            let (own, task, receipts) =
                done.map_err(|error| Stop::broken("a command", "success", format_args!("{error:?}")))?;
            let own = StreamId::new("keeper", own);
            let note = format!("\"task {task}\"");
            let events = store.events_of(&own).await?;
            let stored: Vec<_> = events
                .into_iter()
                .filter(|event| String::from_utf8_lossy(&event.payload).contains(&note))
                .map(|event| (event.stream, event.version, event.position))
                .collect();
            for (which, receipts) in ["first", "second"].into_iter().zip(receipts) {
                let told: Vec<_> = receipts
                    .into_iter()
                    .map(|receipt| (receipt.stream, receipt.version, receipt.position))
                    .collect();
                same(
                    format_args!("the receipts of task {task} in round {round}, the {which} time, beside its events"),
                    told,
                    stored.clone(),
                )?;
            }
        }
    }
    store.check_log().await.map(drop)
}

async fn runtime(subject: &Subject<'_>) -> Checked<Runtime> {
    Ok(Runtime::builder(subject.open().await.0).start().await?)
}

/// Sends requests to the keeper `own`, each at once to both runtimes, with commands over two streams without a key between them.
/// Gives the receipts of both.
async fn requests(
    runtimes: &[Runtime; 2],
    own: &str,
    task: u64,
) -> Result<[Vec<Receipt>; 2], ExecuteError<AnyRefusal>> {
    let mut receipts = [Vec::new(), Vec::new()];
    for request in 0..4 {
        let others = ["a", "b"].map(|which| keeper::<Counted>(&format!("{own}-keyless-{task}-{which}")));
        let both = runtimes[0].atomically(async |tx| {
            tx.execute(others[0].clone(), Count::default()).await?;
            tx.execute(others[1].clone(), Count::default()).await
        });
        both.await
            .map_err(|error| error.map_refused(|refusal| unreachable!("no count is refused: {refusal}")))?;
        let sent = runtimes.each_ref().map(|runtime| {
            let command = Count::noting(format!("task {task}"));
            let sent = runtime.execute(keeper::<Counted>(own), command);
            sent.idempotency_key(format!("{own}-{task}-{request}")).into_future()
        });
        for (receipts, receipt) in receipts.iter_mut().zip(join_all(sent).await) {
            receipts.push(receipt.map_err(|error| error.map_refused(AnyRefusal::new))?);
        }
    }
    Ok(receipts)
}

/// Sends appends in this order, without waiting for an answer in between.
async fn in_one_task(store: &Store, batch: Vec<Append>) -> Vec<Answered> {
    let sent = batch.into_iter().map(|append| async {
        let answer = store.append(append.clone()).await;
        Answered::alone(append, answer)
    });
    join_all(sent).await
}

pub(crate) fn part(id: &str, expected: ExpectedVersion, count: u64) -> StreamAppend {
    StreamAppend {
        stream: stream(id),
        expected,
        last: None,
        events: events(0..count),
    }
}

fn append(key: Option<IdempotencyKey>, streams: Vec<StreamAppend>) -> Append {
    Append {
        id: AppendId::new(),
        key,
        streams,
    }
}

fn keyed(name: &str, content: u128, streams: Vec<StreamAppend>) -> Append {
    append(Some(key(name, content)), streams)
}

/// The kinds of appends in D17.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Keyless,
    Keyed,
    KeylessConflict,
    KeyedConflict,
    Repetition,
    Mismatch,
    KeyedRead,
    OverStreams,
    KeyedOverStreams,
    ConflictOverStreams,
}

impl Kind {
    fn all(may_span: bool) -> Vec<Self> {
        use Kind::{
            ConflictOverStreams, Keyed, KeyedConflict, KeyedOverStreams, KeyedRead, Keyless, KeylessConflict, Mismatch,
            OverStreams, Repetition,
        };
        let mut all = vec![
            Keyless,
            Keyed,
            KeylessConflict,
            KeyedConflict,
            Repetition,
            Mismatch,
            KeyedRead,
        ];
        if may_span {
            all.extend([OverStreams, KeyedOverStreams, ConflictOverStreams]);
        }
        all
    }

    /// An append of this kind, with names of its own; `stored` is what can be repeated.
    fn append(self, name: &str, stored: &Append) -> Append {
        use ExpectedVersion::{Any, Exists};
        let two = |expected| {
            vec![
                part(&format!("{name}-a"), Any, 2),
                part(&format!("{name}-b"), expected, 1),
            ]
        };
        match self {
            Self::Keyless => append(None, vec![part(name, Any, 1)]),
            Self::Keyed => keyed(name, 1, vec![part(name, Any, 2)]),
            Self::KeylessConflict => append(None, vec![part(name, Exists, 1)]),
            Self::KeyedConflict => keyed(name, 1, vec![part(name, Exists, 2)]),
            Self::Repetition => stored.clone(),
            Self::Mismatch => keyed("stored", 2, vec![part(name, Any, 1)]),
            Self::KeyedRead => keyed(name, 1, vec![part("stored", Exists, 0)]),
            Self::OverStreams => append(None, two(Any)),
            Self::KeyedOverStreams => keyed(name, 1, two(Any)),
            Self::ConflictOverStreams => keyed(name, 1, two(Exists)),
        }
    }
}

fn triples(kinds: &[Kind]) -> impl Iterator<Item = (Kind, Kind, Kind)> {
    kinds.iter().flat_map(move |&first| {
        let seconds = kinds.iter();
        seconds.flat_map(move |&second| kinds.iter().map(move |&third| (first, second, third)))
    })
}

/// Batches of random appends over few streams.
struct Plan {
    random: Random,
    /// Requests that were sent before, to be sent again.
    sent: Vec<Append>,
    batches: u64,
    may_span: bool,
}

impl Plan {
    fn new(subject: &Subject<'_>) -> Self {
        Self {
            random: subject.random(),
            sent: Vec::new(),
            batches: 0,
            may_span: subject.offers(Capability::MultiStream),
        }
    }

    /// One append, or some of which each expects what the one before leaves, with another one in their midst at times.
    fn chain(&mut self, model: &Model) -> Vec<Append> {
        self.batches += 1;
        let length = 1 + self.random.below(5);
        let mut chain = Vec::new();
        let own = self.parts(model).remove(0).stream;
        let (mut version, mut last) = (model.version(&own), model.last(&own));
        for number in 0..length {
            let mut append = self.append(model, number);
            if length > 1 && self.random.below(8) > 0 {
                let events = events(0..=self.random.below(3));
                append.id = AppendId::new();
                append.key = append.key.filter(|_| self.random.below(3) == 0);
                append.streams = vec![StreamAppend {
                    stream: own.clone(),
                    expected: match self.random.below(8) {
                        0 => ExpectedVersion::Any,
                        1 => ExpectedVersion::Exists,
                        _ => ExpectedVersion::Exact(version),
                    },
                    last: self.last(last),
                    events,
                }];
            }
            for part in append.streams.iter().filter(|part| part.stream == own) {
                version.0 += part.events.len() as u64;
                last = part.events.last().map(|event| event.id).or(last);
            }
            self.sent.push(append.clone());
            chain.push(append);
        }
        self.forget();
        chain
    }

    fn batch(&mut self, model: &Model) -> Vec<Append> {
        self.batches += 1;
        let size = 1 + self.random.below(12);
        let mut batch = Vec::new();
        for number in 0..size {
            let append = self.append(model, number);
            self.sent.push(append.clone());
            batch.push(append);
        }
        self.forget();
        batch
    }

    /// Forgets old appends: only recent ones, or those of the same batch, are repeated.
    fn forget(&mut self) {
        let kept = self.sent.len().min(40);
        self.sent.drain(..self.sent.len() - kept);
    }

    fn append(&mut self, model: &Model, number: u64) -> Append {
        let before = self.random.below(self.sent.len().max(1) as u64);
        let before = self.sent.get(usize::try_from(before).unwrap_or_default()).cloned();
        match (self.random.below(8), before) {
            // The same request, with its id and its key.
            (0, Some(before)) => before,
            // The same request, sent by somebody who decided it anew; or another one under its key.
            (kind @ (1 | 2), Some(Append { key: Some(key), .. })) => {
                let content = key.fingerprint.as_u128() + u128::from(kind == 2);
                keyed(&key.key, content, self.parts(model))
            }
            (3..=5, _) => {
                // Two of a batch may have one key.
                let name = format!("{}-{}", self.batches, self.random.below(1 + number));
                keyed(&name, 1, self.parts(model))
            }
            _ => {
                let mut parts = self.parts(model);
                if parts.iter().all(|part| part.events.is_empty()) {
                    parts[0].events = events(0..1);
                }
                append(None, parts)
            }
        }
    }

    fn parts(&mut self, model: &Model) -> Vec<StreamAppend> {
        const STREAMS: u64 = 5;
        // New streams from time to time, so that there are some without events.
        let generation = self.batches / 8;
        let first = self.random.below(STREAMS);
        let most = if self.may_span { 3 } else { 1 };
        let count = 1 + self.random.below(most);
        (0..count)
            .map(|offset| {
                let id = format!("{generation}-{}", (first + offset) % STREAMS);
                let version = model.version(&stream(&id));
                let expected = match self.random.below(6) {
                    0 => ExpectedVersion::NoStream,
                    1 => ExpectedVersion::Exists,
                    2 | 3 => ExpectedVersion::Any,
                    _ => ExpectedVersion::Exact(Version(version.0 + self.random.below(3))),
                };
                StreamAppend {
                    last: self.last(model.last(&stream(&id))),
                    ..part(&id, expected, self.random.below(4))
                }
            })
            .collect()
    }

    /// Returns the event that an append expects a stream to end with: any, or the newest, or seldom one that is not there.
    fn last(&mut self, newest: Option<EventId>) -> Option<EventId> {
        match self.random.below(16) {
            0 => Some(event(0).id),
            1..=5 => newest,
            _ => None,
        }
    }
}
