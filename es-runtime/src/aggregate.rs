use crate::command::Invalid;
use crate::error::Misapplied;
use crate::event::{Decoded, EventInfo};
use crate::id::AggregateId;
use crate::runtime::SnapshotPolicy;
use crate::stored::{DecodeError, EncodeError};

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

    /// A fingerprint of the state's shape: another one, as a rule, once a state that was kept no longer fits.
    ///
    /// It is made of the names and types of the fields and variants and their `#[serde(…)]`, as they are written, and of the
    /// same of each `#[value]` type that a field mentions, also as in `Option<Channel>` or `Vec<Channel>`. It is the same with
    /// every compiler and on every machine.
    ///
    /// It does not see what a value's own fields are made of, nor a type without `#[value]`, an alias, or a constant: such
    /// a change it does not show. Nor does it see that a method has changed its mind. 0 if the implementation is written by
    /// hand and does not say otherwise.
    const FINGERPRINT: u64 = 0;

    /// When [snapshots](crate::docs::snapshots) of its states are written; `None` if never. Written by `#[es(snapshot(…))]`.
    const SNAPSHOTS: Option<SnapshotPolicy<Self>> = None;

    /// The type that identifies an instance.
    type Id: AggregateId;
}

/// An aggregate with [snapshots](crate::docs::snapshots). Written by `#[es(snapshot(…))]`, with
/// [`SNAPSHOTS`](Aggregate::SNAPSHOTS).
#[diagnostic::on_unimplemented(
    message = "aggregate `{Self}` has no snapshots",
    label = "has no snapshots",
    note = "add `#[es(snapshot(every = 100))]` below `#[derive(Aggregate)]`, or `#[es(snapshot)]` to write them by hand only"
)]
pub trait HasSnapshots {}

/// An aggregate with its events. Written by `#[aggregate]` on the impl block.
#[diagnostic::on_unimplemented(
    message = "aggregate `{Self}` has no events",
    label = "no `#[aggregate]` impl block",
    note = "add `#[aggregate] impl {Self} {{ … }}` with its `#[handle]` and `#[apply]` methods"
)]
pub trait EventSourced: Aggregate {
    /// A fingerprint of the code that makes a state of stored events: another one once an `#[apply]` or `#[retired]` method was
    /// edited, other than in its comments and blanks.
    ///
    /// It does not see what such a method calls, nor how an older shape of an event is turned into the current one. 0 if the
    /// implementation is written by hand and does not say otherwise.
    const FOLD_FINGERPRINT: u64 = 0;

    /// Every event of the aggregate: an enum with one variant for each.
    type Event: EventEnum<Self>;
}

/// The events of aggregate `A` as one enum: the `AccountEvent` that `#[aggregate]` generates.
pub trait EventEnum<A>: Sized + Send + Sync + 'static {
    /// Every event that can be read, in the order of the `#[apply]` methods; behind them the retired ones.
    const EVENTS: &'static [EventInfo];

    /// Name and version of the shape under which the event is stored.
    fn info(&self) -> EventInfo;

    /// Returns whether the event creates the state: true for the first event of a stream and for no other.
    fn creates(&self) -> bool;

    /// Checks the event's values before it is appended.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// Returns whether the event is known to come back unchanged from its stored form, see
    /// [`Stored::is_plain`](crate::Stored::is_plain). If not, the runtime folds what it reads back, so that every process
    /// folds the same.
    fn is_plain(&self) -> bool {
        false
    }

    /// Appends the stored form of the event to `out`.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Appends the event in the shape of an older version to `out`, see [`Stored::encode_as`](crate::Stored::encode_as).
    fn encode_as(&self, shape_version: u32, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Reads an event, or what a retired one is read as, from its stored form.
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownName`] if no event has or had this name; besides those of
    /// [`Stored::decode`](crate::Stored::decode).
    fn decode(name: &str, shape_version: u32, payload: &[u8]) -> Result<Decoded<Self>, DecodeError>;

    /// Folds the event into `state`, which is `None` before the first event.
    ///
    /// # Errors
    ///
    /// If an event that creates the state meets an existing one, or another event meets none. `state` is then
    /// unchanged.
    fn apply(self, state: &mut Option<A>) -> Result<(), Misapplied>;

    /// Adds every shape from which an event can be read to `out`.
    #[cfg(feature = "schema")]
    fn shapes(out: &mut crate::schema::Shapes) {
        for info in Self::EVENTS {
            out.unknown::<Self>(info.name, info.shape_version);
        }
    }
}
