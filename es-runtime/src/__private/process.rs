use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use super::after_error;
use crate::Id;
use crate::process::ProcessState;

/// The instance that an event is for, by a key that the user gives.
pub fn instance_key<P: ProcessState>(key: &P::Id) -> P::Id {
    key.clone()
}

/// The instance that an event is for, by the id of the event's stream.
pub fn instance_of_stream<P: ProcessState>(id: &impl Identifies<P::Id>) -> P::Id {
    id.instance()
}

/// The id of a stream that is that of an instance too.
#[diagnostic::on_unimplemented(
    message = "the id of the event's stream, `{Self}`, does not identify an instance, as the process manager says `id = {I}`",
    label = "from a stream with another id",
    note = "say which instance the event is for: `#[on(key = event.…)]`, or change the `id` of the process manager"
)]
pub trait Identifies<I> {
    fn instance(&self) -> I;
}

impl<I: Clone> Identifies<I> for I {
    fn instance(&self) -> I {
        self.clone()
    }
}

impl<A> Identifies<AnyId> for Id<A> {
    fn instance(&self) -> AnyId {
        after_error(self)
    }
}

/// The id of a process manager of which the macro has reported that it has none.
#[derive(Clone, PartialEq, Eq)]
pub enum AnyId {}

impl fmt::Display for AnyId {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl FromStr for AnyId {
    type Err = Infallible;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        after_error(id)
    }
}

pub fn next_state<P>(returned: impl NextState<P>) -> Option<P> {
    returned.next_state()
}

/// The result of a reaction that takes or makes the state.
#[diagnostic::on_unimplemented(
    message = "a reaction gives the next state, not `{Self}`",
    label = "no state of the process manager",
    note = "return `Self`, or `Option<Self>` to end the instance with `None`"
)]
pub trait NextState<P> {
    fn next_state(self) -> Option<P>;
}

impl<P> NextState<P> for P {
    fn next_state(self) -> Option<P> {
        Some(self)
    }
}

impl<P> NextState<P> for Option<P> {
    fn next_state(self) -> Self {
        self
    }
}
