use crate::{EventSourced, Invalid, Stored};

/// An immutable fact, [stored](Stored) under its name and the version of its shape. Written by `#[event]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "add `#[event]` to `struct {Self}`"
)]
pub trait Event: Stored {
    /// Checks what the event says of itself, before it is appended; not when it is read. `#[event(validate)]` calls the inherent
    /// method `validate` of the struct. Named otherwise, so that a missing one is an error and not a call of this method.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
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
    const NAME: Option<&'static str> = Some(<E as Stored>::NAME);

    fn from_event(event: A::Event) -> Option<Self>
    where
        A: EventSourced,
    {
        EventOf::from_event(event)
    }

    fn name(&self) -> &'static str {
        <E as Stored>::NAME
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
    /// Returns the name and version under which event or entity `E` is stored today.
    pub const fn of<E: Stored>() -> Self {
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
