use std::convert::Infallible;
use std::fmt;

use crate::{DecodeError, Decoded, EncodeError, EventInfo, EventOf, EventSourced, Invalid, Misapplied};

pub const fn info<A: EventSourced, E: EventOf<A>>() -> EventInfo {
    EventInfo::of::<E>()
}

pub fn info_of<A: EventSourced, E: EventOf<A>>(_: &E) -> EventInfo {
    EventInfo::of::<E>()
}

/// Checks the values of `event`.
pub fn check_event<A: EventSourced, E: EventOf<A>>(event: &E) -> Result<(), Invalid> {
    event.check()
}

/// Returns whether each event of its type is known to come back unchanged from its stored form.
pub fn is_plain<A: EventSourced, E: EventOf<A>>(_: &E) -> bool {
    E::is_plain()
}

/// Appends the stored form of `event` to `out`.
pub fn encode<A: EventSourced, E: EventOf<A>>(event: &E, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    event.encode(out)
}

/// Appends the form that `event` had in an older shape to `out`.
pub fn encode_as<A: EventSourced, E: EventOf<A>>(
    event: &E,
    shape_version: u32,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    event.encode_as(shape_version, out)
}

/// Returns whether events `E` are or were stored under this name.
pub fn is_named<A: EventSourced, E: EventOf<A>>(name: &str) -> bool {
    name == E::NAME || E::ALIASES.contains(&name)
}

/// Reads an event that is known to be an `E`.
pub fn decode<A: EventSourced, E: EventOf<A>>(
    shape_version: u32,
    payload: &[u8],
) -> Result<Decoded<A::Event>, DecodeError> {
    E::decode(shape_version, payload).map(|event| Decoded::One(event.into_event()))
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
