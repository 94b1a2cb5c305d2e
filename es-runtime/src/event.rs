use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::EventSourced;

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

    /// Appends the stored form of the event to `out`: JSON that reads back as the same value.
    ///
    /// # Errors
    ///
    /// If the event holds a NaN or an infinity, for which JSON has no form, or if its `Serialize` implementation fails.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        crate::json::encode(self, out).map_err(|source| EncodeError {
            name: Self::NAME,
            source,
        })
    }

    /// Reads the event from a payload that was stored with `shape_version`.
    fn decode(shape_version: u32, payload: &[u8]) -> Result<Self, DecodeError> {
        if shape_version != Self::SHAPE_VERSION {
            return Err(DecodeError::Unknown);
        }
        crate::json::decode(payload)
    }
}

/// Says that this event is one of aggregate `A`'s. Written by `#[aggregate]` for each `#[apply]` method.
#[diagnostic::on_unimplemented(
    message = "aggregate `{A}` does not apply event `{Self}`",
    label = "no `#[apply]` method of `{A}` takes `{Self}`",
    note = "add `#[apply] fn …(&mut self, event: {Self})` to the `#[aggregate] impl {A}` block"
)]
pub trait EventOf<A: EventSourced>: Event {
    /// The event as a variant of the aggregate's enum.
    fn into_event(self) -> A::Event;

    /// What the variant of this event holds. `None` if it is another.
    fn from_event(event: A::Event) -> Option<Self>;
}

/// Ties an event or a command to the one aggregate that it belongs to.
///
/// Written by `#[aggregate]` for each `#[apply]` and `#[handle]` method. A second aggregate that applies the same event, or
/// handles the same command, is a conflicting implementation: give each its own struct.
pub trait BelongsToOneAggregate {
    /// The aggregate.
    type Aggregate;
}

/// Under what an event is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventInfo {
    /// Its name, unique within the aggregate.
    pub name: &'static str,
    /// The version of its shape.
    pub shape_version: u32,
}

impl EventInfo {
    /// Under what event `E` is stored today.
    pub const fn of<E: Event>() -> Self {
        Self {
            name: E::NAME,
            shape_version: E::SHAPE_VERSION,
        }
    }
}

/// An event could not be turned into its stored form.
#[derive(Debug, thiserror::Error)]
#[error("event `{name}` cannot be stored")]
pub struct EncodeError {
    /// The event's name.
    pub name: &'static str,
    /// What its `Serialize` implementation, or the check of the value, said.
    #[source]
    pub source: serde_json::Error,
}

/// A stored event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// This build knows no event of that name, or not in that version of its shape.
    #[error("this build does not know the event")]
    Unknown,
    /// The payload is not of the shape under which it is stored.
    #[error("the payload is not of the stored shape")]
    Malformed(#[source] serde_json::Error),
}
