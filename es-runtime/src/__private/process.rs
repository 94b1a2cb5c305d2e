use crate::process::ProcessState;

/// The instance that an event is for.
pub fn instance_key<P: ProcessState>(key: &P::Id) -> P::Id {
    key.clone()
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
