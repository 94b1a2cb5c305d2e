//! The way of an event from the log to the work.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Manner;
use crate::store::ReadLog;
use crate::subscription::reader::{Room, Sink, Space};
use crate::subscription::window::Window;
use crate::{Position, RecordedEvent};

/// One answer of the log.
pub(crate) enum Read {
    Event(RecordedEvent, Room),
    /// Nothing more was there.
    End,
    /// Nothing could be read.
    Nothing,
}

/// Brings the events that were read to the handler.
pub(crate) struct Intake<'a, T> {
    pub(crate) manner: &'a Manner<T>,
    pub(crate) window: Arc<Window>,
    pub(crate) space: Arc<Space>,
    pub(crate) reads: mpsc::UnboundedSender<Read>,
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
