use std::error::Error as StdError;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{EventSourced, Invalid, LimitExceeded};

/// An immutable fact, stored under its name and the version of its shape. Written by `#[event]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "add `#[event]` to `struct {Self}`"
)]
pub trait Event: Serialize + DeserializeOwned + Debug + Clone + PartialEq + Send + Sync + 'static {
    /// The name under which it is stored. Part of the data: it stays when the Rust type is renamed.
    const NAME: &'static str;

    /// The version of the shape that is written today.
    const SHAPE_VERSION: u32 = 1;

    /// The oldest version of the shape that can be read.
    const OLDEST_VERSION: u32 = Self::SHAPE_VERSION;

    /// The oldest version of the shape that [`encode_as`](Self::encode_as) can write.
    const WRITES_FROM: u32 = Self::SHAPE_VERSION;

    /// Names under which it was stored before: they are read, but no longer written.
    const ALIASES: &'static [&'static str] = &[];

    /// Checks what the event says of itself, before it is appended; not when it is read. `#[event(validate)]` calls the inherent
    /// method `validate` of the struct. Named otherwise, so that a missing one is an error and not a call of this method.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// Returns whether each value of the type is known to come back unchanged from its stored form, so that
    /// [`encode`](Self::encode) need not read it back. `#[event]` says so of numbers of up to 64 bits, `bool`, text,
    /// `Vec`, maps with such keys, `Option` of what is never `null`, and `#[value]` types made of these, where no serde
    /// attribute may have them stored otherwise.
    fn is_plain() -> bool {
        false
    }

    /// Appends the stored form of the event to `out`: JSON that reads back as the same value.
    ///
    /// # Errors
    ///
    /// If the event holds a NaN or an infinity, for which JSON has no form, if it nests deeper than could be read, if its `Serialize`
    /// implementation fails, or if the JSON cannot be read, or is read as another value: compared by `PartialEq`, and by `Debug` if a
    /// value is not equal to itself. `out` then holds what cannot be stored.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let stored = crate::json::store(self, Self::is_plain(), out);
        stored
            .map(drop)
            .map_err(|error| error.of(Self::NAME, format_args!("the payload of event `{}`", Self::NAME)))
    }

    /// Appends the event in the shape of an older version, for a store that builds read which do not know the current one.
    ///
    /// # Errors
    ///
    /// Those of [`encode`](Self::encode), and [`EncodeError::NoWayBack`] for a version that is not in
    /// `WRITES_FROM..=SHAPE_VERSION`.
    fn encode_as(&self, shape_version: u32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if shape_version == Self::SHAPE_VERSION {
            self.encode(out)
        } else {
            Err(EncodeError::no_way_back::<Self>(shape_version))
        }
    }

    /// Reads the event from a payload that was stored with `shape_version`: in the shape of that version, which is then
    /// turned into the next one until it is the current one.
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownVersion`] for a version that is not in `OLDEST_VERSION..=SHAPE_VERSION`,
    /// [`DecodeError::Malformed`] for a payload that is not of that shape, and [`DecodeError::Upcast`] if a step between two
    /// versions fails.
    fn decode(shape_version: u32, payload: &[u8]) -> Result<Self, DecodeError> {
        if shape_version == Self::SHAPE_VERSION {
            crate::json::decode(payload)
        } else {
            Err(DecodeError::unknown_version::<Self>())
        }
    }

    /// Adds every shape from which the event can be read to `out`. An implementation by hand says here
    /// `out.add::<Self>(Self::NAME, Self::SHAPE_VERSION)`.
    #[cfg(feature = "schema")]
    fn shapes(out: &mut crate::schema::Shapes) {
        out.unknown::<Self>(Self::NAME, Self::SHAPE_VERSION);
    }
}

/// Says that this event is one of aggregate `A`'s. Written by `#[aggregate]` for each `#[apply]` method.
#[diagnostic::on_unimplemented(
    message = "aggregate `{A}` does not apply event `{Self}`",
    label = "no `#[apply]` method of `{A}` takes `{Self}`",
    note = "add `#[apply] fn …(&mut self, event: {Self})` to the `#[aggregate] impl {A}` block"
)]
pub trait EventOf<A>: Event {
    /// The event as a variant of the aggregate's enum.
    fn into_event(self) -> A::Event
    where
        A: EventSourced;

    /// Returns the content of this event's variant. `None` if it is another event.
    fn from_event(event: A::Event) -> Option<Self>
    where
        A: EventSourced;
}

/// Ties an event or a command to the one aggregate that it belongs to.
///
/// Written by `#[aggregate]` for each `#[apply]` and `#[handle]` method. A second aggregate that applies the same event, or
/// handles the same command, is a conflicting implementation: give each its own struct.
#[diagnostic::on_unimplemented(
    message = "no aggregate applies `{Self}`, so that it never happens",
    label = "not an event of any aggregate",
    note = "add `#[event]` to `struct {Self}`, and `#[apply] fn …(&mut self, event: {Self})` to the `#[aggregate]` block of its aggregate"
)]
pub trait BelongsToOneAggregate {
    /// The aggregate.
    type Aggregate;
}

/// The event that an `#[apply]` method of a projection takes from aggregate `A`: one of its events, or all of them as
/// their [enum](crate::EventSourced::Event), for which `#[aggregate]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event of aggregate `{A}`, nor the enum of its events",
    label = "not of aggregate `{A}`",
    note = "an apply takes a struct with `#[event]`, or the enum that `#[aggregate]` makes of an aggregate's events, such as `AccountEvent`"
)]
pub trait Applied<A>: Clone + Send + Sync + 'static {
    /// The name under which the event is stored; `None` for every event.
    const NAME: Option<&'static str>;

    /// The event, if it is one of these.
    fn from_event(event: A::Event) -> Option<Self>
    where
        A: EventSourced;

    /// The name under which this one is stored.
    fn name(&self) -> &'static str;
}

impl<A, E: EventOf<A>> Applied<A> for E {
    const NAME: Option<&'static str> = Some(<E as Event>::NAME);

    fn from_event(event: A::Event) -> Option<Self>
    where
        A: EventSourced,
    {
        EventOf::from_event(event)
    }

    fn name(&self) -> &'static str {
        <E as Event>::NAME
    }
}

/// Says that aggregate `Self` writes event `E`: never true of one that is `#[retired]`, which is what it is there to say.
#[diagnostic::on_unimplemented(
    message = "event `{E}` of aggregate `{Self}` is retired: it is read, but no longer written",
    label = "`{E}` has a `#[retired]` method",
    note = "write an event that `{Self}` applies; to write `{E}` again, make its `#[retired]` method an `#[apply]` method"
)]
pub trait Writes<E> {}

/// The name and version under which an event is stored, and the older forms that are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventInfo {
    /// Its name, unique within the aggregate.
    pub name: &'static str,
    /// The version of its shape.
    pub shape_version: u32,
    /// The oldest version of its shape that is read.
    pub oldest: u32,
    /// The oldest version of its shape that can be written: `shape_version` if there is no way back.
    pub writes_from: u32,
    /// Its former names, which are read.
    pub aliases: &'static [&'static str],
    /// True if it is only read.
    pub retired: bool,
}

impl EventInfo {
    /// Returns the name and version under which event `E` is stored today.
    pub const fn of<E: Event>() -> Self {
        Self {
            name: E::NAME,
            shape_version: E::SHAPE_VERSION,
            oldest: E::OLDEST_VERSION,
            writes_from: E::WRITES_FROM,
            aliases: E::ALIASES,
            retired: false,
        }
    }
}

/// The result of decoding a stored event. One event, as a rule; none or several if it is `#[retired]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded<E> {
    /// Nothing any more.
    Nothing,
    /// An event.
    One(E),
    /// Two events or more, in this order.
    Several(Vec<E>),
}

impl<E> From<Vec<E>> for Decoded<E> {
    fn from(mut events: Vec<E>) -> Self {
        match events.len() {
            0 => Self::Nothing,
            1 => events.pop().map_or(Self::Nothing, Self::One),
            _ => Self::Several(events),
        }
    }
}

impl<E> IntoIterator for Decoded<E> {
    type Item = E;
    type IntoIter = std::iter::Chain<std::option::IntoIter<E>, std::vec::IntoIter<E>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, several) = match self {
            Self::Nothing => (None, Vec::new()),
            Self::One(event) => (Some(event), Vec::new()),
            Self::Several(events) => (None, events),
        };
        one.into_iter().chain(several)
    }
}

/// An event or a command could not be turned into its stored form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Its `Serialize` implementation failed, it holds a value that JSON has no form for, or it would not be read back as it is.
    #[error("event `{name}` cannot be stored: {source}")]
    Value {
        /// The event's or the command's name.
        name: &'static str,
        /// The error of its `Serialize` implementation, or of the check of the value.
        #[source]
        source: serde_json::Error,
    },
    /// It nests deeper than could be read.
    #[error(transparent)]
    TooDeep(#[from] LimitExceeded),
    /// The event is to be written in a shape that there is no way back to.
    #[error(
        "event `{name}` cannot be written with shape version {shape_version}, only with {writes_from} to {current}: give the steps between them a way back, such as `impl From<New> for Old`, or let version {current} be written"
    )]
    NoWayBack {
        /// The event's name.
        name: &'static str,
        /// The version asked for.
        shape_version: u32,
        /// The oldest version that can be written.
        writes_from: u32,
        /// The version that is written today.
        current: u32,
    },
    /// The event can be written in an older shape, but not be read from it again.
    #[error("event `{name}` was to be written with shape version {shape_version}, from which it cannot be read again")]
    NotReadBack {
        /// The name under which it was to be written.
        name: &'static str,
        /// The version asked for.
        shape_version: u32,
        /// Why it cannot be read.
        #[source]
        source: Box<DecodeError>,
    },
}

impl EncodeError {
    /// Event `E` cannot be written in this version.
    pub fn no_way_back<E: Event>(shape_version: u32) -> Self {
        Self::NoWayBack {
            name: E::NAME,
            shape_version,
            writes_from: E::WRITES_FROM,
            current: E::SHAPE_VERSION,
        }
    }
}

/// A stored event could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// This build knows no event of that name.
    #[error("this build knows no event of that name")]
    UnknownName,
    /// This build knows the event, but not in that version of its shape.
    #[error("this build reads shape versions {oldest} to {newest} of the event, and not this one")]
    UnknownVersion {
        /// The oldest version that this build reads.
        oldest: u32,
        /// The version that this build writes.
        newest: u32,
    },
    /// The payload is not of the shape under which it is stored.
    #[error(
        "the payload is not of this shape; if the event's struct was changed, give it a new version and say what was changed"
    )]
    Malformed(#[source] serde_json::Error),
    /// The payload is of its shape, but a step to the current one has failed.
    #[error("shape version {from} of the event could not be turned into version {to}")]
    Upcast {
        /// The version before the step.
        from: u32,
        /// The version after the step; the same if the event is `#[retired]`, and its method has failed.
        to: u32,
        /// The error of the step, or an [`UpcastPanic`].
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl DecodeError {
    /// A version of event `E` that it cannot be read in.
    pub fn unknown_version<E: Event>() -> Self {
        Self::UnknownVersion {
            oldest: E::OLDEST_VERSION,
            newest: E::SHAPE_VERSION,
        }
    }
}

/// A step from one version of an event to the next has panicked. The panic was caught.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the upcaster panicked: {message}")]
pub struct UpcastPanic {
    /// The panic's message.
    pub message: String,
}
