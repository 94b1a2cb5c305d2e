//! The work of a subscription with a handler under one lease: takes events in, has them tried, and keeps the cursor before the first that
//! is not done.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use backon::ExponentialBackoff;
use futures_core::future::BoxFuture;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::calls::{Call, Calls, Order};
use super::handler::{SOON, Trouble};
use super::lanes::Lanes;
use super::reader::{Room, Sink, Space};
use super::window::Window;
use super::work::{Ended, Failed, Work};
use super::{Cursor, Reading, SubscriptionError};
use crate::consumer::{Key, Keys, Sequences, Tenure, Trial, Turn, backoff, guarded, next, sequence, text_of};
use crate::error::chain;
use crate::projection::{ApplyError, OnFailure, Status};
use crate::store::{CommitError, Lease, Parked, ReadLog};
use crate::{Position, RecordedEvent, StoreError};

/// How many events the handler of batches is given at once at most, and how many bytes.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;

/// What gives an event another key than its stream.
pub(crate) type By<T> = Arc<dyn Fn(&T) -> String + Send + Sync>;

/// What is done with events, and how.
pub(crate) struct Manner<T> {
    pub(crate) reading: Reading<T>,
    pub(crate) work: Work<T>,
    pub(crate) by: Option<By<T>>,
    /// How many events are tried at once.
    pub(crate) at_once: usize,
    /// How often an event is tried before it is held or parked.
    pub(crate) attempts: u32,
    pub(crate) poison: OnFailure,
}

/// What was read of the log.
pub(super) enum Read {
    Event(RecordedEvent, Room),
    /// Nothing more was there.
    End,
    /// Nothing could be read.
    Nothing,
}

/// What was read goes to the handler.
pub(super) struct Intake<'a, T> {
    pub(super) manner: &'a Manner<T>,
    pub(super) window: Arc<Window>,
    pub(super) space: Arc<Space>,
    pub(super) reads: mpsc::UnboundedSender<Read>,
}

impl<T: Send> Sink for Intake<'_, T> {
    fn window(&self) -> &Window {
        &self.window
    }

    fn query(&self, after: Position, to: Position) -> ReadLog {
        self.manner.reading.query(after, to)
    }

    async fn send(&self, event: RecordedEvent) {
        let room = self.space.room(event.size()).await;
        self.window.sent(event.position, event.recorded_at, 1);
        // The work may be over.
        drop(self.reads.send(Read::Event(event, room)));
    }

    fn caught_up(&self) {
        drop(self.reads.send(Read::End));
    }

    fn interrupted(&self) {
        drop(self.reads.send(Read::Nothing));
    }
}

/// The work under a lease.
pub(super) struct Handling<'a, T> {
    pub(super) cursor: &'a Arc<Cursor>,
    pub(super) manner: &'a Manner<T>,
    pub(super) trial: &'a mut Trial,
    pub(super) sequences: &'a mut Sequences,
    tenure: &'a Tenure,
    window: Arc<Window>,
    reads: mpsc::UnboundedReceiver<Read>,
    /// What was read and is not taken in.
    queue: VecDeque<RecordedEvent>,
    /// The room of all events from the cursor on: they are the window, and come again after a kill.
    space: Arc<Space>,
    rooms: VecDeque<(Position, Room)>,
    pub(super) lanes: Lanes<T>,
    in_flight: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// The event that was noted first in this tenure, until it is done.
    noted: Option<Position>,
    /// Events that are not tried any more, and are not parked. Nothing behind them is begun.
    held: BTreeSet<Position>,
    /// How many events go into a batch.
    batch: usize,
    /// Where the cursor stands in the store. `None` if that has to be asked.
    stored: Option<Position>,
    stored_at: Instant,
    storing: Option<BoxFuture<'static, Result<Position, SubscriptionError>>>,
    failing: ExponentialBackoff,
    /// Before this the cursor is not stored again, as it failed, and up to where everything was done then.
    not_before: Option<Instant>,
    failed_at: Position,
    /// What is parked when the cursor is stored the next time, and what is being parked.
    aside: Vec<Parked>,
    parking: Vec<Parked>,
    /// Whether something was done since the cursor was stored.
    is_worth_storing: bool,
    /// Whether everything that is there was read.
    is_at_end: bool,
}

/// What is next.
enum Came {
    Call(Call),
    Ended(Ended),
    Stored(Result<Position, SubscriptionError>),
    Read(Read),
    Due,
}

impl<'a, T: Send + 'static> Handling<'a, T> {
    pub(super) fn new(
        cursor: &'a Arc<Cursor>,
        trial: &'a mut Trial,
        sequences: &'a mut Sequences,
        tenure: &'a Tenure,
        intake: &Intake<'a, T>,
        reads: mpsc::UnboundedReceiver<Read>,
    ) -> Self {
        let (window, space) = (Arc::clone(&intake.window), Arc::clone(&intake.space));
        let stored = window.done_to();
        Self {
            cursor,
            manner: intake.manner,
            trial,
            sequences,
            tenure,
            window,
            space,
            reads,
            queue: VecDeque::new(),
            rooms: VecDeque::new(),
            lanes: Lanes::new(),
            in_flight: FuturesUnordered::new(),
            noted: None,
            held: BTreeSet::new(),
            batch: BATCH,
            stored: Some(stored),
            stored_at: Instant::now(),
            storing: None,
            failing: patience(),
            not_before: None,
            failed_at: stored,
            aside: Vec::new(),
            parking: Vec::new(),
            is_worth_storing: false,
            is_at_end: false,
        }
    }

    pub(super) fn lease(&self) -> &'a Lease {
        &self.tenure.lease
    }

    /// Handles what is there, and then what comes; the order first.
    pub(super) async fn run(&mut self, calls: &mut Calls, order: Option<Order>) -> Result<Infallible, Trouble> {
        let reader = &self.cursor.standing.reader;
        let (cursor, manner) = (self.cursor, self.manner);
        let keys = |event: &RecordedEvent| manner.keys(event);
        let sequenced: Option<&sequence::KeysOf<'_>> = match manner.poison {
            OnFailure::Park => Some(&keys),
            OnFailure::ParkAlone | OnFailure::Hold => None,
        };
        self.sequences
            .enter(&cursor.cursors, reader, self.lease(), sequenced)
            .await?;
        cursor.standing.is(Status::CatchingUp);
        if let Some(order) = order {
            self.obey(order).await?;
        }
        loop {
            self.take_in(false).await?;
            self.begin().await?;
            self.check_held().await?;
            self.store_soon();
            self.tell();
            match self.next(calls).await {
                Came::Call(Call::Order(order)) => self.obey(order).await?,
                Came::Call(call) => return Err(call.into()),
                Came::Ended(ended) => self.ended(ended).await?,
                Came::Stored(stored) => self.stored(stored)?,
                Came::Read(read) => self.heard_all(read),
                Came::Due => {}
            }
        }
    }

    /// Ends what was begun, and stores the cursor. What is not stored now is done again.
    pub(super) async fn end(&mut self, stores: bool) {
        while let Some(ended) = self.in_flight.next().await {
            if self.ended(ended).await.is_err() {
                break;
            }
        }
        // Also where the one before could not be told of.
        while self.in_flight.next().await.is_some() {}
        if stores {
            drop(guarded("storing the cursor", self.store()).await);
        }
    }

    async fn next(&mut self, calls: &mut Calls) -> Came {
        let mut timer = self.lanes.next_due();
        if self.storing.is_none() && (self.window.done_to() > self.stored.unwrap_or_default() || !self.aside.is_empty())
        {
            let soon = self.not_before.unwrap_or(self.stored_at + SOON);
            timer = Some(timer.map_or(soon, |timer| timer.min(soon)));
        }
        let Self {
            in_flight,
            storing,
            reads,
            tenure,
            ..
        } = self;
        let mut call = pin!(calls.or(Some(tenure), pending::<Infallible>()));
        let mut due = pin!(async {
            match timer {
                Some(timer) => sleep_until(timer).await,
                None => pending().await,
            }
        });
        let mut known = pin!(async {
            match tenure.held.now() {
                None => tenure.held.clone().known().await,
                Some(_) => pending().await,
            }
        });
        poll_fn(|context| {
            if let Poll::Ready(Err(call)) = call.as_mut().poll(context) {
                return Poll::Ready(Came::Call(call));
            }
            if let Poll::Ready(Some(ended)) = in_flight.poll_next_unpin(context) {
                return Poll::Ready(Came::Ended(ended));
            }
            if let Some(future) = storing
                && let Poll::Ready(stored) = future.as_mut().poll(context)
            {
                *storing = None;
                return Poll::Ready(Came::Stored(stored));
            }
            if let Poll::Ready(Some(read)) = reads.poll_recv(context) {
                return Poll::Ready(Came::Read(read));
            }
            if due.as_mut().poll(context).is_ready() || known.as_mut().poll(context).is_ready() {
                return Poll::Ready(Came::Due);
            }
            Poll::Pending
        })
        .await
    }

    /// Takes up all that was read by now, so that batches are as large as they can be.
    fn heard_all(&mut self, first: Read) {
        self.heard(first);
        while let Ok(read) = self.reads.try_recv() {
            self.heard(read);
        }
    }

    fn heard(&mut self, read: Read) {
        match read {
            Read::Event(event, room) => {
                self.is_at_end = false;
                self.rooms.push_back((event.position, room));
                self.queue.push_back(event);
            }
            Read::End => self.is_at_end = true,
            Read::Nothing => self.is_at_end = false,
        }
    }

    /// Whether events are tried one after the other, whatever their keys.
    fn is_in_order(&self) -> bool {
        self.manner.at_once == 1 || self.trial.is_careful()
    }

    /// Takes in what was read, as far as it may be tried: if `one`, only the first that is wanted.
    pub(super) async fn take_in(&mut self, one: bool) -> Result<(), Trouble> {
        while self.held.is_empty()
            && !(self.lanes_are_in_use() && (one || self.trial.is_careful()))
            && self.tenure.held.now() == Some(true)
            && let Some(event) = self.queue.pop_front()
        {
            self.take(event).await?;
        }
        Ok(())
    }

    fn lanes_are_in_use(&self) -> bool {
        !self.lanes.is_empty()
    }

    async fn take(&mut self, event: RecordedEvent) -> Result<(), Trouble> {
        let position = event.position;
        if self.sequences.has(position) {
            // Parked before the cursor could pass it.
            self.window.done(position, 0);
            return Ok(());
        }
        // Before it is read: that may end the process too.
        if !self.trial.is_noted(self.lease()) {
            let turn = self.trial.begin(&event, false, self.lease()).await;
            if let Turn::Ended { times, attempts } = turn.map_err(|error| self.failure(error))? {
                self.lanes.add(event.clone(), Keys::unread(&event.stream), None);
                let error = ApplyError::Ended { times }.to_string();
                return self.refuse(&event, Failed::for_good(error), attempts).await;
            }
            if self.trial.is_noted(self.lease()) {
                self.noted = Some(position);
            }
        }
        let (read, keys) = self.manner.read_in(&event);
        match read {
            Ok(items) if items.is_empty() => self.done(position, false).await,
            read => match self.sequences.ahead_of(position, &keys) {
                Some(first) if !self.sequences.is_full() => {
                    self.park(&event, keys, sequence::parked_behind(&event, first));
                    self.written(position).await
                }
                Some(_) => {
                    self.lanes.add(event.clone(), keys, None);
                    self.hold_full(&event);
                    Ok(())
                }
                None => {
                    let failed = match read {
                        Ok(items) => {
                            self.lanes.add(event, keys, Some(items));
                            return Ok(());
                        }
                        Err(failed) => failed,
                    };
                    self.lanes.add(event.clone(), keys, None);
                    self.refuse(&event, failed, 1).await
                }
            },
        }
    }

    /// Has as many events tried as may be.
    async fn begin(&mut self) -> Result<(), Trouble> {
        while self.tenure.held.now() == Some(true) {
            let (now, is_in_order) = (Instant::now(), self.is_in_order());
            let has_room = self.lanes.begun() < if is_in_order { 1 } else { self.manner.at_once };
            let next = match is_in_order {
                _ if !has_room => None,
                true => self.lanes.next_in_order(now),
                false => self.lanes.next(now),
            };
            let first_held = self.held.first();
            let Some(position) = next.filter(|next| first_held.is_none_or(|held| next < held)) else {
                return Ok(());
            };
            if self.note_again(position).await? {
                self.start(position);
            }
        }
        Ok(())
    }

    /// Before an event is tried alone once more. Whether it may be.
    pub(super) async fn note_again(&mut self, position: Position) -> Result<bool, Trouble> {
        let is_in_order = self.is_in_order();
        let Some(waiting) = self
            .lanes
            .get(position)
            .filter(|waiting| is_in_order && waiting.attempts > 0)
        else {
            return Ok(true);
        };
        let event = waiting.event.clone();
        let turn = self.trial.begin(&event, false, self.lease()).await;
        if let Turn::Ended { times, attempts } = turn.map_err(|error| self.failure(error))? {
            let error = ApplyError::Ended { times }.to_string();
            self.refuse(&event, Failed::for_good(error), attempts).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Has the handler take the event, and if it takes batches, those behind it.
    fn start(&mut self, position: Position) {
        let mut positions = vec![position];
        if let Work::Many(_) = self.manner.work
            && !self.trial.is_careful()
            && self.lanes.get(position).is_some_and(|waiting| waiting.attempts == 0)
        {
            let (most, mut bytes) = (self.batch, 0);
            let first_held = self.held.first().copied();
            let mut count = 0;
            positions = self.lanes.batch(|waiting| {
                bytes += waiting.event.size();
                count += 1;
                let is_before = first_held.is_none_or(|held| waiting.event.position < held);
                is_before && count <= most && (count == 1 || bytes <= BATCH_BYTES)
            });
        }
        let attempt = self.attempt(&positions);
        self.in_flight.push(attempt);
    }

    /// Calls the handler for these events.
    pub(super) fn attempt(&mut self, positions: &[Position]) -> BoxFuture<'static, Ended> {
        let mut events = Vec::with_capacity(positions.len());
        for position in positions {
            self.lanes.begin(*position);
            let Some(waiting) = self.lanes.get(*position) else {
                continue;
            };
            let items = match waiting.items.take() {
                Some(items) => Ok(items),
                None => self.manner.read(&waiting.event),
            };
            match items {
                Ok(items) => events.push((*position, items)),
                Err(failed) => {
                    let ended = Ended::failed(*position, failed);
                    return Box::pin(async { ended });
                }
            }
        }
        self.is_worth_storing = true;
        self.manner.work.call(events, &self.cursor.standing)
    }

    /// Notes what came of a call.
    pub(super) async fn ended(&mut self, ended: Ended) -> Result<(), Trouble> {
        let Ended {
            done,
            failed,
            left,
            divides,
        } = ended;
        self.batch = if divides { (left.len() / 2).max(1) } else { BATCH };
        for position in left {
            self.lanes.put_back(position);
        }
        for position in done {
            self.done(position, true).await?;
        }
        match failed {
            Some((position, failed)) => self.failed(position, failed).await,
            None => Ok(()),
        }
    }

    /// The event is done, or was not wanted.
    pub(super) async fn done(&mut self, position: Position, was_wanted: bool) -> Result<(), Trouble> {
        self.lanes.remove(position);
        self.held.remove(&position);
        self.window.done(position, 0);
        self.cursor.standing.metrics.took(usize::from(was_wanted));
        self.written(position).await
    }

    /// The event is no more in the way. One that was noted before it was tried is not, once that is written.
    async fn written(&mut self, position: Position) -> Result<(), Trouble> {
        let is_careful = self.trial.is_careful();
        if is_careful {
            self.store().await?;
        }
        if is_careful || self.noted == Some(position) {
            self.noted = None;
            self.trial.done(1);
        }
        Ok(())
    }

    async fn failed(&mut self, position: Position, failed: Failed) -> Result<(), Trouble> {
        let is_in_order = self.is_in_order();
        if is_in_order {
            // What is done before it need not wait for it.
            self.store().await?;
        }
        let Some(waiting) = self.lanes.get(position) else {
            return Ok(());
        };
        let event = waiting.event.clone();
        let mut attempts = waiting.attempts.saturating_add(1);
        if is_in_order {
            let counted = self.trial.failed(&event, self.lease()).await;
            attempts = counted.map_err(|error| self.failure(error))?;
        }
        if let Some(waiting) = self.lanes.get(position) {
            waiting.attempts = attempts;
        }
        if failed.for_good || attempts >= self.manner.attempts {
            return self.refuse(&event, failed, attempts).await;
        }
        self.lanes.pause(position);
        let error = SubscriptionError::Failed {
            position,
            error: failed.error,
        };
        self.cursor.standing.fail(Status::Retrying, &error, Some(position));
        Ok(())
    }

    /// Holds before an event that is not tried any more, or parks it.
    async fn refuse(&mut self, event: &RecordedEvent, failed: Failed, attempts: u32) -> Result<(), Trouble> {
        let position = event.position;
        if self.manner.poison == OnFailure::Park && self.sequences.is_full() {
            self.hold_full(event);
            return Ok(());
        }
        let error = SubscriptionError::Failed {
            position,
            error: failed.error,
        };
        if self.manner.poison == OnFailure::Hold {
            if let Some(waiting) = self.lanes.get(position) {
                waiting.attempts = attempts;
            }
            self.lanes.hold(position);
            self.held.insert(position);
            self.cursor.standing.fail(Status::Held, &error, Some(position));
            return Ok(());
        }
        self.cursor.standing.note(Status::CatchingUp, &error, Some(position));
        tracing::error!(subscription = self.cursor.name(), %position, %error, "an event is parked");
        let Some(waiting) = self.lanes.remove(position) else {
            return Ok(());
        };
        self.park(event, waiting.keys, sequence::parked(event, &chain(&error), attempts));
        self.park_behind(position);
        self.written(position).await
    }

    /// Parks those that were taken in, and stand behind a parked event now.
    fn park_behind(&mut self, position: Position) {
        if self.manner.poison != OnFailure::Park {
            return;
        }
        let behind: Vec<_> = self.lanes.behind(position).map(|(behind, _)| behind).collect();
        for position in behind {
            let Some(waiting) = self.lanes.get(position) else {
                continue;
            };
            let (event, keys) = (waiting.event.clone(), waiting.keys.clone());
            let Some(first) = self.sequences.ahead_of(position, &keys) else {
                continue;
            };
            if self.sequences.is_full() {
                self.hold_full(&event);
                return;
            }
            self.lanes.remove(position);
            self.held.remove(&position);
            self.park(&event, keys, sequence::parked_behind(&event, first));
        }
    }

    /// The event is parked when the cursor is stored the next time.
    fn park(&mut self, event: &RecordedEvent, keys: Keys, parked: Parked) {
        self.sequences.doubt();
        let keys = (self.manner.poison == OnFailure::Park).then_some(keys);
        self.sequences.park(event.position, keys);
        self.aside.push(parked);
        self.window.done(event.position, 0);
        self.cursor.standing.metrics.parked();
    }

    /// Holds before an event that is to be parked where no more may be.
    fn hold_full(&mut self, event: &RecordedEvent) {
        self.lanes.hold(event.position);
        self.held.insert(event.position);
        let error = SubscriptionError::TooManyParked {
            position: event.position,
            parked: Sequences::MOST,
        };
        self.cursor.standing.fail(Status::Held, &error, Some(event.position));
    }

    /// Fails before an event that is held, once everything before it is done.
    async fn check_held(&mut self) -> Result<(), Trouble> {
        let Some(position) = self.held.first().copied() else {
            return Ok(());
        };
        if !self.in_flight.is_empty() || self.lanes.first() != Some(position) {
            return Ok(());
        }
        if !self.is_in_order()
            && let Some(waiting) = self.lanes.get(position).filter(|waiting| waiting.attempts > 0)
        {
            // So that the next tenure tries it before all else.
            let (event, attempts) = (waiting.event.clone(), waiting.attempts);
            let noted = self.trial.note(&event, attempts, self.lease()).await;
            noted.map_err(|error| self.failure(error))?;
        }
        Err(Trouble::Held)
    }

    /// Stores the cursor if it is time, beside what else goes on.
    fn store_soon(&mut self) {
        let is_late = self.stored_at.elapsed() >= SOON;
        let is_idle = self.is_at_end && self.lanes.is_empty() && self.queue.is_empty();
        let is_due = is_late || self.space.is_scarce() || !self.aside.is_empty() || (is_idle && self.is_worth_storing);
        let may = self.not_before.is_none_or(|time| time <= Instant::now());
        if is_due && may && self.storing.is_none() {
            self.begin_storing();
        }
    }

    fn begin_storing(&mut self) {
        let to = self.window.done_to();
        if self.stored.is_some_and(|stored| to <= stored) && self.aside.is_empty() {
            return;
        }
        self.parking = std::mem::take(&mut self.aside);
        self.is_worth_storing = false;
        let (cursor, lease, park) = (Arc::clone(self.cursor), self.lease().clone(), self.parking.clone());
        // Taken: until it is known what comes of this, it is not known where the cursor stands.
        let from = self.stored.take();
        self.storing = Some(Box::pin(async move {
            guarded("storing the cursor", cursor.move_to(from, to, park, &lease)).await
        }));
    }

    /// Notes what came of storing the cursor. What fails for a while is tried again.
    fn stored(&mut self, stored: Result<Position, SubscriptionError>) -> Result<(), Trouble> {
        match stored {
            Ok(stored) => {
                self.stored = Some(stored);
                self.stored_at = Instant::now();
                while self.rooms.front().is_some_and(|(position, _)| *position <= stored) {
                    self.rooms.pop_front();
                }
                self.parking.clear();
                self.not_before = None;
                if self.aside.is_empty() {
                    self.sequences.trust();
                }
                Ok(())
            }
            Err(error) => {
                let parking = std::mem::take(&mut self.parking);
                self.aside.splice(..0, parking);
                self.is_worth_storing = true;
                if !error.is_transient() {
                    return Err(error.into());
                }
                self.cursor.standing.fail(Status::Retrying, &error, None);
                let done = self.window.done_to();
                if std::mem::replace(&mut self.failed_at, done) < done {
                    self.failing = patience();
                }
                self.not_before = Some(Instant::now() + next(&mut self.failing));
                Ok(())
            }
        }
    }

    /// Stores the cursor now, and waits for it.
    pub(super) async fn store(&mut self) -> Result<(), SubscriptionError> {
        self.settle().await?;
        self.begin_storing();
        self.settle().await
    }

    /// Waits for what is being stored. Where this fails, it is not tried again by itself.
    async fn settle(&mut self) -> Result<(), SubscriptionError> {
        // Left in its place until it is done: this may be dropped meanwhile.
        let Some(storing) = &mut self.storing else {
            return Ok(());
        };
        let stored = storing.await;
        self.storing = None;
        let failed = stored.as_ref().err().filter(|error| error.is_transient());
        let failed = failed.map(|error| StoreError::new(crate::StoreErrorKind::Unavailable, chain(error)));
        match self.stored(stored) {
            Err(Trouble::Error(error)) => Err(error),
            Err(Trouble::Call(_) | Trouble::Held) => Err(SubscriptionError::LeaseLost(self.cursor.name().to_owned())),
            Ok(()) => failed.map_or(Ok(()), |error| Err(error.into())),
        }
    }

    /// Says how far it is.
    fn tell(&mut self) {
        let standing = &self.cursor.standing;
        let (head, next) = self.window.lag();
        standing
            .metrics
            .stand(self.window.done_to(), head, next, &*standing.clock);
        if self.is_at_end && self.lanes.is_empty() && self.queue.is_empty() {
            self.trial.all_done(self.lease());
            self.noted = None;
            if self.not_before.is_none() {
                standing.is(Status::Live);
            }
        }
    }

    /// Ends what was begun, then does what was ordered.
    async fn obey(&mut self, order: Order) -> Result<(), Trouble> {
        while let Some(ended) = self.in_flight.next().await {
            if let Err(trouble) = self.ended(ended).await {
                order.reply(Err(trouble.refused(self.cursor.name())));
                return Err(trouble);
            }
        }
        let answer = guarded("what was ordered", self.obeying(&order.what)).await;
        self.trial.pardon(None);
        self.cursor.standing.metrics.has_parked(self.sequences.len() as u64);
        order.reply(answer);
        Ok(())
    }

    /// The first event that is not taken in; waits until it is read. `None` if there is none.
    pub(super) async fn next_read(&mut self) -> Option<Position> {
        loop {
            if let Some(event) = self.queue.front() {
                return Some(event.position);
            }
            let read = self.reads.recv().await?;
            let is_end = matches!(read, Read::End);
            self.heard(read);
            if is_end {
                return None;
            }
        }
    }

    /// Writes this at once.
    pub(super) async fn write(&mut self, park: Vec<Parked>, unpark: Vec<Position>) -> Result<(), SubscriptionError> {
        self.store().await?;
        let Some(stored) = self.stored else {
            return Ok(());
        };
        let committed = self.cursor.commit(stored, stored, park, unpark, self.lease()).await;
        committed.map_err(|error| self.failure(error))
    }

    /// Waits until it is known whether the lease is held.
    pub(super) async fn known(&mut self) {
        self.tenure.held.clone().known().await;
    }

    /// The held event is tried once more.
    pub(super) fn release(&mut self, position: Position) {
        self.held.remove(&position);
        self.lanes.put_back(position);
    }

    pub(super) fn failure(&self, error: CommitError) -> SubscriptionError {
        SubscriptionError::of_commit(self.cursor.name(), error)
    }
}

impl<T> Manner<T> {
    /// What the event is delivered as. A panic of the user's code is an error.
    pub(super) fn read(&self, event: &RecordedEvent) -> Result<Vec<T>, Failed> {
        let read = catch_unwind(AssertUnwindSafe(|| self.reading.read(event.clone())));
        match read {
            Ok(read) => read.map_err(|error| Failed::for_good(chain(&error))),
            Err(panic) => Err(Failed::for_good(format!("reading it panicked: {}", text_of(&*panic)))),
        }
    }

    /// The same, and the sequences in which the event stands.
    fn read_in(&self, event: &RecordedEvent) -> (Result<Vec<T>, Failed>, Keys) {
        let Some(by) = &self.by else {
            return (self.read(event), Keys::of_stream(&event.stream));
        };
        let read = self.read(event).and_then(|items| {
            let keys = || items.iter().map(|item| by(item)).collect::<BTreeSet<_>>();
            match catch_unwind(AssertUnwindSafe(keys)) {
                Ok(keys) => Ok((items, keys)),
                Err(panic) => Err(Failed::for_good(format!("`by` panicked: {}", text_of(&*panic)))),
            }
        });
        match read {
            Ok((items, keys)) => {
                let keys = Keys {
                    own: keys.into_iter().map(Key::Named).collect(),
                    stream: event.stream.clone(),
                };
                (Ok(items), keys)
            }
            Err(failed) => (Err(failed), Keys::unread(&event.stream)),
        }
    }

    /// The sequences in which the event stands.
    fn keys(&self, event: &RecordedEvent) -> Keys {
        match self.by {
            Some(_) => self.read_in(event).1,
            None => Keys::of_stream(&event.stream),
        }
    }
}

fn patience() -> ExponentialBackoff {
    backoff(Duration::from_millis(50), Duration::from_secs(10))
}
