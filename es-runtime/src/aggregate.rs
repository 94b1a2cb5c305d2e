use crate::error::Misapplied;
use crate::event::{DecodeError, Decoded, EncodeError, EventInfo};
use crate::id::AggregateId;

/// A type whose state is folded from one stream: its name and the type of its id. Written by `#[derive(Aggregate)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "not an aggregate",
    note = "add `#[derive(Aggregate)]` to `struct {Self}`"
)]
pub trait Aggregate: Sized + Send + Sync + 'static {
    /// The category of its streams, part of what is stored: renaming the Rust type does not change it if it was given
    /// by `#[es(name = "…")]`.
    const NAME: &'static str;

    /// What identifies an instance.
    type Id: AggregateId;
}

/// An aggregate with its events. Written by `#[aggregate]` on the impl block.
#[diagnostic::on_unimplemented(
    message = "aggregate `{Self}` has no events",
    label = "no `#[aggregate]` impl block",
    note = "add `#[aggregate] impl {Self} {{ … }}` with its `#[handle]` and `#[apply]` methods"
)]
pub trait EventSourced: Aggregate {
    /// Every event of the aggregate: an enum with one variant for each.
    type Event: EventEnum<Self>;
}

/// The events of aggregate `A` as one enum: the `AccountEvent` that `#[aggregate]` generates.
pub trait EventEnum<A>: Sized + Send + Sync + 'static {
    /// Every event that can be read, in the order of the `#[apply]` methods; behind them the retired ones.
    const EVENTS: &'static [EventInfo];

    /// Name and version of the shape under which the event is stored.
    fn info(&self) -> EventInfo;

    /// Whether the event creates the state: true for the first event of a stream and for no other.
    fn creates(&self) -> bool;

    /// Appends the stored form of the event to `out`.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Appends the event in the shape of an older version to `out`, see [`Event::encode_as`](crate::Event::encode_as).
    fn encode_as(&self, shape_version: u32, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Reads an event, or what a retired one is read as, from its stored form.
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownName`] if no event has or had this name; besides those of
    /// [`Event::decode`](crate::Event::decode).
    fn decode(name: &str, shape_version: u32, payload: &[u8]) -> Result<Decoded<Self>, DecodeError>;

    /// Folds the event into `state`, which is `None` before the first event.
    ///
    /// # Errors
    ///
    /// If an event that creates the state meets an existing one, or another event meets none. `state` is then
    /// unchanged.
    fn apply(self, state: &mut Option<A>) -> Result<(), Misapplied>;
}
