//! In which shape events are written while builds run that do not read the newest.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::Runtime;
use super::event_check::Registered;
use crate::store::{StateStore, WriteCap, WriteCaps};
use crate::{Aggregate, BelongsToOneAggregate, Event, EventInfo, EventSourced, StoreError};

/// The caps, as this process knows them.
#[derive(Default)]
pub(super) struct Caps {
    /// Whether there are any: seen without a lock, because nearly always there are none.
    any: AtomicBool,
    /// The highest version that may be written, by category and name.
    highest: RwLock<HashMap<String, HashMap<String, u32>>>,
}

/// Under which name and in which version of its shape an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) shape_version: u32,
}

impl Caps {
    /// Takes `caps` in place of those before.
    fn replace(&self, caps: Vec<WriteCap>) {
        let mut highest: HashMap<String, HashMap<String, u32>> = HashMap::new();
        for cap in caps {
            highest.entry(cap.category).or_default().insert(cap.name, cap.highest);
        }
        let mut known = self.highest.write().unwrap_or_else(PoisonError::into_inner);
        self.any.store(!highest.is_empty(), Ordering::Release);
        *known = highest;
    }

    /// Takes the caps that are kept, none if nothing keeps any. They hold also if this build cannot keep to them.
    pub(super) async fn reload(
        &self,
        states: Option<&Arc<dyn StateStore>>,
        aggregates: &[Registered],
    ) -> Result<(), CapError> {
        if let Some(states) = states {
            self.replace(WriteCaps::new(Arc::clone(states)).all().await?);
        }
        let unwritable: Vec<UnwritableEvent> = aggregates
            .iter()
            .flat_map(|aggregate| self.unwritable(aggregate.category, aggregate.events))
            .collect();
        if unwritable.is_empty() {
            Ok(())
        } else {
            Err(CapError::Unwritable(unwritable))
        }
    }

    /// Whether any event may have to be written otherwise than it would be.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// How an event of `category` is written.
    ///
    /// A cap under a former name is for builds that know only that: the event is written under it.
    pub(super) fn form(&self, category: &str, info: &EventInfo) -> Form {
        let known = self.highest.read().unwrap_or_else(PoisonError::into_inner);
        let names = known.get(category);
        let cap = |name: &'static str| names.and_then(|names| names.get(name)).map(|highest| (name, *highest));
        let (name, highest) = info
            .aliases
            .iter()
            .find_map(|alias| cap(alias))
            .or_else(|| cap(info.name))
            .unwrap_or((info.name, info.shape_version));
        Form {
            name,
            shape_version: highest.min(info.shape_version),
        }
    }

    /// The events of these that may not be written in any version that this build can write.
    pub(super) fn unwritable(&self, category: &str, events: &[EventInfo]) -> Vec<UnwritableEvent> {
        let written = events.iter().filter(|info| !info.retired);
        let forms = written.map(|info| (info, self.form(category, info)));
        forms
            .filter(|(info, form)| form.shape_version < info.writes_from)
            .map(|(info, form)| UnwritableEvent::new(WriteCap::new(category, form.name, form.shape_version), info))
            .collect()
    }
}

/// An event that this build cannot write in a version as low as its cap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct UnwritableEvent {
    /// The cap.
    pub cap: WriteCap,
    /// The lowest version that this build can write.
    pub writes_from: u32,
    /// The version that it writes without a cap.
    pub current: u32,
}

impl UnwritableEvent {
    fn new(cap: WriteCap, info: &EventInfo) -> Self {
        Self {
            cap,
            writes_from: info.writes_from,
            current: info.shape_version,
        }
    }
}

impl fmt::Display for UnwritableEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WriteCap {
            category,
            name,
            highest,
        } = &self.cap;
        let Self {
            writes_from, current, ..
        } = self;
        write!(
            f,
            "event `{name}` of `{category}` may be written in version {highest} at most, and this build writes "
        )?;
        if writes_from == current {
            write!(f, "only version {current}: ")?;
        } else {
            write!(f, "versions {writes_from} to {current}: ")?;
        }
        if *highest == 0 {
            return f.write_str("versions begin at 1, so give it a cap of 1 or more, or lift it");
        }
        write!(
            f,
            "add a way back from version {writes_from} to version {highest}, for each step an `impl From<New> for Old`; or lift the \
             cap once no build runs that reads no higher version"
        )
    }
}

/// Why a cap was not set, or the caps were not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CapError {
    /// This build could not write the events any more.
    #[error("{}", lines("events that could not be written", .0))]
    Unwritable(Vec<UnwritableEvent>),
    /// Neither the store nor another one keeps states, caps among them: give the builder one, with
    /// [`states`](super::Builder::states).
    #[error("the store keeps no states, and so no write caps: give the builder one that does, `.states(…)`")]
    Unsupported,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A heading and a line for each item.
pub(super) fn lines(heading: &str, items: &[impl fmt::Display]) -> String {
    items
        .iter()
        .fold(format!("{heading}:"), |text, item| format!("{text}\n  {item}"))
}

impl Runtime {
    /// Lets event `E` be written in version `highest` of its shape at most, or below: so that builds which read no higher one can
    /// run beside this one on the same store. [The guide](crate::docs::deploying) shows when.
    ///
    /// The cap is kept in the store. This process holds to it at once, for commands that are decided from now on; other
    /// processes when they start, or at [`reload_write_caps`](Self::reload_write_caps).
    ///
    /// # Errors
    ///
    /// [`CapError::Unwritable`] if this build cannot write so low a version; nothing is set then. After
    /// [`CapError::Store`] the cap may be set or not: set it again.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the cap may be set or not: set it again.
    pub async fn cap_writes<E>(&self, highest: u32) -> Result<(), CapError>
    where
        E: Event + BelongsToOneAggregate<Aggregate: EventSourced>,
    {
        let info = EventInfo::of::<E>();
        let cap = WriteCap::new(<E::Aggregate as Aggregate>::NAME, E::NAME, highest);
        if highest < info.writes_from {
            return Err(CapError::Unwritable(vec![UnwritableEvent::new(cap, &info)]));
        }
        self.write_caps()?.set(cap).await?;
        self.reload_write_caps().await
    }

    /// Lets event `E` be written in its newest version again, and under its newest name: lifts its cap, and those under its
    /// former names. Holds as [`cap_writes`](Self::cap_writes) does.
    pub async fn lift_write_cap<E>(&self) -> Result<(), CapError>
    where
        E: Event + BelongsToOneAggregate<Aggregate: EventSourced>,
    {
        let caps = self.write_caps()?;
        for name in [E::NAME].iter().chain(E::ALIASES) {
            caps.lift(<E::Aggregate as Aggregate>::NAME, name).await?;
        }
        self.reload_write_caps().await
    }

    /// Reads the caps again, for those that another process has set or lifted.
    ///
    /// # Errors
    ///
    /// [`CapError::Unwritable`] if a cap is below what this build can write of an event of a
    /// [registered](super::Builder::aggregate) aggregate. The caps hold all the same: a command that would write the event fails
    /// with [`Encode`](crate::ExecuteError::Encode).
    pub async fn reload_write_caps(&self) -> Result<(), CapError> {
        self.0.caps.reload(self.0.states.as_ref(), &self.0.aggregates).await
    }

    fn write_caps(&self) -> Result<WriteCaps, CapError> {
        let states = self.0.states.as_ref().ok_or(CapError::Unsupported)?;
        Ok(WriteCaps::new(Arc::clone(states)))
    }
}
