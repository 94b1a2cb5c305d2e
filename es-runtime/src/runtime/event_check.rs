//! Compares the events that are stored with those that this build can read.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::fmt;

use super::any::{Erased, Of};
use super::{Runtime, newest};
use crate::store::EventKind;
use crate::{Commanded, DecodeError, EventEnum as _, EventInfo, EventStore, StoreError};

/// An aggregate whose events are checked.
#[derive(Clone, Copy)]
pub(super) struct Registered {
    pub(super) category: &'static str,
    pub(super) events: &'static [EventInfo],
    pub(super) aggregate: TypeId,
    /// The aggregate without its type.
    pub(super) any: &'static dyn Erased,
    /// Reads an event of this name in this version of its shape, or says why that is not possible.
    pub(super) read: fn(&str, u32, &[u8]) -> Result<(), DecodeError>,
}

impl Registered {
    pub(super) fn of<A: Commanded>() -> Self {
        Self {
            category: A::NAME,
            events: A::Event::EVENTS,
            aggregate: TypeId::of::<A>(),
            any: Of::<A>::erased(),
            read: |name, shape_version, payload| A::Event::decode(name, shape_version, payload).map(drop),
        }
    }

    fn readable(&self, kind: &EventKind) -> Readable {
        let named = |info: &&EventInfo| info.name == kind.name || info.aliases.contains(&kind.name.as_str());
        match self.events.iter().find(named) {
            None => Readable::UnknownName,
            Some(info) if kind.shape_version > info.shape_version => Readable::TooNew {
                newest: info.shape_version,
            },
            Some(info) if kind.shape_version < info.oldest => Readable::TooOld { oldest: info.oldest },
            Some(info) if info.retired => Readable::Retired,
            Some(_) => Readable::Yes,
        }
    }

    /// All that it can read.
    fn kinds(&self) -> impl Iterator<Item = EventKind> {
        self.events.iter().flat_map(|info| {
            let names = std::iter::once(&info.name).chain(info.aliases);
            names.flat_map(|name| {
                (info.oldest..=info.shape_version).map(|version| EventKind::new(self.category, *name, version))
            })
        })
    }
}

/// States whether this build can read an event in one version of its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readable {
    /// It is read.
    Yes,
    /// It is read, and no longer written.
    Retired,
    /// No aggregate of its category is [registered](super::Builder::aggregate), so that this is not known.
    NotRegistered,
    /// The aggregate knows no event of that name.
    UnknownName,
    /// The version of its shape is above the newest that is known.
    TooNew {
        /// The newest that is known.
        newest: u32,
    },
    /// The version of its shape is below the oldest that is known.
    TooOld {
        /// The oldest that is known.
        oldest: u32,
    },
    /// It is known, but not in this shape: its struct was changed without a new version. Found only if it is among the newest events
    /// of the store.
    Changed,
}

impl Readable {
    /// Returns whether a stream with such an event cannot be loaded.
    pub fn is_unreadable(self) -> bool {
        match self {
            Self::Yes | Self::Retired | Self::NotRegistered => false,
            Self::UnknownName | Self::TooNew { .. } | Self::TooOld { .. } | Self::Changed => true,
        }
    }
}

/// An event that is stored, in one version of its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredKind {
    /// The kind of event.
    pub kind: EventKind,
    /// The answer whether this build can read it.
    pub readable: Readable,
    /// The number of such events, if they cannot be read. Counting reads the log: for others use
    /// [`count_events`](EventStore::count_events).
    pub count: Option<u64>,
    /// The event that does not have its shape, and the reason, if it is [`Changed`](Readable::Changed).
    pub error: Option<String>,
}

impl fmt::Display for StoredKind {
    /// Writes the kind, and what to do if it cannot be read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.kind.name;
        write!(f, "{}", self.kind)?;
        match self.count {
            Some(1) => write!(f, " (1 event)")?,
            Some(count) => write!(f, " ({count} events)")?,
            None => {}
        }
        match self.readable {
            Readable::Yes => f.write_str(": read"),
            Readable::Retired => f.write_str(": read, and no longer written"),
            Readable::NotRegistered => f.write_str(": of an aggregate that is not registered"),
            Readable::UnknownName => write!(
                f,
                ": this build knows no event of that name: run the build that wrote it, or a later one; if the event was \
                 renamed, add `#[event(alias = \"{name}\")]` to it; if it is no longer used, keep its struct and read it in a \
                 `#[retired]` method"
            ),
            Readable::TooNew { newest } => write!(
                f,
                ": this build knows its versions up to {newest}: run the build that wrote it, or a later one"
            ),
            Readable::TooOld { oldest } => write!(
                f,
                ": this build knows its versions from {oldest} on: give the event back its older shapes, with \
                 `#[event(from = …)]` or the history of its fields"
            ),
            Readable::Changed => {
                f.write_str(": this build reads another shape under this version")?;
                self.error.iter().try_for_each(|error| write!(f, " ({error})"))
            }
        }
    }
}

/// A comparison of the stored events with those that this build can read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventReport {
    /// All kinds of stored events, in the order of category, name and version.
    pub stored: Vec<StoredKind>,
    /// Events that the registered aggregates can read but that were never stored: new events, and older shapes and
    /// former names that nobody needs unless a build still runs that writes them.
    pub never_stored: Vec<EventKind>,
}

impl EventReport {
    /// Returns the stored kinds that cannot be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &StoredKind> {
        self.stored.iter().filter(|stored| stored.readable.is_unreadable())
    }
}

/// Compares what is stored with what `aggregates` can read.
pub(super) async fn compare(store: &dyn EventStore, aggregates: &[Registered]) -> Result<EventReport, StoreError> {
    let kinds = store.stored_events().await?;
    let mut changed = newest::changed(store, aggregates).await?;
    let mut never_stored: BTreeSet<EventKind> = aggregates.iter().flat_map(Registered::kinds).collect();
    let mut stored = Vec::with_capacity(kinds.len());
    for kind in kinds {
        never_stored.remove(&kind);
        let aggregate = aggregates.iter().find(|aggregate| aggregate.category == kind.category);
        let error = changed.remove(&kind);
        let readable = match aggregate.map_or(Readable::NotRegistered, |aggregate| aggregate.readable(&kind)) {
            Readable::Yes | Readable::Retired if error.is_some() => Readable::Changed,
            readable => readable,
        };
        let count = if readable.is_unreadable() {
            Some(store.count_events(&kind).await?)
        } else {
            None
        };
        stored.push(StoredKind {
            kind,
            readable,
            count,
            error,
        });
    }
    Ok(EventReport {
        stored,
        never_stored: never_stored.into_iter().collect(),
    })
}

impl Runtime {
    /// Compares the events that are stored now with those that the [registered](super::Builder::aggregate) aggregates can read:
    /// those that make [`start`](super::Builder::start) fail, and the others.
    ///
    /// Reads the newest 256 events, and those that cannot be read, which are counted.
    pub async fn check_events(&self) -> Result<EventReport, StoreError> {
        compare(&*self.0.store, &self.0.aggregates).await
    }
}
