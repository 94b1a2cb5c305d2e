use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::reader::Room;
use super::window::{HandedOut, Window};
use super::{Standing, SubscriptionError};
use crate::Position;

/// The events of a subscription: first the stored ones, then the new ones. Read them with [`next`](Self::next), or as
/// any other [`Stream`]. It ends when the runtime is shut down or dropped, and with an error when the tokio runtime on
/// which it was started ends.
///
/// When it is dropped, the cursor is stored and the lease released, once no delivery is in hand.
#[must_use = "nothing is delivered until `next` is called"]
pub struct Deliveries<T> {
    items: mpsc::UnboundedReceiver<Result<Item<T>, Refused>>,
    shared: Arc<Shared>,
    /// The event that could not be read, before which it stands.
    refused: Option<Position>,
    /// Tells that the end of its tokio runtime was told.
    has_ended: bool,
    /// The next delivery, while it is not known whether the lease is held.
    kept: Option<Item<T>>,
}

/// A delivered event, to be acknowledged. Dereferences to the event.
///
/// If it is dropped without being acknowledged, it is delivered again, with those behind it.
#[must_use = "an event that is not acknowledged comes again"]
pub struct Delivery<T> {
    item: T,
    attempt: u32,
    in_hand: InHand,
}

/// Tells the task of the subscription what becomes of a delivery.
struct InHand {
    position: Position,
    part: usize,
    shared: Arc<Shared>,
    is_done: bool,
    _permit: OwnedSemaphorePermit,
}

/// The result of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acked {
    /// It is stored: the event is not delivered again.
    Stored,
    /// It will be stored once this earlier event is acknowledged too. If the process ends before, the event is
    /// delivered again.
    Behind(Position),
}

/// What a subscriber has in common with the task that reads for it.
pub(super) struct Shared {
    pub(super) standing: Arc<Standing>,
    pub(super) window: Window,
    pub(super) notes: mpsc::UnboundedSender<Note>,
    pub(super) stop: watch::Receiver<bool>,
    /// That the event which could not be read was skipped.
    pub(super) skipped: Notify,
}

/// An event on its way.
pub(super) struct Item<T> {
    pub(super) event: T,
    pub(super) position: Position,
    pub(super) part: usize,
    pub(super) generation: u64,
    /// How often it was dropped before.
    pub(super) dropped: u32,
    /// Its share of the buffer, until it is handed out.
    pub(super) _room: Room,
    /// Its share of what may be there unacknowledged.
    pub(super) permit: OwnedSemaphorePermit,
}

/// What is delivered in the end, or instead of an event that cannot be read.
pub(super) struct Refused {
    pub(super) error: SubscriptionError,
    /// The event that cannot be read, if it is its fault.
    pub(super) event: Option<Position>,
}

/// What the subscriber did.
pub(super) enum Note {
    Done {
        position: Position,
        part: usize,
        reply: Option<Answer>,
    },
    Dropped,
    NoneInHand,
    /// Wants no more.
    Left,
}

impl<T> Deliveries<T> {
    pub(super) fn new(items: mpsc::UnboundedReceiver<Result<Item<T>, Refused>>, shared: Arc<Shared>) -> Self {
        Self {
            items,
            shared,
            refused: None,
            has_ended: false,
            kept: None,
        }
    }

    /// Waits for the next event. `Ok(None)` when the runtime is shut down, and after an error.
    ///
    /// # Errors
    ///
    /// [`UnknownEvent`](SubscriptionError::UnknownEvent) and [`UnreadableEvent`](SubscriptionError::UnreadableEvent) for an
    /// event that this build cannot read: it is not passed over unless it is [skipped](Self::skip).
    /// [`LeaseLost`](SubscriptionError::LeaseLost) if another subscriber has taken over;
    /// [`Checkpoint`](SubscriptionError::Checkpoint) if the store was restored to an earlier point. Temporary failures
    /// are retried, and shown in [`Health`](crate::Health).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Result<Option<Delivery<T>>, SubscriptionError> {
        std::future::poll_fn(|context| self.poll(context)).await.transpose()
    }

    /// Skips the event that could not be read, which the last error has named, and continues behind it. Writes the
    /// reason to the log of the process.
    ///
    /// # Errors
    ///
    /// [`Ended`](SubscriptionError::Ended) if there is no such event; else as for [`Delivery::ack`].
    pub async fn skip(&mut self, reason: &str) -> Result<Acked, SubscriptionError> {
        let Some(position) = self.refused else {
            return Err(ended(&self.shared.standing));
        };
        tracing::warn!(subscription = self.shared.standing.name, %position, reason, "an event was given up");
        let skipped = self.shared.done(position, 0).await?;
        self.refused = None;
        self.shared.skipped.notify_one();
        Ok(skipped)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Delivery<T>, SubscriptionError>>> {
        if self.refused.is_some() {
            return Poll::Ready(None);
        }
        if self.shared.is_stopped() {
            self.shared.window.close();
        }
        loop {
            let item = match self.kept.take() {
                Some(item) => item,
                None => match ready!(self.items.poll_recv(context)) {
                    // Told once; behind it comes nothing more.
                    None => match self.shared.standing.check_runs() {
                        Err(error) if !std::mem::replace(&mut self.has_ended, true) => {
                            return Poll::Ready(Some(Err(error.into())));
                        }
                        _ => return Poll::Ready(None),
                    },
                    // Skipped, but sent again before that.
                    Some(Err(Refused { event: Some(event), .. })) if !self.shared.window.is_undone(event) => continue,
                    Some(Err(refused)) => {
                        self.refused = refused.event;
                        return Poll::Ready(Some(Err(refused.error)));
                    }
                    Some(Ok(item)) => item,
                },
            };
            match self.shared.window.hand_out(item.generation, context.waker()) {
                HandedOut::Not => {}
                HandedOut::NotYet => {
                    self.kept = Some(item);
                    return Poll::Pending;
                }
                HandedOut::Yes => {
                    let in_hand = InHand {
                        position: item.position,
                        part: item.part,
                        shared: Arc::clone(&self.shared),
                        is_done: false,
                        _permit: item.permit,
                    };
                    return Poll::Ready(Some(Ok(Delivery {
                        item: item.event,
                        attempt: item.dropped.saturating_add(1),
                        in_hand,
                    })));
                }
            }
        }
    }
}

impl<T> Stream for Deliveries<T> {
    type Item = Result<Delivery<T>, SubscriptionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}

impl<T> Unpin for Deliveries<T> {}

impl<T> Drop for Deliveries<T> {
    fn drop(&mut self) {
        // Its task may have ended before.
        drop(self.shared.notes.send(Note::Left));
    }
}

impl<T> Delivery<T> {
    /// Returns how often this subscriber has delivered it, including this time. Another subscriber or process starts at
    /// one.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Acknowledges the event, and waits until the cursor is stored. Concurrent acknowledgements are stored together.
    ///
    /// Deliveries may be acknowledged in any order: the cursor stays before the first that is not acknowledged.
    ///
    /// # Errors
    ///
    /// [`LeaseLost`](SubscriptionError::LeaseLost) or [`Ended`](SubscriptionError::Ended): the event comes again, to whoever
    /// subscribes next. [`Store`](SubscriptionError::Store) if it is not known to be stored: it is tried again with what is
    /// acknowledged next.
    ///
    /// # Cancel safety
    ///
    /// The event counts as acknowledged from the first poll on; dropping the future only stops waiting.
    pub async fn ack(self) -> Result<Acked, SubscriptionError> {
        let Self { item, in_hand, .. } = self;
        drop(item);
        in_hand.done().await
    }

    /// Acknowledges the event without waiting: the cursor is stored soon, usually within 250 ms. Returns the event.
    ///
    /// Much faster than [`ack`](Self::ack) for each event; if the process is killed, somewhat more is delivered again.
    pub fn ack_soon(self) -> T {
        let Self { item, in_hand, .. } = self;
        in_hand.done_soon();
        item
    }
}

impl<T> Deref for Delivery<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T: fmt::Debug> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("item", &self.item)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Deliveries<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries")
            .field("name", &self.shared.standing.name)
            .finish_non_exhaustive()
    }
}

impl InHand {
    async fn done(mut self) -> Result<Acked, SubscriptionError> {
        self.is_done = true;
        let (shared, position, part) = (Arc::clone(&self.shared), self.position, self.part);
        let answer = shared.done(position, part);
        drop(self);
        answer.await
    }

    fn done_soon(mut self) {
        self.is_done = true;
        self.shared.note_done(self.position, self.part, None);
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.shared.window.let_go();
        if !self.is_done {
            self.shared.window.dropped(self.position);
            // The task may have ended: then it comes again in any case.
            drop(self.shared.notes.send(Note::Dropped));
        } else if !self.shared.window.is_in_hand() {
            drop(self.shared.notes.send(Note::NoneInHand));
        }
    }
}

pub(super) type Answer = oneshot::Sender<Result<Acked, SubscriptionError>>;

impl Shared {
    /// Whether the runtime is shut down, or gone.
    fn is_stopped(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }

    /// Says at once that it is done; the answer may be awaited.
    fn done(&self, position: Position, part: usize) -> impl Future<Output = Result<Acked, SubscriptionError>> + use<> {
        let (reply, answer) = oneshot::channel();
        self.note_done(position, part, Some(reply));
        let standing = Arc::clone(&self.standing);
        async move { answer.await.unwrap_or_else(|_| Err(ended(&standing))) }
    }

    fn note_done(&self, position: Position, part: usize, reply: Option<Answer>) {
        // If the task has ended, the reply is dropped, and the event comes again.
        drop(self.notes.send(Note::Done { position, part, reply }));
    }
}

/// The task has ended.
fn ended(standing: &Standing) -> SubscriptionError {
    let name = standing.name.clone();
    if let Err(error) = standing.check_runs() {
        error.into()
    } else if standing.is_lost.load(Ordering::SeqCst) {
        SubscriptionError::LeaseLost(name)
    } else {
        SubscriptionError::Ended(name)
    }
}
