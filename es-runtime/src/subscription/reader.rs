//! Reads the log ahead of whoever takes its events, as far as there is room.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::window::Window;
use super::{Cursor, SubscriptionError};
use crate::consumer::{Waiter, backoff, next};
use crate::projection::Status;
use crate::store::ReadLog;
use crate::{Position, RecordedEvent};

/// The amount that is read ahead of the subscriber.
#[derive(Clone, Copy)]
pub(crate) struct Buffer {
    pub(crate) events: u32,
    pub(crate) bytes: u32,
}

impl Buffer {
    /// More cannot be counted.
    pub(crate) const MOST: u32 = u32::MAX >> 3;
}

/// A share of the buffer, in events and in bytes.
pub(super) type Room = Arc<[OwnedSemaphorePermit; 2]>;

/// The room that is left in the buffer.
pub(super) struct Space {
    events: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    most_events: u32,
    most_bytes: u32,
}

impl Space {
    pub(super) fn new(buffer: Buffer) -> Self {
        Self {
            events: Arc::new(Semaphore::new(buffer.events as usize)),
            bytes: Arc::new(Semaphore::new(buffer.bytes as usize)),
            most_events: buffer.events,
            most_bytes: buffer.bytes,
        }
    }

    /// Returns whether less than half of it is left.
    pub(super) fn is_scarce(&self) -> bool {
        self.events.available_permits() < (self.most_events as usize).div_ceil(2)
            || self.bytes.available_permits() < (self.most_bytes as usize).div_ceil(2)
    }

    /// Waits until an event of so many bytes may be buffered. One that is larger than the whole buffer is, on its own.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.most_bytes);
        let events = Arc::clone(&self.events).acquire_owned().await;
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(bytes).await;
        let [Ok(events), Ok(bytes)] = [events, bytes] else {
            unreachable!("nobody closes them")
        };
        Arc::new([events, bytes])
    }
}

/// Takes what is read.
pub(super) trait Sink: Sync {
    /// Knows how far was read.
    fn window(&self) -> &Window;

    /// The events that are wanted, behind `after` and up to `to`.
    fn query(&self, after: Position, to: Position) -> ReadLog;

    /// Takes an event, once there is room for it.
    fn send(&self, event: RecordedEvent) -> impl Future<Output = ()> + Send;

    /// Everything that is there was sent.
    fn caught_up(&self);

    /// Nothing can be read for a while.
    fn interrupted(&self) {}
}

/// Sends what is there, and then what comes, until something fails for good.
pub(super) async fn read_on(sink: &impl Sink, cursor: &Cursor, waiter: &mut Waiter) -> SubscriptionError {
    let patience = || backoff(Duration::from_millis(50), Duration::from_secs(10));
    let mut failing = patience();
    loop {
        match catch_up(sink, cursor, waiter).await {
            Ok(()) => {
                failing = patience();
                sink.caught_up();
                waiter.wait(Duration::MAX).await;
            }
            Err(error) if error.is_transient() => {
                sink.interrupted();
                cursor.standing.fail(Status::Retrying, &error, None);
                sleep(next(&mut failing)).await;
            }
            Err(error) => return error,
        }
    }
}

/// Sends every event up to the head.
async fn catch_up(sink: &impl Sink, cursor: &Cursor, waiter: &mut Waiter) -> Result<(), SubscriptionError> {
    let window = sink.window();
    let (head, read_to) = (cursor.cursors.log.head().await?, window.read_to());
    window.ends_at(head);
    if head < read_to {
        return Err(cursor.is_behind(head, read_to).await);
    }
    if head > read_to {
        waiter.found();
        let mut log = cursor.cursors.log.read_log(sink.query(read_to, head));
        while let Some(event) = log.try_next().await? {
            sink.send(event).await;
        }
        window.passed(head);
    }
    Ok(())
}
