//! Attempts at writes to one instance: each is decided on the state that includes those before it, and all are stored as a chain.

use std::{iter, option, vec};

use tracing::Instrument as _;

use super::commit::{commit_chain, receipt};
use super::pending::{Answer, Decided, Decision, End};
use super::{Committed, Failing, Pending, WriteTo, commit, done_before, lost};
use crate::runtime::slot::Turn;
use crate::runtime::state::{Current, Erased};
use crate::runtime::{Receipt, Runtime};
use crate::store::{AppendError, Limits};
use crate::{
    EventEnum as _, EventSourced, LoadError, Position, StoreError, StoreErrorKind, StreamId, Version, metrics,
};

/// The most appends of a chain.
pub(super) const CHAIN: usize = 64;

/// An aggregate instance while it is being written to.
pub(super) struct Instance<'a, A: EventSourced> {
    runtime: &'a Runtime,
    stream: &'a StreamId,
    current: Current<A>,
    age: Age,
    /// The number of attempts of a write that has met a conflict: the next attempt is made after a pause.
    conflicts: Option<u32>,
}

/// The age of a state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    /// It was read for the decisions that are due.
    Newest,
    /// It was the newest when it was kept. Only an append proves that it still is.
    Likely,
    /// The stream is beyond it, or may well be.
    Old,
}

/// The version and the position of the last event that is stored.
type Last = (Version, Position);

/// Of the first appends. The first one by itself needs no allocation.
type Outcomes = iter::Chain<option::IntoIter<Outcome>, vec::IntoIter<Outcome>>;
type Outcome = Result<Committed, AppendError>;

/// The first writes, which go to the store together.
#[derive(Default)]
struct Chain {
    /// The last event before the first append.
    before: Last,
    writes: usize,
    appends: usize,
    /// The number of appends whose events are in the state already.
    folded: usize,
    events: usize,
    bytes: usize,
}

impl<'a, A: EventSourced> Instance<'a, A> {
    /// With the state that the cache has.
    pub(super) fn begin(runtime: &'a Runtime, stream: &'a StreamId, turn: &Turn<'_>) -> Self {
        let cached = turn.take();
        metrics::looked_up(A::NAME, cached.is_some());
        let (current, age) = match cached {
            Some((cached, moved)) => (Erased::typed::<A>(cached), if moved { Age::Old } else { Age::Likely }),
            None => (Current::default(), Age::Old),
        };
        Self {
            runtime,
            stream,
            current,
            age,
            conflicts: None,
        }
    }

    /// Keeps the state for the next turn, unless the stream is beyond it.
    pub(super) fn end(self, turn: Turn<'_>) {
        if self.age != Age::Old {
            turn.keep(self.current);
        }
    }

    /// Decides the writes in their order, and stores what they decide. The first ones have their answer then, and the others are to
    /// be tried again.
    ///
    /// No write has an answer before that is stored on which it was decided: a refusal, too, could rest on money that never came.
    pub(super) async fn attempt(&mut self, writes: &mut [Pending<'_, A>]) {
        if let Some(attempts) = self.conflicts.take() {
            Box::pin(self.runtime.0.retry.pause(attempts)).await;
        }
        if self.age == Age::Old
            && let Err(error) = self.read_on().await
        {
            return fail_to_load(writes, error);
        }
        let chain = self.decide(writes).await;
        if chain.writes == 0 {
            // The state could not be read, and is not kept.
            return;
        }
        let sent = writes[..chain.writes].iter().take_while(|write| write.send()).count();
        let outcomes = self.store(&mut writes[..sent]).await;
        let down = self.conclude(&mut writes[..sent], &chain, outcomes).await;
        for write in writes[..chain.writes].iter_mut().filter(|write| write.answer.is_none()) {
            metrics::retried(A::NAME);
            write.reset();
        }
        if let Some(error) = down {
            fail_all(writes, &error);
        }
    }

    /// Folds what the store has beyond the state. Returns whether there was anything.
    async fn read_on(&mut self) -> Result<bool, LoadError> {
        let read = self.current.catch_up(self.runtime, self.stream).await;
        self.age = Age::Newest;
        if read.is_err() {
            self.forget();
        }
        read
    }

    fn forget(&mut self) {
        self.current = Current::default();
        self.age = Age::Old;
    }

    /// Decides the first writes, each on the state that the ones before it leave.
    async fn decide(&mut self, writes: &mut [Pending<'_, A>]) -> Chain {
        let most = if self.runtime.0.projections.inline().is_some() {
            1
        } else {
            CHAIN
        };
        let mut chain = Chain::default();
        while chain.writes < writes.len() && chain.appends < most {
            let (before, behind) = writes.split_at_mut(chain.writes);
            if let Some(Decision::Append(before)) = before.last_mut().and_then(|write| write.decision.as_mut()) {
                chain.folded += 1;
                if !self.fold(before) {
                    break;
                }
            }
            let write = &mut behind[0];
            write.decide(self.runtime, &self.current);
            // A write without an append, and behind none, is decided on a state that is proven to be the newest.
            if chain.appends == 0 && self.age != Age::Newest && matches!(write.decision, Some(Decision::End(_))) {
                match self.read_on().await {
                    Ok(false) => {}
                    Ok(true) => write.decide(self.runtime, &self.current),
                    Err(error) => {
                        write.decision = None;
                        fail_to_load(writes, error);
                        break;
                    }
                }
            }
            if chain.appends == 0 {
                chain.before = (self.current.version, self.current.position);
            }
            if let Some(Decision::Append(decided)) = &write.decision
                && !chain.takes(decided, self.runtime.0.store.limits())
            {
                write.decision = None;
                break;
            }
            chain.writes += 1;
        }
        chain
    }

    /// Folds what was decided. Returns whether the state is whole.
    fn fold(&mut self, decided: &mut Decided<A>) -> bool {
        let Decided {
            read,
            events,
            last,
            bytes,
            ..
        } = decided;
        self.current.version.0 += *events as u64;
        self.current.last = last.or(self.current.last);
        self.current.bytes += *bytes;
        let is_whole = read.drain(..).all(|event| event.apply(&mut self.current.state).is_ok());
        if !is_whole {
            self.forget();
        }
        is_whole
    }

    /// Stores what was decided. Returns the outcome of each append, up to the first that was not stored.
    async fn store(&self, writes: &mut [Pending<'_, A>]) -> Outcomes {
        let mut appends = writes.iter_mut().filter_map(Pending::append);
        let (one, chain) = match (appends.next(), appends.next()) {
            (None, _) => (None, Vec::new()),
            (Some(one), None) => (Some(one), Vec::new()),
            (Some(first), Some(second)) => (None, [first, second].into_iter().chain(appends).collect()),
        };
        let mut outcomes = (None, Vec::new());
        if let Some(append) = one {
            outcomes.0 = Some(commit(self.runtime, append).await);
        } else if !chain.is_empty() {
            let (category, id) = (self.stream.category(), self.stream.id());
            let span = tracing::info_span!("es.chain", category, id, appends = chain.len());
            for write in writes.iter().filter_map(|write| write.span()) {
                span.follows_from(write);
            }
            outcomes.1 = Box::pin(commit_chain(&*self.runtime.0.store, chain).instrument(span)).await;
        }
        outcomes.0.into_iter().chain(outcomes.1)
    }

    /// Answers the writes up to the first that was not stored, and that one too unless it may be tried again. Returns what failed, if
    /// the store as a whole did.
    async fn conclude(
        &mut self,
        writes: &mut [Pending<'_, A>],
        chain: &Chain,
        mut outcomes: Outcomes,
    ) -> Option<StoreError> {
        let (mut last, mut stored, mut goes_on, mut down) = (chain.before, 0, true, None);
        let mut recorded_at = self.current.recorded_at;
        for write in writes {
            match write.decision.take() {
                Some(Decision::End(end)) if goes_on => {
                    write.answer = Some(self.ended(&write.write, end, last).await);
                }
                Some(Decision::Append(mut decided)) => match outcomes.next() {
                    Some(Ok(Committed::Stored(appended))) if !appended.repeated => {
                        stored += 1;
                        if stored > chain.folded {
                            self.fold(&mut decided);
                        }
                        recorded_at = appended.recorded_at;
                        let receipt = receipt(appended);
                        if let Ok(receipt) = &receipt {
                            metrics::stored(A::NAME, receipt);
                            last = (receipt.version, receipt.position);
                        }
                        write.answer = Some(Ok(receipt));
                    }
                    Some(outcome) => {
                        goes_on = false;
                        down = self.not_stored(write, outcome);
                    }
                    None => goes_on = false,
                },
                Some(Decision::End(_)) | None => {}
            }
        }
        if stored < chain.folded || self.current.version != last.0 {
            self.forget();
        } else {
            self.current.position = last.1;
            self.current.recorded_at = recorded_at;
            self.age = if goes_on { Age::Likely } else { Age::Old };
        }
        self.runtime.appended::<A>(self.stream, chain.before.0, last.0);
        down
    }

    /// Answers a write that ends without an append.
    async fn ended(&self, write: &WriteTo<A>, end: End, (version, position): Last) -> Answer {
        let ended = match end {
            End::Panicked(panic) => return Err(panic),
            End::Failed(error) => Err(error),
            End::Nothing => Ok(Receipt {
                stream: write.stream.clone(),
                version,
                position,
                events: 0,
                repeated: false,
            }),
        };
        // The same request may have been done meanwhile, and be why this one is declined.
        Ok(match done_before(&*self.runtime.0.store, write.key.as_ref()).await {
            Ok(None) => ended,
            Ok(Some(appended)) => receipt(appended),
            Err(error) => Err(error),
        })
    }

    /// Answers a write whose append is not stored now, unless it may be tried again. Returns what failed, if the store as a whole did.
    fn not_stored(&mut self, write: &mut Pending<'_, A>, outcome: Outcome) -> Option<StoreError> {
        let is_lost_race = match &outcome {
            Ok(Committed::Not) => true,
            Err(AppendError::Conflict { actual, .. }) => {
                // The log was restored to an earlier point: what was folded is not in it, or not in that place.
                if *actual <= self.current.version {
                    self.forget();
                }
                write.write.expected.is_none()
            }
            _ => false,
        };
        if is_lost_race && self.runtime.0.retry.allows_another(write.attempts) {
            self.conflicts = Some(write.attempts);
            write.attempts += 1;
            return None;
        }
        let down = match &outcome {
            Err(AppendError::Store(error)) if is_down(error) => Some(error.copy()),
            _ => None,
        };
        let failing = Failing {
            attempts: write.attempts,
            demanded: write.write.expected.is_some(),
            keyed: write.write.key.is_some(),
        };
        write.answer = Some(Ok(match outcome {
            Ok(Committed::Stored(repeated)) => receipt(repeated),
            Ok(Committed::Not) => Err(lost().into()),
            Err(error) => Err(failing.with(error)),
        }));
        down
    }
}

impl Chain {
    /// Adds an append, unless there is no room for it.
    fn takes<A: EventSourced>(&mut self, decided: &Decided<A>, limits: &Limits) -> bool {
        let (events, bytes) = (self.events + decided.events, self.bytes + decided.bytes);
        let has_room = self.appends == 0 || events <= limits.events && bytes <= limits.bytes;
        if has_room {
            (self.events, self.bytes) = (events, bytes);
            self.appends += 1;
        }
        has_room
    }
}

/// Fails the first of the writes, which is the one to find it; and all of them, if none could be done.
fn fail_to_load<A: EventSourced>(writes: &mut [Pending<'_, A>], error: LoadError) {
    let down = match &error {
        LoadError::Store(error) if is_down(error) => Some(error.copy()),
        _ => None,
    };
    if let Some(first) = writes.first_mut() {
        first.answer = Some(Ok(Err(error.into())));
    }
    if let Some(error) = down {
        fail_all(writes, &error);
    }
}

/// Fails the writes that have no answer.
fn fail_all<A: EventSourced>(writes: &mut [Pending<'_, A>], error: &StoreError) {
    for write in writes.iter_mut().filter(|write| write.answer.is_none()) {
        write.answer = Some(Ok(Err(error.copy().into())));
    }
}

/// Returns whether the store fails whatever it is asked.
fn is_down(error: &StoreError) -> bool {
    use StoreErrorKind::{Closed, Full, Unavailable};
    matches!(error.kind(), Unavailable | Full | Closed)
}
