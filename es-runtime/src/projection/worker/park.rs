//! Parks an event that cannot be applied, and those that stand behind it.

use std::borrow::Cow;

use super::{Aside, Place, Trouble, Worker};
use crate::consumer::{Keys, Sequences, sequence};
use crate::error::chain;
use crate::projection::{ApplyError, OnFailure};
use crate::store::{Lease, Parked};
use crate::{RecordedEvent, StoreError};

/// Some events that are next: those that stand behind nothing, and those that are parked in their place.
pub(super) struct Part<'a> {
    free: Cow<'a, [RecordedEvent]>,
    /// Where those stand among all of the part. Empty if they are all.
    places: Vec<usize>,
    pub(super) behind: Vec<Parked>,
    /// The number of events in it.
    pub(super) taken: usize,
}

/// As many are parked as may be.
struct Full;

impl Part<'_> {
    pub(super) fn free(&self) -> &[RecordedEvent] {
        &self.free
    }

    /// Where the free event of this index stands among all of the part.
    pub(super) fn place_of(&self, index: usize) -> usize {
        self.places.get(index).copied().unwrap_or(index)
    }
}

impl Worker {
    /// Reads what is parked, if another process may have parked since.
    pub(super) async fn enter(&mut self, lease: &Lease) -> Result<(), StoreError> {
        if self.poison != OnFailure::Park {
            return Ok(());
        }
        let fold = &self.fold;
        let keys = |event: &RecordedEvent| fold.keys(event);
        let reader = &self.standing.reader;
        self.sequences.enter(&self.cursors, reader, lease, Some(&keys)).await
    }

    /// The next events: all of them, or as many as can be parked.
    pub(super) fn part<'a>(&mut self, events: &'a [RecordedEvent]) -> Part<'a> {
        let mut part = Part {
            free: Cow::Borrowed(events),
            places: Vec::new(),
            behind: Vec::new(),
            taken: events.len(),
        };
        if self.sequences.is_empty() {
            return part;
        }
        let mut free = Vec::with_capacity(events.len());
        for (place, event) in events.iter().enumerate() {
            match self.behind(event) {
                Ok(Some(parked)) => part.behind.push(parked),
                Ok(None) => {
                    free.push(event.clone());
                    part.places.push(place);
                }
                Err(Full) => {
                    part.taken = place;
                    break;
                }
            }
        }
        part.free = Cow::Owned(free);
        part
    }

    /// The event as it is parked, if it stands behind another one. What comes behind it then does so too.
    fn behind(&mut self, event: &RecordedEvent) -> Result<Option<Parked>, Full> {
        let keys = self.fold.keys(event);
        let Some(first) = self.sequences.ahead_of(event.position, &keys) else {
            return Ok(None);
        };
        if self.sequences.is_full() {
            return Err(Full);
        }
        self.sequences.doubt();
        self.sequences.park(event.position, Some(keys));
        Ok(Some(sequence::parked_behind(event, first)))
    }

    /// Nothing of the part was written.
    pub(super) fn take_back(&mut self, part: &Part<'_>) {
        for parked in &part.behind {
            self.sequences.unpark(parked.position);
        }
        self.sequences.trust();
    }

    /// The part was written.
    pub(super) fn parked_behind(&mut self, part: &Part<'_>) {
        self.sequences.trust();
        for _ in &part.behind {
            self.standing.metrics.parked();
        }
    }

    /// Parks the first events, as far as they stand behind others. How many they are.
    pub(super) async fn park_behind(
        &mut self,
        place: &mut Place,
        events: &[RecordedEvent],
        lease: &Lease,
    ) -> Result<usize, Trouble> {
        if self.sequences.is_empty() {
            return Ok(0);
        }
        let mut park = Vec::new();
        for event in &events[..events.len().min(self.limit)] {
            match self.behind(event) {
                Ok(Some(parked)) => park.push(parked),
                Err(Full) if park.is_empty() => return Err(full(event)),
                Ok(None) | Err(Full) => break,
            }
        }
        let count = park.len();
        if let Some(last) = count.checked_sub(1).map(|last| &events[last]) {
            let aside = Aside {
                park,
                ..Aside::default()
            };
            self.cursors
                .advance(self.moved(place, last.position, aside, lease))
                .await?;
            self.sequences.trust();
            (0..count).for_each(|_| self.standing.metrics.parked());
            self.written(place, last.position);
            self.done(place, last.position, count);
        }
        Ok(count)
    }

    /// Holds before an event that cannot be applied, or parks it.
    pub(super) async fn refuse(
        &mut self,
        place: &mut Place,
        event: &RecordedEvent,
        error: ApplyError,
        attempts: u32,
        lease: &Lease,
    ) -> Result<(), Trouble> {
        let position = event.position;
        let name = self.standing.name;
        self.standing.count(&error);
        let is_full = self.poison == OnFailure::Park && self.sequences.is_full();
        if self.poison == OnFailure::Hold || is_full {
            if !matches!(error, ApplyError::Ended { .. }) {
                self.attempts.clear(lease).await?;
            }
            return Err(if is_full {
                full(event)
            } else {
                Trouble::Held { position, error }
            });
        }
        tracing::error!(projection = name, %position, %error, "a projection parks an event that it cannot apply");
        let aside = Aside {
            park: vec![sequence::parked(event, error.park_reason(), &chain(&error), attempts)],
            ..Aside::default()
        };
        let keys = match error {
            _ if self.poison != OnFailure::Park => None,
            ApplyError::Ended { .. } => Some(Keys::unread(&event.stream)),
            _ => Some(self.fold.keys(event)),
        };
        self.sequences.doubt();
        self.cursors.advance(self.moved(place, position, aside, lease)).await?;
        if let Some(keys) = keys {
            self.sequences.park(position, Some(keys));
        }
        self.sequences.trust();
        self.attempts.done(1);
        self.standing.metrics.parked();
        self.written(place, position);
        self.done(place, position, 1);
        Ok(())
    }
}

fn full(event: &RecordedEvent) -> Trouble {
    Trouble::Held {
        position: event.position,
        error: ApplyError::TooManyParked {
            parked: Sequences::MOST,
        },
    }
}
