//! The task of a subscription whose events are delivered as a stream: reads ahead of the subscriber, and keeps its cursor.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::deliveries::{Acked, Answer, Deliveries, Item, Note, Refused, Shared};
use super::reader::{Buffer, Sink, Space, read_on};
use super::window::Window;
use super::{Cursor, Reading, SubscriptionError};
use crate::consumer::{Tenure, Waiter, guarded, stopped};
use crate::error::chain;
use crate::projection::Status;
use crate::store::{Lease, ReadLog};
use crate::{Position, RecordedEvent, StoreError, StoreErrorKind};

/// How long an acknowledgement that nobody waits for is kept before it is stored, and how often it is looked whether the cursor may
/// move past events that are not wanted.
const SOON: Duration = Duration::from_millis(250);
/// The time for which a subscription waits for acknowledgements before it says so.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// The longest pause before an event that was dropped comes again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The stream, and the task that fills it.
pub(crate) fn deliver<T: Send + 'static>(
    cursor: Cursor,
    reading: Reading<T>,
    buffer: Buffer,
    unacknowledged: u32,
) -> (Deliveries<T>, impl Future<Output = ()> + Send + 'static) {
    let (sender, items) = mpsc::unbounded_channel();
    let (notes, received) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        standing: Arc::clone(&cursor.standing),
        window: Window::new(),
        notes,
        stop: cursor.stop.clone(),
        skipped: Notify::new(),
    });
    let task = Task {
        source: Source {
            reading,
            items: sender,
            shared: Arc::clone(&shared),
            space: Space::new(buffer),
            unacknowledged: Arc::new(Semaphore::new(unacknowledged as usize)),
        },
        ledger: Ledger {
            notes: received,
            shared: Arc::clone(&shared),
            stored: None,
            stored_at: Instant::now(),
            waiting: Vec::new(),
            was_dropped: false,
            is_ending: false,
        },
        cursor,
    };
    (Deliveries::new(items, shared), task.run())
}

struct Task<T> {
    cursor: Cursor,
    source: Source<T>,
    ledger: Ledger,
}

/// Why the subscriber is not listened to any more.
enum Heard {
    /// A delivery was dropped: from the first on that is not done, everything is sent again.
    Dropped,
    /// It wants no more, and has nothing in hand.
    Left,
    Error(SubscriptionError),
}

/// What ends the work from outside.
enum Over {
    Stop,
    Lost,
}

impl<T: Send + 'static> Task<T> {
    async fn run(mut self) {
        let ended = guarded("reading for a subscription", self.work()).await;
        let standing = &self.cursor.standing;
        standing.state().owns = false;
        standing.is(Status::Stopped);
        // The lease is gone: what was not handed out comes again, to whoever has it.
        self.ledger.shared.window.close();
        let Err(error) = ended else { return };
        let is_lost = matches!(error, SubscriptionError::LeaseLost(_));
        standing.is_lost.store(is_lost, Ordering::SeqCst);
        standing.fail(Status::Stopped, &error, None);
        let refused = Refused { error, event: None };
        // The subscriber may be gone.
        drop(self.source.items.send(Err(refused)));
    }

    async fn work(&mut self) -> Result<(), SubscriptionError> {
        let gone = self.source.items.clone();
        let Some(tenure) = self.cursor.stand_by(gone.closed()).await? else {
            return Ok(());
        };
        let worked = self.own(&tenure).await;
        tenure.end(&*self.cursor.cursors.store).await;
        worked
    }

    /// Works under the lease, until it is to stop.
    async fn own(&mut self, tenure: &Tenure) -> Result<(), SubscriptionError> {
        let Self { cursor, source, ledger } = self;
        let (lease, shared) = (&tenure.lease, Arc::clone(&source.shared));
        let lost = || SubscriptionError::LeaseLost(cursor.name().to_owned());
        let mut over = pin!(over(cursor.stop.clone(), tenure, &shared.window));
        let mut waiter = Waiter::new(cursor.cursors.log.wakes());
        let mut from = match select(pin!(cursor.begin_at_last(lease)), &mut over).await {
            Either::Left((begun, _)) => begun?,
            Either::Right((Over::Stop, _)) => return Ok(()),
            Either::Right((Over::Lost, _)) => return Err(lost()),
        };
        ledger.stored = Some(from);
        cursor.standing.is(Status::CatchingUp);
        loop {
            shared.window.begin(from, &tenure.held);
            let reading = pin!(read_on(source, cursor, &mut waiter));
            let hearing = pin!(ledger.hear(cursor, lease));
            match select(select(reading, hearing), &mut over).await {
                Either::Left((Either::Left((error, _)) | Either::Right((Heard::Error(error), _)), _)) => {
                    return Err(error);
                }
                Either::Left((Either::Right((Heard::Dropped, _)), _)) => from = shared.window.done_to(),
                Either::Left((Either::Right((Heard::Left, _)), _)) => return Ok(()),
                Either::Right((Over::Lost, _)) => return Err(lost()),
                Either::Right((Over::Stop, _)) => break,
            }
        }
        // What is in hand may still be acknowledged; what is not, is not handed out any more.
        shared.window.close();
        ledger.is_ending = true;
        loop {
            match select(pin!(ledger.hear(cursor, lease)), pin!(tenure.lost())).await {
                Either::Left((Heard::Dropped, _)) => {}
                Either::Left((Heard::Left, _)) => return Ok(()),
                Either::Left((Heard::Error(error), _)) => return Err(error),
                Either::Right(_) => return Err(lost()),
            }
        }
    }
}

async fn over(mut stop: watch::Receiver<bool>, tenure: &Tenure, window: &Window) -> Over {
    let mut held = tenure.held.clone();
    let lost = async {
        while held.now() != Some(false) {
            held.changed().await;
            window.wake();
        }
    };
    match select(pin!(stopped(&mut stop)), pin!(lost)).await {
        Either::Left(_) => Over::Stop,
        Either::Right(_) => Over::Lost,
    }
}

/// Brings the events that were read to the subscriber.
struct Source<T> {
    reading: Reading<T>,
    items: mpsc::UnboundedSender<Result<Item<T>, Refused>>,
    shared: Arc<Shared>,
    space: Space,
    /// A permit for each delivery that may be there without being acknowledged.
    unacknowledged: Arc<Semaphore>,
}

impl<T: Send> Sink for Source<T> {
    fn window(&self) -> &Window {
        &self.shared.window
    }

    fn query(&self, after: Position, to: Position) -> ReadLog {
        self.reading.query(after, to)
    }

    fn caught_up(&self) {
        self.shared.standing.is(Status::Live);
    }

    /// Sends an event once there is room for it. One that cannot be read is waited before.
    async fn send(&self, event: RecordedEvent) {
        let (window, position) = (&self.shared.window, event.position);
        let room = self.space.room(event.size()).await;
        if let Some(times) = window.times_dropped(position) {
            let pause = Duration::from_millis(50).saturating_mul(1 << times.min(10));
            sleep(pause.min(LONGEST_PAUSE)).await;
        }
        let recorded_at = event.recorded_at;
        match self.reading.read(event) {
            Ok(items) if items.is_empty() => window.passed(position),
            Ok(items) => {
                let (generation, dropped) = window.sent(position, recorded_at, items.len());
                for (part, item) in items.into_iter().enumerate() {
                    let item = Item {
                        permit: self.permit().await,
                        event: item,
                        position,
                        part,
                        generation,
                        dropped,
                        _room: Arc::clone(&room),
                    };
                    // If the subscriber is gone, his task will hear of it.
                    drop(self.items.send(Ok(item)));
                }
            }
            Err(error) => {
                window.sent(position, recorded_at, 1);
                self.shared.standing.fail(Status::Held, &error, Some(position));
                let event = Some(position);
                drop(self.items.send(Err(Refused { error, event })));
                while window.is_undone(position) {
                    self.shared.skipped.notified().await;
                }
            }
        }
    }
}

impl<T> Source<T> {
    /// Waits until one more delivery may be there. The subscriber may have forgotten to acknowledge, and is told.
    async fn permit(&self) -> OwnedSemaphorePermit {
        let permit = || Arc::clone(&self.unacknowledged).acquire_owned();
        let permit = match timeout(FORGOTTEN, permit()).await {
            Ok(permit) => permit,
            Err(_) => {
                let subscription = &*self.shared.standing.name;
                tracing::warn!(subscription, "a subscription waits for acknowledgements");
                permit().await
            }
        };
        permit.unwrap_or_else(|_| unreachable!("nobody closes it"))
    }
}

/// Keeps the cursor by what the subscriber says.
struct Ledger {
    notes: mpsc::UnboundedReceiver<Note>,
    shared: Arc<Shared>,
    /// Where the cursor stands in the store. `None` if that has to be asked.
    stored: Option<Position>,
    stored_at: Instant,
    /// Who waits for the cursor.
    waiting: Vec<(Position, Answer)>,
    was_dropped: bool,
    /// Whether it ends as soon as nothing is in hand.
    is_ending: bool,
}

impl Ledger {
    /// Listens to the subscriber, and stores the cursor when somebody waits for it or it is time.
    async fn hear(&mut self, cursor: &Cursor, lease: &Lease) -> Heard {
        loop {
            while let Ok(note) = self.notes.try_recv() {
                self.take(note);
            }
            let was_dropped = std::mem::take(&mut self.was_dropped);
            let ends = self.is_ending && !self.shared.window.is_in_hand();
            let is_due = ends || was_dropped || !self.waiting.is_empty() || self.stored_at.elapsed() >= SOON;
            if is_due && let Err(error) = self.store(cursor, lease).await {
                return Heard::Error(error);
            }
            if ends {
                return Heard::Left;
            }
            if was_dropped {
                return Heard::Dropped;
            }
            if let Ok(Some(note)) = timeout(SOON, self.notes.recv()).await {
                self.take(note);
            }
        }
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Done { position, part, reply } => {
                let is_done = self.shared.window.done(position, part);
                self.shared.standing.metrics.took(usize::from(is_done));
                self.waiting.extend(reply.map(|reply| (position, reply)));
            }
            Note::Dropped => self.was_dropped = true,
            Note::NoneInHand => {}
            Note::Left => self.is_ending = true,
        }
    }

    /// Stores how far everything is done, and answers those who wait. What fails for a while is tried again by the next call.
    async fn store(&mut self, cursor: &Cursor, lease: &Lease) -> Result<(), SubscriptionError> {
        let to = self.shared.window.done_to();
        // Taken: if this fails or is dropped, it is not known where the cursor stands.
        let from = self.stored.take();
        match cursor.move_to(from, to, Vec::new(), lease).await {
            Ok(stored) => {
                self.stored = Some(stored);
                self.stored_at = Instant::now();
                let (head, next) = self.shared.window.lag();
                cursor
                    .standing
                    .metrics
                    .stand(stored, head, next, &*cursor.standing.clock);
                for (position, reply) in self.waiting.drain(..) {
                    let acked = match self.shared.window.first_undone() {
                        Some(first) if position > stored => Acked::Behind(first),
                        _ => Acked::Stored,
                    };
                    // He may have given up waiting.
                    drop(reply.send(Ok(acked)));
                }
                Ok(())
            }
            Err(SubscriptionError::Store(error)) if error.kind() != StoreErrorKind::Closed => {
                cursor.standing.fail(Status::Retrying, &error, None);
                for (_, reply) in self.waiting.drain(..) {
                    let same = StoreError::new(error.kind(), chain(&error));
                    drop(reply.send(Err(same.into())));
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
