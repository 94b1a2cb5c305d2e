pub use serde;

use crate::event::EncodeError;
use crate::{Event, Misapplied};

/// Appends the stored form of `event` to `out`.
pub fn encode<E: Event>(event: &E, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    crate::json::encode(event, out).map_err(|source| EncodeError { name: E::NAME, source })
}

/// Folds an event that creates the state.
pub fn create<A, E: Event>(state: &mut Option<A>, event: E, apply: impl FnOnce(E) -> A) -> Result<(), Misapplied> {
    if state.is_some() {
        return Err(Misapplied::AlreadyCreated(E::NAME));
    }
    *state = Some(apply(event));
    Ok(())
}

/// Folds an event that changes the state.
pub fn change<A, E: Event>(state: &mut Option<A>, event: E, apply: impl FnOnce(&mut A, E)) -> Result<(), Misapplied> {
    let state = state.as_mut().ok_or(Misapplied::NotCreated(E::NAME))?;
    apply(state, event);
    Ok(())
}
