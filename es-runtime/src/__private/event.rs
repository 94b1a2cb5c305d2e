use std::convert::Infallible;
use std::fmt;

use crate::{DecodeError, EncodeError, EventInfo, EventOf, EventSourced, Misapplied};

pub const fn event_name<A: EventSourced, E: EventOf<A>>() -> &'static str {
    E::NAME
}

pub const fn info<A: EventSourced, E: EventOf<A>>() -> EventInfo {
    EventInfo::of::<E>()
}

pub fn info_of<A: EventSourced, E: EventOf<A>>(_: &E) -> EventInfo {
    EventInfo::of::<E>()
}

/// Appends the stored form of `event` to `out`.
pub fn encode<A: EventSourced, E: EventOf<A>>(event: &E, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    event.encode(out)
}

/// Reads an event that is known to be an `E`.
pub fn decode<A: EventSourced, E: EventOf<A>>(shape_version: u32, payload: &[u8]) -> Result<A::Event, DecodeError> {
    E::decode(shape_version, payload).map(E::into_event)
}

/// Folds an event that creates the state.
pub fn create<A: EventSourced, E: EventOf<A>>(
    state: &mut Option<A>,
    event: E,
    apply: impl FnOnce(E) -> A,
) -> Result<(), Misapplied> {
    if state.is_some() {
        return Err(Misapplied::AlreadyCreated(E::NAME));
    }
    *state = Some(apply(event));
    Ok(())
}

/// Folds an event that changes the state.
pub fn change<A: EventSourced, E: EventOf<A>>(
    state: &mut Option<A>,
    event: E,
    apply: impl FnOnce(&mut A, E),
) -> Result<(), Misapplied> {
    let state = state.as_mut().ok_or(Misapplied::NotCreated(E::NAME))?;
    apply(state, event);
    Ok(())
}

pub fn push_event<A: EventSourced, E: EventOf<A>>(event: E, out: &mut Vec<A::Event>) {
    out.push(event.into_event());
}

pub fn one_event<A: EventSourced, E: EventOf<A>>(event: E) -> Result<Vec<A::Event>, Infallible> {
    Ok(vec![event.into_event()])
}

pub fn vec_of<T>(event: T) -> Vec<T> {
    vec![event]
}

/// `Debug` of the variant that holds `event`.
pub fn debug_event<A: EventSourced, E: EventOf<A>>(
    event: &E,
    variant: &str,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.debug_tuple(variant).field(event).finish()
}

pub fn clone_event<A: EventSourced, E: EventOf<A>>(event: &E) -> E {
    event.clone()
}

pub fn eq_event<A: EventSourced, E: EventOf<A>>(left: &E, right: &E) -> bool {
    left == right
}
