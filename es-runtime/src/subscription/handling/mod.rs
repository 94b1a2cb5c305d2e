//! The work of a subscription with a handler under one lease: takes events in, has them tried, and keeps the cursor before
//! the first that is not done.

mod intake;
mod manner;
mod orders;
mod parking;
mod storing;
mod trying;

pub(super) use intake::Intake;
pub(crate) use manner::{By, Manner};

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use backon::ExponentialBackoff;
use futures_core::future::BoxFuture;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use self::intake::Read;
use self::storing::patience;
use self::trying::BATCH;
use super::calls::{Call, Calls, Order};
use super::handler::{SOON, Trouble};
use super::lanes::Lanes;
use super::reader::{Room, Space};
use super::window::Window;
use super::work::{Ended, Failed};
use super::{Cursor, SubscriptionError};
use crate::consumer::{Attempt, AttemptLog, Keys, Sequences, Tenure, guarded, sequence};
use crate::projection::{OnFailure, Status};
use crate::store::{CommitError, Lease, Parked};
use crate::{Position, RecordedEvent};

/// The work under a lease.
pub(super) struct Handling<'a, T> {
    cursor: &'a Arc<Cursor>,
    manner: &'a Manner<T>,
    attempts: &'a mut AttemptLog,
    sequences: &'a mut Sequences,
    tenure: &'a Tenure,
    window: Arc<Window>,
    reads: mpsc::UnboundedReceiver<Read>,
    /// The events that were read and are not taken in.
    queue: VecDeque<RecordedEvent>,
    /// The room of all events from the cursor on: they are the window, and come again after a kill.
    space: Arc<Space>,
    rooms: VecDeque<(Position, Room)>,
    lanes: Lanes<T>,
    in_flight: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// The event that was noted first in this tenure, until it is done.
    noted: Option<Position>,
    /// Events that are not tried any more, and are not parked. Nothing behind them is begun.
    held: BTreeSet<Position>,
    /// The number of events in a batch.
    batch: usize,
    /// Where the cursor stands in the store. `None` if that has to be asked.
    stored: Option<Position>,
    stored_at: Instant,
    storing: Option<BoxFuture<'static, Result<Position, SubscriptionError>>>,
    failing: ExponentialBackoff,
    /// Before this the cursor is not stored again, as it failed, and up to where everything was done then.
    not_before: Option<Instant>,
    failed_at: Position,
    /// The events that are parked when the cursor is stored the next time, and those that are being parked.
    aside: Vec<Parked>,
    parking: Vec<Parked>,
    /// True if something was done since the cursor was stored.
    is_worth_storing: bool,
    /// True if everything that is there was read.
    is_at_end: bool,
}

/// The next thing to deal with.
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
        attempts: &'a mut AttemptLog,
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
            attempts,
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

    fn lease(&self) -> &'a Lease {
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

    /// Returns whether events are tried one after the other, whatever their keys.
    fn is_in_order(&self) -> bool {
        self.manner.at_once == 1 || self.attempts.is_careful()
    }

    /// Takes in what was read, as far as it may be tried: if `one`, only the first that is wanted.
    async fn take_in(&mut self, one: bool) -> Result<(), Trouble> {
        while self.held.is_empty()
            && !(self.lanes_are_in_use() && (one || self.attempts.is_careful()))
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
        if !self.attempts.is_noted(self.lease()) {
            let turn = self.attempts.begin(&event, false, self.lease()).await;
            if let Attempt::GivenUp { ended, attempts } = turn.map_err(|error| self.failure(error))? {
                self.lanes.add(event.clone(), Keys::unread(&event.stream), None);
                return self.refuse(&event, Failed::ended(ended), attempts).await;
            }
            if self.attempts.is_noted(self.lease()) {
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

    /// Says how far it is.
    fn tell(&mut self) {
        let standing = &self.cursor.standing;
        let (head, next) = self.window.lag();
        standing
            .metrics
            .stand(self.window.done_to(), head, next, &*standing.clock);
        if self.is_at_end && self.lanes.is_empty() && self.queue.is_empty() {
            self.attempts.all_done(self.lease());
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
        self.attempts.pardon(None);
        self.cursor.standing.metrics.has_parked(self.sequences.len() as u64);
        order.reply(answer);
        Ok(())
    }

    /// The first event that is not taken in; waits until it is read. `None` if there is none.
    async fn next_read(&mut self) -> Option<Position> {
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

    /// Waits until it is known whether the lease is held.
    async fn known(&mut self) {
        self.tenure.held.clone().known().await;
    }

    /// The held event is tried once more.
    fn release(&mut self, position: Position) {
        self.held.remove(&position);
        self.lanes.put_back(position);
    }

    fn failure(&self, error: CommitError) -> SubscriptionError {
        SubscriptionError::of_commit(self.cursor.name(), error)
    }
}
