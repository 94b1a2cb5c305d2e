//! The latest state of entities, on every store of states.

mod basics;
mod domain;
