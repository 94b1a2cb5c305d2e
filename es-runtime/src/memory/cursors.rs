//! Leases, checkpoints and parked events of readers of a log, which need not be that of the store.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use foldhash::HashMap;
use tokio::time::Instant;

use super::{MemoryStore, usize_of};
use crate::store::{Advance, Checkpoint, CheckpointError, CommitError, CursorStore, Lease, LeaseState, Parked, Report};
use crate::{EventId, Position, StoreError, Timestamp};

/// The leases and the readers.
#[derive(Default)]
pub(super) struct Cursors {
    leases: HashMap<String, Held>,
    readers: HashMap<String, Reader>,
}

/// A lease that was taken at some time.
struct Held {
    /// None once it was given back.
    owner: Option<String>,
    epoch: u64,
    expires_at: Instant,
    report: Option<Report>,
}

#[derive(Default)]
struct Reader {
    checkpoint: Option<Stored>,
    parked: BTreeMap<Position, Parked>,
}

/// A checkpoint as it is stored.
#[derive(Clone, Copy)]
struct Stored {
    position: Position,
    event: Option<EventId>,
    updated_at: Timestamp,
}

impl Cursors {
    fn holds(&self, lease: &Lease) -> bool {
        self.leases
            .get(&lease.name)
            .is_some_and(|held| held.owner.as_ref() == Some(&lease.owner) && held.epoch == lease.epoch)
    }

    pub(super) fn check_lease(&self, lease: &Lease) -> Result<(), CommitError> {
        if self.holds(lease) {
            return Ok(());
        }
        Err(CommitError::LeaseLost {
            lease: lease.name.clone(),
        })
    }

    /// That the checkpoint of the reader stands at `expected`.
    pub(super) fn check_place(&self, reader: &str, expected: Position) -> Result<(), CommitError> {
        let checkpoint = self.readers.get(reader).and_then(|reader| reader.checkpoint);
        let actual = checkpoint.map_or(Position::ZERO, |stored| stored.position);
        if actual == expected {
            return Ok(());
        }
        Err(CommitError::Moved {
            reader: reader.to_owned(),
            expected,
            actual,
        })
    }

    /// That it may be done.
    pub(super) fn check(&self, advance: &Advance) -> Result<(), CommitError> {
        self.check_lease(&advance.lease)?;
        self.check_place(&advance.reader, advance.from)?;
        let parked = self.readers.get(&advance.reader).map(|reader| &reader.parked);
        let is_parked = |position| parked.is_some_and(|parked| parked.contains_key(position));
        match advance.unpark.iter().find(|position| !is_parked(position)) {
            None => Ok(()),
            Some(position) => Err(CommitError::NotParked {
                reader: advance.reader.clone(),
                position: *position,
            }),
        }
    }

    /// Does what was [checked](Self::check).
    pub(super) fn advance(&mut self, advance: Advance, now: Timestamp) {
        let reader = self.readers.entry(advance.reader).or_default();
        reader.checkpoint = Some(Stored {
            position: advance.to,
            event: advance.event,
            updated_at: now,
        });
        reader
            .parked
            .extend(advance.park.into_iter().map(|parked| (parked.position, parked)));
        for position in advance.unpark {
            reader.parked.remove(&position);
        }
    }

    /// Where the reader stands, and the event there.
    pub(super) fn position(&self, reader: &str) -> Option<(Position, Option<EventId>)> {
        let stored = self.readers.get(reader)?.checkpoint?;
        Some((stored.position, stored.event))
    }

    /// Moves the checkpoint of the reader, whoever has its lease.
    pub(super) fn stand(&mut self, reader: &str, position: Position, event: Option<EventId>, now: Timestamp) {
        self.readers.entry(reader.to_owned()).or_default().checkpoint = Some(Stored {
            position,
            event,
            updated_at: now,
        });
    }

    /// Puts what the one reader has in the place of what the other has.
    pub(super) fn replace(&mut self, reader: String, by: &str, now: Timestamp) {
        let mut beside = self.readers.remove(by).unwrap_or_default();
        if let Some(stored) = &mut beside.checkpoint {
            stored.updated_at = now;
        }
        self.readers.insert(reader, beside);
    }

    pub(super) fn forget(&mut self, reader: &str) {
        self.readers.remove(reader);
    }
}

#[async_trait]
impl CursorStore for MemoryStore {
    async fn acquire(&self, lease: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        let now = Instant::now();
        let mut log = self.log();
        let held = log.cursors.leases.entry(lease.to_owned()).or_insert(Held {
            owner: None,
            epoch: 0,
            expires_at: now,
            report: None,
        });
        let is_own = held.owner.as_deref() == Some(owner);
        if !is_own && held.owner.is_some() && held.expires_at > now {
            return Ok(None);
        }
        held.epoch += u64::from(!is_own);
        held.owner = Some(owner.to_owned());
        held.expires_at = now + ttl.min(Lease::LONGEST);
        Ok(Some(Lease {
            name: lease.to_owned(),
            owner: owner.to_owned(),
            epoch: held.epoch,
        }))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let mut log = self.log();
        let holds = log.cursors.holds(lease);
        if let Some(held) = log.cursors.leases.get_mut(&lease.name).filter(|_| holds) {
            held.expires_at = Instant::now() + ttl.min(Lease::LONGEST);
        }
        Ok(holds)
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut log = self.log();
        let holds = log.cursors.holds(lease);
        if let Some(held) = log.cursors.leases.get_mut(&lease.name).filter(|_| holds) {
            held.owner = None;
        }
        Ok(())
    }

    async fn report(&self, lease: &Lease, text: &str) -> Result<bool, StoreError> {
        let report = Report {
            text: text.to_owned(),
            epoch: lease.epoch,
            at: self.clock.now(),
        };
        let mut log = self.log();
        let holds = log.cursors.holds(lease);
        if let Some(held) = log.cursors.leases.get_mut(&lease.name).filter(|_| holds) {
            held.report = Some(report);
        }
        Ok(holds)
    }

    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        let now = Instant::now();
        Ok(self.log().cursors.leases.get(name).map(|held| LeaseState {
            owner: held.owner.clone().filter(|_| held.expires_at > now),
            epoch: held.epoch,
            report: held.report.clone(),
        }))
    }

    async fn checkpoint(&self, reader: &str) -> Result<Option<Checkpoint>, CheckpointError> {
        let log = self.log();
        let stored = log.cursors.readers.get(reader).and_then(|reader| reader.checkpoint);
        Ok(stored.map(|stored| Checkpoint {
            position: stored.position,
            event: stored.event,
            updated_at: stored.updated_at,
        }))
    }

    async fn advance(&self, advance: Advance) -> Result<(), CommitError> {
        let now = self.clock.now();
        let mut log = self.log();
        log.cursors.check(&advance)?;
        log.cursors.advance(advance, now);
        Ok(())
    }

    async fn forget(&self, reader: &str, lease: &Lease) -> Result<(), CommitError> {
        let mut log = self.log();
        log.cursors.check_lease(lease)?;
        log.cursors.forget(reader);
        Ok(())
    }

    async fn parked(&self, reader: &str, after: Position, limit: u32) -> Result<Vec<Parked>, StoreError> {
        let log = self.log();
        let Some(reader) = log.cursors.readers.get(reader) else {
            return Ok(Vec::new());
        };
        let behind = reader.parked.range(after.next()..);
        Ok(behind
            .map(|(_, parked)| parked.clone())
            .take(usize_of(limit.into()))
            .collect())
    }
}
