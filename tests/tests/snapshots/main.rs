//! Snapshots: whatever becomes of them, every state is the one that all events fold to.

mod basics;
mod board;
mod builds;
mod kinds;
mod preloaded;
mod random;
mod spoiled;
mod states;
mod support;
mod verified;
