//! Which instances run, and when the next timer of each is due: so that neither the ended ones nor their streams are looked
//! through.
//!
//! It follows from the steps, and is brought up to date as they come through the log. What it says is never believed without a
//! look at the instance.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use super::engine::newest;
use super::step::Brief;
use crate::error::chain;
use crate::store::{
    Change, Demand, EventStore, ListStreams, OwnState, Purge, RESERVED, SaveError, StateChange, StateKey, StateStore,
};
use crate::subscription::Halt;
use crate::{StoreError, Timestamp, Version};

/// The running instances of a process manager.
pub(crate) struct Index {
    process: &'static str,
    namespace: String,
    /// `None` if nothing keeps states: then it is made again from the last step of each stream.
    kept: Option<InStates>,
    known: Mutex<Known>,
}

/// The index as it is kept among the states.
struct InStates {
    states: Arc<dyn StateStore>,
    /// Says that all instances are there. It is lost with them, where the states are a store of their own.
    is_complete: OwnState<bool>,
}

#[derive(Default)]
struct Known {
    /// The epoch of the lease under which all of it was read.
    epoch: Option<u64>,
    instances: HashMap<String, Entry>,
    due: BTreeSet<(Timestamp, String)>,
}

/// An instance, as one of its steps left it.
#[derive(Clone, Copy)]
struct Entry {
    version: Version,
    is_running: bool,
    due: Option<Timestamp>,
}

/// The part of it that is kept in the store.
#[derive(Serialize, Deserialize)]
struct Kept {
    due: Option<Timestamp>,
}

impl Index {
    const KIND: &'static str = "instance";

    pub(crate) fn new(process: &'static str, states: Option<Arc<dyn StateStore>>) -> Self {
        Self {
            process,
            namespace: format!("{RESERVED}/process/{process}"),
            kept: states.map(|states| InStates {
                is_complete: OwnState::new(&states, "process", process),
                states,
            }),
            known: Mutex::default(),
        }
    }

    /// Takes note of a step, in the store too unless that says so already.
    pub(crate) async fn note(&self, step: &Brief) -> Result<(), Halt> {
        let before = {
            let known = self.known();
            let before = known.instances.get(&step.key).copied();
            let is_said = match before {
                Some(before) => before.version >= step.version || (before.is_running, before.due) == step.stands(),
                None => known.epoch.is_some() && !step.is_running,
            };
            if is_said {
                drop(known);
                self.saw(step);
                return Ok(());
            }
            before
        };
        if let Some(InStates { states, .. }) = &self.kept {
            let (change, payload) = match (step.is_running, before) {
                (false, _) => (Change::Delete, None),
                (true, None) => (Change::Create, Some(kept(step))),
                (true, Some(_)) => (Change::Update, Some(kept(step))),
            };
            let change = self.change(step, change, payload);
            states.save(vec![change], Demand::Newer).await.map_err(unsaved)?;
        }
        self.saw(step);
        Ok(())
    }

    fn change(&self, step: &Brief, change: Change, payload: Option<Bytes>) -> StateChange {
        StateChange {
            key: StateKey::new(self.namespace.as_str(), Self::KIND, step.key.as_str()),
            sequence: step.version.0,
            change,
            shape: 1,
            payload,
        }
    }

    /// Takes note of a step in memory alone.
    fn saw(&self, step: &Brief) {
        let Known { instances, due, epoch } = &mut *self.known();
        if instances
            .get(&step.key)
            .is_some_and(|before| before.version > step.version)
        {
            return;
        }
        let (is_running, at) = step.stands();
        let version = step.version;
        let entry = Entry {
            version,
            is_running,
            due: at,
        };
        // An ended instance is remembered only until all of it was read: an older step may be read then.
        let before = if is_running || epoch.is_none() {
            instances.insert(step.key.clone(), entry)
        } else {
            instances.remove(&step.key)
        };
        if let Some(before) = before.and_then(|before| before.due) {
            due.remove(&(before, step.key.clone()));
        }
        if let Some(at) = at {
            due.insert((at, step.key.clone()));
        }
    }

    /// Reads all of it, unless that was done under the lease with this epoch.
    pub(crate) async fn enter(&self, log: &dyn EventStore, epoch: u64) -> Result<(), Halt> {
        {
            let mut known = self.known();
            if known.epoch == Some(epoch) {
                return Ok(());
            }
            *known = Known::default();
        }
        let running = self.running(log).await?;
        self.complete(&running).await?;
        for step in &running {
            self.saw(step);
        }
        let mut known = self.known();
        known.instances.retain(|_, entry| entry.is_running);
        known.epoch = Some(epoch);
        Ok(())
    }

    /// Keeps these instances, which were found in their streams, unless that is done.
    async fn complete(&self, running: &[Brief]) -> Result<(), Halt> {
        let Some(InStates { states, is_complete }) = &self.kept else {
            return Ok(());
        };
        let before = is_complete.get().await?;
        if before.value.is_some() {
            return Ok(());
        }
        for steps in running.chunks(StateChange::MOST_CHANGES) {
            let changes = steps
                .iter()
                .map(|step| self.change(step, Change::Create, Some(kept(step))));
            states.save(changes.collect(), Demand::Newer).await.map_err(unsaved)?;
        }
        // Another process may have done it too.
        is_complete.save(&before, Some(&true)).await?;
        Ok(())
    }

    /// The instances that run, in no order: as they are kept, or else from their streams.
    pub(crate) async fn running(&self, log: &dyn EventStore) -> Result<Vec<Brief>, Halt> {
        match &self.kept {
            Some(kept) if kept.is_complete.get().await?.value.is_some() => self.running_in(&*kept.states).await,
            _ => self.running_by_streams(log).await,
        }
    }

    async fn running_by_streams(&self, log: &dyn EventStore) -> Result<Vec<Brief>, Halt> {
        let mut running = Vec::new();
        let mut streams = log.streams(ListStreams::new(self.process));
        while let Some(info) = streams.try_next().await? {
            if let Some(step) = newest(log, &info.stream).await? {
                running.push(Brief::read(&step)?);
            }
        }
        running.retain(|step| step.is_running);
        Ok(running)
    }

    async fn running_in(&self, states: &dyn StateStore) -> Result<Vec<Brief>, Halt> {
        let mut running = Vec::new();
        let mut newest: HashMap<String, StateChange> = HashMap::new();
        let mut changes = states.load(&self.namespace);
        while let Some(change) = changes.next().await.transpose()? {
            let kept = newest.get(&change.key.id);
            if kept.is_none_or(|kept| kept.sequence < change.sequence) {
                newest.insert(change.key.id.clone(), change);
            }
        }
        for (key, change) in newest {
            let Some(payload) = change.payload else { continue };
            let kept: Kept = serde_json::from_slice(&payload)
                .map_err(|error| Halt::Never(format!("`{}` cannot be read: {error}", change.key)))?;
            running.push(Brief {
                key,
                version: Version(change.sequence),
                is_running: true,
                has_work: false,
                due: kept.due,
            });
        }
        Ok(running)
    }

    /// Removes what the store remembers of instances that ended so long ago that none of their steps comes through the log again.
    pub(crate) async fn forget_ended(&self, before: Timestamp) -> Result<(), Halt> {
        if let Some(InStates { states, .. }) = &self.kept {
            states.purge(Purge::tombstones(self.namespace.as_str(), before)).await?;
        }
        Ok(())
    }

    /// Returns whether any timer is set.
    pub(crate) fn has_timers(&self) -> bool {
        !self.known().due.is_empty()
    }

    /// The time for which the first timer is set that is not due at this time.
    pub(crate) fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let later = Timestamp::from_micros(now.as_micros() + 1)?;
        let known = self.known();
        known.due.range((later, String::new())..).next().map(|(at, _)| *at)
    }

    /// Up to so many instances with a timer that is due at this time, those that wait longest first.
    pub(crate) fn due(&self, now: Timestamp, most: usize) -> Vec<String> {
        let known = self.known();
        let due = known.due.iter().take_while(|(at, _)| *at <= now);
        due.take(most).map(|(_, key)| key.clone()).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kept(step: &Brief) -> Bytes {
    let kept = serde_json::to_vec(&Kept { due: step.due });
    Bytes::from(kept.unwrap_or_else(|_| unreachable!("a time has a JSON form")))
}

fn unsaved(error: SaveError) -> Halt {
    match error {
        SaveError::Store(error) => error.into(),
        SaveError::Indeterminate(error) => StoreError::into(error),
        error => Halt::Never(chain(&error)),
    }
}
