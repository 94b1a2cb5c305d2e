//! Events that are read and no longer written.

use super::upcast::guarded;
use crate::outcome::collect;
use crate::{DecodeError, Decoded, Event, EventInfo, EventSourced, IntoEvents};

/// Says that this event is one that aggregate `A` only reads. Written by `#[aggregate]` for each `#[retired]` method.
pub trait RetiredOf<A: EventSourced>: Event {}

pub const fn retired_info<A: EventSourced, E: RetiredOf<A>>() -> EventInfo {
    EventInfo {
        retired: true,
        ..EventInfo::of::<E>()
    }
}

/// Returns whether retired events `E` were stored under this name.
pub fn was_named<A: EventSourced, E: RetiredOf<A>>(name: &str) -> bool {
    name == E::NAME || E::ALIASES.contains(&name)
}

/// Reads a retired event as what has taken its place.
pub fn decode_retired<A: EventSourced, E: RetiredOf<A>, R: IntoEvents<A>>(
    shape_version: u32,
    payload: &[u8],
    replace: impl FnOnce(E) -> R,
) -> Result<Decoded<A::Event>, DecodeError> {
    let event = E::decode(shape_version, payload)?;
    let version = E::SHAPE_VERSION;
    guarded(version, version, || Ok(collect::<A, R>(replace(event)))).map(Decoded::from)
}
