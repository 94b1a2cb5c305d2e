//! The handler of a subscription with its settings, and the reading of an event for it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::RecordedEvent;
use crate::consumer::{Key, Keys, text_of};
use crate::error::chain;
use crate::projection::OnFailure;
use crate::subscription::Reading;
use crate::subscription::work::{Failed, Work};

/// Gives an event another key than its stream.
pub(crate) type By<T> = Arc<dyn Fn(&T) -> String + Send + Sync>;

/// The user's handler, and the settings under which it is called.
pub(crate) struct Manner<T> {
    pub(crate) reading: Reading<T>,
    pub(crate) work: Work<T>,
    pub(crate) by: Option<By<T>>,
    /// The number of events that are tried at once.
    pub(crate) at_once: usize,
    /// The number of times an event is tried before it is held or parked.
    pub(crate) attempts: u32,
    pub(crate) poison: OnFailure,
}

impl<T> Manner<T> {
    /// Returns the items that the event is delivered as. A panic of the user's code is an error.
    pub(super) fn read(&self, event: &RecordedEvent) -> Result<Vec<T>, Failed> {
        let read = catch_unwind(AssertUnwindSafe(|| self.reading.read(event.clone())));
        match read {
            Ok(read) => read.map_err(|error| Failed::for_good(chain(&error))),
            Err(panic) => Err(Failed::for_good(format!("reading it panicked: {}", text_of(&*panic)))),
        }
    }

    /// The same, and the sequences in which the event stands.
    pub(super) fn read_in(&self, event: &RecordedEvent) -> (Result<Vec<T>, Failed>, Keys) {
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
    pub(super) fn keys(&self, event: &RecordedEvent) -> Keys {
        match self.by {
            Some(_) => self.read_in(event).1,
            None => Keys::of_stream(&event.stream),
        }
    }
}
