//! The task of a subscription with a handler: calls it for one event after the other, under a lease.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBackoff;
use futures_core::future::BoxFuture;
use futures_util::{FutureExt as _, TryStreamExt as _};
use tokio::time::{Instant, sleep};

use super::calls::{Call, Calls, Order, What};
use super::{Cursor, Reading, SubscriptionError};
use crate::consumer::{STANDBY, Tenure, Trial, Turn, Waiter, backoff, count_parked, guarded, next, text_of};
use crate::error::chain;
use crate::projection::{ApplyError, OnFailure, Status};
use crate::store::{CommitError, Lease, Parked, ReadLog};
use crate::{Error, Position, RecordedEvent, StoreError, Timestamp, metrics};

/// For how long the cursor may stay behind what is done.
const SOON: Duration = Duration::from_millis(100);
/// How long after the cursor and the log were found not to go together they are looked at again.
const DIVERGED: Duration = Duration::from_secs(30);

/// What is done with an event.
pub(crate) type Callback<T> = Box<dyn Fn(T) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

pub(crate) struct Handler<T> {
    pub(crate) cursor: Cursor,
    pub(crate) reading: Reading<T>,
    pub(crate) call: Callback<T>,
    /// How often an event is tried before it is held or parked.
    pub(crate) attempts: u32,
    pub(crate) poison: OnFailure,
    pub(crate) calls: Calls,
    pub(crate) waiter: Waiter,
    pub(crate) place: Place,
    /// How often the handler was tried with an event, and what came of that.
    pub(crate) trial: Trial,
}

/// How far it is.
pub(crate) struct Place {
    /// Where the cursor stands in the store.
    stored: Position,
    stored_at: Instant,
    /// Up to here everything is done, or is not wanted.
    done: Position,
    /// Whether something was done since.
    is_worth_storing: bool,
}

impl Place {
    pub(crate) fn at(position: Position) -> Self {
        Self {
            stored: position,
            stored_at: Instant::now(),
            done: position,
            is_worth_storing: false,
        }
    }
}

/// Why the log is not followed any more.
enum Trouble {
    Call(Call),
    /// An event that the handler could not take.
    Held,
    Error(SubscriptionError),
}

impl From<Call> for Trouble {
    fn from(call: Call) -> Self {
        Self::Call(call)
    }
}

impl<E: Into<SubscriptionError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        match error.into() {
            SubscriptionError::LeaseLost(_) => Self::Call(Call::Lost),
            error => Self::Error(error),
        }
    }
}

/// What ends work under a lease.
enum End {
    Stop,
    Lost,
    /// To be tried again after this long, by whoever is there.
    Pause(Duration),
}

/// Why an attempt failed.
struct Failed {
    error: String,
    /// Whether another attempt by this build would fail like it.
    for_good: bool,
}

impl Failed {
    /// So many processes ended at it.
    fn ended(times: u32) -> Self {
        Self {
            error: ApplyError::Ended { times }.to_string(),
            for_good: true,
        }
    }
}

impl<T: Send + 'static> Handler<T> {
    pub(crate) async fn live(mut self) {
        let patience = || backoff(Duration::from_secs(1), Duration::from_secs(60));
        let (mut pause, mut holding) = (Duration::ZERO, patience());
        while let Some((tenure, order)) = self.stand_by(pause).await {
            let before = self.place.done;
            let end = match guarded("running it", async {
                Ok::<_, StoreError>(self.own(&tenure, order, &mut holding).await)
            })
            .await
            {
                Ok(end) => end,
                Err(error) => {
                    self.cursor.standing.fail(Status::Retrying, &error, None);
                    End::Pause(next(&mut holding))
                }
            };
            self.cursor.standing.state().owns = false;
            if self.place.done > before {
                holding = patience();
            }
            pause = match end {
                End::Lost => {
                    drop(tenure);
                    STANDBY
                }
                End::Stop => {
                    self.give_back(tenure).await;
                    break;
                }
                End::Pause(length) => {
                    self.give_back(tenure).await;
                    length
                }
            };
        }
        self.cursor.standing.is(Status::Stopped);
    }

    /// Gives the lease back, so that nobody takes what was not tried for what has ended this process.
    async fn give_back(&mut self, tenure: Tenure) {
        if let Err(error) = guarded("closing a trial", self.trial.close(&tenure.lease)).await {
            let subscription = self.cursor.name();
            tracing::debug!(subscription, %error, "an attempt that was not made stays noted");
        }
        tenure.end(&*self.cursor.cursors.store).await;
    }

    /// Waits until it has the lease; `None` if it is to stop. For an order that comes meanwhile the lease is asked for at once.
    async fn stand_by(&mut self, first: Duration) -> Option<(Tenure, Option<Order>)> {
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(5));
        let mut pause = first;
        loop {
            let order = match self.calls.or(None, sleep(pause)).await {
                Ok(()) => None,
                Err(Call::Order(order)) => Some(order),
                Err(Call::Stop | Call::Lost) => return None,
            };
            // To the end, also if it is to stop: a lease whose answer nobody awaits would be held by nobody until it runs out.
            let (answer, length) = match self.cursor.take().await {
                Ok(Some(tenure)) => return Some((tenure, order)),
                Ok(None) => {
                    self.cursor.standing.is(Status::Standby);
                    let name = self.cursor.name().to_owned();
                    (SubscriptionError::Elsewhere(name), STANDBY)
                }
                Err(error) if error.is_closed() => return None,
                Err(error) => {
                    self.cursor.standing.fail(Status::Retrying, &error, None);
                    (error, next(&mut failing))
                }
            };
            if let Some(order) = order {
                order.reply(Err(answer));
            }
            pause = length;
        }
    }

    /// Works under the lease.
    async fn own(&mut self, tenure: &Tenure, order: Option<Order>, holding: &mut ExponentialBackoff) -> End {
        let mut failing = backoff(Duration::from_millis(50), Duration::from_secs(10));
        let mut order = order;
        loop {
            if let Some(order) = order.take() {
                self.obey(order, &tenure.lease).await;
            }
            let before = self.place.done;
            let Err(trouble) = guarded("following the log", self.follow(tenure)).await;
            if self.place.done > before {
                failing = backoff(Duration::from_millis(50), Duration::from_secs(10));
            }
            if !matches!(trouble, Trouble::Call(Call::Lost) | Trouble::Error(_)) {
                // What is not stored now is done again.
                drop(guarded("storing the cursor", self.store(&tenure.lease)).await);
            }
            let called = match trouble {
                Trouble::Call(call) => Some(call),
                // Given back, so that a process with a build that can take it gets its turn.
                Trouble::Held => return End::Pause(next(holding)),
                Trouble::Error(error) if error.is_transient() => {
                    self.cursor.standing.fail(Status::Retrying, &error, None);
                    self.calls.or(Some(tenure), sleep(next(&mut failing))).await.err()
                }
                Trouble::Error(error) if error.is_closed() => return End::Stop,
                Trouble::Error(error) => {
                    let status = match error {
                        SubscriptionError::Checkpoint(_) => Status::Diverged,
                        _ => Status::Retrying,
                    };
                    self.cursor.standing.fail(status, &error, None);
                    return End::Pause(DIVERGED);
                }
            };
            match called {
                None => {}
                Some(Call::Stop) => return End::Stop,
                Some(Call::Lost) => return End::Lost,
                Some(Call::Order(given)) => order = Some(given),
            }
        }
    }

    /// Handles what is there, and then what comes.
    async fn follow(&mut self, tenure: &Tenure) -> Result<Infallible, Trouble> {
        let (log, lease, with) = (Arc::clone(&self.cursor.cursors.log), &tenure.lease, Some(tenure));
        self.place = Place::at(self.cursor.begin(lease).await?);
        self.cursor.standing.is(Status::CatchingUp);
        if metrics::ON
            && let Ok(parked) = self
                .calls
                .or(with, count_parked(&*self.cursor.cursors.store, &lease.name))
                .await?
        {
            self.cursor.standing.metrics.has_parked(parked);
        }
        loop {
            let head = self.calls.or(with, log.head()).await??;
            if head < self.place.done {
                return Err(self.cursor.is_behind(head, self.place.done).await.into());
            }
            if head > self.place.done {
                self.waiter.found();
                let mut events = log.read_log(self.reading.query(self.place.done, head));
                while let Some(event) = self.calls.or(with, events.try_next()).await?? {
                    self.stand(head, Some(event.recorded_at));
                    self.handle(event, tenure).await?;
                    if self.place.stored_at.elapsed() >= SOON {
                        self.store(lease).await?;
                    }
                }
                self.place.done = head;
            }
            if self.place.is_worth_storing || self.place.stored_at.elapsed() >= SOON {
                self.store(lease).await?;
            }
            self.trial.all_done(lease);
            self.cursor.standing.is(Status::Live);
            self.stand(head, None);
            let longest = if self.place.done > self.place.stored {
                SOON
            } else {
                Duration::MAX
            };
            self.calls.or(with, self.waiter.wait(longest)).await?;
        }
    }

    /// Measures how far it is behind: `next` is when the first event that is not done was recorded.
    fn stand(&self, head: Position, next: Option<Timestamp>) {
        let standing = &self.cursor.standing;
        standing.metrics.stand(self.place.done, head, next, &*standing.clock);
    }

    /// Has the handler take the event, parks it, or fails before it.
    async fn handle(&mut self, event: RecordedEvent, tenure: &Tenure) -> Result<(), Trouble> {
        let (position, lease) = (event.position, &tenure.lease);
        let mut pauses = backoff(Duration::from_millis(100), Duration::from_secs(10));
        loop {
            if tenure.held.now().is_none() {
                self.calls.or(Some(tenure), tenure.held.clone().known()).await?;
            }
            let (failed, times) = match self.begin(&event, lease).await? {
                Turn::Ended { times, attempts } => (Failed::ended(times), attempts),
                Turn::Together | Turn::Alone => match self.attempt(&event).await {
                    Ok(()) => return Ok(self.done(position, lease).await?),
                    Err(failed) => {
                        // What is done before it need not wait for it.
                        self.store(lease).await?;
                        (failed, self.count(&event, lease).await?)
                    }
                },
            };
            let is_last = failed.for_good || times >= self.attempts;
            let status = if is_last { Status::Held } else { Status::Retrying };
            let error = SubscriptionError::Failed {
                position,
                error: failed.error,
            };
            self.cursor.standing.note(status, &error, Some(position));
            if !is_last || self.poison == OnFailure::Hold {
                self.cursor.standing.metrics.failed(status);
            }
            match self.poison {
                _ if !is_last => self.calls.or(Some(tenure), sleep(next(&mut pauses))).await?,
                OnFailure::Hold => return Err(Trouble::Held),
                OnFailure::Park => {
                    tracing::error!(subscription = self.cursor.name(), %position, %error, "an event is parked");
                    self.place.done = position;
                    let parked = parked(&event, &error, times);
                    self.write(vec![parked], Vec::new(), lease).await?;
                    self.trial.done(1);
                    self.cursor.standing.metrics.parked();
                    return Ok(());
                }
            }
        }
    }

    /// Before the handler is called for the event.
    async fn begin(&mut self, event: &RecordedEvent, lease: &Lease) -> Result<Turn, SubscriptionError> {
        let turn = self.trial.begin(event, false, lease).await;
        turn.map_err(|error| self.failure(error))
    }

    /// How often the event has failed now.
    async fn count(&mut self, event: &RecordedEvent, lease: &Lease) -> Result<u32, SubscriptionError> {
        let times = self.trial.failed(event, lease).await;
        times.map_err(|error| self.failure(error))
    }

    fn failure(&self, error: CommitError) -> SubscriptionError {
        SubscriptionError::of_commit(self.cursor.name(), error)
    }

    /// The event is done.
    async fn done(&mut self, position: Position, lease: &Lease) -> Result<(), SubscriptionError> {
        self.place.done = position;
        if self.trial.is_careful() {
            self.store(lease).await?;
        }
        self.trial.done(1);
        Ok(())
    }

    /// Calls the handler for all that the event is read as. Never cut off: what it has begun, it ends.
    async fn attempt(&mut self, event: &RecordedEvent) -> Result<(), Failed> {
        let metrics = &self.cursor.standing.metrics;
        let read = self.reading.read(event.clone()).map_err(|error| Failed {
            error: chain(&error),
            for_good: true,
        })?;
        let is_wanted = !read.is_empty();
        for item in read {
            self.place.is_worth_storing = true;
            let timer = metrics::Timer::start();
            let handled = AssertUnwindSafe(async { (self.call)(item).await }).catch_unwind().await;
            metrics.worked(timer);
            let error = match handled {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => chain(error.as_std()),
                Err(panic) => {
                    metrics.panicked();
                    format!("the handler panicked: {}", text_of(&*panic))
                }
            };
            return Err(Failed { error, for_good: false });
        }
        metrics.took(usize::from(is_wanted));
        Ok(())
    }

    /// Stores how far it is.
    async fn store(&mut self, lease: &Lease) -> Result<(), SubscriptionError> {
        if self.place.done > self.place.stored {
            self.write(Vec::new(), Vec::new(), lease).await?;
        }
        Ok(())
    }

    async fn write(
        &mut self,
        park: Vec<Parked>,
        unpark: Vec<Position>,
        lease: &Lease,
    ) -> Result<(), SubscriptionError> {
        let Place { stored, done, .. } = self.place;
        let committed = self.cursor.commit(stored, done, park, unpark, lease).await;
        committed.map_err(|error| self.failure(error))?;
        self.place = Place::at(done);
        Ok(())
    }

    async fn obey(&mut self, order: Order, lease: &Lease) {
        let obeying = async {
            match &order.what {
                What::Retry(position) => self.retry(*position, lease).await,
                What::Skip(position, reason) => self.skip(*position, reason, lease).await,
            }
        };
        let answer = guarded("what was ordered", obeying).await;
        self.trial.pardon(None);
        order.reply(answer);
    }

    /// Has the handler take a parked event, or the one before which it holds.
    async fn retry(&mut self, position: Position, lease: &Lease) -> Result<(), SubscriptionError> {
        let (event, parked) = self.aside(position, lease).await?;
        let failed = |Failed { error, .. }| SubscriptionError::Failed { position, error };
        let Some(parked) = parked else {
            self.trial.pardon(Some(position));
            self.begin(&event, lease).await?;
            let attempted = self.attempt(&event).await.map_err(failed);
            return match attempted {
                Ok(()) => {
                    self.done(position, lease).await?;
                    self.store(lease).await
                }
                Err(error) => {
                    self.count(&event, lease).await?;
                    Err(error)
                }
            };
        };
        // Before it is tried, as that may end the process.
        let attempts = parked.attempts.saturating_add(1);
        self.write(vec![Parked { attempts, ..parked }], Vec::new(), lease)
            .await?;
        match self.attempt(&event).await.map_err(failed) {
            Ok(()) => self.write(Vec::new(), vec![position], lease).await,
            Err(error) => {
                let parked = self::parked(&event, &error, attempts);
                self.write(vec![parked], Vec::new(), lease).await?;
                Err(error)
            }
        }
    }

    /// Gives up a parked event, or the one before which it holds.
    async fn skip(&mut self, position: Position, reason: &str, lease: &Lease) -> Result<(), SubscriptionError> {
        let (_, parked) = self.aside(position, lease).await?;
        if parked.is_some() {
            self.write(Vec::new(), vec![position], lease).await?;
        } else {
            self.place.done = position;
            self.store(lease).await?;
        }
        tracing::warn!(subscription = self.cursor.name(), %position, reason, "an event was given up");
        Ok(())
    }

    /// The event, if it is parked, or the next that is to be handled.
    async fn aside(
        &mut self,
        position: Position,
        lease: &Lease,
    ) -> Result<(RecordedEvent, Option<Parked>), SubscriptionError> {
        self.place = Place::at(self.cursor.begin(lease).await?);
        let cursors = &self.cursor.cursors;
        let before = Position(position.0.saturating_sub(1));
        let parked = cursors.store.parked(&self.cursor.standing.reader, before, 1).await?;
        let parked = parked.into_iter().find(|parked| parked.position == position);
        let mut log = match &parked {
            Some(_) => cursors.log.read_log(ReadLog::new().from(position).to(position)),
            None => cursors.log.read_log(self.reading.query(self.place.done, position)),
        };
        while let Some(event) = log.try_next().await? {
            if event.position == position {
                return Ok((event, parked));
            }
            if !self.reading.read(event).is_ok_and(|items| items.is_empty()) {
                break;
            }
        }
        Err(SubscriptionError::NotParked {
            subscription: self.cursor.name().to_owned(),
            position,
        })
    }
}

fn parked(event: &RecordedEvent, error: &SubscriptionError, attempts: u32) -> Parked {
    Parked {
        position: event.position,
        event: event.id,
        // Which no database takes in text.
        error: error.to_string().replace('\0', "\u{fffd}"),
        attempts,
    }
}
