//! The latest state of entities, on every store of states.

mod basics;
mod domain;
mod failing;
mod killed;
mod random;
mod shapes;
