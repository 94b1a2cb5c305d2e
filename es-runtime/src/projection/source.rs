//! From the log's events to the changes of rows.

use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhash::{HashMap, HashMapExt as _};

use super::row::{ApplyRow, RowMismatch};
use super::{ApplyError, Meta, Projection};
use crate::consumer::{Key, Keys, text_of};
use crate::store::{CategoryFilter, Commit, EventFilter};
use crate::{Applied, DecodeError, Decoded, EventEnum as _, EventInfo, EventSourced, RecordedEvent, StreamId};

/// An event that projection `P` applies. Made from its type, by [`of`](Self::of).
pub struct RowEvent<P>(pub(crate) Source<Change<P>>);

impl<P> RowEvent<P> {
    /// Event `E`. It does not compile for a projection of several [segments](super::Projection::SEGMENTS) unless the key is always the id
    /// of the event's stream.
    pub const fn of<E: Applied<A>, A: EventSourced>() -> Self
    where
        P: ApplyRow<E, A> + Projection,
    {
        const {
            assert!(
                P::SEGMENTS == 1 || P::KEY_IS_STREAM,
                "two segments might write this row at once"
            );
        };
        Self::of_one_segment::<E, A>()
    }

    /// The same for one of which that is known.
    pub(crate) const fn of_one_segment<E: Applied<A>, A: EventSourced>() -> Self
    where
        P: ApplyRow<E, A>,
    {
        Self(Source::of::<E, A>(P::KEY_IS_STREAM, changes::<P, E, A>))
    }
}

/// An event that a projection applies, and the changes `C` that come of it.
pub(crate) struct Source<C> {
    category: &'static str,
    /// `None` if it is every event.
    name: Option<&'static str>,
    /// Every event of its aggregate.
    known: &'static [EventInfo],
    /// Whether it only changes the row of its stream.
    key_is_stream: bool,
    changes: Changes<C>,
}

/// What comes of a stored event, but for events of these names.
type Changes<C> = fn(&RecordedEvent, &[&'static str]) -> Result<Numbered<C>, ApplyError>;

impl<C> Source<C> {
    pub(crate) const fn of<E: Applied<A>, A: EventSourced>(key_is_stream: bool, changes: Changes<C>) -> Self {
        Self {
            category: A::NAME,
            name: E::NAME,
            known: A::Event::EVENTS,
            key_is_stream,
            changes,
        }
    }
}

/// What an event does to the row of `key`.
pub(crate) struct Change<P> {
    pub(crate) key: String,
    pub(crate) apply: Box<Apply<P>>,
}

pub(crate) type Apply<P> = dyn FnOnce(Option<P>) -> Result<Option<P>, RowMismatch> + Send + Sync;

/// Changes, each with the number of its event among all that a stored one is read as.
pub(crate) type Numbered<C> = Vec<(usize, C)>;

/// Those events `E` that `recorded` is read as, but for those of these names, each with its number.
pub(crate) fn own<E: Applied<A>, A: EventSourced>(
    recorded: &RecordedEvent,
    except: &[&'static str],
) -> Result<impl Iterator<Item = (usize, E)>, ApplyError> {
    let read = decode::<A>(recorded)?.into_iter().enumerate();
    let own = read.filter_map(|(number, event)| Some((number, E::from_event(event)?)));
    Ok(own.filter(|(_, event)| !except.contains(&event.name())))
}

/// The changes of those events `E` that `recorded` is read as.
fn changes<P: ApplyRow<E, A>, E: Applied<A>, A: EventSourced>(
    recorded: &RecordedEvent,
    except: &[&'static str],
) -> Result<Numbered<Change<P>>, ApplyError> {
    let mut changes = Vec::with_capacity(1);
    for (number, event) in own::<E, A>(recorded, except)? {
        let meta = || Meta::of(recorded).ok_or_else(|| ApplyError::StreamId(recorded.stream.clone()));
        let mut keys = P::keys(&event, &meta()?);
        let Some(last) = keys.pop() else { continue };
        let mut push = |key: String, event: E| -> Result<(), ApplyError> {
            let meta = meta()?;
            check_key(&key)?;
            let apply = Box::new(move |row| P::apply(row, event, &meta));
            changes.push((number, Change { key, apply }));
            Ok(())
        };
        for (index, key) in keys.iter().enumerate() {
            if *key != last && !keys[..index].contains(key) {
                push(key.clone(), event.clone())?;
            }
        }
        push(last, event)?;
    }
    Ok(changes)
}

fn check_key(key: &str) -> Result<(), ApplyError> {
    if key.is_empty() || key.len() > Commit::LONGEST_KEY || key.contains('\0') {
        return Err(ApplyError::Key(key.chars().take(100).collect()));
    }
    Ok(())
}

/// What a stored event is read as today.
pub(crate) fn decode<A: EventSourced>(recorded: &RecordedEvent) -> Result<Decoded<A::Event>, ApplyError> {
    let decoded = A::Event::decode(&recorded.name, recorded.shape_version, &recorded.payload);
    decoded.map_err(|error| match error {
        DecodeError::UnknownName => ApplyError::unknown(recorded, None),
        DecodeError::UnknownVersion { oldest, newest } => ApplyError::unknown(recorded, Some(oldest..=newest)),
        error => ApplyError::Unreadable(error),
    })
}

/// The names under which an event is or was stored.
fn names(info: &EventInfo) -> impl Iterator<Item = &'static str> + use<> {
    std::iter::once(info.name).chain(info.aliases.iter().copied())
}

/// All events that a projection applies, by category and stored name.
pub(crate) struct Sources<C: 'static> {
    categories: HashMap<&'static str, Category<C>>,
    /// Whether each event only changes the row of its stream.
    keys_are_streams: bool,
}

struct Category<C: 'static> {
    /// What applies the events of a stored name: nothing, if the aggregate knows it and the projection does not ask for it.
    names: HashMap<&'static str, Vec<&'static Source<C>>>,
    /// The events that have a source of their own: one of every event takes the others.
    own: Vec<&'static str>,
}

impl<C> Sources<C> {
    pub(crate) fn new(events: impl IntoIterator<Item = &'static Source<C>>) -> Self {
        let mut categories: HashMap<&'static str, Category<C>> = HashMap::new();
        let mut keys_are_streams = true;
        for event in events {
            keys_are_streams &= event.key_is_stream;
            let category = categories.entry(event.category).or_insert_with(|| Category {
                names: event
                    .known
                    .iter()
                    .flat_map(names)
                    .map(|name| (name, Vec::new()))
                    .collect(),
                own: Vec::new(),
            });
            category.own.extend(event.name);
            // What a retired event is read as, only reading it tells.
            let may_be = |info: &&EventInfo| info.retired || event.name.is_none_or(|name| info.name == name);
            for name in event.known.iter().filter(may_be).flat_map(names) {
                category.names.entry(name).or_default().push(event);
            }
        }
        Self {
            categories,
            keys_are_streams,
        }
    }

    /// The categories of its events.
    pub(crate) fn categories(&self) -> impl Iterator<Item = &'static str> {
        self.categories.keys().copied()
    }

    /// The events to read: those of the categories, whatever they are called, as one that this build does not know must stop the
    /// projection rather than be passed over.
    pub(crate) fn filter(&self) -> EventFilter {
        let kind = |category: &&'static str| CategoryFilter {
            category: (*category).into(),
            names: None,
        };
        EventFilter::Categories(self.categories.keys().map(kind).collect())
    }

    /// The parts of the log in which the events stand that may change what `key` names, or anything if it is `None`.
    pub(crate) fn filters(&self, key: Option<&str>) -> Vec<EventFilter> {
        match key {
            Some(key) if self.keys_are_streams => {
                let stream = |category: &&'static str| EventFilter::Stream(StreamId::new(*category, key));
                self.categories.keys().map(stream).collect()
            }
            _ => vec![self.filter()],
        }
    }

    /// The rows that `recorded` changes. One of which nobody knows stands before all of its stream, and before the row that is most
    /// likely named after it.
    pub(crate) fn keys(&self, recorded: &RecordedEvent, key: impl Fn(&C) -> &str) -> Keys {
        let stream = &recorded.stream;
        let own = if self.keys_are_streams {
            vec![Key::Named(stream.id().to_owned())]
        } else {
            let Ok(changes) = self.changes(recorded) else {
                return Keys::unread(stream);
            };
            changes
                .iter()
                .map(|change| Key::Named(key(change).to_owned()))
                .collect()
        };
        Keys {
            own,
            stream: stream.clone(),
        }
    }

    /// What comes of `recorded`, in order. A panic of the user's code is an error.
    pub(crate) fn changes(&self, recorded: &RecordedEvent) -> Result<Vec<C>, ApplyError> {
        let Some(category) = self.categories.get(recorded.stream.category()) else {
            return Ok(Vec::new());
        };
        let Some(events) = category.names.get(&*recorded.name) else {
            return Err(ApplyError::unknown(recorded, None));
        };
        contain(|| {
            let mut changes = Vec::new();
            for event in events {
                let except = if event.name.is_none() { &*category.own } else { &[] };
                changes.extend((event.changes)(recorded, except)?);
            }
            changes.sort_by_key(|(number, _)| *number);
            Ok(changes.into_iter().map(|(_, change)| change).collect())
        })
    }
}

/// Runs the user's code. What it panics with becomes an error.
pub(crate) fn contain<T>(code: impl FnOnce() -> Result<T, ApplyError>) -> Result<T, ApplyError> {
    // What the code may have left half done is dropped with the error.
    catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(|panic| Err(ApplyError::Panicked(text_of(&*panic))))
}
